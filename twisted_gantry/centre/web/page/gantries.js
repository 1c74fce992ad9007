// All gantries: by road, as a wall on one screen, or along each road. The counts are the filters, and
// the address holds the choice.

import { download } from "./shared/download.js";
import { hide, make, mark, parts, sync, write } from "./shared/dom.js";
import { language, text } from "./shared/language.js";
import { address } from "./shared/router.js";
import { subscribe } from "./shared/telling.js";
import { maintain } from "./care.js";
import { wall, strips } from "./cells.js";
import { chosen, isAll, matching, pathOf } from "./choice.js";
import { known } from "./known.js";
import { STATES, stateOf } from "./states.js";
import { roadTree } from "./tree.js";

export const name = "gantries";
const MODES = { tree: roadTree, wall, map: strips };
let ends = [];

export function mount(root, params, app) {
  let choice = chosen();
  let mode = Object.hasOwn(MODES, modeOf()) ? modeOf() : "tree";
  let body = null;
  const bar = choiceBar((changes) => take({ ...choice, ...changes }));
  const modes = buttons("mode", Object.keys(MODES), (each) => text[each], (each) => take(choice, each));
  modes.node.setAttribute("aria-label", text.as);
  const acts = actions(app, () => choice);
  const place = make("div", "body");
  const empty = make("p", "empty");
  root.append(bar.node, make("div", "bar", modes.node, acts.node), empty, place);

  function take(wanted, other = mode) {
    choice = wanted;
    history.pushState(null, "", address(pathOf("/gantries", choice, { as: other === "tree" ? "" : other })));
    show(other);
  }

  function show(other) {
    if (body === null || other !== mode) {
      body?.stop();
      mode = other;
      body = MODES[mode](choice);
      mark(root, "mode", mode);
      place.replaceChildren(body.node);
    }
    draw();
  }

  function draw() {
    const found = matching(choice);
    bar.draw(choice, matching(choice, true), found.length);
    for (const [each, button] of modes.all) button.setAttribute("aria-pressed", String(each === mode));
    acts.draw(found);
    hide(empty, found.length > 0);
    write(empty, !known.complete ? text.loading : known.gantries.size ? text.noneFits : text.noGantries);
    body.draw(found, choice);
  }

  show(mode);
  ends = [subscribe(draw), () => body.stop()];
}

export function unmount() {
  for (const end of ends) end();
  ends = [];
}

const modeOf = () => new URLSearchParams(location.search).get("as") ?? "tree";

// A group of buttons: `{node, all}` with `all` [[value, button], …].
function buttons(action, values, label, press) {
  const node = make("div", "group-buttons");
  node.setAttribute("role", "group");
  const all = values.map((each) => {
    const button = make("button", "", label(each));
    button.type = "button";
    button.dataset.action = action;
    button.dataset.value = each;
    button.addEventListener("click", () => press(each));
    node.append(button);
    return [each, button];
  });
  return { node, all };
}

