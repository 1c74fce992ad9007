import { hide, make, sync } from "./dom.js";

// A list of cards that says so when it is empty.
export function cardList(className, emptyText) {
  const list = make("ul", `cards ${className}`);
  const empty = make("p", "empty", emptyText);
  empty.hidden = true; // until it is known
  return {
    nodes: [list, empty],
    fill(items, key, build, fill) {
      sync(list, items, key, build, fill);
      hide(empty, items.length > 0);
    },
  };
}
