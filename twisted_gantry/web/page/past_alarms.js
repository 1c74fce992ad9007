// The alarms that ended, as the reader chose them.

import { buildPast, fillAlarm } from "./alarm_card.js";
import { cardList } from "./shared/cards.js";
import { hide, make, write } from "./shared/dom.js";
import { filters, matches } from "./shared/filters.js";
import { known } from "./known.js";
import { text, words } from "./shared/language.js";
import { loader } from "./shared/loading.js";
import { paging } from "./shared/paging.js";
import { LISTS } from "./texts_lists.js";

const PERIODS = ["24h", "7d", "30d", "365d"];
const PERIOD = 60_000;
const MOST = 1000;

// Return `{nodes, count, draw, load}`.
export function pastAlarms(app) {
  const t = words(LISTS);
  const list = cardList("recent", t.noHistory);
  const count = make("p", "fine");
  const trouble = make("p", "empty", t.notLoaded);
  const pages = paging(app, fill);
  let loaded = null; // until they came
  let alarms = []; // with those that the stream told since
  let before = new Set(); // those that were known before; the others, the stream told since
  let since = "";
  let seen = "";
  hide(trouble, true);

  const chosen = filters(t.history, [
    { name: "find", label: t.find },
    { name: "severity", label: t.severity, options: [["", t.any],
      ...["critical", "warning"].map((each) => [each, text[each]])] },
    { name: "source", label: t.source, options: [["", t.any]] },
    { name: "period", label: t.period, options: PERIODS.map((each) => [each, t.periods[each]]) },
  ], () => {
    pages.again();
    if (chosen.value("period") !== since) load.now();
    else fill();
  });

  const load = loader(
    () => {
      since = chosen.value("period");
      return app.api.get(`api/v1/alarms?since=${since}&limit=${MOST}`, { quiet: true });
    },
    (answer) => {
      loaded = answer.alarms.filter((each) => each.clearedAt !== null);
      before = new Set(known.recent.map(key));
      hide(trouble, true);
      join();
    },
    () => {
      loaded ??= [];
      hide(trouble, false);
      join();
    },
    PERIOD,
  );

  function join() {
    const told = known.recent.filter((each) => !before.has(key(each)));
    const all = new Map([...loaded, ...told].map((each) => [key(each), each]));
    alarms = [...all.values()].sort((a, b) => Date.parse(b.raisedAt) - Date.parse(a.raisedAt));
    chosen.offer("source", [["", t.any],
      ...[...new Set(alarms.map(sourceOf))].sort().map((each) => [each, each])]);
    fill();
  }

  function fill() {
    if (loaded === null) return;
    const fits = alarms.filter((each) =>
      [each.severity, ""].includes(chosen.value("severity"))
      && [sourceOf(each), ""].includes(chosen.value("source"))
      && matches(chosen.value("find"), [each.alarm, each.message, each.messageZh, each.ackedBy, each.note]));
    list.fill(pages.cut(fits), key, buildPast, fillAlarm);
    write(list.nodes[1], alarms.length ? t.noneFits : t.noHistory);
    const full = alarms.length >= MOST ? `${t.newest(MOST)} · ` : "";
    write(count, full + t.shownOf(fits.length, alarms.length));
    hide(count, alarms.length === 0);
  }

  function draw() {
    const told = known.recent.map(key).join();
    if (told === seen) return;
    if (loaded !== null) join();
    seen = told;
  }

  return { nodes: [chosen.node, trouble, ...list.nodes, pages.more], count, draw, load };
}

const key = (alarm) => alarm.alarm + alarm.raisedAt + alarm.clearedAt;
const sourceOf = ({ alarm, source }) => source || alarm.slice(0, alarm.lastIndexOf("."));
