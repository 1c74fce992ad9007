// The faults of the centre itself, each with what a person does about it.

import { hide, make, mark, parts, sync, write } from "./shared/dom.js";
import { age, clock } from "./shared/format.js";
import { inLanguage, text } from "./shared/language.js";
import { me } from "./shared/roles.js";
import { careButtons } from "./care.js";

// A process tells these from memory: the database, which keeps who has seen a fault, has them not.
const UNKEPT = ["centre.store", "duty.notify.failing"];

// Return `{node, fill(faults)}`.
export function faultList() {
  const node = make("ul", "faults");
  node.setAttribute("aria-label", text.faults);
  return {
    node,
    fill(faults) {
      hide(node, faults.length === 0);
      sync(node, faults, (each) => `${each.alarm}@${each.process}`, build, fill);
    },
  };
}

function build() {
  const care = careButtons();
  const row = parts(make("li", "fault", make("span", "what"), make("span", "fine facts"),
    make("span", "care", care.node)), ["what", "facts", "care"]);
  row.parts.buttons = care;
  return row;
}

function fill(row, each) {
  mark(row, "fault", each.alarm);
  mark(row, "severity", each.severity);
  mark(row, "seen", String(Boolean(each.ackedBy)));
  const { what, facts, buttons } = row.parts;
  write(what, text.centreFails(inLanguage([each.message, each.messageZh]) || each.alarm));
  write(facts, [
    ...(each.ackedBy ? [text.ackedBy(each.ackedBy)] : []),
    text.sinceAge(clock(each.since), age(each.since)),
    ...(each.process ? [each.process] : []),
  ].join(" · "));
  // Only who sees all roads acknowledges them.
  hide(row.parts.care, Boolean(me.roads) || UNKEPT.includes(each.alarm));
  buttons.fill({ ...each, ofCentre: true });
}
