// The form of a command: to whom, what, a preview, and a yes where the command can hurt.

import { hide, make, write } from "./shared/dom.js";
import { inLanguage, text, words } from "./shared/language.js";
import { subscribe } from "./shared/telling.js";
import { chosen, isAll, matching } from "./choice.js";
import { caller } from "./commands.js";
import { known } from "./known.js";
import { MANAGE } from "./texts_manage.js";
import { gantryName } from "./words.js";

const EXPIRY = [1, 5, 15, 60, 240]; // minutes
const NAMED = 12; // gantries that are named in a preview
const natural = new Intl.Collator("en", { numeric: true }).compare;

// Return `{node, loaded, called, stop}`; `called(order)` is the name of a command.
export function commandForm(app) {
  const t = words(MANAGE);
  const given = new URLSearchParams(location.search);
  const choice = chosen();
  const listed = choice.states.length > 0 || choice.q !== "";
  let methods = [];
  let previewed = null; // the body that was previewed
  let picked = false; // whether a person chose to whom

  const to = select("to", t.to);
  const what = select("what", t.what);
  const expires = select("expires", t.expires);
  for (const each of EXPIRY) expires.input.append(new Option(t.minutes(each), String(each * 60)));
  expires.input.value = "300";
  const single = textField("gantry", t.oneId);
  single.input.value = given.get("gantry") ?? "";
  const fields = make("div", "fields");
  const preview = app.button("preview", t.preview, "");
  const run = app.button("run", t.run, "primary");
  const told = make("div", "preview");
  told.setAttribute("role", "status");
  const late = make("p", "hint late", t.listLate);
  const node = make("form", "command-form", to.node, single.node, what.node, fields, expires.node,
    make("div", "buttons", preview, run), late, told);
  const inputs = new Map();
  let asking = false; // whether a preview is on its way
  run.disabled = true;
  run.type = "submit";

  // -- to whom

  function offerTargets() {
    const roads = [...new Set([...known.gantries.values()].map((each) => each.road))].filter(Boolean).sort(natural);
    const sections = [...new Set([...known.gantries.values()].filter((each) => each.road && each.section)
      .map((each) => `${each.road}\n${each.section}`))].sort(natural);
    const options = [
      ...(listed ? [["listed", text.shownOf(matching(choice).length, known.gantries.size)]] : []),
      ["one", t.oneId],
      ...roads.map((each) => [`road\n${each}`, `${text.road} ${each}`]),
      ...sections.map((each) => [`section\n${each}`, each.replace("\n", " · ")]),
      ["all", `${text.total} (${known.gantries.size})`],
    ];
    if (to.input.options.length === options.length) {
      options.forEach(([, word], place) => write(to.input.options[place], word)); // numbers change
      return;
    }
    const before = to.input.value;
    to.input.replaceChildren(...options.map(([value, word]) => new Option(word, value)));
    to.input.value = picked ? before : wanted(); // what is wanted may come late
    if (!to.input.value) to.input.value = "one";
    if (to.input.value !== before) aim();
  }

  function aim() {
    hide(single.node, to.input.value !== "one");
    single.input.required = to.input.value === "one";
    bar();
    stale();
  }

  // Whether some of the gantries that are listed are not known yet: a command would miss them.
  const tooEarly = () => to.input.value === "listed" && !known.complete;

  function bar() {
    preview.disabled = asking || tooEarly();
    hide(late, !tooEarly());
  }

  function wanted() {
    if (listed) return "listed";
    if (choice.section && choice.road) return `section\n${choice.road}\n${choice.section}`;
    if (choice.road) return `road\n${choice.road}`;
    return given.has("new") && !given.has("gantry") && isAll(choice) ? "all" : "one";
  }

  function target() {
    const [kind, road, section] = to.input.value.split("\n");
    if (kind === "listed") return matching(choice).map((each) => each.id);
    if (kind === "road") return { road };
    if (kind === "section") return { road, section };
    return kind === "all" ? { all: true } : [single.input.value.trim()];
  }

  // -- what

  const method = () => methods[Number(what.input.value)];

  function shape() {
    const each = method();
    inputs.clear();
    fields.replaceChildren(...(each?.fields ?? []).map(({ name, required, choices }) => {
      const label = t.argumentNames[name] ?? name;
      const field = choices.length ? select(name, label) : textField(name, label);
      if (choices.length) field.input.append(...(required ? choices : ["", ...choices]).map((one) => new Option(one, one)));
      field.input.required = required;
      inputs.set(name, field.input);
      return field.node;
    }));
    stale();
  }

  function stale() {
    previewed = null;
    run.disabled = true;
    told.replaceChildren();
  }

  function body() {
    const each = method();
    const filled = [...inputs].map(([name, input]) => [name, input.value.trim()]).filter(([, value]) => value !== "");
    return { gantries: target(), method: each.method, args: { ...each.given, ...Object.fromEntries(filled) }, expires: Number(expires.input.value) };
  }

  preview.addEventListener("click", async () => {
    if (!node.reportValidity() || method() === undefined || tooEarly()) return;
    const asked = body();
    if (Array.isArray(asked.gantries) && !asked.gantries.length) return;
    asking = true;
    bar();
    const answer = await app.api.post("api/v1/commands/preview", asked).catch(() => null);
    asking = false;
    bar();
    if (answer === null) return;
    // One preview is one command, also if it is sent again after an answer that was lost.
    previewed = { asked, answer, id: crypto.randomUUID?.() ?? `${Date.now()}-${Math.random().toString(36).slice(2)}` };
    const { gantries, able, unable, maintenance } = answer;
    const call = (id) => gantryName(known.gantries.get(id) ?? { id });
    const named = unable.slice(0, NAMED).map((each) =>
      make("li", "fine", `${call(each.gantry)}${text.colon}${inLanguage([each.reason, each.reasonZh])}`));
    if (gantries - able > NAMED) named.push(make("li", "fine", text.andMoreGantries(gantries - able - NAMED)));
    told.replaceChildren(
      make("p", "", make("strong", "", t.reach(able, gantries))),
      ...(named.length ? [make("ul", "unable", ...named)] : []),
      ...(maintenance.length ? [make("p", "hint", t.peopleWork(maintenance.slice(0, NAMED).map(call).join(", "), maintenance.length))] : []),
      make("p", answer.endangers ? "danger-text" : "fine", danger(answer) || t.harmless));
    run.disabled = able === 0;
  });

  const danger = (each) => (each.endangers ? inLanguage([each.danger, each.dangerZh]) || each.endangers : "");

  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (previewed === null) {
      preview.click();
      return;
    }
    const { asked, answer, id } = previewed;
    if (answer.endangers) {
      const yes = await app.ask({
        title: t.runTitle(called({ method: asked.method, does: answer.does }), answer.able),
        danger: danger(answer), confirm: t.run,
      });
      if (yes === null) return;
    }
    run.disabled = true;
    const taken = await app.api.post("api/v1/commands", { ...asked, id, confirm: Boolean(answer.endangers) })
      .catch(() => null);
    run.disabled = false;
    if (taken !== null) app.navigate(`/commands/${encodeURIComponent(taken.id)}`);
  });
  node.addEventListener("input", (event) => {
    if (event.target === to.input || event.target === single.input) picked = true;
    if (event.target === to.input) aim();
    else if (event.target === what.input) shape();
    else stale();
  });

  const called = (order) => caller(methods)(order);
  const loaded = app.api.get("api/v1/commands/methods", { quiet: true }).then((answer) => {
    // What hurts nobody stands first: nothing dangerous is chosen unless a person does.
    methods = answer.methods.sort((a, b) => Number(Boolean(a.endangers)) - Number(Boolean(b.endangers)));
    what.input.replaceChildren(...methods.map((each, place) =>
      new Option(`${inLanguage([each.en, each.zh]) || each.method}${each.endangers ? " ▲" : ""}`, String(place))));
    shape();
  }, () => {});

  function draw() {
    offerTargets();
    bar();
    for (const each of [preview, run]) hide(each, !app.may("operator"));
  }

  draw();
  return { node, loaded, called, stop: subscribe(draw) };
}

function select(name, label) {
  const input = make("select");
  input.name = name;
  return { input, node: make("label", "field", make("span", "", label), input) };
}

function textField(name, label) {
  const input = make("input");
  [input.type, input.name, input.maxLength, input.autocomplete] = ["text", name, 200, "off"];
  return { input, node: make("label", "field", make("span", "", label), input) };
}
