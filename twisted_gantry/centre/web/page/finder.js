// Finds a gantry from every view: `/` goes there, Enter shows all matches.

import { hide, make, mark, parts, sync, write } from "./shared/dom.js";
import { text } from "./shared/language.js";
import { address, navigate } from "./shared/router.js";
import { subscribe } from "./shared/telling.js";
import { matching, pathOf } from "./choice.js";
import { stateOf } from "./states.js";
import { gantryName } from "./words.js";

const MOST = 12;
let input = null;
let unsubscribe = () => {};

export function build(place) {
  input = make("input", "");
  input.type = "search";
  input.autocomplete = "off";
  input.spellcheck = false;
  input.placeholder = text.search;
  input.setAttribute("aria-label", text.search);
  input.setAttribute("aria-keyshortcuts", "/");
  const found = make("ul", "found");
  hide(found, true);
  place.replaceChildren(input, found);

  function fill() {
    const q = input.value.trim();
    hide(found, q === "");
    if (q === "") return;
    const all = matching({ states: [], road: null, section: null, q });
    const shown = all.slice(0, MOST);
    sync(found, [...shown, { id: "", all, q }], (each) => each.id, row, show);
  }

  function close() {
    input.value = "";
    fill();
  }

  input.addEventListener("input", fill);
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || !input.value.trim()) return;
    const to = pathOf("/gantries", { q: input.value.trim() });
    close();
    navigate(to);
  });
  place.onkeydown = (event) => {
    if (event.key === "Escape") {
      close();
      input.focus();
    }
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const stops = [input, ...found.querySelectorAll("a")];
    stops[(stops.indexOf(document.activeElement) + step + stops.length) % stops.length].focus();
  };
  found.addEventListener("click", () => setTimeout(close));
  place.onfocusout = (event) => {
    if (!place.contains(event.relatedTarget)) hide(found, true);
  };
  place.onfocusin = fill;
  unsubscribe();
  // Gantries may come after the words that look for them.
  unsubscribe = subscribe(() => place.contains(document.activeElement) && fill());
}

function row() {
  const link = make("a", "", make("span", "chip"), make("span", "label"), make("code", "name"));
  return parts(make("li", "", link), ["chip", "label", "name"]);
}

function show(node, each) {
  const { chip, label, name } = node.parts;
  const link = node.firstElementChild;
  hide(chip, each.id === "");
  if (each.id === "") {
    link.href = address(pathOf("/gantries", { q: each.q }));
    write(label, each.all.length ? text.allMatches(each.all.length) : text.noMatch);
    return;
  }
  link.href = address(`/gantries/${encodeURIComponent(each.id)}`);
  mark(chip, "state", stateOf(each));
  write(chip, text.states[stateOf(each)]);
  write(label, gantryName(each));
  write(name, each.id);
}

// `/` goes to the search from everywhere but from a field.
addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.target.closest?.("input, select, textarea, dialog")) return;
  event.preventDefault();
  input?.focus();
});
