// What became of the reports of each uplink: counts, the last day, and what waits or was refused.

import { cardList } from "./shared/cards.js";
import { deliveries } from "./deliveries.js";
import { make } from "./shared/dom.js";
import { subscribe } from "./shared/telling.js";
import { known, siteKnown } from "./known.js";
import { text, words } from "./shared/language.js";
import { reveal } from "./shared/loading.js";
import { storedReports } from "./stored_reports.js";
import { LISTS } from "./texts_lists.js";
import { buildUplink, fillUplink } from "./uplinks.js";

export const name = "reports";
let ends = [];

export function mount(root, params, app) {
  const t = words(LISTS);
  const uplinks = cardList("uplinks", text.noUplinks);
  const day = deliveries(app);
  const stored = storedReports(app);
  const all = make("div", "column",
    make("section", "", make("h2", "", text.uplinks), ...uplinks.nodes),
    make("section", "", make("h2", "", t.lastDay), ...day.nodes),
    make("section", "", make("div", "title-row", make("h2", "", t.stored), stored.count),
      ...stored.nodes));
  root.append(all);

  function draw() {
    if (known.site === null) return;
    const targets = (known.site.notify ?? []).map((each) => ({ ...each, name: `notify.${each.name}` }));
    uplinks.fill([...known.site.uplinks, ...targets], (u) => u.name, buildUplink, fillUplink);
    stored.draw();
  }

  reveal(all, [day.load, stored.load], siteKnown()).then(day.draw);
  ends = [subscribe(draw), day.stop, stored.load.stop];
  draw();
}

export function unmount() {
  for (const end of ends) end();
  ends = [];
}
