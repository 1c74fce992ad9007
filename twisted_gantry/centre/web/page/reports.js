// Reports of a gantry, and the last known values in them with their age.

import { hide, make, mark, sync, write } from "./shared/dom.js";
import { age, clock } from "./shared/format.js";
import { text, words } from "./shared/language.js";
import { loader } from "./shared/loading.js";
import { pages, page } from "./table.js";
import { MANAGE } from "./texts_manage.js";
import { valueGroups } from "./values.js";

const PERIOD = 30_000;
const LOOKED = 8; // newest reports of a method that are looked at for values of each cabinet
// The methods, and the member of a body that has their fields (the ETC document, sections 2.1 and 3.1).
const FIELDS = { cabinetStatusUpdate: "cabinetStatus", computerStatusUpdate: "computerStatus" };
const METHODS = Object.keys(FIELDS);
const LISTED = 20;

// Return `{values, list, draw, stop, doors}`: two sections; `doors(listener)` is told the times at
// which doors opened.
export function reportPanel(app, id) {
  const t = words(MANAGE);
  const base = `api/v1/gantries/${encodeURIComponent(id)}/reports`;
  const boxes = make("div", "values");
  const none = make("p", "empty", t.noValues);
  hide(none, true);
  const values = make("section", "panel", make("div", "title-row", make("h2", "", t.lastValues)), none, boxes);
  let latest = [];
  let told = () => {};
  const load = loader(async () => {
    const found = await Promise.all(METHODS.map((method) =>
      app.api.get(`${base}?method=${method}&limit=${LOOKED}`, { quiet: true })));
    return found.flatMap(({ reports }) => reports);
  }, (reports) => {
    latest = newest(reports);
    told(latest.flatMap(({ content }) => doorTimes(content)));
    draw();
  }, () => {}, PERIOD);

  const rows = make("ul", "report-rows");
  const empty = make("p", "empty", t.noReports);
  hide(empty, true);
  const list = pages(app, (after) => `${base}?${page(after, LISTED)}`, ({ reports }) => {
    hide(empty, reports.length > 0);
    sync(rows, reports, (each) => `${each.method} ${each.timeStamp} ${each.receivedAt}`, build, () => {});
  }, PERIOD);

  function build(report) {
    const item = make("details", "", make("summary", "", make("span", "", clock(report.timeStamp ?? report.receivedAt)),
      " ", make("code", "", report.method), " ", ...(report.late ? [make("span", "hint", t.late)] : [])));
    item.addEventListener("toggle", () => {
      if (!item.open || item.children.length > 1) return;
      const body = make("pre", "", typeof report.body === "string" ? report.body : JSON.stringify(report.body, null, 2));
      body.tabIndex = 0;
      item.append(body);
    });
    return make("li", "", item);
  }

  function draw() {
    hide(none, latest.length > 0);
    sync(boxes, latest, (each) => each.key, () => make("div", "value-box", make("h3", ""), make("p", "fine"), make("div", "groups")),
      (box, each) => {
        const [title, when, groups] = box.children;
        const at = each.report.timeStamp ?? each.report.receivedAt;
        write(title, each.method === METHODS[0] ? t.cabinet(each.id) : t.computers);
        write(when, t.valuesAge(age(at), clock(at)));
        if (box.shown === at) return;
        box.shown = at;
        groups.replaceChildren(...valueGroups(each.content).map(group));
      });
  }

  function group({ title, rows: lines }) {
    const table = make("dl", "points", ...lines.map(({ label, said, tone }) => {
      const row = make("div", "", make("dt", "", label), make("dd", "", said));
      mark(row, "tone", tone);
      return row;
    }));
    return make("div", "value-group", make("h4", "", title), table);
  }

  return {
    values,
    list: make("section", "panel", make("div", "title-row", make("h2", "", t.reports)), empty, rows, list.node),
    draw,
    stop() {
      load.stop();
      list.load.stop();
    },
    doors(listener) { told = listener; },
  };
}

// The newest report of each cabinet, and that of the computers.
function newest(reports) {
  const found = new Map();
  for (const report of reports) {
    const content = report.body?.[FIELDS[report.method]];
    if (content === undefined || content === null) continue;
    const id = Array.isArray(content) ? "" : String(content.id ?? "");
    const key = `${report.method} ${id}`;
    const old = found.get(key);
    if (old && (old.report.timeStamp ?? "") >= (report.timeStamp ?? "")) continue;
    found.set(key, { key, id, method: report.method, report, content });
  }
  return [...found.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
}

const doorTimes = (content) => ["frontDoorChangeTime", "backDoorChangeTime"]
  .map((each) => content?.doors?.[each]).filter((each) => /^\d{4}-/.test(each ?? ""));
