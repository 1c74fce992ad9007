// One gantry: its entry, alarms now and past, last known values with their age, reports, channels,
// pictures.

import { hide, make, mark, write } from "./shared/dom.js";
import { age, clock } from "./shared/format.js";
import { text, words } from "./shared/language.js";
import { subscribe } from "./shared/telling.js";
import { alarmCards } from "./alarm_cards.js";
import { endMaintenance, maintain } from "./care.js";
import { channelPanel } from "./channels.js";
import { known, minutesLeft, noteGantry } from "./known.js";
import { picturePanel } from "./pictures.js";
import { refusalPanel } from "./refusals.js";
import { approve, editGantry, removeGantry } from "./registry_forms.js";
import { reportPanel } from "./reports.js";
import { stateOf } from "./states.js";
import { MANAGE } from "./texts_manage.js";
import { gantryName, minutes } from "./words.js";

export const name = "gantry";
const FACTS = ["id", "road", "section", "stake", "direction", "position", "remoteControl", "eqSN"];
let ends = [];

export function mount(root, { gantry: id }, app) {
  const t = words(MANAGE);
  const part = { chip: make("span", "chip"), name: make("h2", "title"), when: make("p", "when"), care: make("p", "fine") };
  const act = actions(app, id, () => draw());
  const facts = Object.fromEntries(FACTS.map((each) => [each, make("dd")]));
  const list = make("dl", "facts", ...FACTS.map((each) => make("div", "", make("dt", "", t.fields[each]), facts[each])));
  const missing = make("p", "empty", t.noGantry(id));
  hide(missing, true);
  const alarms = alarmCards(app, t.noActive, () => `api/v1/alarms?active=1&gantry=${encodeURIComponent(id)}&limit=200`);
  const past = alarmCards(app, t.noPast, () => `api/v1/alarms?gantry=${encodeURIComponent(id)}&limit=60`,
    (each) => each.clearedAt !== null);
  const reports = reportPanel(app, id);
  const channels = channelPanel(app, id);
  const refused = refusalPanel(app, id);
  const picture = picturePanel(app, id, reports);
  const section = (title, ...nodes) => make("section", "panel", make("div", "title-row", make("h2", "", title)), ...nodes);
  root.append(missing,
    make("div", "gantry-head card", make("div", "head", part.chip, part.name), part.when, part.care, act.node),
    make("div", "columns",
      make("div", "column", section(t.activeAlarms, ...alarms.nodes), refused.node, reports.values, section(t.pastAlarms, ...past.nodes)),
      make("div", "column", section(t.facts, list), channels.node, picture.node, reports.list)));

  function draw() {
    const gantry = known.gantries.get(id);
    hide(missing, gantry !== undefined || !known.complete);
    if (gantry === undefined) return;
    mark(root, "state", stateOf(gantry));
    mark(part.chip, "state", stateOf(gantry));
    write(part.chip, text.states[stateOf(gantry)]);
    write(part.name, gantryName(gantry));
    const left = minutesLeft(gantry);
    write(part.when, [
      ...(left === null ? [] : [text.battery(minutes(left))]),
      ...(gantry.since ? [text.sinceAge(clock(gantry.since), age(gantry.since))] : []),
      gantry.lastReport ? text.lastReport(age(gantry.lastReport)) : text.neverReported,
    ].join(" · "));
    for (const each of FACTS) write(facts[each], gantry[each] || "–");
    act.fill(gantry, part.care);
    alarms.draw();
    past.draw();
    reports.draw();
  }

  // What changed at the gantry is asked for at once.
  let before = "";
  const look = () => {
    const now = JSON.stringify(known.gantries.get(id)?.alarms ?? []);
    if (before && now !== before) {
      alarms.load.now();
      past.load.now();
    }
    before = now;
    draw();
  };
  if (!known.gantries.has(id)) {
    app.api.get(`api/v1/gantries/${encodeURIComponent(id)}`, { quiet: true })
      .then((gantry) => { noteGantry(gantry); draw(); }, () => hide(missing, false));
  }
  ends = [subscribe(look), alarms.load.stop, past.load.stop, reports.stop, channels.stop, refused.stop, act.stop];
  draw();
}

export function unmount() {
  for (const end of ends) end();
  ends = [];
}

// `changed()` is told when a maintenance began or ended.
function actions(app, id, changed) {
  const t = words(MANAGE);
  const where = { gantry: id };
  let maintenance = null;
  let stopped = false;
  const press = (action, label, run) => {
    const button = app.button(action, label, "");
    button.addEventListener("click", run);
    return button;
  };
  const command = make("a", "button", t.command);
  command.dataset.action = "command";
  command.href = app.address(`/commands?new=1&gantry=${encodeURIComponent(id)}`);
  const begin = press("maintenance", text.beginMaintenance, async () => {
    if (await maintain(where, gantryName(known.gantries.get(id)))) load();
  });
  const end = press("end-maintenance", text.endMaintenance, async () => {
    if (await endMaintenance(where)) load();
  });
  const edit = press("edit", t.edit, () => editGantry(app, known.gantries.get(id)));
  const accept = press("approve", t.approve, () => approve(app, [id]));
  const remove = press("remove", t.remove, async () => {
    if (await removeGantry(app, known.gantries.get(id))) app.navigate("/registry");
  });

  async function load() {
    const answer = await app.api.get("api/v1/maintenance", { quiet: true }).catch(() => null);
    if (answer === null || stopped) return;
    maintenance = answer.maintenance.find((each) => each.gantry === id) ?? null;
    changed();
  }

  load();
  return {
    node: make("div", "acts", command, begin, end, accept, edit, remove),
    stop: () => { stopped = true; },
    fill(gantry, care) {
      const [acts, rules] = [app.may("operator"), app.may("admin")];
      hide(command, !acts || gantry.pending);
      hide(begin, !acts || maintenance !== null);
      hide(end, !acts || maintenance === null);
      hide(accept, !rules || !gantry.pending);
      hide(edit, !rules);
      hide(remove, !rules);
      write(care, maintenance === null ? "" : [t.underMaintenance(clock(maintenance.until)),
        ...(maintenance.note ? [t.note(maintenance.note)] : [])].join(" · "));
    },
  };
}
