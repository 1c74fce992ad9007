// Questions to the reader. A question is in the document only while it is asked.

import { make } from "./dom.js";
import { text } from "./language.js";

// Ask, and return the answers by the names of the fields, or null for no.
//
// `title` and `body` are texts (`body` may be several), `danger` is the consequence that a person
// must know, `confirm` the word on the button. A field is `{name, label, type, value, required,
// options, hint, maxLength}`: `type` is that of an input, or "select" with `options` [[value, label], …].
export function ask({ title, body = [], danger = "", confirm = text.confirm, fields = [] }) {
  const heading = make("h2", "", title);
  heading.id = "dialog-title";
  const inputs = fields.map(field);
  const yes = button("confirm", confirm, danger ? "danger" : "primary");
  const no = button("cancel", text.cancel, "");
  yes.type = "submit";
  const form = make("form", "", heading,
    ...[body].flat().map((each) => make("p", "", each)),
    ...(danger ? [make("p", "danger-text", danger)] : []),
    ...inputs.map(([label]) => label),
    make("div", "buttons", no, yes));
  const dialog = make("dialog", "", form);
  dialog.setAttribute("aria-labelledby", heading.id);
  document.body.append(dialog);
  const before = document.activeElement;
  return new Promise((resolve) => {
    let answer = null;
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      answer = Object.fromEntries(inputs.map(([, name, value]) => [name, value()]));
      end();
    });
    no.addEventListener("click", end);
    dialog.addEventListener("close", end); // by Escape
    function end() {
      if (!dialog.isConnected) return;
      dialog.remove(); // at once: an event would come later
      before?.focus?.();
      resolve(answer);
    }
    dialog.showModal();
    // What hurts is not confirmed by a key that was meant for something else.
    (inputs[0]?.[0].querySelector("input, select") ?? (danger ? no : yes)).focus();
  });
}

export function button(action, label, className) {
  const node = make("button", className, label);
  node.type = "button";
  node.dataset.action = action;
  return node;
}

function field({ name, label, type = "text", value, required = false, options = [], hint = "", maxLength }) {
  const input = make(type === "select" ? "select" : "input", "");
  if (type === "select") {
    for (const [key, word] of options) {
      const option = make("option", "", word);
      option.value = key;
      input.append(option);
    }
  } else {
    input.type = type;
    input.autocomplete = type === "password" ? "new-password" : "off";
    if (type === "number") input.step = "any";
  }
  input.name = name;
  if (maxLength !== undefined) input.maxLength = maxLength;
  input.required = required && type !== "checkbox";
  if (type === "checkbox") input.checked = Boolean(value);
  else if (value !== undefined) input.value = value;
  const node = make("label", "field", make("span", "", label), input);
  if (hint) node.append(make("span", "fine", hint));
  return [node, name, () => (type === "checkbox" ? input.checked : input.value)];
}
