// Gantries without mains: what is left on battery, counting down, the least first.

import { hide, make, mark, parts, write } from "./shared/dom.js";
import { text } from "./shared/language.js";
import { address } from "./shared/router.js";
import { mainsOff, minutesLeft } from "./known.js";
import { stack } from "./stack.js";
import { gantryName, minutes, place } from "./words.js";

const ROW = () => 2.6; // rem
const FULL = 480; // minutes that fill the bar
const SHORT = 30;
const LOW = 60;

// Return `{nodes, draw, stop}`.
export function mainsOffList() {
  const list = stack(text.mainsOff, ROW, (each) => each.id, build, fill);
  const empty = make("p", "empty", text.nothingOff);
  return {
    nodes: [empty, list.node],
    stop: list.stop,
    draw() {
      const all = mainsOff();
      hide(empty, all.length > 0);
      list.fill(all);
    },
  };
}

function build() {
  const bar = make("meter", "bar");
  [bar.min, bar.max, bar.low, bar.high, bar.optimum] = [0, FULL, SHORT, LOW, FULL];
  bar.setAttribute("aria-label", text.mainsOff);
  const link = make("a", "off-row", make("strong", "left"), bar, make("span", "where"), make("span", "fine section"));
  return parts(make("li", "", link), ["left", "bar", "where", "section"]);
}

function fill(row, each) {
  const { left, bar, where, section } = row.parts;
  const link = row.firstElementChild;
  const now = minutesLeft(each);
  mark(row, "gantry", each.id);
  mark(link, "left", now === null ? "unknown" : now < SHORT ? "short" : now < LOW ? "low" : "long");
  const path = address(`/gantries/${encodeURIComponent(each.id)}`);
  if (link.getAttribute("href") !== path) link.href = path;
  write(left, now === null ? text.unknownLeft : minutes(now));
  hide(bar, now === null);
  if (now !== null && bar.value !== Math.round(now)) bar.value = Math.round(now);
  const said = place({ gantry: each.id });
  write(where, said);
  if (link.title !== gantryName(each)) link.title = gantryName(each);
  write(section, each.section || each.road);
}
