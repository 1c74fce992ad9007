// Who told which device what, and how it ended.

import { cardList } from "./cards.js";
import { make, parts, write } from "./dom.js";
import { clock } from "./format.js";
import { text } from "./language.js";

export const name = "audit";
let shown = false;

export async function mount(root, params, app) {
  shown = true;
  const entries = cardList("", text.noAudit);
  root.append(make("section", "", make("h2", "", text.audit), ...entries.nodes));
  const answer = await app.api.get("api/v1/audit").catch(() => null);
  if (!shown || answer === null) return;
  entries.fill(answer.entries, (each) => each.id + each.at, build, fill);
}

export function unmount() {
  shown = false;
}

function build() {
  return parts(
    make("li", "card", make("p", "head", make("strong", "what"), make("span", "result")),
      make("p", "fine who")),
    ["what", "result", "who"],
  );
}

function fill(node, entry) {
  write(node.parts.what, `${entry.target} ${entry.command}`);
  write(node.parts.result, entry.result ?? "…");
  write(node.parts.who, [clock(entry.at), entry.who, entry.detail].filter(Boolean).join(" · "));
}
