// The status page: shows what the local API says. The event stream tells what changes; without it
// the page asks every two seconds, with it now and then for what the stream does not tell.

import { hide, make, mark, parts, sync, write } from "./dom.js";
import { PAST_ALARMS, causes, known, note } from "./known.js";
import { listen } from "./live.js";
import { KINDS, TEXTS, VALUES } from "./texts.js";

const PERIOD = 2000;
const LIVE_PERIOD = 10_000;
const DRAW = 100; // what the stream tells is drawn so often at most
const TIMEOUT = 8000;

const byId = (id) => document.getElementById(id);
let answeredAt = null; // by this computer's clock
let clockOffset = 0; // the gantry's clock less this computer's, which may be wrong: milliseconds
let trouble = "";
let asking = false;
let askedAt = -Infinity;
let live = false; // whether the stream is there
let told = []; // what it told while an answer was on its way, which may be older
let drawing = 0;
let language = chooseLanguage();
let text = TEXTS[language];

function chooseLanguage() {
  let remembered = null;
  try {
    remembered = localStorage.getItem("language");
  } catch {
    // Without storage the choice lasts as long as the page.
  }
  const wanted = new URLSearchParams(location.search).get("lang") ?? remembered;
  if (wanted !== null && Object.hasOwn(TEXTS, wanted)) return wanted; // no `toString`
  return (navigator.language ?? "").toLowerCase().startsWith("zh") ? "zh" : "en";
}

function speak(chosen) {
  language = chosen;
  text = TEXTS[chosen];
  try {
    localStorage.setItem("language", chosen);
  } catch {
    // As above.
  }
  showWords();
  show();
}

const inLanguage = ([en, zh]) => (language === "zh" ? zh : en);

// -- times and numbers

const now = () => Date.now() + clockOffset;

// The site's own wall clock, as the API wrote it: the reader may sit in another timezone.
function clock(time) {
  const today = local(now(), time).slice(0, 10);
  const [date, rest] = [time.slice(0, 10), time.slice(11, 19)];
  return date === today ? rest : `${date} ${rest}`;
}

// A moment by this computer's clock, as the site's clock shows it.
const siteTime = (moment) => local(moment + clockOffset, known.site.startedAt).slice(11, 19);

// A moment (milliseconds) as a text like `sample`, with the offset that `sample` has.
function local(moment, sample) {
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)$/.exec(sample) ?? ["", "+", 0, 0];
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return new Date(moment + (sign === "-" ? -offset : offset)).toISOString();
}

function age(time, until = now()) {
  return duration(Math.max(0, (until - Date.parse(time)) / 1000));
}

function duration(seconds) {
  const s = Math.floor(seconds);
  const say = text.duration;
  if (s < 60) return say(s, "s");
  if (s < 3600) return say(Math.floor(s / 60), "min");
  if (s < 86_400) return `${say(Math.floor(s / 3600), "h")} ${say(Math.floor(s / 60) % 60, "min")}`;
  return `${say(Math.floor(s / 86_400), "d")} ${say(Math.floor(s / 3600) % 24, "h")}`;
}

function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  while (bytes >= 1024 && step < units.length - 1) {
    bytes /= 1024;
    step += 1;
  }
  return `${Number(bytes.toFixed(bytes < 10 && step ? 1 : 0))} ${units[step]}`;
}

function reading({ point, value, unit }) {
  if (value === null) return "—";
  if (typeof value === "boolean") return value ? text.yes : text.no;
  if (typeof value === "number") {
    if (unit === "s" && value >= 60) return duration(value);
    if (unit === "KiB") return size(value * 1024);
    return `${Number(value.toFixed(3))} ${unit}`.trim();
  }
  const names = VALUES[point.slice(point.lastIndexOf(".") + 1)];
  return names && Object.hasOwn(names, value) ? inLanguage(names[value]) : `${value} ${unit}`.trim();
}

const kindOf = (kind) => (Object.hasOwn(KINDS, kind) ? inLanguage(KINDS[kind]) : kind);

// -- showing

