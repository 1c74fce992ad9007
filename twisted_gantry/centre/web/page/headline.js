// The one sentence: what needs a person now, and the battery that ends first.

import { hide, mark, write } from "./shared/dom.js";
import { age, siteTime } from "./shared/format.js";
import { inLanguage, message, text } from "./shared/language.js";
import { incidents, known, mainsOff, minutesLeft } from "./known.js";
import { minutes, place } from "./words.js";

const MOST = 2; // incidents that the sentence names; all stand below

// Return `{state, words}`: "offline" and "connecting" speak of the page's own link.
export function verdict() {
  const { overview, trouble, answeredAt } = known;
  if (trouble === "denied") return { state: "offline", words: text.denied };
  if (trouble) {
    return {
      state: "offline",
      words: answeredAt === null ? text.neverAnswered : text.stale(siteTime(answeredAt)),
    };
  }
  if (overview === null) return { state: "connecting", words: text.linkConnecting };
  const open = incidents().filter((each) => !each.ackedBy && !each.muted);
  const seen = known.incidents.size - open.length;
  const troubles = overview.troubles ?? [];
  const said = [
    ...troubles.map((each) => text.centreFails(inLanguage([each.message, each.messageZh]) || each.alarm)),
    ...open.slice(0, MOST).map((each) =>
      text.incidentSince(place(each), message(each) || each.cause, each.gantries, age(each.since))),
  ];
  if (open.length > MOST) said.push(text.andMore(open.length - MOST));
  if (said.length) {
    const critical = troubles.some((each) => each.severity === "critical")
      || open.some((each) => each.severity === "critical");
    return { state: critical ? "critical" : "warning", words: text.list(said) };
  }
  if (seen) return { state: "warning", words: text.allSeen(seen) };
  if (overview.gantries.silent) return { state: "warning", words: text.someSilent(overview.gantries.silent) };
  return { state: "online", words: text.allWell(overview.gantries.total) };
}

// Show the sentence in `node`; `spoken` says aloud what is new: not an age that grows.
export function showHeadline(node, spoken) {
  const { state, words } = verdict();
  const news = state === "critical" || state === "warning"
    ? text.list(incidents().slice(0, 5).map((each) => `${place(each)} ${message(each)}`)) : words;
  write(spoken, state === "offline" && known.answeredAt !== null ? text.linkLost : news);
  mark(node, "state", state);
  const said = node.querySelector("[data-field=headline]");
  write(said, words);
  if (said.title !== words) said.title = words; // it may be cut
  const [least] = mainsOff();
  const field = node.querySelector("[data-field=runtime-left]");
  const left = least ? minutesLeft(least) : null;
  hide(field, left === null);
  write(field, left !== null ? text.leastBattery(minutes(left), place({ ...least, gantry: least.id })) : "");
}
