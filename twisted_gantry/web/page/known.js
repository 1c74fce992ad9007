// What the page knows of the site, in the shapes of the local API, and what the stream changes of it.

import { subscribe } from "./shared/telling.js";

export const PAST_ALARMS = 30;
export const known = {
  site: null,
  points: [],
  active: [],
  recent: [],
  reasons: [],
  answeredAt: null, // by this computer's clock
  trouble: "", // why what is shown is old: "silent" or "denied"
  subscribe,
};

// Note what the stream told; `site` is known by then.
export function note(kind, data) {
  const { site } = known;
  if (kind === "all") {
    [site.devices, site.uplinks, known.points] = [data.device, data.uplink, data.point];
    known.active = data.alarm.sort((a, b) => Date.parse(b.raisedAt) - Date.parse(a.raisedAt));
  } else if (kind === "alarm") {
    noteAlarm(data);
  } else {
    const [list, key] = {
      point: [known.points, "point"], device: [site.devices, "name"], uplink: [site.uplinks, "name"],
    }[kind];
    const place = list.findIndex((each) => each[key] === data[key]);
    list[place < 0 ? list.length : place] = data;
  }
}

const EMERGENCIES = ["smoke", "water", "flood", "fire"];
export const urgency = ({ alarm, severity }) =>
  EMERGENCIES.includes(alarm.slice(alarm.lastIndexOf(".") + 1)) ? 0 : severity === "critical" ? 1 : 2;

// Sort alarms: the most urgent first, then the newest.
export const byUrgency = (a, b) =>
  urgency(a) - urgency(b) || Date.parse(b.raisedAt) - Date.parse(a.raisedAt);

// Return the active alarms that no other one explains, sorted.
export function causes() {
  const names = new Set(known.active.map((each) => each.alarm));
  return known.active.filter((each) => !names.has(each.cause)).sort(byUrgency);
}

// Return the active alarms that `alarm` explains.
export const under = (alarm) => alarm.consequences
  .map((name) => known.active.find((each) => each.alarm === name)).filter(Boolean);

// Return a promise that is done when the state of the site is known.
export function siteKnown() {
  return new Promise((resolve) => {
    const end = subscribe(look);
    function look() {
      if (known.site === null && !known.trouble) return;
      end();
      resolve();
    }
    look();
  });
}

function noteAlarm(alarm) {
  const other = (each) => each.alarm !== alarm.alarm || each.raisedAt !== alarm.raisedAt;
  // One alarm of a name is active; its time changes when a wrong clock is set right.
  const place = known.active.findIndex((each) => each.alarm === alarm.alarm);
  if (alarm.clearedAt === null) {
    // One that changes stays where it is: what a person reads does not jump.
    if (place < 0) known.active.unshift(alarm);
    else known.active[place] = alarm;
    return;
  }
  if (place >= 0) known.active.splice(place, 1);
  known.recent = [alarm, ...known.recent.filter(other)].slice(0, PAST_ALARMS);
}
