// Cards that several views show: alarms, and what is wrong with a device or an uplink.

import { hide, make, mark, parts, sync, write } from "./dom.js";
import { age, clock } from "./format.js";
import { under } from "./known.js";
import { inLanguage, message, text } from "./language.js";

export function buildAlarm() {
  return parts(
    make("li", "card alarm",
      make("p", "head", make("span", "chip"), make("strong", "message")),
      make("p", "fine", make("code", "name"), " ", make("span", "when")),
      make("ul", "consequences")),
    ["chip", "message", "name", "when", "consequences"],
  );
}

export function fillAlarm(node, alarm) {
  const { chip, message: said, name, when, consequences } = node.parts;
  mark(node, "alarm", alarm.alarm);
  const explained = under(alarm);
  sync(consequences, explained, (a) => a.alarm, () => make("li", "fine"), fillConsequence);
  hide(consequences, explained.length === 0);
  const over = alarm.clearedAt !== null;
  mark(node, "severity", over ? "over" : alarm.severity);
  mark(chip, "state", over ? "over" : alarm.severity);
  write(chip, text[alarm.severity]);
  write(said, message(alarm));
  write(name, alarm.alarm);
  const raised = text.raised(clock(alarm.raisedAt));
  const lasted = over && text.lasted(clock(alarm.clearedAt),
    age(alarm.raisedAt, Date.parse(alarm.clearedAt)));
  write(when, over ? `${raised} · ${lasted}` : `${raised} · ${text.ago(age(alarm.raisedAt))}`);
}

function fillConsequence(node, alarm) {
  mark(node, "alarm", alarm.alarm);
  write(node, `${message(alarm)} · ${alarm.alarm}`);
}

// Tell state, since when, and what is wrong with a device or an uplink in its parts `chip`,
// `since` and `error`.
export function fillState(node, { state, since, lastError, lastErrorZh, cause, advice, adviceZh }) {
  const error = inLanguage([lastError, lastErrorZh]);
  const next = inLanguage([advice, adviceZh]);
  mark(node.parts.chip, "state", state);
  write(node.parts.chip, text[state]);
  write(node.parts.since, text.since(clock(since), age(since)));
  // An error that is over is for the API and for gantryctl.
  hide(node.parts.error, !lastError || (cause === null && state === "online"));
  write(node.parts.error, error ? `${text.lastError(error)}${next ? ` → ${next}` : ""}` : "");
}

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