function showWords() {
  document.documentElement.lang = text.htmlLang;
  for (const node of document.querySelectorAll("[data-text]")) write(node, text[node.dataset.text]);
  for (const button of document.querySelectorAll("[data-lang]")) {
    button.setAttribute("aria-pressed", String(button.dataset.lang === language));
  }
  byId("filter").placeholder = text.filter;
  byId("filter").setAttribute("aria-label", text.filter);
}

function show() {
  showLink();
  if (known.site === null) return;
  const { site, points, recent, reasons } = known;
  const active = causes();
  showHeader(site, active, reasons);
  sync(byId("reasons"), reasons, (r) => r, () => make("li"), (node, reason) => write(node, reason));
  hide(byId("reasons"), reasons.length === 0);
  sync(byId("active"), active, (a) => a.alarm + a.raisedAt, buildAlarm, fillAlarm);
  sync(byId("recent"), recent, (a) => a.alarm + a.raisedAt + a.clearedAt, buildAlarm, fillAlarm);
  sync(byId("device-cards"), site.devices, (d) => d.name, buildDevice, fillDevice);
  sync(byId("uplink-cards"), site.uplinks, (u) => u.name, buildUplink, fillUplink);
  const shown = showPoints(site.devices, points);
  const empty = { active, recent, devices: site.devices, uplinks: site.uplinks, points: shown };
  for (const node of document.querySelectorAll("[data-empty]")) {
    hide(node, empty[node.dataset.empty].length > 0);
  }
  write(document.querySelector("[data-empty=points]"), points.length ? text.noMatch : text.noPoints);
}

function showLink() {
  const link = byId("link");
  const state = trouble ? "offline" : answeredAt === null ? "connecting" : "online";
  mark(link, "state", state);
  write(link, text[{ offline: "linkLost", connecting: "linkConnecting", online: "linkLive" }[state]]);
  const banner = byId("stale");
  hide(banner, !trouble);
  document.body.classList.toggle("old", Boolean(trouble));
  if (!trouble) return;
  if (trouble === "denied") write(banner, text.denied);
  else write(banner, answeredAt === null ? text.neverAnswered : text.stale(siteTime(answeredAt)));
}

function showHeader(site, active, reasons) {
  const name = site.name || site.gantryId;
  write(byId("name"), name);
  write(byId("about"), text.about(site.gantryId, site.version, age(site.startedAt)));
  const title = active.length ? `(${active.length}) ${name}` : name;
  if (document.title !== title) document.title = title;
  const all = [...site.devices, ...site.uplinks];
  const count = (state) => all.filter((each) => each.state === state).length;
  const [offline, connecting] = [count("offline"), count("connecting")];
  const critical = reasons.length || active.some((each) => each.severity === "critical");
  const warning = active.length || offline;
  const overall = byId("overall");
  hide(overall, Boolean(trouble));
  const calm = connecting ? "connecting" : "online";
  mark(overall, "state", critical ? "critical" : warning ? "warning" : calm);
  const words = text.overall(reasons.length, active.length, offline, connecting);
  write(overall, words || text.allWell);
}

function buildAlarm() {
  return parts(
    make("li", "card alarm",
      make("p", "head", make("span", "chip"), make("strong", "message")),
      make("p", "fine", make("code", "name"), " ", make("span", "when")),
      make("ul", "consequences")),
    ["chip", "message", "name", "when", "consequences"],
  );
}

function fillAlarm(node, alarm) {
  const { chip, message, name, when, consequences } = node.parts;
  mark(node, "alarm", alarm.alarm);
  const under = known.active.filter((each) => alarm.consequences.includes(each.alarm));
  sync(consequences, under, (a) => a.alarm, () => make("li", "fine"), fillConsequence);
  hide(consequences, under.length === 0);
  const over = alarm.clearedAt !== null;
  mark(node, "severity", over ? "over" : alarm.severity);
  mark(chip, "state", over ? "over" : alarm.severity);
  write(chip, text[alarm.severity]);
  write(message, (language === "zh" && alarm.messageZh) || alarm.message);
  write(name, alarm.alarm);
  const raised = text.raised(clock(alarm.raisedAt));
  const lasted = over && text.lasted(clock(alarm.clearedAt),
    age(alarm.raisedAt, Date.parse(alarm.clearedAt)));
  write(when, over ? `${raised} · ${lasted}` : `${raised} · ${text.ago(age(alarm.raisedAt))}`);
}

