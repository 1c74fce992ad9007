// Places, times left and names of alarms, in words.

import { duration } from "./shared/format.js";
import { inLanguage, text } from "./shared/language.js";
import { CONDITIONS } from "./conditions.js";
import { known } from "./known.js";

// Where an incident or an alarm is: a gantry with its stake, or a road with its section.
export function place({ gantry, road, section }) {
  const found = gantry ? known.gantries.get(gantry) : null;
  if (found) return [found.road, found.stake || found.name || found.id].filter(Boolean).join(" ");
  if (gantry) return [road, gantry].filter(Boolean).join(" ");
  // Sections are often called by their road.
  const both = section && road && !section.startsWith(road) ? `${road} ${section}` : section || road;
  return both || text.everywhere;
}

// The name of a gantry that people know: the name, or road and stake, or the id.
export const gantryName = (gantry) =>
  gantry.name || [gantry.road, gantry.stake].filter(Boolean).join(" ") || gantry.id;

export const minutes = (left) => (left < 1 ? text.overSoon : duration(left * 60));

// What conditions are called, by name without its subject: as the API told.
const names = new Map(Object.entries(CONDITIONS));
const condition = (alarm) => alarm.slice(alarm.lastIndexOf(".") + 1);

export function learnNames(alarms) {
  for (const { alarm, cause, message, messageZh } of alarms) {
    if (message) names.set(condition(alarm ?? cause), [message, messageZh]);
  }
}

export function alarmName(alarm) {
  const found = names.get(condition(alarm));
  return found ? inLanguage(found) : condition(alarm);
}

export const percent = (part, total) => (total ? `${Math.floor((part / total) * 100)} %` : "–");
