// Active alarms by cause, devices under maintenance, and the alarms that ended.

import { buildAlarm, buildPast, fillAlarm } from "./alarm_card.js";
import { cardList } from "./shared/cards.js";
import { make } from "./shared/dom.js";
import { subscribe } from "./shared/telling.js";
import { causes, known, siteKnown } from "./known.js";
import { text, words } from "./shared/language.js";
import { reveal } from "./shared/loading.js";
import { maintenanceList } from "./maintenance.js";
import { pastAlarms } from "./past_alarms.js";
import { LISTS } from "./texts_lists.js";

export const name = "alarms";
let ends = [];

export function mount(root, params, app) {
  const t = words(LISTS);
  const active = cardList("active", text.noActiveAlarms);
  const maintenance = maintenanceList(app);
  const past = pastAlarms(app);
  const all = make("div", "columns",
    make("section", "", make("h2", "", text.activeAlarms), ...active.nodes),
    make("div", "column",
      make("section", "", make("div", "title-row", make("h2", "", t.maintenance), maintenance.begin),
        ...maintenance.nodes),
      make("section", "", make("div", "title-row", make("h2", "", t.history), past.count),
        ...past.nodes)));
  root.append(all);

  function draw() {
    if (known.site === null) return;
    active.fill(causes(), (a) => a.alarm + a.raisedAt, buildAlarm, fillAlarm);
    maintenance.draw();
    past.draw();
  }

  reveal(all, [maintenance.load, past.load], siteKnown());
  ends = [subscribe(draw), maintenance.load.stop, past.load.stop];
  draw();
}

export function unmount() {
  for (const end of ends) end();
  ends = [];
}
