// The tools above a plot: time, zoom and pan, resolution, another point, saving.

import { make, mark, sync, write } from "./shared/dom.js";
import { inLanguage } from "./shared/language.js";

const STEPS = { "": "auto", 0.1: "raw", 60: "minute", 900: "quarter", 3600: "hour" };
let count = 0;

// Return `{node, fill(shown, names)}`; `act` has a function for each thing that a person can do.
export function plotTools(app, words, act) {
  const button = (label, name, todo) => {
    const node = make("button", "", label);
    node.type = "button";
    if (name !== label) {
      node.setAttribute("aria-label", name);
      node.title = name;
    }
    node.addEventListener("click", todo);
    return node;
  };
  const group = (name, ...nodes) => {
    const node = make("div", "plot-group", ...nodes);
    node.setAttribute("role", "group");
    node.setAttribute("aria-label", name);
    return node;
  };
  const spans = Object.entries(words.spans).map(([seconds, word]) => {
    const node = button(word, word, () => act.span(Number(seconds)));
    node.dataset.span = seconds;
    return node;
  });
  const steps = make("select", "");
  steps.setAttribute("aria-label", words.resolution);
  for (const value of ["", "0.1", "60", "900", "3600"]) {
    const option = make("option", "", words[STEPS[value]]);
    option.value = value;
    steps.append(option);
  }
  steps.addEventListener("change", () => act.resolution(steps.value));

  const choices = make("datalist", "");
  choices.id = `plot-points-${++count}`;
  const adding = make("input", "");
  adding.type = "search";
  adding.setAttribute("list", choices.id);
  adding.setAttribute("aria-label", words.add);
  adding.placeholder = words.add;
  adding.autocomplete = "off";
  adding.spellcheck = false;
  const offered = () => sync(choices, app.known.points, (each) => each.point, () => make("option"),
    (option, { point, label }) => {
      option.value = point;
      write(option, inLanguage([label.en, label.zh]));
    });
  adding.addEventListener("focus", offered);
  adding.addEventListener("input", () => {
    const name = adding.value.trim();
    if (!app.known.points.some((each) => each.point === name)) return;
    adding.value = "";
    act.add(name);
  });

  const node = make("div", "plot-tools",
    make("h2", "", words.title),
    group(words.spanGroup, ...spans),
    group(words.moveGroup,
      button("◀", words.back, () => act.move(-0.5)), button("▶", words.ahead, () => act.move(0.5)),
      button("+", words.closer, () => act.zoom(0.5)), button("−", words.wider, () => act.zoom(2))),
    steps, adding, choices,
    button(words.png, words.savePng, act.png), button(words.csv, words.saveCsv, act.csv));

  function fill(shown) {
    for (const each of spans) {
      const pressed = shown.until === null && Number(each.dataset.span) === shown.span;
      each.setAttribute("aria-pressed", String(pressed));
    }
    mark(node, "present", String(shown.until === null));
  }

  return { node, fill };
}
