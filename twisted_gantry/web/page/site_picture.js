// The picture of the site: what the configuration has, with live numbers and the worst colour.

import { mark, write } from "./shared/dom.js";
import { known } from "./known.js";
import { text } from "./shared/language.js";
import { address } from "./shared/router.js";
import { facts } from "./site_facts.js";
import { BATTERY, iconOf } from "./site_icons.js";
import { plan } from "./site_plan.js";

const SVG = "http://www.w3.org/2000/svg";
const SIGNS = { online: "●", connecting: "○", warning: "△", critical: "▲", offline: "✕" };

function draw(tag, attributes = {}, ...children) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// Return `{node, fill()}`. The picture takes the space of its node, and fits again when that changes.
export function sitePicture() {
  const svg = draw("svg", { class: "site-picture", role: "group" });
  const node = document.createElement("div");
  node.className = "picture";
  node.append(svg);
  let drawn = "";
  let boxes = new Map();
  let lines = [];

  function rebuild(site) {
    const space = { width: node.clientWidth || 900, height: node.clientHeight || 340 };
    const shape = [...site.devices, ...site.uplinks].map((e) => [e.name, e.kind, e.fedBy]);
    const wanted = JSON.stringify([shape, space, text.htmlLang]);
    if (wanted === drawn) return;
    drawn = wanted;
    const made = plan(site, space);
    svg.setAttribute("viewBox", `-2 -2 ${made.width + 4} ${made.height + 4}`);
    svg.setAttribute("aria-label", text.picture);
    node.classList.toggle("narrow", made.narrow);
    if (made.narrow) svg.setAttribute("height", made.height + 4);
    else svg.removeAttribute("height");
    lines = made.lines.map((line) => ({
      ...line, node: draw("path", { d: line.path, class: `line ${line.type}` }),
    }));
    const focused = [...boxes.values()].find((box) => box.node === document.activeElement);
    boxes = new Map(made.boxes.map((box) => [box.id, buildBox(box)]));
    svg.replaceChildren(...lines.map((line) => line.node), ...[...boxes.values()].map((b) => b.node));
    // Who goes by keyboard stays at the box, also while the window changes its size.
    boxes.get(focused?.id)?.node.focus();
  }

  function fill() {
    const { site } = known;
    if (site === null) return;
    rebuild(site);
    const states = new Map();
    for (const [id, box] of boxes) {
      const told = facts(box);
      states.set(id, told);
      fillBox(box, told);
    }
    for (const { from, node: line, type } of lines) {
      const { state, dead } = states.get(from);
      mark(line, "flow", dead ? "dead" : type === "data" && state === "offline" ? "dead" : "on");
    }
  }

  new ResizeObserver(fill).observe(node);
  return { node, fill };
}

function buildBox(box) {
  const { x, y, width, height, type, name } = box;
  const rows = Math.floor((height - 24) / 17);
  const icon = draw("path", { d: iconOf(box), class: "icon", transform: `translate(${x + 11} ${y + 9}) scale(0.9)` });
  const title = draw("text", { x: x + 30, y: y + 21, class: "title" });
  const bar = draw("rect", { x: 2, y: 2, height: 7 });
  const battery = draw("g", { class: "battery", transform: `translate(${x + width - 56} ${y + 11})` },
    draw("path", { d: BATTERY.outline }), bar);
  const sign = draw("text", { x: x + width - 12, y: y + 21, class: "sign", "text-anchor": "end" });
  const facts = Array.from({ length: rows }, (_, i) =>
    draw("text", { x: x + 12, y: y + 39 + i * 17, class: "fact" }));
  const parts = [
    draw("rect", { x, y, width, height, rx: 9, class: "box" }),
    draw("rect", { x, y: y + 9, width: 4, height: height - 18, class: "edge" }),
    icon, title, battery, sign, ...facts,
  ];
  const link = { device: `/devices/${encodeURIComponent(name)}`, uplink: "/reports", gantry: "/alarms" }[type];
  const node = link
    ? draw("a", { href: address(link), class: "node" }, ...parts)
    : draw("g", { class: "node", role: "img" }, ...parts);
  if (type === "device") node.dataset.device = name;
  return { ...box, node, title, battery, bar, sign, facts };
}

function fillBox(box, { title, words, state, spoken, charge = null }) {
  mark(box.node, "state", state);
  const room = (box.width - (charge === null ? 54 : 88)) / 8.7;
  box.battery.toggleAttribute("hidden", charge === null);
  if (charge !== null) {
    const left = Math.min(100, Math.max(0, charge));
    mark(box.battery, "level", left <= BATTERY.low ? "low" : "");
    box.bar.setAttribute("width", ((left / 100) * BATTERY.width).toFixed(1));
  }
  write(box.title, fit(title, room));
  write(box.sign, SIGNS[state]);
  box.facts.forEach((node, i) => write(node, fit(words[i] ?? "", (box.width - 22) / 6.5)));
  const label = [title, spoken, ...words, text[state]].filter(Boolean).join(text.comma);
  if (box.node.getAttribute("aria-label") !== label) box.node.setAttribute("aria-label", label);
}

// Cut a text to `room` letters; one of Chinese takes almost two.
function fit(words, room) {
  let used = 0;
  let cut = "";
  for (const letter of words) {
    used += letter.codePointAt(0) > 0x2e7f ? 1.8 : 1;
    if (used > room) return `${cut.slice(0, -1)}…`;
    cut += letter;
  }
  return words;
}
