// A row of fields that choose what a list shows. What was chosen stays while the list changes.

import { make, write } from "./dom.js";

// `fields` are `{name, label, options}` with `options` [[value, label], …], or without options a
// text to look for. `changed()` is called when the reader chose. Returns `{node, value, offer}`.
export function filters(label, fields, changed) {
  const node = make("form", "filters");
  node.setAttribute("role", "search");
  node.setAttribute("aria-label", label);
  const inputs = {};
  for (const { name, label: said, options } of fields) {
    const input = make(options ? "select" : "input", "");
    if (!options) input.type = "search";
    input.name = name;
    inputs[name] = input;
    node.append(make("label", "filter", make("span", "fine", said), input));
    if (options) offer(name, options);
    input.addEventListener("input", changed);
  }
  node.addEventListener("submit", (event) => event.preventDefault());

  // Replace the options of a field; the choice stays, an option that is gone is added for it.
  function offer(name, options) {
    const select = inputs[name];
    const all = options.some(([value]) => value === select.value) || !select.value
      ? options : [...options, [select.value, select.value]];
    all.forEach(([value, word], i) => {
      const option = select.options[i] ?? select.appendChild(make("option"));
      if (option.getAttribute("value") !== value) option.value = value;
      write(option, word);
    });
    while (select.options.length > all.length) select.lastElementChild.remove();
  }

  return { node, offer, value: (name) => inputs[name].value };
}

// Tell whether one of `texts` has all words of `wanted`, whatever their case.
export function matches(wanted, texts) {
  const all = texts.filter(Boolean).join(" ").toLowerCase();
  return wanted.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}
