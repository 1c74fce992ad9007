// The one sentence: is it well, what is wrong, since when; and how long the battery lasts.

import { reading } from "./reading.js";
import { age, clock } from "./shared/format.js";
import { causes, known } from "./known.js";
import { message, text } from "./shared/language.js";
import { ofLink, showSentence } from "./shared/sentence.js";

const MOST = 3; // causes that the sentence names; all stand below

// Return `{state, words}` of the site: "offline" and "connecting" speak of the page's own link.
export function verdict() {
  const { site, reasons } = known;
  const link = ofLink(known, site !== null);
  if (link !== null) return link;
  const active = causes();
  const all = [...site.devices, ...site.uplinks];
  const named = (state) => all.filter((each) => each.state === state).map((each) => each.name);
  const [offline, connecting] = [named("offline"), named("connecting")];
  const critical = reasons.length || active.some((each) => each.severity === "critical");
  if (critical || active.length || offline.length) {
    const said = [
      ...reasons.map((each) => text.failing(each)),
      ...active.map((each) => text.alarmSince(message(each), each.source, clock(each.raisedAt),
        age(each.raisedAt))),
    ];
    const shown = said.slice(0, MOST);
    if (said.length > MOST) shown.push(text.andMore(said.length - MOST));
    const words = said.length ? text.list(shown) : text.areOffline(offline);
    return { state: critical ? "critical" : "warning", words };
  }
  if (connecting.length) return { state: "connecting", words: text.areConnecting(connecting) };
  return { state: "online", words: text.allWell };
}

// Show the sentence in `node`; `spoken` says aloud what is new.
export function showHeadline(node, spoken) {
  showSentence(node, spoken, verdict(), {
    news: () =>
      text.list([...known.reasons, ...causes().map((each) => `${each.source} ${message(each)}`)]),
    lost: known.answeredAt !== null,
    left: runtimeLeft(),
  });
}

// The shortest time that a battery lasts, in words; empty where none is known.
function runtimeLeft() {
  const found = known.points.filter(({ point, quality, value }) =>
    /\.(battery_runtime|surplus_time)$/.test(point) && quality === "good" && value !== null);
  if (!found.length) return "";
  const seconds = ({ value, unit }) => value * (unit === "min" ? 60 : 1);
  const least = found.reduce((a, b) => (seconds(b) < seconds(a) ? b : a));
  return text.runtimeLeft(least.point.split(".", 1)[0], reading(least));
}
