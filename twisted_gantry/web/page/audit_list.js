// The entries of the audit: what was done, by whom, with which outcome.

import { cardList } from "./shared/cards.js";
import { hide, make, mark, parts, write } from "./shared/dom.js";
import { filters, matches } from "./shared/filters.js";
import { clock, duration } from "./shared/format.js";
import { inLanguage, text, words } from "./shared/language.js";
import { loader } from "./shared/loading.js";
import { paging } from "./shared/paging.js";
import { LISTS } from "./texts_lists.js";

const PERIOD = 10_000;
const MOST = 1000;
const CHIPS = { done: "online", failed: "critical", refused: "warning", timeout: "warning" };

// Return `{nodes, count, load}`.
export function entries(app) {
  const t = words(LISTS);
  const list = cardList("audit", text.noAudit);
  const count = make("p", "fine");
  const trouble = make("p", "empty", t.notLoaded);
  const pages = paging(app, fill);
  const names = new Map(); // of commands, in words
  let all = null;
  hide(trouble, true);

  const chosen = filters(text.audit, [
    { name: "find", label: t.find },
    { name: "target", label: t.target, options: [["", t.any]] },
    { name: "outcome", label: t.outcome, options: [["", t.any],
      ...Object.keys(CHIPS).map((each) => [each, t.outcomes[each]])] },
  ], () => {
    pages.again();
    fill();
  });

  const load = loader(
    () => app.api.get(`api/v1/audit?limit=${MOST}`, { quiet: true }),
    (answer) => {
      all = answer.entries;
      hide(trouble, true);
      chosen.offer("target", [["", t.any],
        ...[...new Set(all.map((each) => each.target))].sort().map((each) => [each, each])]);
      fill();
    },
    () => hide(trouble, false),
    PERIOD,
  );
  app.api.get("api/v1/commands", { quiet: true }).then((answer) => {
    for (const { commands } of answer.devices) {
      for (const { command, en, zh } of commands) names.set(command, [en, zh]);
    }
    fill();
  }, () => {}); // shown by their codes alone

  const named = (command) =>
    t.verbs[command] ?? (names.has(command) ? inLanguage(names.get(command)) : "");

  function fill() {
    if (all === null) return;
    const fits = all.filter((each) =>
      [each.target, ""].includes(chosen.value("target"))
      && [each.result, ""].includes(chosen.value("outcome"))
      && matches(chosen.value("find"),
        [each.who, each.target, each.command, named(each.command), said(each.args), detailOf(each)]));
    list.fill(pages.cut(fits), (each) => each.id + each.at, build, fillEntry);
    write(list.nodes[1], all.length ? t.noneFits : text.noAudit);
    write(count, (all.length >= MOST ? `${t.newest(MOST)} · ` : "") + t.shownOf(fits.length, all.length));
    hide(count, all.length === 0);
  }

  function fillEntry(node, entry) {
    const { chip, what, name, args, who } = node.parts;
    mark(node, "result", entry.result ?? "");
    mark(chip, "state", CHIPS[entry.result] ?? "connecting");
    write(chip, t.outcomes[entry.result] ?? t.running);
    const word = named(entry.command);
    write(what, `${entry.target} · ${word || entry.command}`);
    write(name, word ? entry.command : "");
    write(args, said(entry.args));
    write(who, [clock(entry.at), person(entry.who), detailOf(entry)].filter(Boolean).join(" · "));
  }

  return { nodes: [chosen.node, trouble, ...list.nodes, pages.more], count, load };
}

const detailOf = ({ detail, detailZh }) => inLanguage([detail, detailZh]);

function build() {
  return parts(
    make("li", "card entry",
      make("p", "head", make("span", "chip"), make("strong", "what"), make("code", "name")),
      make("p", "fine", make("span", "who"), " ", make("code", "args"))),
    ["chip", "what", "name", "who", "args"],
  );
}

const said = (args) => Object.entries(args ?? {}).map(([name, value]) => {
  if (name === "for" && typeof value === "number") return duration(value);
  return `${name}: ${typeof value === "string" ? value : JSON.stringify(value)}`;
}).join(", ");

// A person first, then where from; the platform and interlocks as the audit names them.
function person(who) {
  const found = /^api (\S+) (.+)$/.exec(who);
  return found ? `${found[2]} (${found[1]})` : who;
}
