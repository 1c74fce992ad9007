// A list that is shown a part at a time, so that a phone has little to scroll before a choice.

import { hide, write } from "./dom.js";
import { text } from "./language.js";

const PART = () => (innerWidth < 640 ? 4 : 50);

// Return `{more, cut, again}`: `more` is the button that shows the next part and calls `changed`;
// `cut(items)` is the part of a list that is shown; `again()` begins with the first part.
export function paging(app, changed) {
  const more = app.button("more", "", "");
  let shown = PART();
  hide(more, true);
  more.addEventListener("click", () => {
    shown += PART();
    changed();
  });
  return {
    more,
    again() { shown = PART(); },
    cut(items) {
      hide(more, items.length <= shown);
      write(more, text.more(Math.max(0, Math.min(PART(), items.length - shown))));
      return items.slice(0, shown);
    },
  };
}
