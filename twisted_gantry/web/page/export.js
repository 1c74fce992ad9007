// Tables to take away: points, alarms, the audit and reports, as CSV or as a workbook.

import { download, momentField, selectField } from "./shared/download.js";
import { hide, make, write } from "./shared/dom.js";
import { known } from "./known.js";
import { language, words } from "./shared/language.js";
import { say } from "./shared/toast.js";
import { LISTS } from "./texts_lists.js";

const WHATS = ["points", "alarms", "audit", "reports"];
const PERIODS = ["24h", "7d", "30d", "365d", ""]; // "": from and until
const STEPS = ["", "1m", "5m", "15m", "1h", "1d"];

// Return `{node}`: the form.
export function exportForm(app) {
  const t = words(LISTS);
  const button = app.button("export", t.export, "primary");
  button.type = "submit";
  const fields = {
    what: selectField("what", t.what, WHATS.map((each) => [each, t.whats[each]])),
    format: selectField("format", t.format, [["csv", "CSV"], ["xlsx", "XLSX (Excel)"]]),
    period: selectField("period", t.period, PERIODS.map((each) => [each, t.periods[each] ?? t.custom])),
    since: momentField("since", t.from),
    until: momentField("until", t.upTo),
    step: selectField("step", t.step, STEPS.map((each) => [each, t.steps[each]])),
    prefix: selectField("prefix", t.prefix, [["", t.allPoints]]),
    lang: selectField("lang", t.headings, [["zh", "中文"], ["en", "English"]]),
  };
  const value = (name) => fields[name].lastElementChild.value;
  fields.lang.lastElementChild.value = language;
  const node = make("form", "card export", ...Object.values(fields),
    make("div", "buttons", button));
  node.setAttribute("aria-label", t.exportTitle);

  function show() {
    for (const name of ["step", "prefix"]) hide(fields[name], value("what") !== "points");
    for (const name of ["since", "until"]) {
      hide(fields[name], value("period") !== "");
      fields[name].lastElementChild.required = name === "since" && value("period") === "";
    }
    const sources = [...new Set(known.points.map(({ point }) => point.slice(0, point.indexOf(".") + 1)))];
    const list = fields.prefix.lastElementChild;
    for (const each of sources.sort()) {
      if ([...list.options].some((option) => option.value === each)) continue;
      list.append(new Option(each.slice(0, -1), each));
    }
  }

  node.addEventListener("input", show);
  node.addEventListener("pointerdown", show);
  node.addEventListener("focusin", show);
  node.addEventListener("submit", async (event) => {
    event.preventDefault();
    button.disabled = true;
    write(button, t.exporting);
    try {
      const asked = question(value);
      await download(`api/v1/export/${value("what")}?${asked}`, `${value("what")}.${value("format")}`);
    } catch (error) {
      say(error, "bad");
    }
    button.disabled = false;
    write(button, t.export);
    if (document.activeElement === document.body) button.focus();
  });
  show();
  return { node };
}

// Return the arguments of the API for what was chosen.
function question(value) {
  const asked = new URLSearchParams({ format: value("format"), lang: value("lang") });
  if (value("period")) {
    asked.set("since", value("period"));
  } else {
    asked.set("since", localTime(value("since")));
    if (value("until")) asked.set("until", localTime(value("until")));
  }
  if (value("what") === "points") {
    for (const name of ["step", "prefix"]) if (value(name)) asked.set(name, value(name));
  }
  return asked;
}

// A time as the reader typed it is the site's.
function localTime(typed) {
  const offset = /(?:Z|[+-]\d\d:\d\d)$/.exec(known.site?.startedAt ?? "")?.[0] ?? "Z";
  return `${typed.length === 16 ? `${typed}:00` : typed}${offset}`;
}
