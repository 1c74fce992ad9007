// What is wrong, by cause, with a button that says that a person has seen it.

import { acknowledge } from "./alarm_actions.js";
import { button } from "./shared/dialog.js";
import { hide, make, mark, parts, sync, write } from "./shared/dom.js";
import { age, clock } from "./shared/format.js";
import { causes, known, under } from "./known.js";
import { may } from "./shared/roles.js";
import { message, text } from "./shared/language.js";

// Return `{node, fill()}`.
export function attention() {
  const title = make("h2", "", text.whatIsWrong);
  title.id = "attention";
  const list = make("ul", "causes active");
  list.tabIndex = 0; // it scrolls
  list.setAttribute("aria-labelledby", title.id);
  const calm = make("p", "calm");
  const node = make("section", "attention", title, list, calm);
  calm.hidden = true;

  function fill() {
    const all = causes();
    sync(list, all, (each) => each.alarm + each.raisedAt, build, fillCause);
    hide(list, all.length === 0);
    hide(calm, all.length > 0 || known.site === null);
    const last = known.recent[0];
    write(calm, last ? text.calmSince(message(last), clock(last.clearedAt)) : text.noActiveAlarms);
  }
  return { node, fill };
}

function build() {
  const ack = button("ack", text.ack, "");
  const node = parts(
    make("li", "cause",
      make("p", "head", make("span", "chip"), make("strong", "message"), ack),
      make("p", "fine when"),
      make("p", "fine acked"),
      make("details", "explains", make("summary", "count"), make("ul", "consequences"))),
    ["chip", "message", "when", "acked", "explains", "count", "consequences"],
  );
  ack.addEventListener("click", async () => {
    ack.disabled = true;
    await acknowledge(node.alarm);
    ack.disabled = false;
  });
  node.parts.ack = ack;
  return node;
}

// Return whom a message about an alarm has reached, in words; empty if nobody was called.
export function toldTo({ called = [] }) {
  const targets = [...new Set(called.map((each) => each.target))];
  return targets.length === 0 ? "" : text.called(targets, clock(called.at(-1).at));
}

function fillCause(node, alarm) {
  const { chip, message: said, when, acked, explains, count, consequences, ack } = node.parts;
  node.alarm = alarm;
  mark(node, "alarm", alarm.alarm);
  mark(node, "severity", alarm.severity);
  mark(node, "state", alarm.state);
  mark(chip, "state", alarm.severity);
  write(chip, text[alarm.severity]);
  write(said, message(alarm));
  write(when, `${alarm.alarm} · ${text.sinceAge(clock(alarm.raisedAt), age(alarm.raisedAt))}`);
  const seen = alarm.ackedBy !== null;
  hide(ack, seen || !may("operator"));
  const care = [
    toldTo(alarm),
    seen && text.ackedBy(alarm.ackedBy, clock(alarm.ackedAt)),
    alarm.shelvedUntil ? text.shelvedUntil(clock(alarm.shelvedUntil)) : alarm.muted && text.muted,
    alarm.note,
  ].filter(Boolean).join(" · ");
  hide(acked, !care);
  write(acked, care);
  const explained = under(alarm);
  hide(explains, explained.length === 0);
  write(count, text.consequences(explained.length));
  sync(consequences, explained, (each) => each.alarm, () => make("li", "fine"), (item, each) => {
    mark(item, "alarm", each.alarm);
    write(item, `${message(each)} · ${each.alarm}`);
  });
}
