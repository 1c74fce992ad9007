// What the page knows of the province, in the shapes of the API of the centre, and what the stream
// changes of it.

import { now } from "./shared/format.js";

export const known = {
  overview: null,
  gantries: new Map(), // by id
  incidents: new Map(), // the active ones, by id
  complete: false, // whether every gantry is there
  answeredAt: null, // by this computer's clock
  trouble: "", // why what is shown is old: "silent" or "denied"
};

// Note a gantry; what is left on battery counts down from the moment at which it was heard.
export function noteGantry(gantry) {
  gantry.heardAt = now();
  known.gantries.set(gantry.id, gantry);
}

const byId = (list) => new Map(list.map((each) => [each.id, each]));

// Replace all incidents, or all gantries.
export function noteIncidents(list) {
  const at = now();
  for (const each of list) each.heardAt = at;
  known.incidents = byId(list);
}

export function noteGantries(list) {
  const at = now();
  for (const each of list) each.heardAt = at;
  known.gantries = byId(list);
  known.complete = true;
}

// Note what the stream told.
export function note(kind, data) {
  if (kind === "all") {
    if (data.overview.length) known.overview = data.overview.at(-1);
    noteGantries(data.gantry);
    noteIncidents(data.incident.filter((each) => each.until === null));
  } else if (kind === "overview") {
    known.overview = data;
  } else if (kind === "gantry") {
    noteGantry(data);
  } else if (kind === "incident") {
    data.heardAt = now();
    if (data.until === null) known.incidents.set(data.id, data);
    else known.incidents.delete(data.id);
  } else if (kind === "gone") {
    (data.kind === "gantry" ? known.gantries : known.incidents).delete(data.id);
  }
}

// The minutes that are left on battery now, null while the mains feed the gantry.
export function minutesLeft({ batteryMinutes, heardAt }) {
  if (batteryMinutes === null || batteryMinutes === undefined) return null;
  return Math.max(0, batteryMinutes - (now() - heardAt) / 60_000);
}

// The gantries without mains, those with the least time left first; unknown ones come last.
export function mainsOff() {
  return [...known.gantries.values()].filter((each) => each.mainsOff && !each.pending)
    .map((each) => [minutesLeft(each) ?? Infinity, each])
    .sort(([a, one], [b, other]) => (a === b ? 0 : a - b) || (one.id < other.id ? -1 : 1))
    .map(([, each]) => each);
}

const EMERGENCIES = ["smoke", "water", "flood", "fire"];
const condition = (name) => name.slice(name.lastIndexOf(".") + 1);

// Whether alarms of a name are never muted.
export const emergency = (name) => EMERGENCIES.includes(condition(name));

function urgency({ cause, severity }) {
  return emergency(cause) ? 0 : severity === "critical" ? 1 : 2;
}

// The active incidents, the most urgent first: those that nobody has acknowledged before others.
export function incidents() {
  return [...known.incidents.values()].sort((a, b) =>
    Number(Boolean(a.ackedBy || a.muted)) - Number(Boolean(b.ackedBy || b.muted))
    || urgency(a) - urgency(b)
    || b.gantries - a.gantries
    || Date.parse(b.since) - Date.parse(a.since));
}
