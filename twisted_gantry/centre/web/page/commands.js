// Commands: the form for one, many or all gantries, with a preview; and those that were given.

import { hide, make, parts, sync, write } from "./shared/dom.js";
import { clock } from "./shared/format.js";
import { inLanguage, text, words } from "./shared/language.js";
import { commandForm } from "./command_form.js";
import { page, pages } from "./table.js";
import { MANAGE } from "./texts_manage.js";

export const name = "commands";
const PERIOD = 5000;
let ends = [];

export function mount(root, params, app) {
  const t = words(MANAGE);
  const form = commandForm(app);
  const list = make("ul", "report-rows");
  const empty = make("p", "empty", t.noCommands);
  hide(empty, true);
  const sent = pages(app, (after) => `api/v1/commands?${page(after, 30)}`, ({ commands }) => {
    hide(empty, commands.length > 0);
    sync(list, commands, (each) => each.id, () => {
      const link = make("a", "", make("span", "chip"), make("strong", "what"), make("span", "fine facts"));
      return parts(make("li", "", link), ["chip", "what", "facts"]);
    }, (row, each) => {
      row.firstElementChild.href = app.address(`/commands/${encodeURIComponent(each.id)}`);
      row.parts.chip.dataset.state = each.over ? "over" : "connecting";
      write(row.parts.chip, each.over ? t.over : t.running);
      write(row.parts.what, form.called(each));
      write(row.parts.facts, [text.gantriesN(each.gantries), counted(each.counts), t.given(each.by, clock(each.at))].join(" · "));
    });
  }, PERIOD);
  root.append(make("div", "columns",
    make("section", "panel", make("div", "title-row", make("h2", "", t.newCommand)), form.node),
    make("section", "panel", make("div", "title-row", make("h2", "", t.sent)), empty, list, sent.node)));
  form.loaded.then(() => sent.load.now());
  ends = [form.stop, sent.load.stop];
}

export function unmount() {
  for (const end of ends) end();
  ends = [];
}

// Outcomes and how many gantries had each, in words.
export function counted(counts) {
  const { outcomes } = words(MANAGE);
  return Object.entries(counts).filter(([, n]) => n).map(([each, n]) => `${outcomes[each] ?? each} ${n}`).join(" · ");
}

// Return what calls a command by what it does, given what may be ordered.
export const caller = (methods) => ({ method, does }) => {
  const said = (does ?? []).map((one) => {
    const found = methods.find((each) => each.name === one);
    return found ? inLanguage([found.en, found.zh]) || one : one;
  });
  return said.join(" · ") || method;
};
