// One tile for each road: its worst gantry's colour and how many are well.

import { make, mark, parts, sync, write } from "./shared/dom.js";
import { text } from "./shared/language.js";
import { address } from "./shared/router.js";
import { pathOf } from "./choice.js";
import { known } from "./known.js";
import { byRoad, summed } from "./states.js";
import { percent } from "./words.js";

export function roadTiles() {
  const node = make("ul", "road-tiles");
  return {
    node,
    draw() {
      if (!known.complete) return; // nothing moves while gantries come
      const roads = byRoad(known.gantries.values()).map(([road, sections]) =>
        [road, summed(sections.flatMap(([, all]) => all))]);
      sync(node, roads, ([road]) => `r${road}`, build, fill);
    },
  };
}

function build([road]) {
  const link = make("a", "road-tile", make("strong", "road", road || text.noRoad), make("span", "share"));
  link.href = address(pathOf("/gantries", { road }));
  return parts(make("li", "", link), ["share"]);
}

function fill(item, [, { counts, worst, total }]) {
  mark(item.firstElementChild, "state", worst);
  write(item.parts.share, percent(counts.well, total));
  const said = `${item.firstElementChild.firstElementChild.textContent} ${text.wellOf(percent(counts.well, total))}`;
  if (item.firstElementChild.title !== said) item.firstElementChild.title = said;
}
