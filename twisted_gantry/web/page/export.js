// Tables to take away: points, alarms, the audit and reports, as CSV or as a workbook.

import { ROOT, Denied, Refused } from "./api.js";
import { hide, make, write } from "./dom.js";
import { known } from "./known.js";
import { language, words } from "./language.js";
import { say } from "./toast.js";
import { LISTS } from "./texts_lists.js";

const WHATS = ["points", "alarms", "audit", "reports"];
const PERIODS = ["24h", "7d", "30d", "365d", ""]; // "": from and until
const STEPS = ["", "1m", "5m", "15m", "1h", "1d"];
const KEPT = 60_000; // how long a table is kept for the browser to write

// Return `{node}`: the form.
export function exportForm(app) {
  const t = words(LISTS);
  const button = app.button("export", t.export, "primary");
  button.type = "submit";
  const fields = {
    what: select("what", t.what, WHATS.map((each) => [each, t.whats[each]])),
    format: select("format", t.format, [["csv", "CSV"], ["xlsx", "XLSX (Excel)"]]),
    period: select("period", t.period, PERIODS.map((each) => [each, t.periods[each] ?? t.custom])),
    since: moment("since", t.from),
    until: moment("until", t.upTo),
    step: select("step", t.step, STEPS.map((each) => [each, t.steps[each]])),
    prefix: select("prefix", t.prefix, [["", t.allPoints]]),
    lang: select("lang", t.headings, [["zh", "中文"], ["en", "English"]]),
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
      await download(value("what"), question(value));
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

// The table is fetched, so that a refusal and a broken connection are told, then given to the
// browser to keep.
async function download(what, asked) {
  const answer = await fetch(new URL(`api/v1/export/${what}?${asked}`, ROOT), {
    cache: "no-store", credentials: "same-origin",
  });
  if (answer.status === 401) throw new Denied();
  if (!answer.ok) throw new Refused(answer.status, (await answer.json().catch(() => ({}))).error);
  const link = make("a");
  link.href = URL.createObjectURL(await answer.blob());
  const named = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "");
  link.download = named?.[1] ?? `${what}.${asked.get("format")}`;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT);
}

function select(name, label, options) {
  const input = make("select");
  input.name = name;
  for (const [value, word] of options) input.append(new Option(word, value));
  return make("label", "field", make("span", "", label), input);
}

function moment(name, label) {
  const input = make("input");
  input.type = "datetime-local";
  input.name = name;
  return make("label", "field", make("span", "", label), input);
}
