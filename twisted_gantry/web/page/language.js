// The language of the page, and its texts. Importers see the present choice: bindings are live.

import { remember, remembered } from "./remember.js";
import { KINDS, TEXTS, VALUES } from "./texts.js";

export let language = chosen();
export let text = TEXTS[language];

function chosen() {
  const wanted = new URLSearchParams(location.search).get("lang") ?? remembered("language");
  if (wanted !== null && Object.hasOwn(TEXTS, wanted)) return wanted; // no `toString`
  return (navigator.language ?? "").toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function speak(wanted) {
  language = wanted;
  text = TEXTS[wanted];
  remember("language", wanted);
}

// Return the texts of a view in the present language; `tables` has the shape of TEXTS.
export const words = (tables) => tables[language];

export const inLanguage = ([en, zh]) => (language === "zh" ? zh || en : en);

export const message = (alarm) => inLanguage([alarm.message, alarm.messageZh]);

export const kindOf = (kind) => (Object.hasOwn(KINDS, kind) ? inLanguage(KINDS[kind]) : kind);

// Return the name of a value of a point, or the value where it has none.
export function valueName(point, value) {
  const names = VALUES[point.slice(point.lastIndexOf(".") + 1)];
  return names && Object.hasOwn(names, value) ? inLanguage(names[value]) : value;
}
