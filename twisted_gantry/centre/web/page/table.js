// A table that scrolls beside a narrow window, and pages of an API with cursors.

import { hide, make, sync, write } from "./shared/dom.js";
import { words } from "./shared/language.js";
import { loader } from "./shared/loading.js";
import { MANAGE } from "./texts_manage.js";

// `columns` are headings; `cells(item)` are the contents of a row: texts or nodes made anew, so the
// row is built again when `signature(item)` changes. Returns `{node, fill(items)}`.
export function table(label, columns, key, cells, signature = JSON.stringify) {
  const body = make("tbody");
  const node = make("div", "table", make("table", "",
    make("thead", "", make("tr", "", ...columns.map((each) => {
      const head = make("th", "", each);
      head.scope = "col";
      return head;
    }))), body));
  node.tabIndex = 0;
  node.setAttribute("role", "region");
  node.setAttribute("aria-label", label);
  return {
    node,
    fill(items) {
      sync(body, items, key, () => make("tr"), (row, item) => {
        const now = signature(item);
        if (row.said === now) return;
        row.said = now;
        row.replaceChildren(...cells(item).map((each) => make("td", "", each ?? "")));
      });
    },
  };
}

// Pages of a list: `path(after)` is the question for one, `take(answer)` shows it. `asked` again
// every `period` milliseconds. Returns `{node, load, again()}`; `node` has the buttons.
export function pages(app, path, take, period) {
  const t = words(MANAGE);
  const cursors = [""];
  let next = null;
  const older = app.button("next", t.next, "");
  const first = app.button("first", t.first, "");
  const trouble = make("span", "fine");
  const load = loader(() => app.api.get(path(cursors.at(-1)), { quiet: true }), (answer) => {
    next = answer.after;
    hide(older, next === null || next === undefined);
    hide(first, cursors.length === 1);
    write(trouble, "");
    take(answer);
  }, () => {}, period);
  older.addEventListener("click", () => {
    cursors.push(next);
    load.now();
  });
  first.addEventListener("click", () => {
    cursors.length = 1;
    load.now();
  });
  hide(older, true);
  hide(first, true);
  return {
    node: make("p", "pages", first, older, trouble),
    load,
    again() {
      cursors.length = 1;
      load.now();
    },
  };
}

// Return the end of a question for the page after a cursor.
export const page = (after, limit) =>
  `limit=${limit}${after ? `&after=${encodeURIComponent(after)}` : ""}`;
