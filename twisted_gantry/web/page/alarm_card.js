// The card of an alarm: what is wrong, since when, who cares for it, what it explains.

import { actions, fillActions } from "./alarm_actions.js";
import { toldTo } from "./attention.js";
import { hide, make, mark, parts, sync, write } from "./shared/dom.js";
import { age, clock } from "./shared/format.js";
import { under, urgency } from "./known.js";
import { valueName } from "./reading.js";
import { message, text, words } from "./shared/language.js";
import { LISTS } from "./texts_lists.js";

const PARTS = ["chip", "message", "name", "when", "cared", "consequences"];

// A card of an active alarm, with what a person may do about it.
export function buildAlarm() {
  return withActions(buildPast());
}

// A card of an alarm that ended.
export function buildPast() {
  return parts(
    make("li", "card alarm",
      make("p", "head", make("span", "chip"), make("strong", "message")),
      make("p", "fine", make("code", "name"), " ", make("span", "when")),
      make("p", "cared"),
      make("ul", "consequences")),
    PARTS,
  );
}

function withActions(node) {
  node.parts.actions = actions(node);
  node.insertBefore(node.parts.actions.node, node.parts.consequences);
  return node;
}

export function fillAlarm(node, alarm) {
  const { chip, message: said, name, when, cared, consequences } = node.parts;
  const over = alarm.clearedAt !== null;
  mark(node, "alarm", alarm.alarm);
  mark(node, "severity", over ? "over" : alarm.severity);
  mark(node, "stage", alarm.state);
  mark(chip, "state", over ? "over" : alarm.severity);
  write(chip, text[alarm.severity]);
  write(said, words(LISTS).of(alarm.source, message(alarm)));
  write(name, alarm.alarm);
  write(when, told(alarm, over).join(" · "));
  const care = caredFor(alarm, over).join(" · ");
  write(cared, care);
  hide(cared, !care);
  const explained = over ? [] : under(alarm);
  sync(consequences, explained, (a) => a.alarm, buildConsequence,
    (item, each) => fillConsequence(item, each, care));
  hide(consequences, explained.length === 0);
  if (node.parts.actions) fillActions(node.parts.actions, alarm);
}

function told(alarm, over) {
  const raised = text.raised(clock(alarm.raisedAt));
  const lasted = over
    ? text.lasted(clock(alarm.clearedAt), age(alarm.raisedAt, Date.parse(alarm.clearedAt)))
    : text.ago(age(alarm.raisedAt));
  return [raised, lasted, ...valueOf(alarm)];
}

function valueOf({ value, count }) {
  const t = words(LISTS);
  const shown = typeof value === "number" ? String(Number(value.toFixed(3))) : valueName("state", value);
  return [
    ...(value === null || typeof value === "boolean" || value === "" ? [] : [t.value(shown)]),
    ...(count > 1 ? [t.times(count)] : []),
  ];
}

// Return what people and the gantry did about an alarm, in words.
function caredFor(alarm, over) {
  const t = words(LISTS);
  const said = [];
  if (alarm.state === "flapping") said.push(t.flapping);
  if (toldTo(alarm)) said.push(toldTo(alarm));
  if (alarm.ackedBy) said.push(t.ackedBy(alarm.ackedBy, clock(alarm.ackedAt)));
  if (!over && alarm.shelvedUntil) said.push(t.shelvedUntil(clock(alarm.shelvedUntil)));
  if (!over && alarm.muted && !alarm.shelvedUntil) said.push(t.inMaintenance);
  if (alarm.note) said.push(t.note(alarm.note));
  if (!over && urgency(alarm) === 0) said.push(t.neverMuted);
  if (!over && alarm.unknown) said.push(t.unknown);
  if (alarm.endedBy) said.push(t.endedBy[alarm.endedBy] ?? alarm.endedBy);
  return said;
}

function buildConsequence() {
  return parts(
    make("li", "fine", make("span", "chip"), " ", make("span", "message"), " ",
      make("code", "name"), " ", make("span", "cared")),
    ["chip", "message", "name", "cared"],
  );
}

// What is said of the cause already is not said again.
function fillConsequence(node, alarm, care) {
  const { chip, message: said, name, cared } = node.parts;
  mark(node, "alarm", alarm.alarm);
  mark(chip, "state", alarm.severity);
  write(chip, text[alarm.severity]);
  write(said, message(alarm));
  write(name, alarm.alarm);
  const own = caredFor(alarm, false).join(" · ");
  write(cared, own === care ? "" : own);
}
