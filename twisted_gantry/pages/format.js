// Times and sizes as people read them. The server's clock counts: the reader's may be wrong, and
// the reader may sit in another timezone.

import { text } from "./language.js";

// `offset` is the server's clock less this computer's, in milliseconds; `sample` is any time that
// the API wrote, of which the timezone is taken.
export const serverClock = { offset: 0, sample: "" };

// The server's present moment, in milliseconds.
export const now = () => Date.now() + serverClock.offset;

// The server's own wall clock, as the API wrote it: the time, with its date when not today.
export function clock(time) {
  const today = local(now(), time).slice(0, 10);
  const [date, rest] = [time.slice(0, 10), time.slice(11, 19)];
  return date === today ? rest : `${date} ${rest}`;
}

// A moment by this computer's clock, as the server's clock shows it.
export const siteTime = (moment) =>
  local(moment + serverClock.offset, serverClock.sample).slice(11, 19);

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
