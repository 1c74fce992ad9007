// Which gantries are shown. The address of the view holds the choice.

import { known } from "./known.js";
import { stateOf } from "./states.js";

// Return the choice of an address: `{states, road, section, q}`; null for "any".
export function chosen(search = location.search) {
  const given = new URLSearchParams(search);
  return {
    states: (given.get("state") ?? "").split(",").filter(Boolean),
    road: given.get("road"),
    section: given.get("section"),
    q: given.get("q") ?? "",
  };
}

// Return the path of a view with a choice; `more` are other arguments.
export function pathOf(path, { states = [], road = null, section = null, q = "" }, more = {}) {
  const given = new URLSearchParams();
  if (states.length) given.set("state", states.join(","));
  if (road !== null) given.set("road", road);
  if (section !== null) given.set("section", section);
  if (q) given.set("q", q);
  for (const [name, value] of Object.entries(more)) if (value) given.set(name, value);
  const said = String(given);
  return said ? `${path}?${said}` : path;
}

export const isAll = ({ states, road, section, q }) =>
  !states.length && road === null && section === null && !q;

const looked = (gantry) =>
  `${gantry.id} ${gantry.name} ${gantry.stake} ${gantry.road} ${gantry.section}`.toLowerCase();

// Return the gantries of a choice, but for its states if `anyState`.
export function matching(choice, anyState = false) {
  const words = choice.q.toLowerCase().split(/\s+/).filter(Boolean);
  const states = anyState ? [] : choice.states;
  return [...known.gantries.values()].filter((each) =>
    (choice.road === null || each.road === choice.road)
    && (choice.section === null || each.section === choice.section)
    && (!states.length || states.includes(stateOf(each)))
    && (!words.length || words.every((word) => looked(each).includes(word))));
}
