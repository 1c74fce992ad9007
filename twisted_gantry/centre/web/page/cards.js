// White lists: versions, per road or for all, and which gantry has which.

import { hide, make, mark } from "./shared/dom.js";
import { age, clock } from "./shared/format.js";
import { text, words } from "./shared/language.js";
import { known } from "./known.js";
import { page, pages, table } from "./table.js";
import { mistakeTable, pick, upload } from "./uploading.js";
import { MANAGE } from "./texts_manage.js";
import { gantryName } from "./words.js";

export const name = "cards";
const PERIOD = 15_000;
let ends = [];

export function mount(root, params, app) {
  const t = words(MANAGE);
  const set = app.button("set-cards", t.setList, "primary");
  const mistakes = mistakeTable();
  hide(mistakes.node, true);
  const empty = make("p", "empty", t.noLists);
  hide(empty, true);
  hide(set, !app.may("operator"));
  const lists = table(t.lists, [text.road, t.version, t.cardsHead, t.current, t.when], (each) => `r${each.road}`, (each) => {
    const all = each.current + each.behind + each.never;
    const bar = make("progress", "");
    [bar.max, bar.value] = [Math.max(1, all), each.current];
    bar.setAttribute("aria-label", t.have(each.current, all));
    return [each.road || text.allRoads, each.version, t.cardsN(each.cards), make("span", "", bar, ` ${t.have(each.current, all)}${each.never ? ` · ${t.neverN(each.never)}` : ""}`),
      [each.by, each.at ? clock(each.at) : ""].filter(Boolean).join(" · ")];
  });
  const who = table(t.whoHas, [t.gantry, t.has, t.wanted, t.state, t.when], (each) => each.gantry, (each) => {
    const link = make("a", "", gantryName(known.gantries.get(each.gantry) ?? { id: each.gantry }));
    link.href = app.address(`/gantries/${encodeURIComponent(each.gantry)}`);
    const current = each.version !== null && each.version === each.wanted;
    const chip = make("span", "chip", current ? t.current : t.behind);
    mark(chip, "state", current ? "online" : each.wanted === null ? "connecting" : "warning");
    return [link, each.version ?? t.never, each.wanted ?? "–", each.wanted === null ? "" : chip,
      each.at ? `${clock(each.at)} · ${age(each.at)}` : ""];
  });
  const all = pages(app, (after) => `api/v1/cards?${page(after, 100)}`, (answer) => {
    hide(empty, answer.lists.length > 0);
    hide(lists.node, answer.lists.length === 0);
    hide(set, !app.may("operator"));
    lists.fill(answer.lists);
    who.fill(answer.gantries);
  }, PERIOD);
  set.addEventListener("click", async () => {
    if (await setList(app, mistakes)) all.load.now();
  });
  root.append(
    make("section", "panel", make("div", "title-row", make("h2", "", t.lists), make("span", "fine", t.listFile), set), mistakes.node, empty, lists.node),
    make("section", "panel", make("div", "title-row", make("h2", "", t.whoHas)), who.node, all.node));
  ends = [all.load.stop];
}

export function unmount() {
  for (const end of ends) end();
  ends = [];
}

// Let a person choose a file and a road, and set the list; `mistakes` shows what is wrong with it.
async function setList(app, mistakes) {
  const t = words(MANAGE);
  const roads = [...new Set([...known.gantries.values()].map((each) => each.road))].filter(Boolean)
    .sort(new Intl.Collator("en", { numeric: true }).compare);
  const file = await pick(".csv,.xlsx");
  if (file === null) return false;
  const given = await app.ask({
    title: t.setListTitle, body: file.name, danger: t.setListMeans, confirm: t.setList.replace("…", ""),
    fields: [
      { name: "road", label: text.road, type: "select", options: [["", text.allRoads], ...roads.map((each) => [each, each])] },
    ],
  });
  if (given === null) return false;
  try {
    const answer = await upload(`api/v1/cards/import?${new URLSearchParams(given)}`, file);
    mistakes.fill(answer.errors ?? []);
    hide(mistakes.node, !answer.errors?.length);
    if (answer.errors?.length) app.say(t.mistakes(answer.errors.length), "bad");
    else app.say(t.listSet);
    return true;
  } catch (error) {
    app.say(error, "bad");
    return false;
  }
}
