// Who may come in, for admins.

import { cardList } from "./shared/cards.js";
import { hide, make, mark, parts, write } from "./shared/dom.js";
import { known } from "./known.js";
import { may, me } from "./shared/roles.js";
import { words } from "./shared/language.js";
import { LISTS } from "./texts_lists.js";

// Return `{node, draw, stop}`; the section is hidden from others.
export function users(app) {
  const t = words(LISTS);
  const list = cardList("users", t.noUsers);
  const node = make("section", "", make("h2", "", t.users), ...list.nodes);
  let asked = false;
  let over = false;
  hide(node, true);

  async function draw() {
    if (asked || !may("admin")) return;
    asked = true;
    const answer = await app.api.get("api/v1/users", { quiet: true }).catch(() => null);
    if (over) return;
    asked = answer !== null; // else again
    if (answer === null) return;
    list.fill(answer.users, (each) => each.name, build, fill);
    hide(node, false);
  }

  function fill(card, user) {
    mark(card, "user", user.name);
    write(card.parts.name, user.name);
    write(card.parts.role, t.roles[user.role] ?? user.role);
    const ways = [user.password && t.byPassword, user.token && t.byToken].filter(Boolean);
    const self = user.name === me.name ? [t.you] : [];
    write(card.parts.ways, [...ways, ...self].join(" · "));
  }

  return { node, draw, stop: () => { over = true; } };
}

function build() {
  return parts(
    make("li", "card", make("p", "head", make("strong", "name"), make("span", "role")),
      make("p", "fine ways")),
    ["name", "role", "ways"],
  );
}
