// Keeps `known` true. The event stream tells what changes; without it the page asks every two
// seconds, with it now and then for what the stream does not tell.

import { Denied, ROOT, fetchJson } from "./api.js";
import { PAST_ALARMS, known, note, tell } from "./known.js";
import { listen } from "./live.js";
import * as signals from "./signals.js";

const PERIOD = 2000;
const LIVE_PERIOD = 10_000;
const HIDDEN_PERIOD = 15_000;
const DRAW = 100; // what the stream tells is drawn so often at most

let asking = false;
let askedAt = -Infinity;
let live = false; // whether the stream is there
let told = []; // what it told while an answer was on its way, which may be older
let drawing = 0;

export async function refresh() {
  if (asking || document.hidden) return;
  asking = true;
  askedAt = performance.now();
  told = [];
  try {
    const [site, points, active, alarms, health, me] = await Promise.all([
      fetchJson("api/v1/site"),
      fetchJson("api/v1/points"),
      fetchJson("api/v1/alarms?active=1"),
      fetchJson(`api/v1/alarms?limit=${PAST_ALARMS}`),
      fetchJson("healthz"),
      fetchJson("api/v1/whoami"),
    ]);
    known.site = site;
    known.points = points.points;
    known.active = active.alarms;
    known.recent = alarms.alarms.filter((each) => each.clearedAt !== null);
    known.reasons = health.reasons;
    known.me = me;
    for (const [kind, data] of told) note(kind, data);
    known.answeredAt = Date.now();
    known.trouble = "";
  } catch (error) {
    known.trouble = error instanceof Denied ? "denied" : "silent";
  } finally {
    asking = false;
  }
  tell();
}

// A page that nobody looks at asks for what its title, icon and sound tell.
async function watch() {
  if (asking || performance.now() - askedAt < HIDDEN_PERIOD) return;
  asking = true;
  askedAt = performance.now();
  try {
    const [active, health] = await Promise.all([
      fetchJson("api/v1/alarms?active=1"),
      fetchJson("healthz"),
    ]);
    known.active = active.alarms;
    known.reasons = health.reasons;
    known.answeredAt = Date.now();
    known.trouble = "";
  } catch (error) {
    known.trouble = error instanceof Denied ? "denied" : "silent";
  } finally {
    asking = false;
  }
  tell();
}

function hear(kind, data) {
  if (asking) told.push([kind, data]);
  if (known.site === null) return;
  note(kind, data);
  known.answeredAt = Date.now();
  known.trouble = "";
  if (!drawing) drawing = setTimeout(draw, DRAW);
}

function draw() {
  drawing = 0;
  tell();
}

function tick() {
  if (document.hidden && !live) watch();
  else if (!document.hidden && (!live || known.trouble || performance.now() - askedAt >= LIVE_PERIOD)) refresh();
  else tell(); // what is shown as an age grows
}

export function start() {
  document.addEventListener("visibilitychange", refresh);
  refresh();
  listen(new URL("api/v1/stream", ROOT), hear, (yes) => { live = yes; },
    signals.soundOn);
  setInterval(tick, PERIOD);
}
