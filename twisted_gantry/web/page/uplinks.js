// Cards of uplinks: what became of their reports, and how long the oldest one waits.

import { fillState } from "./cards.js";
import { hide, make, mark, parts, write } from "./dom.js";
import { age, size } from "./format.js";
import { kindOf, text } from "./language.js";

const LEDGER = ["created", "delivered", "queued", "setAside", "dropped"];

export function buildUplink() {
  const ledger = make("dl", "ledger");
  LEDGER.forEach((name, i) => {
    const entry = make("div", "", make("dt"), make("dd"));
    entry.dataset.entry = name;
    entry.dataset.sign = ["", "=", "+", "+", "+"][i];
    ledger.append(entry);
  });
  return parts(
    make("li", "card uplink",
      make("p", "head", make("strong", "name"), make("span", "kind"), make("span", "chip")),
      ledger, make("p", "hint"), make("p", "fine kept"),
      make("p", "fine last"), make("p", "fine since"), make("p", "fine error")),
    ["name", "chip", "kind", "ledger", "hint", "kept", "last", "since", "error"],
  );
}

export function fillUplink(node, uplink) {
  const { name, kind, ledger, hint, kept, last } = node.parts;
  const numbers = uplink.ledger;
  mark(node, "state", uplink.state);
  write(name, uplink.name);
  write(kind, kindOf(uplink.kind));
  hide(ledger, numbers === null);
  hide(kept, !numbers?.bytes);
  hide(hint, numbers !== null && numbers.setAside === 0);
  write(hint, numbers === null ? text.ledgerUnknown : text.setAsideHint);
  if (numbers !== null) {
    for (const entry of ledger.children) {
      const which = entry.dataset.entry;
      write(entry.firstChild, text[which]);
      write(entry.lastChild, String(numbers[which]));
      mark(entry, "some", String(numbers[which] > 0));
    }
    const bytes = size(numbers.bytes);
    write(kept, numbers.oldest ? text.backlog(bytes, age(numbers.oldest)) : text.kept(bytes));
  }
  const delivered = uplink.lastDelivered;
  write(last, delivered ? text.lastDelivered(age(delivered)) : text.neverDelivered);
  fillState(node, uplink);
}
