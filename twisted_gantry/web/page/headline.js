// The one sentence: is it well, what is wrong, since when; and how long the battery lasts.

import { hide, mark, write } from "./shared/dom.js";
import { reading } from "./reading.js";
import { age, clock, siteTime } from "./shared/format.js";
import { causes, known } from "./known.js";
import { message, text } from "./shared/language.js";

const MOST = 3; // causes that the sentence names; all stand below

// Return `{state, words}` of the site: "offline" and "connecting" speak of the page's own link.
export function verdict() {
  const { site, trouble, answeredAt, reasons } = known;
  if (trouble === "denied") return { state: "offline", words: text.denied };
  if (trouble) {
    return {
      state: "offline",
      words: answeredAt === null ? text.neverAnswered : text.stale(siteTime(answeredAt)),
    };
  }
  if (site === null) return { state: "connecting", words: text.linkConnecting };
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

// Show the sentence in `node`; `spoken` says aloud what is new: not an age that grows.
export function showHeadline(node, spoken) {
  const { state, words } = verdict();
  const news = state === "critical" || state === "warning"
    ? text.list([...known.reasons, ...causes().map((each) => `${each.source} ${message(each)}`)]) : words;
  write(spoken, state === "offline" && known.answeredAt !== null ? text.linkLost : news);
  mark(node, "state", state);
  const said = node.querySelector("[data-field=headline]");
  write(said, words);
  if (said.title !== words) said.title = words; // it may be cut
  const left = runtimeLeft();
  const field = node.querySelector("[data-field=runtime-left]");
  hide(field, left === "");
  write(field, left);
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
