// Alarms of a year, or of one incident; incidents that were; where people work.

import { download } from "./shared/download.js";
import { hide, make, parts, sync, write } from "./shared/dom.js";
import { filters } from "./shared/filters.js";
import { age, clock, now } from "./shared/format.js";
import { language, message, text, words } from "./shared/language.js";
import { loader } from "./shared/loading.js";
import { address } from "./shared/router.js";
import { subscribe } from "./shared/telling.js";
import { fillAlarms } from "./alarm_cards.js";
import { endMaintenance } from "./care.js";
import { incidentPath } from "./incident_list.js";
import { known } from "./known.js";
import { page, pages } from "./table.js";
import { MANAGE } from "./texts_manage.js";
import { alarmName, learnNames, place } from "./words.js";

export const name = "alarms";
const PERIOD = 15_000;
const LISTED = 50;
const SECONDS = { "24h": 86_400, "7d": 604_800, "30d": 2_592_000, "365d": 31_536_000 };
let ends = [];

export function mount(root, params, app) {
  const t = words(MANAGE);
  const given = new URLSearchParams(location.search);
  const incident = given.get("incident");
  const about = make("p", "card of-incident");
  const empty = make("p", "empty", t.noAlarms);
  const list = make("ul", "alarm-cards");
  const choice = filters(t.history, [
    { name: "road", label: text.road, options: [["", text.allRoads]] },
    { name: "period", label: t.period, options: Object.keys(SECONDS).map((each) => [each, t.periods[each]]) },
    { name: "active", label: text.activeNow, options: [["", t.all], ["1", t.onlyActive]] },
  ], () => alarms.again());
  hide(empty, true);
  hide(about, incident === null);
  hide(choice.node, incident !== null);
  let shown = null;
  const asked = () => {
    const query = new URLSearchParams(incident === null ? {
      ...(choice.value("road") ? { road: choice.value("road") } : {}),
      ...(choice.value("active") ? { active: "1" }
        : { since: String(Math.floor(now() / 1000) - SECONDS[choice.value("period")]) }),
    } : { incident });
    return String(query);
  };
  const alarms = pages(app, (after) => `api/v1/alarms?${asked()}&${page(after, LISTED)}`, (answer) => {
    learnNames(answer.alarms);
    shown = answer.alarms;
    draw();
  }, PERIOD);
  const past = incidentTable(app);
  const works = workList(app);
  root.append(about, make("div", "columns wide-left",
    make("section", "panel", make("div", "title-row", make("h2", "", t.history), exporter(app, "alarms")),
      choice.node, empty, list, alarms.node),
    make("div", "column",
      make("section", "panel", make("div", "title-row", make("h2", "", t.maintenances)), ...works.nodes),
      make("section", "panel", make("div", "title-row", make("h2", "", t.incidents), exporter(app, "incidents")),
        ...past.nodes))));

  function draw() {
    const found = incident === null ? null : known.incidents.get(incident);
    if (found) write(about, t.ofIncident(message(found) || alarmName(found.cause), place(found)));
    const roads = [...new Set([...known.gantries.values()].map((each) => each.road))].filter(Boolean);
    choice.offer("road", [["", text.allRoads],
      ...roads.sort(new Intl.Collator("en", { numeric: true }).compare).map((each) => [each, each])]);
    works.draw();
    if (shown === null) return;
    hide(empty, shown.length > 0);
    fillAlarms(list, shown, true, alarms.load.now);
  }

  if (incident !== null && !known.incidents.has(incident)) {
    app.api.get(`api/v1/incidents/${encodeURIComponent(incident)}`, { quiet: true })
      .then((one) => write(about, t.ofIncident(message(one) || alarmName(one.cause), place(one))), () => {});
  }
  ends = [subscribe(draw), alarms.load.stop, past.stop, works.stop];
  draw();
}

export function unmount() {
  for (const end of ends) end();
  ends = [];
}

function incidentTable(app) {
  const rows = make("ul", "report-rows");
  const list = pages(app, (after) => `api/v1/incidents?${page(after, LISTED)}`, ({ incidents }) => {
    learnNames(incidents);
    sync(rows, incidents, (each) => each.id, () => {
      const link = make("a", "", make("span", "chip"), make("strong", "where"), make("span", "what"), make("span", "when fine"));
      return parts(make("li", "", link), ["chip", "where", "what", "when"]);
    }, (row, each) => {
      const { chip, where, what, when } = row.parts;
      const over = each.until !== null;
      row.firstElementChild.href = address(incidentPath(each));
      chip.dataset.state = over ? "over" : each.severity;
      write(chip, text[each.severity] ?? each.severity);
      write(where, place(each));
      write(what, message(each) || alarmName(each.cause));
      write(when, [text.gantriesN(each.gantries), over
        ? words(MANAGE).lasted(clock(each.until), age(each.since, Date.parse(each.until)))
        : text.sinceAge(clock(each.since), age(each.since))].join(" · "));
    });
  }, PERIOD);
  return { nodes: [rows, list.node], stop: list.load.stop };
}

function workList(app) {
  const t = words(MANAGE);
  const list = make("ul", "report-rows");
  const empty = make("p", "empty", t.noMaintenances);
  let all = null;
  const load = loader(() => app.api.get("api/v1/maintenance", { quiet: true }), (answer) => {
    all = answer.maintenance;
    draw();
  }, () => {}, PERIOD);

  function build(each) {
    const end = app.button("end-maintenance", text.endMaintenance, "");
    const where = Object.fromEntries(["gantry", "road", "section"].filter((key) => each[key]).map((key) => [key, each[key]]));
    end.addEventListener("click", async () => {
      if (await endMaintenance(where)) load.now();
    });
    const row = parts(make("li", "work", make("strong", "where"), make("span", "fine when"), end), ["where", "when"]);
    row.parts.end = end;
    return row;
  }

  function draw() {
    hide(empty, all === null || all.length > 0);
    sync(list, all ?? [], (each) => `${each.gantry} ${each.road} ${each.section}`, build, (row, each) => {
      write(row.parts.where, place(each));
      const left = age(new Date(now()).toISOString(), Date.parse(each.until));
      write(row.parts.when, [t.until(clock(each.until), left), ...(each.by ? [t.by(each.by)] : []),
        ...(each.note ? [t.note(each.note)] : [])].join(" · "));
      hide(row.parts.end, !app.may("operator"));
    });
  }

  hide(empty, true);
  return { nodes: [empty, list], draw, stop: load.stop };
}

// Buttons that take a table away; `more()` are other arguments.
export function exporter(app, what, more = () => ({})) {
  const node = make("span", "acts");
  for (const format of ["csv", "xlsx"]) {
    const button = app.button("export", format === "csv" ? text.exportCsv : text.exportXlsx, "");
    button.addEventListener("click", async () => {
      button.disabled = true;
      const asked = new URLSearchParams({ format, lang: language, ...more() });
      await download(`api/v1/export/${what}?${asked}`, `${what}.${format}`).catch((error) => app.say(error, "bad"));
      button.disabled = false;
    });
    node.append(button);
  }
  return node;
}
