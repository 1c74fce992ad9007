// The reports that wait, and those that were refused and are kept for a person.

import { cardList } from "./shared/cards.js";
import { hide, make, write } from "./shared/dom.js";
import { filters, matches } from "./shared/filters.js";
import { known } from "./known.js";
import { may } from "./shared/roles.js";
import { words } from "./shared/language.js";
import { loader } from "./shared/loading.js";
import { paging } from "./shared/paging.js";
import { buildReport, fillReport } from "./report_card.js";
import { LISTS } from "./texts_lists.js";

const PERIOD = 3000;
const MOST = 100; // of each state that are looked at, oldest first

// Return `{nodes, count, draw, load}`.
export function storedReports(app) {
  const t = words(LISTS);
  const list = cardList("reports", t.noReports);
  const count = make("p", "fine");
  const trouble = make("p", "empty", t.notLoaded);
  const retryAll = app.button("retry-all", t.retryAll, "");
  const dropAll = app.button("drop-all", t.dropAll, "");
  const bulk = make("div", "actions bulk", retryAll, dropAll);
  const pages = paging(app, fill);
  let reports = null;
  hide(trouble, true);

  const chosen = filters(t.stored, [
    { name: "find", label: t.find },
    { name: "uplink", label: t.uplink, options: [["", t.any]] },
    { name: "state", label: t.state, options: [["", t.any],
      ...["set-aside", "queued"].map((each) => [each, t.states[each]])] },
  ], () => {
    pages.again();
    fill();
  });

  const load = loader(
    () => Promise.all(["set-aside", "queued"].map((state) =>
      app.api.get(`api/v1/outbox?state=${state}&limit=${MOST}`, { quiet: true }))),
    (answers) => {
      reports = answers.flatMap((each) => each.reports);
      hide(trouble, true);
      fill();
    },
    () => hide(trouble, false),
    PERIOD,
  );

  function fill() {
    if (reports === null) return;
    const fits = reports.filter((each) =>
      [each.uplink, ""].includes(chosen.value("uplink"))
      && [each.state, ""].includes(chosen.value("state"))
      && matches(chosen.value("find"), [String(each.id), each.kind, each.subject, each.reason]));
    list.fill(pages.cut(fits), (each) => String(each.id), () => buildReport(app, change), fillReport);
    write(list.nodes[1], reports.length ? t.noneFits : t.noReports);
    const { queued, setAside } = sums(chosen.value("uplink"));
    write(count, t.counts(fits.length, queued, setAside));
    hide(retryAll, !may("operator") || !setAside);
    hide(dropAll, !may("admin") || !setAside);
  }

  function draw() {
    chosen.offer("uplink", [["", t.any], ...queues().map(({ name }) => [name, name])]);
    fill();
  }

  retryAll.addEventListener("click", async () => {
    const uplink = chosen.value("uplink");
    const body = t.retryAllMeans(sums(uplink).setAside, uplink);
    if (await app.ask({ title: t.retryAllTitle, body, confirm: t.retryAll }) === null) return;
    await change("retry", uplink ? { uplink } : {});
  });
  dropAll.addEventListener("click", async () => {
    const uplink = chosen.value("uplink");
    const danger = t.dropMeans(sums(uplink).setAside);
    const body = uplink ? `${t.uplink}: ${uplink}` : [];
    if (await app.ask({ title: t.dropAllTitle, body, danger, confirm: t.dropAll }) === null) return;
    await change("drop", { ...(uplink ? { uplink } : {}), allSetAside: true, confirm: true });
  });

  // Retry or drop reports; `body` is that of the API.
  async function change(verb, body) {
    try {
      const done = await app.api.post(`api/v1/outbox/${verb}`, body);
      app.say(verb === "retry" ? t.retried(done.retried) : t.dropped(done.dropped));
    } catch {
      // The reader was told why not.
    }
    load.now();
    app.refresh();
  }

  return { nodes: [chosen.node, trouble, bulk, ...list.nodes, pages.more], count, draw, load };
}

// Return all that has an outbox: uplinks, and targets of notifications.
function queues() {
  const { uplinks, notify = [] } = known.site ?? { uplinks: [] };
  return [...uplinks, ...notify.map((each) => ({ ...each, name: `notify.${each.name}` }))];
}

function sums(name) {
  const all = queues().filter((each) => !name || each.name === name);
  const sum = (key) => all.reduce((total, each) => total + (each.ledger?.[key] ?? 0), 0);
  return { queued: sum("queued"), setAside: sum("setAside") };
}
