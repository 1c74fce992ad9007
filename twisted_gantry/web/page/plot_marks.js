// What is drawn over a plot: alarms as marks, and states as coloured bars in lanes above it.

import { runs } from "./past.js";

export const LANE = 22; // pixels
const STRIP = 14; // for the marks of alarms
const STATES = 5; // colours for words that are neither good nor bad
const BAD = /^(fault|failed|offline|error|trip|lost|blocked)/;
const GOOD = /^(line|online|good|ok|normal|closed|locked|running|power-on|charging|standby)$/;

// Return the height above a plot that lanes and marks need.
export const above = (lanes) => STRIP + lanes * LANE + 2;

function colourOf(value, colours) {
  if (value === true) return colours.warn;
  if (value === false) return colours.line;
  if (BAD.test(value)) return colours.bad;
  if (value === "battery" || value === "test") return colours.warn;
  if (GOOD.test(value)) return colours.good;
  let sum = 0;
  for (const letter of value) sum = (sum * 31 + letter.codePointAt(0)) % 9973;
  return colours.series[sum % STATES];
}

// Return the uPlot plugin. `model()` is `{lanes, alarms, colours, font, step}`: a lane is
// `{label, values, word(value)}`, an alarm `{from, to, severity}` in Unix seconds.
export function marks(model) {
  function draw(u) {
    const { alarms, lanes, colours, font } = model();
    const { ctx } = u;
    const ratio = devicePixelRatio;
    const { left, top, width, height } = u.bbox;
    const place = (at) => Math.min(left + width, Math.max(left, u.valToPos(at, "x", true)));
    ctx.save();
    for (const each of alarms) drawAlarm(ctx, each, place, { top, height, ratio, colours });
    ctx.font = font.replace(/^[\d.]+/, (size) => Math.min(LANE - 8, size) * ratio);
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    lanes.forEach((lane, number) => {
      const y = top - (above(lanes.length) - 2 - number * LANE) * ratio;
      drawLane(ctx, lane, y, (at) => place(at), model(), ratio, u.data[0], { left, width });
    });
    ctx.restore();
  }
  return { hooks: { draw } };
}

function drawAlarm(ctx, { from, to, severity }, place, { top, height, ratio, colours }) {
  const colour = severity === "critical" ? colours.bad : colours.warn;
  const [begin, end] = [place(from), place(to)];
  ctx.fillStyle = colour;
  ctx.globalAlpha = 0.1;
  ctx.fillRect(begin, top, Math.max(ratio, end - begin), height);
  ctx.globalAlpha = 0.8;
  ctx.fillRect(begin - ratio / 2, top, ratio, height);
  ctx.globalAlpha = 1;
  ctx.beginPath();
  ctx.moveTo(begin, top - 11 * ratio);
  ctx.lineTo(begin + 5 * ratio, top - 2 * ratio);
  ctx.lineTo(begin - 5 * ratio, top - 2 * ratio);
  ctx.fill();
}

function drawLane(ctx, lane, y, place, { colours, step }, ratio, times, { left, width }) {
  const tall = (LANE - 4) * ratio;
  ctx.fillStyle = colours.ground;
  ctx.fillRect(left, y, width, tall);
  for (const [first, last, value] of runs(lane.values)) {
    const begin = place(times[first]);
    const end = place(times[last] + step);
    ctx.fillStyle = colourOf(value, colours);
    ctx.fillRect(begin, y, Math.max(ratio, end - begin), tall);
    const word = lane.word(value);
    const fits = [`${lane.label} · ${word}`, word]
      .find((each) => ctx.measureText(each).width + 8 * ratio <= end - begin);
    if (!fits) continue;
    ctx.fillStyle = value === false ? colours.text : colours.card;
    ctx.fillText(fits, begin + 4 * ratio, y + tall / 2);
  }
}
