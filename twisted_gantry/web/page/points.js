// The points by device, in groups that open, with a search over names in both languages.

import { hide, make, mark, parts, sync, write } from "./dom.js";
import { age, reading } from "./format.js";
import { known } from "./known.js";
import { inLanguage, kindOf, text } from "./language.js";

// Return `{node, fill(points)}`; groups are `opened` at first, and while something is searched.
export function pointList(opened) {
  const filter = make("input", "");
  filter.type = "search";
  filter.autocomplete = "off";
  filter.spellcheck = false;
  filter.placeholder = text.filter;
  filter.setAttribute("aria-label", text.filter);
  const groups = make("div", "groups");
  const empty = make("p", "empty");
  empty.hidden = true; // until it is known
  const node = make("section", "points",
    make("div", "title-row", make("h2", "", text.points), filter), groups, empty);
  let points = [];
  let wanted = "";

  function fill(given) {
    points = given;
    const shown = points.filter(({ point, label }) =>
      [point, label.en, label.zh].some((each) => each.toLowerCase().includes(wanted)));
    sync(groups, grouped(shown), ([name]) => name, () => buildGroup(opened), fillGroup);
    hide(empty, shown.length > 0);
    write(empty, points.length ? text.noMatch : text.noPoints);
  }

  filter.addEventListener("input", () => {
    wanted = filter.value.trim().toLowerCase();
    fill(points);
    for (const group of groups.children) group.open = wanted !== "" || opened;
  });
  return { node, fill };
}

function grouped(points) {
  const groups = new Map();
  for (const each of points) {
    const device = each.point.split(".", 1)[0];
    if (!groups.has(device)) groups.set(device, []);
    groups.get(device).push(each);
  }
  return [...groups];
}

function buildGroup(opened) {
  const node = make("details", "group",
    make("summary", "", make("strong", "name"), make("span", "kind"), make("span", "chip"),
      make("span", "count fine")),
    make("ul", "list"));
  node.open = opened;
  return parts(node, ["name", "kind", "chip", "count", "list"]);
}

function fillGroup(node, [name, members]) {
  const device = known.site.devices.find((each) => each.name === name);
  const { chip, count, kind, list } = node.parts;
  write(node.parts.name, name);
  write(kind, device ? kindOf(device.kind) : "");
  hide(chip, !device);
  mark(chip, "state", device?.state ?? "");
  write(chip, device ? text[device.state] : "");
  write(count, text.count(members.length));
  sync(list, members, (each) => each.point, buildPoint, fillPoint);
}

function buildPoint() {
  return parts(
    make("li", "point",
      make("p", "", make("span", "label"), make("span", "value")),
      make("p", "", make("code", "name"), make("span", "quality"))),
    ["label", "value", "name", "quality"],
  );
}

function fillPoint(node, point) {
  const { label, value, name, quality } = node.parts;
  mark(node, "quality", point.quality);
  write(label, inLanguage([point.label.en, point.label.zh]) || point.point);
  write(value, reading(point));
  write(name, point.point);
  const fresh = point.at === null ? "" : text.ago(age(point.at));
  write(quality, [text[point.quality], fresh].filter(Boolean).join(" · "));
}
