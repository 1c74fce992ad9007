// The ledger of reports, and how many alarms we make.

import { make, write } from "./shared/dom.js";
import { age } from "./shared/format.js";
import { language, text } from "./shared/language.js";
import { loader } from "./shared/loading.js";
import { known } from "./known.js";

const PERIOD = 10_000;
const PARTS = ["received", "stored", "duplicate", "refused"];
const SIGNS = { stored: "=", duplicate: "+", refused: "+" };

// Return `{node, draw, stop}`.
export function ledgerPanel(app) {
  const numbers = Object.fromEntries(PARTS.map((each) => [each, make("dd")]));
  const list = make("dl", "sum", ...PARTS.map((each) => {
    const box = make("div", "", make("dt", "", text[each]), numbers[each]);
    box.dataset.entry = each;
    box.dataset.sign = SIGNS[each] ?? "";
    return box;
  }));
  const more = make("p", "fine two");
  const refused = make("p", "fine one");
  const rate = make("strong", "number");
  const active = make("strong", "number");
  const means = make("p", "fine one");
  rate.dataset.field = "alarm-rate";
  list.dataset.field = "ledger";
  const node = make("div", "panels",
    make("section", "panel", make("div", "title-row", make("h2", "", text.alarmRate), means),
      make("p", "rates", make("span", "", rate, ` ${text.perHour}`), make("span", "", active, ` ${text.activeNow}`))),
    make("section", "panel", make("div", "title-row", make("h2", "", text.ledger)), list, more, refused));
  let ledger = null;
  const load = loader(() => app.api.get("api/v1/ledger", { quiet: true }), (answer) => {
    ledger = answer;
    draw();
  }, () => {}, PERIOD);
  const number = (n) => n.toLocaleString(language === "zh" ? "zh-CN" : "en");

  function draw() {
    const { ledger: totals, alarms, alarmRate } = known.overview ?? {};
    if (totals === undefined) return;
    for (const each of PARTS) write(numbers[each], number(totals[each]));
    write(rate, number(alarmRate));
    write(active, number(alarms));
    write(means, text.rateMeans(alarmRate));
    write(more, [text.lateOf(number(totals.late)), ...(ledger === null ? [] : [text.waiting(ledger.waiting),
      ledger.oldestBacklog === null ? text.noBacklog : text.oldest(age(ledger.oldestBacklog))])].join(" · "));
    const codes = Object.entries(ledger?.refusedBy ?? {}).map(([code, n]) => `${code} × ${number(n)}`);
    write(refused, codes.length ? text.refusedBy(codes.join(language === "zh" ? "，" : ", ")) : "");
  }

  return { node, draw, stop: load.stop };
}
