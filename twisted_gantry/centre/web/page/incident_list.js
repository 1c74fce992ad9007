// The active incidents, one row each, the most urgent first.

import { hide, make, mark, parts, write } from "./shared/dom.js";
import { age, clock } from "./shared/format.js";
import { message, text } from "./shared/language.js";
import { address } from "./shared/router.js";
import { careButtons } from "./care.js";
import { incidents, minutesLeft } from "./known.js";
import { stack } from "./stack.js";
import { alarmName, learnNames, minutes, place } from "./words.js";

const ROW = () => (innerWidth <= 640 ? 5.8 : 4.5); // rem, as in centre.css

// Return `{nodes, draw, stop}`.
export function incidentList() {
  const list = stack(text.incidents, ROW, (each) => each.id, build, fill);
  const empty = make("p", "empty", text.noIncidents);
  return {
    nodes: [empty, list.node],
    stop: list.stop,
    draw() {
      const all = incidents();
      learnNames(all);
      hide(empty, all.length > 0);
      list.fill(all);
    },
  };
}

function build() {
  const care = careButtons();
  const row = parts(
    make("li", "incident card",
      make("p", "head", make("span", "chip"), make("a", "where"), make("span", "what")),
      make("p", "fine facts")),
    ["chip", "where", "what", "facts"]);
  row.parts.buttons = care;
  row.append(care.node);
  return row;
}

// Where the gantries and alarms of an incident are shown.
export const incidentPath = (each) => (each.gantry
  ? `/gantries/${encodeURIComponent(each.gantry)}` : `/alarms?incident=${encodeURIComponent(each.id)}`);

function fill(row, each) {
  const { chip, where, what, facts, buttons } = row.parts;
  mark(row, "incident", each.id);
  mark(row, "severity", each.severity);
  mark(row, "seen", String(Boolean(each.ackedBy || each.muted)));
  mark(chip, "state", each.severity);
  write(chip, text[each.severity] ?? each.severity);
  write(where, place(each));
  write(what, message(each) || alarmName(each.cause));
  const left = minutesLeft(each);
  const others = (each.alarms ?? []).map(alarmName).filter((one) => one !== (message(each) || alarmName(each.cause)));
  write(facts, [
    ...(each.ackedBy ? [text.ackedBy(each.ackedBy)] : []),
    ...(each.muted ? [text.muted] : []),
    text.sinceAge(clock(each.since), age(each.since)),
    text.gantriesN(each.gantries),
    ...(left === null ? [] : [text.battery(minutes(left))]),
    ...new Set(others),
  ].join(" · "));
  const path = address(incidentPath(each));
  if (where.getAttribute("href") !== path) where.href = path;
  buttons.fill(each);
}
