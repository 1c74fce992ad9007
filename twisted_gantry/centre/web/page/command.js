// One command: how it stands, and its outcome at each gantry.

import { hide, make, mark, write } from "./shared/dom.js";
import { clock } from "./shared/format.js";
import { inLanguage, text, words } from "./shared/language.js";
import { caller } from "./commands.js";
import { known } from "./known.js";
import { page, pages, table } from "./table.js";
import { MANAGE } from "./texts_manage.js";
import { gantryName } from "./words.js";

export const name = "command";
const PERIOD = 2000;
const SLOW = 60_000; // once it is over
const TONES = { done: "online", failed: "critical", refused: "critical", expired: "warning", unknown: "warning" };
let ends = [];

export function mount(root, { order: id }, app) {
  const t = words(MANAGE);
  const title = make("h2", "title");
  const chip = make("span", "chip");
  const facts = make("p", "fine");
  const args = make("p", "fine");
  const counts = make("div", "outcome-counts");
  const missing = make("p", "empty", t.noCommand(id));
  const back = make("a", "button", t.back);
  back.href = app.address("/commands");
  let methods = [];
  let shown = null;
  const list = table(t.byGantry, [t.gantry, t.outcome, t.when, t.answer], (each) => each.gantry, (each) => {
    const link = make("a", "", gantryName(known.gantries.get(each.gantry) ?? { id: each.gantry }));
    link.href = app.address(`/gantries/${encodeURIComponent(each.gantry)}`);
    const said = make("span", "chip", t.outcomes[each.outcome] ?? each.outcome);
    mark(said, "state", TONES[each.outcome] ?? "connecting");
    return [link, said, (each.at ?? each.sentAt) ? clock(each.at ?? each.sentAt) : "",
      [each.code, inLanguage([each.detail, each.detailZh]), each.value === null || each.value === undefined ? "" : JSON.stringify(each.value)]
        .filter(Boolean).join(" · ")];
  });
  const outcomes = pages(app, (after) => `api/v1/commands/${encodeURIComponent(id)}?${page(after, 200)}`, (answer) => {
    shown = answer;
    draw();
    if (answer.over && !settled) {
      settled = true;
      clearInterval(fast);
    }
  }, SLOW);
  let settled = false;
  const fast = setInterval(() => document.hidden || outcomes.load.now(), PERIOD);
  hide(missing, true);
  app.api.get(`api/v1/commands/${encodeURIComponent(id)}?limit=1`, { quiet: true }).catch((error) => {
    if (error.status === 404) hide(missing, false);
    clearInterval(fast);
  });
  app.api.get("api/v1/commands/methods", { quiet: true }).then((answer) => {
    methods = answer.methods;
    draw();
  }, () => {});
  root.append(missing, make("div", "gantry-head card", make("div", "head", chip, title), facts, args, counts,
    make("div", "acts", back)), make("section", "panel", make("div", "title-row", make("h2", "", t.byGantry)),
    list.node, outcomes.node));

  function draw() {
    if (shown === null) return;
    write(title, caller(methods)(shown));
    mark(chip, "state", shown.over ? "over" : "connecting");
    write(chip, shown.over ? t.over : t.running);
    write(facts, [text.gantriesN(shown.gantries), t.given(shown.by, clock(shown.at)),
      ...(shown.over || !shown.expiresAt ? [] : [t.expiresAt(clock(shown.expiresAt))])].join(" · "));
    const said = Object.entries(shown.args ?? {}).map(([key, value]) => `${key}: ${JSON.stringify(value)}`);
    write(args, said.length ? `${t.arguments} ${said.join(", ")}` : "");
    counts.replaceChildren(...Object.entries(shown.counts).filter(([, n]) => n).map(([each, n]) => {
      const said = make("span", "chip", `${t.outcomes[each] ?? each} ${n}`);
      mark(said, "state", TONES[each] ?? "connecting");
      said.dataset.outcome = each;
      return said;
    }));
    list.fill(shown.outcomes);
  }

  ends = [outcomes.load.stop, () => clearInterval(fast)];
}

export function unmount() {
  for (const end of ends) end();
  ends = [];
}
