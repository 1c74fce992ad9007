// The language of the page, and its texts. Importers see the present choice: bindings are live.

import { remember, remembered } from "./remember.js";
import { TEXTS } from "./texts.js";

export let language = chosen();
export let text = TEXTS[language];

function chosen() {
  const wanted = new URLSearchParams(location.search).get("lang") ?? remembered("language");
  if (wanted !== null && Object.hasOwn(TEXTS, wanted)) return wanted; // no `toString`
  return (navigator.language ?? "").toLowerCase().startsWith("zh") ? "zh" : "en";
}

// Add the texts of a page to those of every page; `tables` has the shape of TEXTS.
export function learn(tables) {
  for (const each of Object.keys(TEXTS)) Object.assign(TEXTS[each], tables[each]);
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
