// Who was refused at `monitor.do` and why: often the reason that a gantry is silent.

import { hide, make } from "./shared/dom.js";
import { age, clock } from "./shared/format.js";
import { words } from "./shared/language.js";
import { loader } from "./shared/loading.js";
import { table } from "./table.js";
import { MANAGE } from "./texts_manage.js";

const PERIOD = 15_000;
const MOST = 50;

// Return `{node, stop}`: those of a gantry, or of all; hidden while nobody was refused.
export function refusalPanel(app, gantry = "") {
  const t = words(MANAGE);
  const list = table(t.refusals, [...(gantry ? [] : [t.gantry]), t.code, t.reason, t.address, t.times, t.when],
    (each) => `${each.gantry} ${each.address} ${each.code}`, (each) => [
      ...(gantry ? [] : [each.gantry || "–"]), each.code, each.reason, each.address, String(each.times),
      `${clock(each.lastAt)} · ${age(each.lastAt)}`,
    ], (each) => JSON.stringify([each, age(each.lastAt)]));
  const node = make("section", "panel refusals", make("div", "title-row", make("h2", "", t.refusals)), list.node);
  hide(node, true);
  const asked = new URLSearchParams({ limit: MOST, ...(gantry ? { gantry } : {}) });
  const load = loader(() => app.api.get(`api/v1/refusals?${asked}`, { quiet: true }), ({ refusals }) => {
    hide(node, refusals.length === 0);
    list.fill(refusals);
  }, () => {}, PERIOD);
  return { node, stop: load.stop };
}
