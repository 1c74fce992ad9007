// A cell for each gantry: as a wall that fits one screen, or along each road by stake.

import { make, mark, sync, write } from "./shared/dom.js";
import { age, clock } from "./shared/format.js";
import { text } from "./shared/language.js";
import { address } from "./shared/router.js";
import { minutesLeft } from "./known.js";
import { byRoad, metres, stateOf, summed } from "./states.js";
import { alarmName, gantryName, minutes, percent } from "./words.js";

const LEAST = 5; // pixels of a cell
const MOST = 44;
const ROOMY = 26; // pixels from which a cell holds minutes
const NAME = 5.8; // rem before each road, as in cells.css

export const wall = () => cells("wall", (row, all, { pixels }) => {
  sync(row, all, (each) => each.id, build, (cell, each) => fill(cell, each, pixels));
});

export const strips = () => cells("strips", (row, all) => {
  const placed = all.map((each) => [each, metres(each.stake)]).filter(([, at]) => at !== null);
  const least = Math.min(...placed.map(([, at]) => at));
  const span = Math.max(1, Math.max(...placed.map(([, at]) => at)) - least);
  const marks = placed.length ? [least, least + span / 2, least + span] : [];
  const lines = [...placed.map(([each, at]) => ({ key: each.id, each, at })),
    ...marks.map((at, place) => ({ key: `mark${place}`, at, label: `K${Math.round(at / 1000)}` }))];
  sync(row, lines, ({ key }) => key, (line) => (line.each ? build(line.each) : make("li", "stake")), (cell, line) => {
    const left = `${(((line.at - least) / span) * 100).toFixed(2)}%`;
    if (cell.style.left !== left) cell.style.left = left;
    if (!line.each) {
      write(cell, line.label);
      return;
    }
    mark(cell, "side", side(line.each.direction));
    fill(cell, line.each, 0);
  });
});

// The two directions of a road stand on its two sides.
function side(direction) {
  if (/上|^up/i.test(direction)) return "up";
  return /下|^down/i.test(direction) ? "down" : "middle";
}

// Return `{node, draw, stop}`; `fillRow(row, gantries, size)` fills the cells of a road.
function cells(kind, fillRow) {
  const rows = make("div", `cells ${kind}`);
  const inspector = make("p", "inspector", text.inspect);
  const node = make("div", "cells-box", inspector, rows);
  let shown = [];
  const size = { pixels: 0, width: 0 };

  function draw(found) {
    shown = byRoad(found).map(([road, sections]) => [road, sections.flatMap(([, all]) => all)]);
    if (kind === "wall") fit();
    sync(rows, shown, ([road]) => `r${road}`, buildRow, (row, [road, all]) => {
      const { counts, worst, total } = summed(all);
      mark(row, "state", worst);
      write(row.firstElementChild.firstElementChild, road || text.noRoad);
      write(row.firstElementChild.lastElementChild, percent(counts.well, total));
      fillRow(row.lastElementChild, all, size);
    });
    if (!rows.querySelector(".cell[tabindex='0']")) rows.querySelector(".cell")?.setAttribute("tabindex", "0");
    if (inspected) inspect(inspected);
  }

  // The largest cells with which all roads fit the window.
  function fit() {
    const rem = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const width = rows.clientWidth - NAME * rem;
    const height = innerHeight - rows.getBoundingClientRect().top - scrollY - 0.75 * rem;
    if (width <= 0) return;
    let pixels = MOST;
    for (; pixels > LEAST; pixels -= 1) {
      const across = Math.floor(width / pixels);
      const lines = shown.reduce((sum, [, all]) => sum + Math.max(1, Math.ceil(all.length / across)), 0);
      if (lines * pixels + shown.length * 2 <= height) break;
    }
    if (size.pixels === pixels) return;
    size.pixels = pixels;
    rows.style.setProperty("--cell", `${pixels}px`);
    mark(rows, "roomy", String(pixels >= ROOMY));
    mark(rows, "dense", String(pixels < 12));
  }

  let inspected = null;
  function inspect(gantry) {
    inspected = gantry;
    const left = minutesLeft(gantry);
    write(inspector, [
      gantryName(gantry), text.states[stateOf(gantry)],
      ...(left === null ? [] : [text.battery(minutes(left))]),
      ...(gantry.alarms ?? []).slice(0, 3).map(alarmName),
      ...(gantry.since ? [text.sinceAge(clock(gantry.since), age(gantry.since))] : []),
      gantry.lastReport ? text.lastReport(age(gantry.lastReport)) : text.neverReported,
    ].join(" · "));
  }

  rows.addEventListener("pointerover", (event) => {
    const cell = event.target.closest(".cell");
    if (cell) inspect(cell.gantry);
  });
  rows.addEventListener("focusin", (event) => {
    if (event.target.gantry) inspect(event.target.gantry);
  });
  rows.addEventListener("keydown", (event) => walk(rows, event));
  const again = () => draw(shown.flatMap(([, all]) => all));
  const sized = () => requestAnimationFrame(again);
  addEventListener("resize", sized);
  return { node, draw, stop: () => removeEventListener("resize", sized) };
}

function buildRow() {
  const label = make("p", "road-name", make("strong", ""), make("span", "fine"));
  return make("section", "road-row", label, make("ul", "row"));
}

function build(gantry) {
  const link = make("a", "cell");
  link.href = address(`/gantries/${encodeURIComponent(gantry.id)}`);
  link.dataset.gantry = gantry.id;
  link.tabIndex = -1;
  const item = make("li", "", link);
  item.link = link;
  return item;
}

function fill(item, gantry, pixels) {
  const { link } = item;
  link.gantry = gantry;
  const state = stateOf(gantry);
  const left = minutesLeft(gantry);
  if (item.state !== state || item.name !== gantry.stake) {
    item.state = state;
    item.name = gantry.stake;
    link.dataset.state = state;
    link.setAttribute("aria-label", `${gantry.road} ${gantry.stake || gantry.name || gantry.id} ${text.states[state]}`);
  }
  const said = left !== null && pixels >= ROOMY ? String(Math.ceil(left)) : "";
  if (item.said !== said) {
    item.said = said;
    link.textContent = said;
  }
}

// One cell is a tab stop; the arrow keys move among them.
function walk(rows, event) {
  const cell = event.target.closest(".cell");
  if (!cell || event.ctrlKey || event.metaKey || event.altKey) return;
  const all = [...rows.querySelectorAll(".cell")];
  const place = all.indexOf(cell);
  let next = { ArrowRight: place + 1, ArrowLeft: place - 1, Home: 0, End: all.length - 1 }[event.key];
  if (event.key === "ArrowDown" || event.key === "ArrowUp") next = beside(all, place, event.key === "ArrowDown" ? 1 : -1);
  if (next === undefined) return;
  event.preventDefault();
  const to = all[Math.max(0, Math.min(all.length - 1, next))];
  rows.querySelector(".cell[tabindex='0']")?.setAttribute("tabindex", "-1");
  to.tabIndex = 0;
  to.focus();
}

// The cell above or below, nearest to the same column.
function beside(all, place, step) {
  const here = all[place].getBoundingClientRect();
  let best = place;
  let distance = Infinity;
  for (let at = place + step; at >= 0 && at < all.length; at += step) {
    const there = all[at].getBoundingClientRect();
    if (Math.abs(there.top - here.top) < here.height / 2) continue;
    const away = Math.abs(there.top - here.top) * 10 + Math.abs(there.left - here.left);
    if (away > distance + here.height * 20) break;
    if (away < distance) [best, distance] = [at, away];
  }
  return best;
}
