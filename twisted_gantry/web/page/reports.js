// What became of the reports of each uplink.

import { cardList } from "./cards.js";
import { make } from "./dom.js";
import { known } from "./known.js";
import { text } from "./language.js";
import { buildUplink, fillUplink } from "./uplinks.js";

export const name = "reports";
let unsubscribe = () => {};

export function mount(root, params, app) {
  const uplinks = cardList("uplinks", text.noUplinks);
  root.append(make("section", "", make("h2", "", text.uplinks), ...uplinks.nodes));

  function draw() {
    if (known.site === null) return;
    uplinks.fill(known.site.uplinks, (u) => u.name, buildUplink, fillUplink);
  }

  unsubscribe = app.known.subscribe(draw);
  draw();
}

export function unmount() {
  unsubscribe();
}
