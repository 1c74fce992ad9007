// The one sentence on top of a page: what it says of the page's own link, and how it is shown.

import { hide, mark, write } from "./dom.js";
import { siteTime } from "./format.js";
import { text } from "./language.js";

// Return `{state, words}` of the page's own link, null while the link is well. `ready` tells whether
// the first answer came.
export function ofLink({ trouble, answeredAt }, ready) {
  if (trouble === "denied") return { state: "offline", words: text.denied };
  if (trouble) {
    return {
      state: "offline",
      words: answeredAt === null ? text.neverAnswered : text.stale(siteTime(answeredAt)),
    };
  }
  return ready ? null : { state: "connecting", words: text.linkConnecting };
}

// Show a sentence and the time `left` on battery in `node`; `spoken` says aloud what is new: not an
// age that grows. `news()` gives the alarms in words, `lost` tells whether answers came before.
export function showSentence(node, spoken, { state, words }, { news, lost, left }) {
  const said = state === "critical" || state === "warning" ? news() : words;
  write(spoken, state === "offline" && lost ? text.linkLost : said);
  mark(node, "state", state);
  const line = node.querySelector("[data-field=headline]");
  write(line, words);
  if (line.title !== words) line.title = words; // it may be cut
  const field = node.querySelector("[data-field=runtime-left]");
  hide(field, left === "");
  write(field, left);
}
