// Finds points of all devices by a part of a name, in either language; what is found lies over the
// page, with live values.

import { hide, make, mark, parts, sync, write } from "./shared/dom.js";
import { reading } from "./reading.js";
import { known } from "./known.js";
import { inLanguage, text } from "./shared/language.js";
import { address } from "./shared/router.js";

const MOST = 40;

// Return `{node, fill()}`.
export function finder() {
  const input = make("input", "");
  input.type = "search";
  input.autocomplete = "off";
  input.spellcheck = false;
  input.placeholder = text.filter;
  input.setAttribute("aria-label", text.filter);
  const found = make("ul", "found");
  found.hidden = true;
  const node = make("div", "finder", input, found);

  function fill() {
    const wanted = input.value.trim().toLowerCase();
    hide(found, wanted === "");
    if (wanted === "") return;
    const matches = known.points.filter(({ point, label }) =>
      [point, label.en, label.zh].some((each) => each.toLowerCase().includes(wanted)));
    const shown = matches.slice(0, MOST);
    sync(found, shown.length ? shown : [null], (each) => each?.point ?? "", build, fillFound);
  }

  input.addEventListener("input", fill);
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !input.value) return;
    input.value = "";
    input.focus();
    fill();
  });
  return { node, fill };
}

function build(point) {
  if (point === null) return make("li", "empty", text.noMatch);
  const link = make("a", "", make("span", "label"), make("code", "name"), make("span", "value"));
  link.href = address(`/devices/${encodeURIComponent(point.point.split(".", 1)[0])}`);
  return parts(make("li", "", link), ["label", "name", "value"]);
}

function fillFound(node, point) {
  if (point === null) return;
  mark(node, "quality", point.quality);
  write(node.parts.label, inLanguage([point.label.en, point.label.zh]));
  write(node.parts.name, point.point);
  write(node.parts.value, reading(point));
}
