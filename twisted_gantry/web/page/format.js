// Times and numbers as people read them. The site's clock counts: the reader's may be wrong, and
// the reader may sit in another timezone.

import { known } from "./known.js";
import { text, valueName } from "./language.js";

// The site's present moment, in milliseconds.
export const now = () => Date.now() + known.clockOffset;

// The site's own wall clock, as the API wrote it: the time, with its date when not today.
export function clock(time) {
  const today = local(now(), time).slice(0, 10);
  const [date, rest] = [time.slice(0, 10), time.slice(11, 19)];
  return date === today ? rest : `${date} ${rest}`;
}

// A moment by this computer's clock, as the site's clock shows it.
export const siteTime = (moment) =>
  local(moment + known.clockOffset, known.site?.startedAt ?? "").slice(11, 19);

// A moment (milliseconds) as a text like `sample`, with the offset that `sample` has.
export function local(moment, sample) {
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)$/.exec(sample) ?? ["", "+", 0, 0];
  const offset = (Number(hours) * 60 + Number(minutes)) * 60_000;
  return new Date(moment + (sign === "-" ? -offset : offset)).toISOString();
}

export function age(time, until = now()) {
  return duration(Math.max(0, (until - Date.parse(time)) / 1000));
}

export function duration(seconds) {
  const s = Math.floor(seconds);
  const say = text.duration;
  if (s < 60) return say(s, "s");
  if (s < 3600) return say(Math.floor(s / 60), "min");
  if (s < 86_400) return `${say(Math.floor(s / 3600), "h")} ${say(Math.floor(s / 60) % 60, "min")}`;
  return `${say(Math.floor(s / 86_400), "d")} ${say(Math.floor(s / 3600) % 24, "h")}`;
}

export function size(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let step = 0;
  while (bytes >= 1024 && step < units.length - 1) {
    bytes /= 1024;
    step += 1;
  }
  return `${Number(bytes.toFixed(bytes < 10 && step ? 1 : 0))} ${units[step]}`;
}

// The value of a point with its unit; at most `digits` after the decimal point.
export function reading({ point, value, unit }, digits = 3) {
  if (value === null) return "—";
  if (typeof value === "boolean") return value ? text.yes : text.no;
  if (typeof value === "number") {
    if (unit === "s" && value >= 60) return duration(value);
    if (unit === "min" && value >= 60) return duration(value * 60);
    if (unit === "KiB") return size(value * 1024);
    return `${Number(value.toFixed(digits))} ${unit}`.trim();
  }
  return `${valueName(point, value)} ${unit}`.trim();
}
