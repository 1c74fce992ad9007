// The card of a stored report: why it is still here, its body, the answer, and what can be done.

import { hide, make, mark, parts, write } from "./shared/dom.js";
import { age, clock, size } from "./shared/format.js";
import { may } from "./shared/roles.js";
import { words } from "./shared/language.js";
import { LISTS } from "./texts_lists.js";

// `change(verb, body)` retries or drops.
export function buildReport(app, change) {
  const t = words(LISTS);
  const retry = app.button("retry", t.retry, "");
  const drop = app.button("drop", t.drop, "");
  const node = parts(
    make("li", "card report",
      make("p", "head", make("span", "chip"), make("strong", "what"), make("span", "kind uplink")),
      make("p", "fine when"),
      make("p", "reason"),
      make("details", "inside", make("summary", "", t.bodyAndAnswer),
        make("p", "fine", t.body), make("pre", "body"),
        make("p", "fine answer-title", t.answer), make("pre", "answer")),
      make("div", "actions", retry, drop)),
    ["chip", "what", "uplink", "when", "reason", "inside", "body", "answer-title", "answer", "actions"],
  );
  Object.assign(node.parts, { retry, drop });
  for (const each of [node.parts.body, node.parts.answer]) each.tabIndex = 0; // it may scroll
  node.parts.inside.addEventListener("toggle", () => look(app, node));
  retry.addEventListener("click", () =>
    change("retry", { uplink: node.report.uplink, ids: [node.report.id] }));
  drop.addEventListener("click", async () => {
    const { id, uplink, kind, subject } = node.report;
    const body = [`#${id} ${uplink} ${kind} ${subject ?? ""}`];
    const asked = { title: t.dropTitle, body, danger: t.dropMeans(1), confirm: t.drop };
    if (await app.ask(asked) !== null) await change("drop", { uplink, ids: [id], confirm: true });
  });
  return node;
}

export function fillReport(node, report) {
  const t = words(LISTS);
  const { chip, what, uplink, when, reason, retry, drop, actions } = node.parts;
  const aside = report.state === "set-aside";
  node.report = report;
  mark(node, "report", String(report.id));
  mark(node, "state", report.state);
  mark(chip, "state", aside ? "warning" : "connecting");
  write(chip, t.states[report.state] ?? report.state);
  write(what, [`#${report.id}`, report.kind, report.subject].filter(Boolean).join(" "));
  write(uplink, report.uplink);
  write(when, [
    t.made(clock(report.createdAt), age(report.createdAt)),
    t.tries(report.tries),
    size(report.bytes),
    ...(report.urgent ? [t.urgent] : []),
    ...(report.notStored ? [t.notStored] : []),
  ].join(" · "));
  hide(reason, !report.reason);
  write(reason, report.reason ? t.reason(report.reason) : "");
  hide(retry, !aside || !may("operator"));
  hide(drop, !aside || !may("admin"));
  hide(actions, retry.hidden && drop.hidden);
}

// Show body and answer, which are asked for when they are looked at.
async function look(app, node) {
  if (!node.parts.inside.open) return;
  const t = words(LISTS);
  const answer = await app.api.get(`api/v1/outbox?id=${node.report.id}&bodies=1`).catch(() => null);
  if (answer === null) return;
  const [report] = answer.reports;
  write(node.parts.body, report ? readable(report.body ?? "") : t.gone);
  hide(node.parts["answer-title"], !report?.answer);
  hide(node.parts.answer, !report?.answer);
  write(node.parts.answer, report?.answer ? readable(report.answer) : "");
}

// JSON is shown in lines, anything else as it is.
function readable(content) {
  try {
    return JSON.stringify(JSON.parse(content), null, 2);
  } catch {
    return content;
  }
}
