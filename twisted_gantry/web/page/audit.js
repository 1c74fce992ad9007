// Who told which device what, and how it ended; exports; who may come in.

import { make } from "./shared/dom.js";
import { subscribe } from "./shared/telling.js";
import { entries } from "./audit_list.js";
import { exportForm } from "./export.js";
import { siteKnown } from "./known.js";
import { words } from "./shared/language.js";
import { reveal } from "./shared/loading.js";
import { LISTS } from "./texts_lists.js";
import { users } from "./users.js";

export const name = "audit";
let ends = [];

export function mount(root, params, app) {
  const t = words(LISTS);
  const audit = entries(app);
  const people = users(app);
  const form = exportForm(app);
  const column = make("div", "column",
    make("section", "", make("h2", "", t.exportTitle), form.node), people.node);
  const all = make("div", "columns side",
    make("section", "", make("div", "title-row", make("h2", "", app.text.audit), audit.count),
      ...audit.nodes),
    column);
  root.append(all);
  reveal(all, [audit.load], siteKnown());
  ends = [subscribe(people.draw), audit.load.stop, people.stop];
  people.draw();
}

export function unmount() {
  for (const end of ends) end();
  ends = [];
}
