// The registry: gantries that wait for a person, all entries, import and export.

import { hide, make, write } from "./shared/dom.js";
import { filters } from "./shared/filters.js";
import { text, words } from "./shared/language.js";
import { subscribe } from "./shared/telling.js";
import { exporter } from "./alarms.js";
import { pathOf } from "./choice.js";
import { importPanel } from "./importing.js";
import { known } from "./known.js";
import { addGantry, approve, editGantry } from "./registry_forms.js";
import { page, pages, table } from "./table.js";
import { MANAGE } from "./texts_manage.js";

export const name = "registry";
const PERIOD = 15_000;
const LISTED = 100;
const COLUMNS = ["id", "name", "road", "section", "stake", "direction", "remoteControl", "eqSN", "auth", "apiKey"];
let ends = [];

export function mount(root, params, app) {
  const t = words(MANAGE);
  const waiting = make("p", "");
  const accept = app.button("approve", "", "primary");
  const banner = make("div", "card pending-banner", waiting, accept);
  const add = app.button("add", t.add, "");
  const count = make("span", "fine");
  const choice = filters(text.registry, [
    { name: "q", label: text.search.replace(/\s+\/$/, "") },
    { name: "road", label: text.road, options: [["", text.allRoads]] },
    { name: "state", label: text.states.pending, options: [["", text.total], ["pending", text.states.pending]] },
  ], () => list.again());
  const secret = (there) => (there ? t.hasSecret : t.noSecret);
  const entries = table(text.registry, [...COLUMNS.map((each) => t.fields[each]), t.change], (each) => each.id, (each) => {
    const link = make("a", "", each.id);
    link.href = app.address(`/gantries/${encodeURIComponent(each.id)}`);
    const edit = app.button("edit", t.edit, "");
    edit.setAttribute("aria-label", t.editTitle(each.id));
    edit.addEventListener("click", async () => {
      if (await editGantry(app, each)) list.load.now();
    });
    return [link, each.name, each.road, each.section, each.stake, each.direction, each.remoteControl, each.eqSN,
      secret(each.hasAuth), secret(each.hasApiKey), app.may("admin") ? edit : ""];
  }, (each) => JSON.stringify([COLUMNS.map((one) => each[one]), each.hasAuth, each.hasApiKey, app.may("admin")]));
  const asked = () => {
    const state = choice.value("state");
    return pathOf("", { states: state ? [state] : [], road: choice.value("road") || null, q: choice.value("q").trim() }).slice(1);
  };
  const list = pages(app, (after) => `api/v1/gantries?${[asked(), page(after, LISTED)].filter(Boolean).join("&")}`, (answer) => {
    write(count, t.rows(answer.gantries.length, answer.total));
    entries.fill(answer.gantries);
  }, PERIOD);
  const importing = importPanel(app, () => list.load.now());
  add.addEventListener("click", async () => {
    if (await addGantry(app)) list.load.now();
  });
  accept.addEventListener("click", async () => {
    const ids = [...known.gantries.values()].filter((each) => each.pending).map((each) => each.id);
    if (await approve(app, ids)) list.load.now();
  });
  root.append(banner, importing.node, make("section", "panel",
    make("div", "title-row", make("h2", "", text.registry), count, make("span", "acts", add,
      exporter(app, "gantries", () => Object.fromEntries(new URLSearchParams(asked()))))),
    choice.node, entries.node, list.node));

  function draw() {
    const pending = [...known.gantries.values()].filter((each) => each.pending).length;
    hide(banner, pending === 0);
    write(waiting, t.pending(pending));
    write(accept, t.approveAll(pending));
    for (const each of [accept, add, importing.node]) hide(each, !app.may("admin"));
    const roads = [...new Set([...known.gantries.values()].map((each) => each.road))].filter(Boolean);
    choice.offer("road", [["", text.allRoads],
      ...roads.sort(new Intl.Collator("en", { numeric: true }).compare).map((each) => [each, each])]);
  }

  ends = [subscribe(draw), list.load.stop];
  draw();
}

export function unmount() {
  for (const end of ends) end();
  ends = [];
}