function fillConsequence(node, alarm) {
  mark(node, "alarm", alarm.alarm);
  write(node, `${(language === "zh" && alarm.messageZh) || alarm.message} · ${alarm.alarm}`);
}

function buildDevice() {
  return parts(
    make("li", "card",
      make("p", "head", make("strong", "name"), make("span", "chip")),
      make("p", "kind"), make("p", "fine since"), make("p", "fine error")),
    ["name", "chip", "kind", "since", "error"],
  );
}

function fillDevice(node, device) {
  mark(node, "state", device.state);
  write(node.parts.name, device.name);
  write(node.parts.kind, kindOf(device.kind));
  fillState(node, device);
}

function fillState(node, { state, since, lastError, lastErrorZh, cause, advice, adviceZh }) {
  const zh = language === "zh";
  const error = (zh && lastErrorZh) || lastError;
  const next = (zh && adviceZh) || advice;
  mark(node.parts.chip, "state", state);
  write(node.parts.chip, text[state]);
  write(node.parts.since, text.since(clock(since), age(since)));
  // An error that is over is for the API and for gantryctl.
  hide(node.parts.error, !lastError || (cause === null && state === "online"));
  write(node.parts.error, error ? `${text.lastError(error)}${next ? ` → ${next}` : ""}` : "");
}

const LEDGER = ["created", "delivered", "queued", "setAside", "dropped"];

function buildUplink() {
  const ledger = make("dl", "ledger");
  LEDGER.forEach((name, i) => {
    const entry = make("div", "", make("dt"), make("dd"));
    entry.dataset.entry = name;
    entry.dataset.sign = ["", "=", "+", "+", "+"][i];
    ledger.append(entry);
  });
  return parts(
    make("li", "card",
      make("p", "head", make("strong", "name"), make("span", "chip")),
      make("p", "kind"), ledger, make("p", "hint"), make("p", "fine kept"),
      make("p", "fine last"), make("p", "fine since"), make("p", "fine error")),
    ["name", "chip", "kind", "ledger", "hint", "kept", "last", "since", "error"],
  );
}

function fillUplink(node, uplink) {
  const { name, kind, ledger, hint, kept, last } = node.parts;
  const numbers = uplink.ledger;
  mark(node, "state", uplink.state);
  write(name, uplink.name);
  write(kind, kindOf(uplink.kind));
  hide(ledger, numbers === null);
  hide(kept, !numbers?.bytes);
  hide(hint, numbers !== null && numbers.setAside === 0);
  write(hint, numbers === null ? text.ledgerUnknown : text.setAsideHint);
  if (numbers !== null) {
    for (const entry of ledger.children) {
      const which = entry.dataset.entry;
      write(entry.firstChild, text[which]);
      write(entry.lastChild, String(numbers[which]));
      mark(entry, "some", String(numbers[which] > 0));
    }
    const bytes = size(numbers.bytes);
    write(kept, numbers.oldest ? text.backlog(bytes, age(numbers.oldest)) : text.kept(bytes));
  }
  const delivered = uplink.lastDelivered;
  write(last, delivered ? text.lastDelivered(age(delivered)) : text.neverDelivered);
  fillState(node, uplink);
}

