// Road, section, gantry: collapsed, each with the worst colour of what is below, and shares.

import { hide, make, mark, parts, write } from "./shared/dom.js";
import { age, clock } from "./shared/format.js";
import { text } from "./shared/language.js";
import { address } from "./shared/router.js";
import { tell } from "./shared/telling.js";
import { minutesLeft } from "./known.js";
import { stack } from "./stack.js";
import { STATES, byRoad, stateOf, summed } from "./states.js";
import { alarmName, gantryName, minutes, percent } from "./words.js";

const ROW = () => 2.6; // rem
const opened = new Set(); // keys of roads and sections; kept while the page is

// Return `{node, draw, stop}`.
export function roadTree(choice) {
  // What was asked for is open.
  if (choice.road !== null) opened.add(`r${choice.road}`);
  if (choice.section !== null) opened.add(`s${choice.road}/${choice.section}`);
  const list = stack(text.tree, ROW, (each) => each.key, build, fill);
  return {
    node: list.node,
    stop: list.stop,
    draw(found) {
      const rows = [];
      for (const [road, sections] of byRoad(found)) {
        const key = `r${road}`;
        rows.push({ key, level: 1, name: road || text.noRoad, ...summed(sections.flatMap(([, all]) => all)) });
        if (!opened.has(key)) continue;
        for (const [section, all] of sections) {
          const inner = `s${road}/${section}`;
          rows.push({ key: inner, level: 2, name: section || text.noSection, ...summed(all) });
          if (opened.has(inner)) for (const gantry of all) rows.push({ key: `g${gantry.id}`, level: 3, gantry });
        }
      }
      list.fill(rows);
    },
  };
}

function build(row) {
  if (row.level === 3) {
    const link = make("a", "leaf", make("span", "chip"), make("span", "name"), make("span", "facts fine"));
    link.href = address(`/gantries/${encodeURIComponent(row.gantry.id)}`);
    return parts(make("li", "level3", link), ["chip", "name", "facts"]);
  }
  const button = make("button", "branch", make("span", "twist"), make("strong", "name"),
    make("span", "share"), make("span", "shares"), make("span", "numbers fine"));
  button.type = "button";
  button.dataset.action = "open";
  button.addEventListener("click", () => {
    if (!opened.delete(row.key)) opened.add(row.key);
    tell();
  });
  const node = parts(make("li", `level${row.level}`, button), ["name", "share", "shares", "numbers"]);
  node.parts.button = button;
  return node;
}

function fill(node, row) {
  if (row.level === 3) {
    fillLeaf(node, row.gantry);
    return;
  }
  const { name, share, shares, numbers, button } = node.parts;
  mark(button, "state", row.worst);
  const open = String(opened.has(row.key));
  if (button.getAttribute("aria-expanded") !== open) button.setAttribute("aria-expanded", open);
  write(name, row.name);
  write(share, text.wellOf(percent(row.counts.well, row.total)));
  const bar = gradient(row);
  if (shares.said !== bar) {
    shares.said = bar;
    shares.style.background = bar;
  }
  const some = STATES.filter((each) => each !== "well" && row.counts[each]);
  write(numbers, [text.gantriesN(row.total), ...some.map((each) => `${text.states[each]} ${row.counts[each]}`)].join(" · "));
}

const COLOURS = { critical: "--bad", warning: "--warn", silent: "--idle", maintenance: "--care", never: "--line", well: "--good" };

// The shares of the states as one picture: parts that grow would move.
function gradient({ counts, total }) {
  let from = 0;
  const stops = STATES.filter((each) => counts[each]).map((each) => {
    const start = from;
    from += (counts[each] / total) * 100;
    return `var(${COLOURS[each]}) ${start.toFixed(1)}% ${from.toFixed(1)}%`;
  });
  return stops.length ? `linear-gradient(to right, ${stops.join(", ")})` : "none";
}

function fillLeaf(node, gantry) {
  const { chip, name, facts } = node.parts;
  mark(node, "gantry", gantry.id);
  mark(chip, "state", stateOf(gantry));
  write(chip, text.states[stateOf(gantry)]);
  write(name, gantryName(gantry));
  const left = minutesLeft(gantry);
  write(facts, [
    ...(left === null ? [] : [text.battery(minutes(left))]),
    ...(gantry.alarms ?? []).slice(0, 3).map(alarmName),
    ...(gantry.since && gantry.state !== "well" ? [text.sinceAge(clock(gantry.since), age(gantry.since))] : []),
    gantry.lastReport ? text.lastReport(age(gantry.lastReport)) : text.neverReported,
  ].join(" · "));
  hide(facts, false);
}
