// A device: what is wrong with it, and its points.

import { buildAlarm, fillAlarm } from "./alarm_card.js";
import { cardList, fillState } from "./cards.js";
import { hide, make, parts, write } from "./dom.js";
import { known } from "./known.js";
import { kindOf, text } from "./language.js";
import { pointList } from "./points.js";

export const name = "device";
let unsubscribe = () => {};

export function mount(root, { device: wanted }, app) {
  const head = parts(
    make("section", "card",
      make("p", "head", make("strong", "name", wanted), make("span", "kind"), make("span", "chip")),
      make("p", "fine since"), make("p", "fine error")),
    ["kind", "chip", "since", "error"],
  );
  const unknown = make("p", "empty", text.noSuchDevice(wanted));
  const alarms = cardList("", text.noActiveAlarms);
  const list = pointList(true);
  root.append(unknown, head, ...alarms.nodes, list.node);

  function draw() {
    const device = known.site?.devices.find((each) => each.name === wanted);
    hide(unknown, known.site === null || device !== undefined);
    hide(head, device === undefined);
    if (known.site === null) return;
    const active = known.active.filter((each) => each.source === wanted);
    alarms.fill(active, (a) => a.alarm + a.raisedAt, buildAlarm, fillAlarm);
    list.fill(known.points.filter((each) => each.point.startsWith(`${wanted}.`)));
    if (device === undefined) return;
    write(head.parts.kind, kindOf(device.kind));
    fillState(head, device);
  }

  unsubscribe = app.known.subscribe(draw);
  draw();
}

export function unmount() {
  unsubscribe();
}