function showPoints(devices, points) {
  const wanted = byId("filter").value.trim().toLowerCase();
  const matches = ({ point, label }) =>
    [point, label.en, label.zh].some((each) => each.toLowerCase().includes(wanted));
  const shown = points.filter(matches);
  const groups = new Map();
  for (const each of shown) {
    const device = each.point.split(".", 1)[0];
    if (!groups.has(device)) groups.set(device, []);
    groups.get(device).push(each);
  }
  const states = new Map(devices.map((each) => [each.name, each]));
  sync(byId("groups"), [...groups], ([name]) => name, buildGroup, (node, [name, members]) => {
    const device = states.get(name);
    write(node.parts.name, name);
    write(node.parts.kind, device ? kindOf(device.kind) : "");
    hide(node.parts.chip, !device);
    mark(node.parts.chip, "state", device?.state ?? "");
    write(node.parts.chip, device ? text[device.state] : "");
    write(node.parts.count, text.count(members.length));
    sync(node.parts.list, members, (each) => each.point, buildPoint, fillPoint);
  });
  return shown;
}

function buildGroup() {
  const node = make("details", "group",
    make("summary", "", make("strong", "name"), make("span", "kind"), make("span", "chip"),
      make("span", "count fine")),
    make("ul", "list"));
  node.open = true;
  return parts(node, ["name", "kind", "chip", "count", "list"]);
}

function buildPoint() {
  return parts(
    make("li", "point",
      make("p", "", make("span", "label"), make("span", "value")),
      make("p", "", make("code", "name"), make("span", "quality"))),
    ["label", "value", "name", "quality"],
  );
}

function fillPoint(node, point) {
  const { label, value, name, quality } = node.parts;
  mark(node, "quality", point.quality);
  write(label, inLanguage([point.label.en, point.label.zh]) || point.point);
  write(value, reading(point));
  write(name, point.point);
  const fresh = point.at === null ? "" : text.ago(age(point.at));
  write(quality, [text[point.quality], fresh].filter(Boolean).join(" · "));
}

// -- asking

class Denied extends Error {}

async function ask(path, signal) {
  const answer = await fetch(path, { signal, cache: "no-store", credentials: "same-origin" });
  if (answer.status === 401) throw new Denied();
  if (!answer.ok && !path.startsWith("healthz")) throw new Error(`${path}: ${answer.status}`);
  const date = Date.parse(answer.headers.get("Date") ?? "");
  // The header has whole seconds: half a second is the best guess at the rest.
  if (!Number.isNaN(date)) clockOffset = date + 500 - Date.now();
  if (Math.abs(clockOffset) < 2000) clockOffset = 0;
  return answer.json();
}

async function refresh() {
  if (asking || document.hidden) return;
  asking = true;
  askedAt = performance.now();
  told = [];
  try {
    const signal = AbortSignal.timeout(TIMEOUT);
    const [site, points, active, alarms, health] = await Promise.all([
      ask("api/v1/site", signal),
      ask("api/v1/points", signal),
      ask("api/v1/alarms?active=1", signal),
      ask(`api/v1/alarms?limit=${PAST_ALARMS}`, signal),
      ask("healthz", signal),
    ]);
    known.site = site;
    known.points = points.points;
    known.active = active.alarms;
    known.recent = alarms.alarms.filter((each) => each.clearedAt !== null);
    known.reasons = health.reasons;
    for (const [kind, data] of told) note(kind, data);
    answeredAt = Date.now();
    trouble = "";
  } catch (error) {
    trouble = error instanceof Denied ? "denied" : "silent";
  } finally {
    asking = false;
  }
  show();
}

// -- being told

function hear(kind, data) {
  if (asking) told.push([kind, data]);
  if (known.site === null) return;
  note(kind, data);
  answeredAt = Date.now();
  trouble = "";
  if (!drawing) drawing = setTimeout(draw, DRAW);
}

function draw() {
  drawing = 0;
  show();
}

function tick() {
  if (!live || trouble || performance.now() - askedAt >= LIVE_PERIOD) refresh();
  else show(); // what is shown as an age grows
}

for (const button of document.querySelectorAll("[data-lang]")) {
  button.addEventListener("click", () => speak(button.dataset.lang));
}
byId("filter").addEventListener("input", show);
document.addEventListener("visibilitychange", refresh);
showWords();
show();
refresh();
listen("api/v1/stream", hear, (yes) => { live = yes; });
setInterval(tick, PERIOD);
