// Keeps `known` true. The event stream tells what changes; without it the page asks for everything
// every two seconds. With it the page asks for what the stream does not tell, which shows within
// seconds that a gantry is frozen; and now and then for everything.

import { Denied, ROOT, fetchJson } from "./shared/api.js";
import { PAST_ALARMS, known, note } from "./known.js";
import { serverClock } from "./shared/format.js";
import { listen } from "./shared/live.js";
import { noteMe } from "./shared/roles.js";
import { soundOn } from "./shared/sound.js";
import { tell } from "./shared/telling.js";

const KINDS = ["point", "alarm", "device", "uplink"]; // of the stream
const PERIOD = 2000;
const LIVE_PERIOD = 5000;
const LIVE_TIMEOUT = 5000;
const HIDDEN_PERIOD = 15_000;
const WHOLE_PERIOD = 600_000;
const DRAW = 100; // what the stream tells is drawn so often at most

let asking = false;
let askedAt = -Infinity;
let wholeAt = -Infinity; // when everything was asked for
let live = false; // whether the stream is there
let told = []; // what it told while an answer was on its way, which may be older
let drawing = 0;
let resumed = false; // whether the stream has begun before

// Ask for everything.
export async function refresh() {
  if (asking || document.hidden) return;
  wholeAt = performance.now();
  await ask([
    "api/v1/site",
    "healthz",
    "api/v1/points",
    "api/v1/alarms?active=1",
    `api/v1/alarms?limit=${PAST_ALARMS}`,
    "api/v1/whoami",
  ], {}, (site, health, points, active, alarms, me) => {
    takeSite(site, health);
    known.points = points.points;
    known.active = active.alarms;
    known.recent = alarms.alarms.filter((each) => each.clearedAt !== null);
    noteMe(me);
  });
}

// Ask for what the stream does not tell.
const look = () => ask(["api/v1/site", "healthz"], { timeout: LIVE_TIMEOUT }, takeSite);

// A page that nobody looks at asks for what its title, icon and sound tell.
const watch = () => ask(["api/v1/alarms?active=1", "healthz"], {}, (active, health) => {
  known.active = active.alarms;
  known.reasons = health.reasons;
});

function takeSite(site, health) {
  known.site = site;
  serverClock.sample = site.startedAt;
  known.reasons = health.reasons;
}

// Ask for these paths, and let `take` note the answers.
async function ask(paths, options, take) {
  asking = true;
  askedAt = performance.now();
  try {
    take(...await Promise.all(paths.map((path) => fetchJson(path, options))));
    for (const [kind, data] of told) note(kind, data);
    known.answeredAt = Date.now();
    known.trouble = "";
  } catch (error) {
    known.trouble = error instanceof Denied ? "denied" : "silent";
  } finally {
    asking = false;
    told = [];
  }
  tell();
}

function hear(kind, data) {
  if (asking) told.push([kind, data]);
  if (known.site === null) return;
  note(kind, data);
  if (kind === "all") {
    if (resumed) wholeAt = -Infinity; // what ended meanwhile is not in it
    resumed = true;
  }
  known.answeredAt = Date.now();
  known.trouble = "";
  if (!drawing) drawing = setTimeout(draw, DRAW);
}

function draw() {
  drawing = 0;
  tell();
}

function tick() {
  const now = performance.now();
  const due = (period) => now - askedAt >= period;
  if (asking) tell(); // what is shown as an age grows
  else if (document.hidden && !live) (due(HIDDEN_PERIOD) ? watch : tell)();
  else if (!document.hidden && (!live || known.trouble || now - wholeAt >= WHOLE_PERIOD)) refresh();
  else if (due(LIVE_PERIOD)) look();
  else tell();
}

export function start() {
  document.addEventListener("visibilitychange", refresh);
  refresh();
  listen(new URL("api/v1/stream", ROOT), KINDS, hear, (yes) => { live = yes; }, soundOn);
  setInterval(tick, PERIOD);
}
