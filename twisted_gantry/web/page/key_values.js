// The three values of a device that say most, by its kind.

import { reading } from "./reading.js";
import { inLanguage, text } from "./shared/language.js";

// What stands on a card: a label of `text.keys` and names of points, of which the largest counts; or
// a function of `get(name)`.
const KEYS = {
  ups: [["state", "state"], ["load", "load_r", "load_s", "load_t"], ["battery", "battery_charge"]],
  cfos: [["charging", "evse_power"], ["available", "available_evse_power"], ["grid", "M1.power"]],
  bms: [["state", "operating_status"], ["contactor", "contactor_closed"], ["alarms", "alarm_count"]],
  cabinet: [["temperature", "thermohygrometer.temperature"], doors, ["mains", "elec.1.voltage"]],
  computer: [["cpu", "cpu_usage"], ["memory", "memory_usage"], ["disk", "sys_disk_usage"]],
};
KEYS["ups-card"] = KEYS["ups-card-http"] = KEYS.ups;

// Return at most three `{label, value, stale}` of a device; `points` are by name.
export function keyValues(kind, points) {
  const get = (name) => points.get(name);
  if (Object.hasOwn(KEYS, kind)) {
    return KEYS[kind].map((key) => (typeof key === "function" ? key(get) : largest(key, get)))
      .filter((each) => each !== null);
  }
  const measured = [...points.values()].filter((each) => typeof each.value === "number" && each.unit);
  return measured.slice(0, 3).map((each) => shown(each, inLanguage([each.label.en, each.label.zh])));
}

// The largest good one of several phases; the first one while none is good.
function largest([label, ...names], get) {
  const all = names.map(get).filter((each) => each !== undefined);
  const good = all.filter((each) => each.quality === "good" && each.value !== null);
  if (!all.length) return null;
  const most = good.length ? good.reduce((a, b) => (b.value > a.value ? b : a)) : all[0];
  return shown(most, text.keys[label]);
}

const shown = (point, label) => ({ label, value: short(point), stale: point.quality !== "good" });

// A value as it fits a small place: kilowatts instead of many watts.
export function short(point) {
  const { value, unit } = point;
  if (typeof value === "number" && (unit === "W" || unit === "VA") && Math.abs(value) >= 1000) {
    return `${(value / 1000).toFixed(1)} k${unit}`;
  }
  return reading(point, typeof value === "number" && Math.abs(value) >= 100 ? 0 : 1);
}

// Say of the doors of a cabinet how many are open; null without doors.
export function doors(get) {
  const all = ["front", "back"].map((each) => get(`doors.${each}_door_closed`)).filter(Boolean);
  if (!all.length) return null;
  const good = all.filter((each) => each.value !== null);
  const open = good.filter((each) => !each.value).length;
  return {
    label: text.doors,
    value: good.length ? (open ? text.doorsOpen(open) : text.doorsClosed) : "—",
    stale: all.some((each) => each.quality !== "good"),
  };
}
