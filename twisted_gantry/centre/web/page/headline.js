// The one sentence: what needs a person now, and the battery that ends first.

import { age } from "./shared/format.js";
import { inLanguage, message, text } from "./shared/language.js";
import { ofLink, showSentence } from "./shared/sentence.js";
import { incidents, known, mainsOff, minutesLeft } from "./known.js";
import { minutes, place } from "./words.js";

const MOST = 2; // incidents that the sentence names; all stand below

// Return `{state, words}`: "offline" and "connecting" speak of the page's own link.
export function verdict() {
  const { overview } = known;
  const link = ofLink(known, overview !== null);
  if (link !== null) return link;
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

// Show the sentence in `node`; `spoken` says aloud what is new.
export function showHeadline(node, spoken) {
  showSentence(node, spoken, verdict(), {
    news: () => text.list(incidents().slice(0, 5).map((each) => `${place(each)} ${message(each)}`)),
    lost: known.answeredAt !== null,
    left: leastBattery(),
  });
}

// The battery that ends first, in words; empty where none is known.
function leastBattery() {
  const [least] = mainsOff();
  const left = least ? minutesLeft(least) : null;
  return left === null ? "" : text.leastBattery(minutes(left), place({ ...least, gantry: least.id }));
}
