// The points of a device, in groups: each with its day as a small line, and with a switch that
// puts the point into the plot.

import { make, mark, parts, sync, write } from "./shared/dom.js";
import { reading } from "./reading.js";
import { age } from "./shared/format.js";
import { inLanguage } from "./shared/language.js";
import { sparklines } from "./sparkline.js";

const LEAST = 2; // points of one first word that make a group

// Return points in groups: [key, points][]. A part of the device is a group, as are points that
// share their first word; the others are "".
export function grouped(points) {
  const tail = ({ point }) => point.slice(point.indexOf(".") + 1);
  const key = (point) => (tail(point).includes(".") ? tail(point).split(".")[0] : tail(point).split("_")[0]);
  const part = (point) => tail(point).includes(".");
  const counts = new Map();
  for (const each of points) counts.set(key(each), (counts.get(key(each)) ?? 0) + 1);
  const groups = new Map([["", []]]);
  for (const each of points) {
    const name = part(each) || counts.get(key(each)) >= LEAST ? key(each) : "";
    if (!groups.has(name)) groups.set(name, []);
    groups.get(name).push(each);
  }
  return [...groups].filter(([, members]) => members.length);
}

// Return `{node, fill(points, plotted), close()}`; `toggle(name)` puts a point into the plot, or
// takes it away.
export function devicePoints(app, words, toggle) {
  const lines = sparklines(app);
  const node = make("div", "device-points");
  const opened = innerWidth >= 640;

  function title(name, members) {
    if (name === "") return words.general;
    if (Object.hasOwn(words.groups, name)) return words.groups[name];
    // The labels of a part begin with its name.
    const first = ({ label }) => inLanguage([label.en, label.zh]).split(" ")[0];
    const same = members.every((each) => first(each) === first(members[0]));
    return same && members[0].point.split(".").length > 2 ? first(members[0]) : name;
  }

  function buildGroup() {
    const group = make("details", "group",
      make("summary", "", make("strong", "name"), make("span", "count fine")), make("ul", "rows"));
    group.open = opened;
    return parts(group, ["name", "count", "rows"]);
  }

  function buildRow({ point }) {
    const box = make("input", "in-plot");
    box.type = "checkbox";
    box.addEventListener("change", () => toggle(point));
    const row = parts(
      make("li", "row", box,
        make("span", "what", make("span", "label"), make("code", "name", point)),
        make("span", "trend"),
        make("span", "read", make("span", "value"), make("span", "quality fine"))),
      ["in-plot", "label", "trend", "value", "quality"],
    );
    lines.watch(row.parts.trend, point);
    return row;
  }

  function fillRow(row, point, plotted) {
    const { label, value, quality } = row.parts;
    const name = inLanguage([point.label.en, point.label.zh]) || point.point;
    mark(row, "quality", point.quality);
    write(label, name);
    write(value, reading(point));
    write(quality, qualityWords(point));
    const box = row.parts["in-plot"];
    box.checked = plotted.includes(point.point);
    if (box.ariaLabel !== words.inPlot(name)) box.ariaLabel = words.inPlot(name);
    lines.wants(row.parts.trend, typeof point.value === "number");
  }

  function qualityWords({ quality, at }) {
    const word = words.quality[quality] ?? quality;
    if (at === null) return word;
    if (quality === "good") return `${word} · ${words.read(age(at))}`;
    return `${word} · ${words.lastGood(age(at))}`;
  }

  function fill(points, plotted) {
    sync(node, grouped(points), ([name]) => name || "general", buildGroup, (group, [name, members]) => {
      write(group.parts.name, title(name, members));
      write(group.parts.count, String(members.length));
      sync(group.parts.rows, members, (each) => each.point, buildRow,
        (row, point) => fillRow(row, point, plotted));
    });
  }

  return { node, fill, close: lines.close };
}
