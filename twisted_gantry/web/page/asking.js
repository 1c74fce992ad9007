// Keeps `known` true. The event stream tells what changes; without it the page asks for everything
// every two seconds. With it the page asks for what the stream does not tell, which shows within
// seconds that a gantry is frozen; and now and then for everything.

import { ROOT, fetchJson } from "./shared/api.js";
import { PAST_ALARMS, known, note } from "./known.js";
import { serverClock } from "./shared/format.js";
import { keeper } from "./shared/keeping.js";
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

const keep = keeper(known, note, DRAW);
let wholeAt = -Infinity; // when everything was asked for
let live = false; // whether the stream is there
let resumed = false; // whether the stream has begun before

// Ask for everything.
export async function refresh() {
  if (keep.asking || document.hidden) return;
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
const ask = (paths, options, take) => keep.ask(async () =>
  take(...await Promise.all(paths.map((path) => fetchJson(path, options)))));

function hear(kind, data) {
  const ready = known.site !== null;
  keep.hear(kind, data, ready);
  if (ready && kind === "all") {
    if (resumed) wholeAt = -Infinity; // what ended meanwhile is not in it
    resumed = true;
  }
}

function tick() {
  const wholeDue = performance.now() - wholeAt >= WHOLE_PERIOD;
  if (keep.asking) tell(); // what is shown as an age grows
  else if (document.hidden && !live) (keep.due(HIDDEN_PERIOD) ? watch : tell)();
  else if (!document.hidden && (!live || known.trouble || wholeDue)) refresh();
  else if (keep.due(LIVE_PERIOD)) look();
  else tell();
}

export function start() {
  document.addEventListener("visibilitychange", refresh);
  refresh();
  listen(new URL("api/v1/stream", ROOT), KINDS, hear, (yes) => { live = yes; }, soundOn);
  setInterval(tick, PERIOD);
}
