// Saves what a plot shows: as a picture, and as a table.

import { siteClock } from "./plot_draw.js";

function save(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

const fileName = ({ points, since, sample }, ending) => {
  const time = siteClock(since, sample).replace(/[-: ]/g, "").slice(0, 12);
  return `${points.map((each) => each.name).slice(0, 3).join("_") || "plot"}_${time}.${ending}`;
};

// A cell that no spreadsheet takes for a formula.
function cell(value) {
  if (typeof value === "number") return String(value);
  const plain = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value;
  return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
}

// Return the table of a model: a row for each time in which something is known, a column for each
// state, three for each number.
export function table(model, words) {
  const { times, points, sample, since, until, step } = model;
  const titled = ({ name, unit }) => (unit ? `${name} (${unit})` : name);
  const head = points.flatMap((each) => (each.number
    ? [words.mean, words.least, words.greatest].map((part) => `${titled(each)} ${part}`)
    : [titled(each)]));
  const rows = [];
  for (const at of times) {
    if (at + step <= since || at > until) continue;
    const found = points.map((each) => [each, each.known.get(at)]);
    if (found.every(([, value]) => value === undefined)) continue;
    rows.push([siteClock(at, sample), ...found.flatMap(([each, value]) => {
      if (!each.number) return [value === undefined ? "" : each.word(each.values(value))];
      return value === undefined ? ["", "", ""] : [value[1], value[0], value[2]];
    })]);
  }
  return [[words.time, ...head], ...rows].map((row) => row.map(cell).join(",")).join("\r\n");
}

export function saveCsv(model, words) {
  // The mark at the beginning tells a spreadsheet that the text is UTF-8.
  save(new Blob(["\ufeff", table(model, words), "\r\n"], { type: "text/csv" }), fileName(model, "csv"));
}

// Save the canvas with a ground and a line for each point above.
export function savePng(canvas, model, colours, words) {
  const { points, since, until, sample } = model;
  const ratio = devicePixelRatio;
  const line = 20 * ratio;
  const margin = 12 * ratio;
  const picture = document.createElement("canvas");
  picture.width = canvas.width + 2 * margin;
  picture.height = canvas.height + (points.length + 1) * line + 2 * margin;
  const ctx = picture.getContext("2d");
  ctx.fillStyle = colours.card;
  ctx.fillRect(0, 0, picture.width, picture.height);
  ctx.font = `${13 * ratio}px system-ui, "Noto Sans CJK SC", sans-serif`;
  ctx.textBaseline = "top";
  ctx.fillStyle = colours.text;
  ctx.fillText(words.range(siteClock(since, sample), siteClock(until, sample)), margin, margin);
  points.forEach((each, n) => {
    const y = margin + (n + 1) * line;
    ctx.fillStyle = each.number ? colours.series[each.colour] : colours.soft;
    ctx.fillRect(margin, y + 2 * ratio, 10 * ratio, 10 * ratio);
    ctx.fillStyle = colours.text;
    ctx.fillText(`${each.label} · ${each.name}${each.unit ? ` (${each.unit})` : ""}`, margin + 16 * ratio, y);
  });
  ctx.drawImage(canvas, margin, margin + (points.length + 1) * line);
  picture.toBlob((blob) => save(blob, fileName(model, "png")), "image/png");
}
