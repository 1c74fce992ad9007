// What several kinds of cards share: lists of them, and what is wrong with a device or an uplink.

import { hide, make, mark, sync, write } from "./dom.js";
import { age, clock } from "./format.js";
import { inLanguage, text } from "./language.js";

// Tell state, since when, and what is wrong with a device or an uplink in its parts `chip`,
// `since` and `error`.
export function fillState(node, { state, since, lastError, lastErrorZh, cause, advice, adviceZh }) {
  const error = inLanguage([lastError, lastErrorZh]);
  const next = inLanguage([advice, adviceZh]);
  mark(node.parts.chip, "state", state);
  write(node.parts.chip, text[state]);
  write(node.parts.since, text.since(clock(since), age(since)));
  // An error that is over is for the API and for gantryctl.
  hide(node.parts.error, !lastError || (cause === null && state === "online"));
  write(node.parts.error, error ? `${text.lastError(error)}${next ? ` → ${next}` : ""}` : "");
}

// A list of cards that says so when it is empty.
export function cardList(className, emptyText) {
  const list = make("ul", `cards ${className}`);
  const empty = make("p", "empty", emptyText);
  empty.hidden = true; // until it is known
  return {
    nodes: [list, empty],
    fill(items, key, build, fill) {
      sync(list, items, key, build, fill);
      hide(empty, items.length > 0);
    },
  };
}
