// Cards of uplinks: what became of their reports, and how long the oldest one waits.

import { hide, make, mark, parts, write } from "./shared/dom.js";
import { age, clock } from "./shared/format.js";
import { kindOf } from "./reading.js";
import { inLanguage, text } from "./shared/language.js";
import { howBad } from "./worst.js";

const LEDGER = ["created", "delivered", "queued", "setAside", "dropped"];

// A card whose lines are always there, so that nothing moves when they change.
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
      ledger, make("p", "fine waits"), make("p", "fine told")),
    ["name", "chip", "kind", "ledger", "waits", "told"],
  );
}

export function fillUplink(node, uplink) {
  const { name, kind, chip, ledger, waits } = node.parts;
  const numbers = uplink.ledger;
  mark(node, "state", howBad(uplink));
  write(name, uplink.name);
  write(kind, kindOf(uplink.kind));
  mark(chip, "state", uplink.state);
  write(chip, text[uplink.state]);
  for (const entry of ledger.children) {
    const which = entry.dataset.entry;
    write(entry.firstChild, text[which]);
    write(entry.lastChild, numbers === null ? "—" : String(numbers[which]));
    mark(entry, "some", String((numbers?.[which] ?? 0) > 0));
  }
  write(waits, waiting(numbers));
  tell(node.parts.told, uplink);
}

function waiting(numbers) {
  if (numbers === null) return text.ledgerUnknown;
  if (numbers.oldest) return text.oldestWaits(age(numbers.oldest));
  return numbers.queued ? text.waits(numbers.queued) : text.nothingWaits;
}

// What a person should know first: what is wrong, what was refused, or when it last worked.
function tell(node, uplink) {
  const error = inLanguage([uplink.lastError, uplink.lastErrorZh]);
  const advice = inLanguage([uplink.advice, uplink.adviceZh]);
  const troubled = error && (uplink.cause !== null || uplink.state !== "online");
  const refused = uplink.ledger?.setAside > 0;
  mark(node, "tone", troubled ? "bad" : refused ? "warn" : "");
  const delivered = uplink.lastDelivered;
  const words = troubled ? `${error}${advice ? ` → ${advice}` : ""}`
    : refused ? text.setAsideHint
      : delivered ? text.lastDelivered(age(delivered)) : text.neverDelivered;
  write(node, words);
  node.title = words;
}

// A line for a target of notifications or a bridge.
export function buildPeer() {
  return parts(
    make("li", "peer", make("span", "kind"), make("strong", "name"), make("span", "fine what"),
      make("span", "chip")),
    ["kind", "name", "what", "chip"],
  );
}

export function fillPeer(node, peer) {
  const { kind, name, what, chip } = node.parts;
  mark(node, "state", peer.state);
  write(name, peer.name);
  write(kind, peer.kind === "bridge" ? text.bridge : text.calls);
  mark(chip, "state", peer.state);
  write(chip, text[peer.state]);
  const error = peer.state === "offline" && inLanguage([peer.lastError, peer.lastErrorZh]);
  const good = peer.kind === "bridge" ? text.peers(peer.peers)
    : peer.queued ? text.waits(peer.queued)
      : peer.lastDelivered ? text.lastCalled(clock(peer.lastDelivered)) : text.neverCalled;
  write(what, error || good);
  hide(what, false);
}
