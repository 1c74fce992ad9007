// What needs me now: incidents, gantries on battery, the worst roads, the ledger, our alarm rate.

import { make, mark, parts, write } from "./shared/dom.js";
import { text } from "./shared/language.js";
import { address } from "./shared/router.js";
import { subscribe } from "./shared/telling.js";
import { pathOf } from "./choice.js";
import { faultList } from "./fault_list.js";
import { incidentList } from "./incident_list.js";
import { known, mainsOff } from "./known.js";
import { ledgerPanel } from "./ledger.js";
import { mainsOffList } from "./mains_off.js";
import { roadTiles } from "./road_tiles.js";
import { STATES } from "./states.js";
import { percent } from "./words.js";

export const name = "overview";
let ends = [];

export function mount(root, params, app) {
  const counts = stateTiles();
  const faults = faultList();
  const incidents = incidentList();
  const off = mainsOffList();
  const roads = roadTiles();
  const ledger = ledgerPanel(app);
  const count = { incidents: make("span", "fine"), off: make("span", "fine") };
  root.append(counts.node, make("div", "now",
    make("section", "panel incidents",
      make("div", "title-row", make("h2", "", text.incidents), count.incidents), faults.node, ...incidents.nodes),
    make("section", "panel off",
      make("div", "title-row", make("h2", "", text.mainsOff), count.off), ...off.nodes),
    make("div", "side",
      ledger.node,
      make("section", "panel roads", make("div", "title-row", make("h2", "", text.roads)), roads.node))));

  function draw() {
    if (known.overview === null) return;
    counts.draw();
    faults.fill(known.overview.troubles ?? []);
    incidents.draw();
    off.draw();
    roads.draw();
    ledger.draw();
    write(count.incidents, String(known.incidents.size));
    write(count.off, text.gantriesN(mainsOff().length));
  }

  ends = [subscribe(draw), incidents.stop, off.stop, ledger.stop];
  draw();
}

export function unmount() {
  for (const end of ends) end();
  ends = [];
}

// The counts are the filters.
function stateTiles() {
  const names = ["total", ...STATES, "pending"];
  const tiles = new Map(names.map((each) => {
    const link = make("a", "tile", make("span", "label", text.states[each] ?? text.total),
      make("strong", "count"), make("span", "share fine"));
    link.href = address(pathOf("/gantries", { states: each === "total" ? [] : [each] }));
    mark(link, "state", each);
    mark(link, "count", "");
    return [each, parts(link, ["count", "share"])];
  }));
  const node = make("nav", "tiles", ...tiles.values());
  node.setAttribute("aria-label", text.gantries);
  return {
    node,
    draw() {
      const { gantries } = known.overview;
      for (const [each, tile] of tiles) {
        write(tile.parts.count, String(gantries[each]));
        write(tile.parts.share, each === "pending" || each === "total" ? "" : percent(gantries[each], gantries.total));
        mark(tile, "some", String(gantries[each] > 0));
      }
    },
  };
}
