// Active alarms by cause, and those that ended.

import { buildAlarm, cardList, fillAlarm } from "./cards.js";
import { make } from "./dom.js";
import { causes, known } from "./known.js";
import { text } from "./language.js";

export const name = "alarms";
let unsubscribe = () => {};

export function mount(root, params, app) {
  const active = cardList("active", text.noActiveAlarms);
  const recent = cardList("recent", text.noRecentAlarms);
  root.append(
    make("section", "", make("h2", "", text.activeAlarms), ...active.nodes),
    make("section", "", make("h2", "", text.recentAlarms), ...recent.nodes));

  function draw() {
    active.fill(causes(), (a) => a.alarm + a.raisedAt, buildAlarm, fillAlarm);
    recent.fill(known.recent, (a) => a.alarm + a.raisedAt + a.clearedAt, buildAlarm, fillAlarm);
  }

  unsubscribe = app.known.subscribe(draw);
  draw();
}

export function unmount() {
  unsubscribe();
}
