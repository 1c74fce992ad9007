// Makes the uPlot of a model: a line with its band for each number, lanes for states, alarms.

import { local } from "./shared/format.js";
import { above, marks } from "./plot_marks.js";

const DAY = 86_400;
export const COLOURS = 8;

// Return the colours that the style gives, for the canvas.
export function coloursOf(node) {
  const style = getComputedStyle(node);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return {
    series: Array.from({ length: COLOURS }, (_, n) => of(`plot-${n + 1}`)),
    good: of("good"), warn: of("warn"), bad: of("bad"), line: of("line"), soft: of("soft"),
    text: of("text"), card: of("card"), ground: of("ground"),
  };
}

// A moment as the site's clock shows it, `yyyy-mm-dd hh:mm:ss`.
export const siteClock = (seconds, sample) => local(seconds * 1000, sample).slice(0, 19).replace("T", " ");

// Return the words of ticks: times, with the date where it changes, or dates.
function tickWords(splits, step, sample) {
  let date = "";
  return splits.map((at) => {
    const moment = siteClock(at, sample);
    const day = moment.slice(0, 10);
    if (step >= 28 * DAY) return moment.slice(0, 7);
    if (step >= DAY) return moment.slice(5, 10);
    const time = moment.slice(11, step < 60 ? 19 : 16);
    const first = day !== date;
    date = day;
    return first ? `${time}\n${day.slice(5)}` : time;
  });
}

// The uPlot's data: times, and for each number its least, mean and greatest values.
export function columns({ times, numbers }) {
  const of = ({ known }, part) => times.map((at) => known.get(at)?.[part] ?? null);
  if (numbers.length === 0) return [times, times.map(() => null)];
  return [times, ...numbers.flatMap((each) => [of(each, 0), of(each, 1), of(each, 2)])];
}

const translucent = (colour) => (/^#[0-9a-f]{6}$/i.test(colour) ? `${colour}2e` : colour);

// How much larger letters are than at the usual size: a wall has larger ones.
const enlarged = () => parseFloat(getComputedStyle(document.documentElement).fontSize) / 15;
const FONT = 'system-ui, "Noto Sans SC", "Noto Sans CJK SC", sans-serif';

// Return a new uPlot in `node`. `model()` is the present model; `told` gets `cursor(place)` and
// `selected(since, until)`.
export function draw(Plot, node, model, colours, told) {
  const { numbers, lanes, sample } = model();
  const units = [...new Set(numbers.map((each) => each.unit))];
  const scaleOf = (unit) => `y${units.indexOf(unit)}`;
  const narrow = node.clientWidth < 600;
  const size = enlarged();
  const font = `${12 * size}px ${FONT}`;
  const shift = () => { // uPlot reads a Date by this computer's timezone
    const wall = Date.parse(`${siteClock(0, sample).replace(" ", "T")}Z`);
    return (at) => {
      const plain = new Date(at * 1000 + wall);
      return new Date(plain.getTime() + plain.getTimezoneOffset() * 60_000);
    };
  };
  const series = numbers.flatMap((each) => {
    const scale = scaleOf(each.unit);
    const edge = { scale, width: 0, points: { show: false } };
    const colour = colours.series[each.colour];
    return [edge, { scale, stroke: colour, width: 1.5 * size, label: each.label }, edge];
  });
  const grid = { stroke: colours.line, width: 1 };
  const axes = units.map((unit, n) => ({
    scale: scaleOf(unit),
    side: n % 2 ? 1 : 3,
    show: n < (narrow ? 2 : 4),
    stroke: colours.soft,
    font,
    label: unit || " ",
    labelFont: font,
    labelSize: 18 * size,
    labelGap: 0,
    size: (u, words) => 20 + 7 * size * Math.max(2, ...(words ?? []).map((each) => each.length)),
    space: 30 * size,
    grid: { ...grid, show: n === 0 },
    ticks: grid,
  }));
  return new Plot({
    width: node.clientWidth,
    height: node.clientHeight,
    padding: [above(lanes.length), narrow ? 8 : 16, 0, units.length ? null : 16],
    legend: { show: false },
    tzDate: shift(),
    cursor: {
      drag: { x: true, y: false, setScale: false },
      bind: { dblclick: () => () => told.reset() },
      points: { size: 7 },
    },
    scales: {
      x: { time: true, range: () => [model().since, model().until] },
      y: { range: [0, 1] },
    },
    axes: [
      {
        stroke: colours.soft, grid, ticks: grid, font, space: 70 * size, size: 50 * size,
        values: (u, splits, axis, space, step) => tickWords(splits, step, sample),
      },
      ...(axes.length ? axes : [{ scale: "y", show: false }]),
    ],
    series: [{}, ...(series.length ? series : [{ scale: "y", show: false }])],
    bands: numbers.map((each, n) => ({
      series: [3 * n + 3, 3 * n + 1], fill: translucent(colours.series[each.colour]),
    })),
    plugins: [marks(() => ({ ...model(), colours, font }))],
    hooks: {
      setCursor: [(u) => told.cursor(u.cursor.idx ?? null)],
      setSelect: [(u) => {
        if (u.select.width < 4) return;
        const [from, to] = [u.select.left, u.select.left + u.select.width];
        u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
        told.selected(u.posToVal(from, "x"), u.posToVal(to, "x"));
      }],
    },
  }, columns(model()), node);
}
