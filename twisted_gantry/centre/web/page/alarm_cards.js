// Alarms of gantries as cards, asked for now and then.

import { hide, make, mark, parts, sync, write } from "./shared/dom.js";
import { age, clock } from "./shared/format.js";
import { message, text, words } from "./shared/language.js";
import { loader } from "./shared/loading.js";
import { address } from "./shared/router.js";
import { careButtons } from "./care.js";
import { emergency } from "./known.js";
import { MANAGE } from "./texts_manage.js";
import { alarmName, learnNames, place } from "./words.js";

const PERIOD = 15_000;

// `path()` is the question, `fits(alarm)` which of the answers are shown. Returns `{nodes, load, draw}`.
export function alarmCards(app, emptyText, path, fits = () => true) {
  const list = make("ul", "alarm-cards");
  const empty = make("p", "empty", emptyText);
  let all = null;
  const load = loader(() => app.api.get(path(), { quiet: true }), (answer) => {
    learnNames(answer.alarms);
    all = answer.alarms.filter(fits);
    // What is worst stands first among those that last.
    if (all.every((each) => each.clearedAt === null)) all.sort((a, b) => urgency(a) - urgency(b));
    draw();
  }, () => {}, PERIOD);

  function draw() {
    hide(empty, all === null || all.length > 0);
    if (all !== null) fillAlarms(list, all, false, load.now);
  }

  hide(empty, true);
  return { nodes: [empty, list], load, draw };
}

function urgency({ alarm, severity }) {
  return emergency(alarm) ? 0 : severity === "critical" ? 1 : 2;
}

// Fill a list with alarms; `where` tells whether each says its gantry.
export function fillAlarms(list, alarms, where, changed) {
  sync(list, alarms, (each) => `${each.gantry} ${each.alarm} ${each.raisedAt}`, () => build(changed),
    (row, each) => fill(row, each, where));
}

function build(changed) {
  const care = careButtons(changed);
  const row = parts(make("li", "card alarm",
    make("p", "head", make("span", "chip"), make("a", "where"), make("strong", "message")),
    make("p", "fine", make("span", "when"), " ", make("code", "name"))),
  ["chip", "where", "message", "when", "name"]);
  row.append(care.node);
  row.parts.care = care;
  return row;
}

function fill(row, alarm, where) {
  const t = words(MANAGE);
  const { chip, where: link, message: said, when, name, care } = row.parts;
  const over = alarm.clearedAt !== null;
  mark(row, "alarm", alarm.alarm);
  mark(row, "severity", over ? "over" : alarm.severity);
  mark(row, "stage", alarm.state);
  mark(chip, "state", over ? "over" : alarm.severity);
  write(chip, text[alarm.severity] ?? alarm.severity);
  hide(link, !where);
  if (where) {
    write(link, place(alarm));
    link.href = address(`/gantries/${encodeURIComponent(alarm.gantry)}`);
  }
  write(said, message(alarm) || alarmName(alarm.alarm));
  write(name, alarm.alarm);
  write(when, [
    t.raised(clock(alarm.raisedAt)),
    over ? t.lasted(clock(alarm.clearedAt), age(alarm.raisedAt, Date.parse(alarm.clearedAt)))
      : text.sinceAge(clock(alarm.raisedAt), age(alarm.raisedAt)),
    ...(alarm.late ? [t.late] : []),
    ...(alarm.ackedBy ? [text.ackedBy(alarm.ackedBy)] : []),
    ...(!over && alarm.shelvedUntil ? [text.shelvedUntil(clock(alarm.shelvedUntil))] : []),
    ...(!over && alarm.muted && !alarm.shelvedUntil ? [text.muted] : []),
    ...(alarm.note ? [t.note(alarm.note)] : []),
  ].slice(over ? 0 : 1).join(" · "));
  care.fill(alarm);
}
