// Bars over the hours of a day on a canvas, stacked: delivered below, what went wrong above.

import { local } from "./shared/format.js";

const COLOURS = ["--good", "--warn", "--bad"];
const HOUR = 3_600_000;

// Draw `slots` [[time, delivered, set aside, dropped], …] from `since` to `until`, `step` seconds
// each, on `canvas`, in the size and colours that it has now.
export function bars(canvas, { since, until, step }, slots) {
  const { width, height } = canvas.getBoundingClientRect();
  if (!width || !height) return;
  const dense = devicePixelRatio || 1;
  canvas.width = Math.round(width * dense);
  canvas.height = Math.round(height * dense);
  const pen = canvas.getContext("2d");
  const style = getComputedStyle(canvas);
  // All that is text has the size of the page's, which is larger on a wall.
  const letter = parseFloat(style.fontSize) * 0.75;
  const [left, bottom, over] = [letter * 4, letter * 1.8, letter * 0.7];
  const colour = (name) => style.getPropertyValue(name).trim();
  pen.scale(dense, dense);
  pen.font = `${letter}px ${style.fontFamily}`;
  const begin = Date.parse(since);
  const across = (moment) => left + (moment - begin) / (Date.parse(until) - begin) * (width - left);
  const top = nice(Math.max(1, ...slots.map(([, ...counts]) => counts.reduce((a, b) => a + b, 0))));
  const up = (count) => height - bottom - count / top * (height - bottom - over);

  pen.fillStyle = colour("--soft");
  pen.strokeStyle = colour("--line");
  pen.textAlign = "right";
  pen.textBaseline = "middle";
  for (const count of [0, top / 2, top].filter(Number.isInteger)) {
    const y = Math.round(up(count)) + 0.5;
    pen.beginPath();
    pen.moveTo(left, y);
    pen.lineTo(width, y);
    pen.stroke();
    pen.fillText(count.toLocaleString("en"), left - letter / 2, y);
  }
  pen.textAlign = "center";
  pen.textBaseline = "bottom";
  // The hours are those of the site's clock.
  const ahead = Date.parse(local(begin, since)) - begin;
  const apart = width < 45 * letter ? 6 * HOUR : 3 * HOUR;
  for (let time = begin + ahead; time < Date.parse(until) + ahead; time += HOUR) {
    const hour = time - time % HOUR;
    const x = across(hour - ahead);
    if (hour % apart || x < left + 2 * letter || x > width - 2 * letter) continue;
    pen.fillText(new Date(hour).toISOString().slice(11, 16), x, height - 2);
  }
  const wide = Math.max(1, (width - left) * step * 1000 / (Date.parse(until) - begin) - 1);
  for (const [time, ...counts] of slots) {
    let sum = 0;
    counts.forEach((count, i) => {
      if (count <= 0) return;
      pen.fillStyle = colour(COLOURS[i]);
      // What went wrong is seen, however little it is beside the rest.
      const high = Math.max(up(sum) - up(sum + count), i ? 2 : 1);
      pen.fillRect(across(Date.parse(time)), up(sum) - high, wide, high);
      sum += count;
    });
  }
}

// Return the next round number that halves well.
function nice(count) {
  const unit = 10 ** Math.floor(Math.log10(count));
  return [1, 2, 4, 6, 8, 10].map((each) => each * unit).find((each) => each >= count);
}
