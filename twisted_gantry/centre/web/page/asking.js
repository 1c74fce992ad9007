// Keeps `known` true. The event stream tells what changes; without it the page asks. With it the
// page asks for the overview, which shows within seconds that the centre is frozen.

import { ROOT, fetchJson } from "./shared/api.js";
import { serverClock } from "./shared/format.js";
import { keeper } from "./shared/keeping.js";
import { listen } from "./shared/live.js";
import { noteMe } from "./shared/roles.js";
import { soundOn } from "./shared/sound.js";
import { tell } from "./shared/telling.js";
import { known, note, noteGantries, noteGantry, noteIncidents } from "./known.js";

const KINDS = ["overview", "gantry", "incident", "gone"];
const TICK = 1000;
const LOOK_PERIOD = 5000;
const ASK_PERIOD = 5000;
const HIDDEN_PERIOD = 15_000;
const WHOLE_PERIOD = 30_000; // between two questions for every gantry, without the stream
const LOOK_TIMEOUT = 6000;
const DRAW = 200; // what the stream tells is drawn so often at most
const PAGE = 1000;
const FIRST = 30; // gantries without mains that the first view asks for

const keep = keeper(known, note, DRAW);
// When every gantry was asked for; at first the stream has some seconds to bring them.
let wholeAt = performance.now() - WHOLE_PERIOD + LOOK_PERIOD;
let live = false; // whether the stream is there

// Ask for what needs a person now.
async function refresh() {
  if (keep.asking) return;
  await keep.ask(async () => {
    const [overview, incidents, least, me] = await Promise.all([
      fetchJson("api/v1/overview"),
      fetchJson(`api/v1/incidents?active=1&limit=${PAGE}`),
      known.complete ? null : fetchJson(`api/v1/gantries?mainsOff=1&sort=batteryMinutes&limit=${FIRST}`),
      fetchJson("api/v1/whoami"),
    ]);
    // A page that nobody looks at needs what its title and sound tell.
    const due = !live && !document.hidden && performance.now() - wholeAt >= WHOLE_PERIOD;
    const all = due ? await everyGantry() : null;
    takeOverview(overview);
    noteIncidents(incidents.incidents);
    noteMe(me);
    if (all !== null) noteGantries(all);
    else if (!known.complete) least?.gantries.forEach(noteGantry);
  });
}

async function everyGantry() {
  wholeAt = performance.now();
  const found = [];
  let after = "";
  do {
    const page = await fetchJson(`api/v1/gantries?limit=${PAGE}${after}`);
    found.push(...page.gantries);
    after = page.after === null ? "" : `&after=${encodeURIComponent(page.after)}`;
  } while (after);
  return found;
}

const look = () => keep.ask(async () => {
  takeOverview(await fetchJson("api/v1/overview", { timeout: LOOK_TIMEOUT }));
});

function takeOverview(overview) {
  known.overview = overview;
  serverClock.sample = overview.asOf ?? "";
}

function tick() {
  const { due } = keep;
  if (keep.asking) tell(); // what is shown as an age grows
  else if ((!live || known.trouble) && due(document.hidden ? HIDDEN_PERIOD : ASK_PERIOD)) refresh();
  else if (live && due(LOOK_PERIOD)) look();
  else if (!document.hidden) tell();
}

export function start() {
  document.addEventListener("visibilitychange", () => document.hidden || refresh());
  refresh();
  listen(new URL("api/v1/stream", ROOT), KINDS, keep.hear, (yes) => {
    // One that was lost is asked instead, at once.
    if (live && !yes) wholeAt = -Infinity;
    live = yes;
  }, soundOn);
  setInterval(tick, TICK);
}
