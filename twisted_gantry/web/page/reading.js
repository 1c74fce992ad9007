// Values of points, kinds and states as people read them.

import { duration, size } from "./shared/format.js";
import { inLanguage, text } from "./shared/language.js";
import { KINDS, VALUES } from "./texts.js";

export const kindOf = (kind) => (Object.hasOwn(KINDS, kind) ? inLanguage(KINDS[kind]) : kind);

// Return the name of a value of a point, or the value where it has none.
export function valueName(point, value) {
  const names = VALUES[point.slice(point.lastIndexOf(".") + 1)];
  return names && Object.hasOwn(names, value) ? inLanguage(names[value]) : value;
}

// The value of a point with its unit, a word for an empty text; at most `digits` after the decimal point.
export function reading({ point, value, unit }, digits = 3) {
  if (value === null) return "—";
  if (value === "") return text.none;
  if (typeof value === "boolean") return value ? text.yes : text.no;
  if (typeof value === "number") {
    if (unit === "s" && value >= 60) return duration(value);
    if (unit === "min" && value >= 60) return duration(value * 60);
    if (unit === "KiB") return size(value * 1024);
    return `${Number(value.toFixed(digits))} ${unit}`.trim();
  }
  return `${valueName(point, value)} ${unit}`.trim();
}