// Counts by state, road, section and a text.
function choiceBar(change) {
  const states = [...STATES, "pending"];
  let picked = [];
  const tiles = new Map(states.map((each) => {
    const button = make("button", "tile", make("span", "label", text.states[each]), make("strong", "count"));
    button.type = "button";
    button.dataset.action = "filter";
    button.dataset.state = each;
    button.addEventListener("click", () => change({
      states: picked.includes(each) ? picked.filter((one) => one !== each) : [...picked, each],
    }));
    return [each, parts(button, ["count"])];
  }));
  const group = make("div", "tiles", ...tiles.values());
  group.setAttribute("role", "group");
  group.setAttribute("aria-label", text.gantries);
  const road = select("road", text.road);
  const section = select("section", text.section);
  const q = make("input");
  [q.type, q.name] = ["search", "q"];
  q.autocomplete = "off";
  const count = make("strong", "matches");
  count.setAttribute("role", "status");
  const clear = make("button", "", text.clear);
  clear.type = "button";
  clear.dataset.action = "clear";
  const line = make("div", "choice",
    make("label", "filter", make("span", "fine", text.road), road),
    make("label", "filter", make("span", "fine", text.section), section),
    make("label", "filter", make("span", "fine", text.search.replace(/\s+\/$/, "")), q),
    count, clear);
  road.addEventListener("change", () => change({ road: value(road), section: null }));
  section.addEventListener("change", () => change({ section: value(section) }));
  q.addEventListener("input", () => change({ q: q.value.trim() }));
  clear.addEventListener("click", () => change({ states: [], road: null, section: null, q: "" }));

  return {
    node: make("div", "choices", group, line),
    draw(choice, anyState, found) {
      picked = choice.states;
      const counts = Object.fromEntries(states.map((each) => [each, 0]));
      for (const each of anyState) counts[stateOf(each)] += 1;
      for (const [each, tile] of tiles) {
        write(tile.parts.count, String(counts[each]));
        mark(tile, "some", String(counts[each] > 0));
        const pressed = String(choice.states.includes(each));
        if (tile.getAttribute("aria-pressed") !== pressed) tile.setAttribute("aria-pressed", pressed);
      }
      const roads = [...new Set([...known.gantries.values()].map((each) => each.road))].sort(natural);
      offer(road, [["", text.allRoads], ...roads.map((each) => [`=${each}`, each || text.noRoad])],
        choice.road === null ? "" : `=${choice.road}`);
      const sections = choice.road === null ? [] : [...new Set([...known.gantries.values()]
        .filter((each) => each.road === choice.road).map((each) => each.section))].sort(natural);
      offer(section, [["", text.allSections], ...sections.map((each) => [`=${each}`, each || text.noSection])],
        choice.section === null ? "" : `=${choice.section}`);
      section.disabled = choice.road === null;
      if (document.activeElement !== q && q.value !== choice.q) q.value = choice.q;
      write(count, text.shownOf(found, known.gantries.size));
      const none = isAll(choice);
      if (clear.disabled !== none) clear.disabled = none;
    },
  };
}

const natural = new Intl.Collator("en", { numeric: true }).compare;
const value = (node) => (node.value === "" ? null : node.value.slice(1));

function select(name) {
  const node = make("select");
  node.name = name;
  return node;
}

function offer(node, options, wanted) {
  if (document.activeElement === node && node.options.length === options.length) return;
  sync(node, options, ([key]) => `o${key}`, ([key, word]) => new Option(word, key), () => {});
  if (node.value !== wanted) node.value = wanted;
}

// What may be done with all that are shown.
function actions(app, choice) {
  const command = make("a", "button");
  command.dataset.action = "command";
  const mute = app.button("maintenance", text.beginMaintenance, "");
  mute.addEventListener("click", () => {
    const { road, section } = choice();
    maintain({ road, ...(section ? { section } : {}) }, section || road);
  });
  const exports = ["csv", "xlsx"].map((format) => {
    const button = app.button("export", text[format === "csv" ? "exportCsv" : "exportXlsx"], "");
    button.addEventListener("click", async () => {
      const { states, ...others } = choice();
      const asked = new URLSearchParams(pathOf("", others).slice(1));
      if (states.length === 1) asked.set("state", states[0]);
      asked.set("format", format);
      asked.set("lang", language);
      button.disabled = true;
      await download(`api/v1/export/gantries?${asked}`, `gantries.${format}`).catch((error) => app.say(error, "bad"));
      button.disabled = false;
    });
    return button;
  });
  return {
    node: make("div", "acts", command, mute, ...exports),
    draw(found) {
      hide(command, !app.may("operator"));
      write(command, text.commandThese(found.length));
      const path = app.address(pathOf("/commands", choice(), { new: "1" }));
      if (command.getAttribute("href") !== path) command.href = path;
      const { road, states, q } = choice();
      hide(mute, !app.may("operator") || !road || states.length > 0 || q !== "");
    },
  };
}
