// Who did what; who may come in; tables to take away.

import { hide, make } from "./shared/dom.js";
import { clock } from "./shared/format.js";
import { words } from "./shared/language.js";
import { me } from "./shared/roles.js";
import { subscribe } from "./shared/telling.js";
import { exporter } from "./alarms.js";
import { refusalPanel } from "./refusals.js";
import { page, pages, table } from "./table.js";
import { MANAGE } from "./texts_manage.js";

export const name = "audit";
const PERIOD = 15_000;
let ends = [];

export function mount(root, params, app) {
  const t = words(MANAGE);
  const empty = make("p", "empty", t.noAudit);
  hide(empty, true);
  const said = (details) => Object.entries(details ?? {})
    .map(([key, value]) => `${key}: ${typeof value === "string" ? value : JSON.stringify(value)}`).join(", ");
  const entries = table(t.auditTitle, [t.when, t.users, t.what, t.to, t.arguments], (each) => each.id, (each) =>
    [clock(each.at), each.who, t.actions[each.action] ?? each.action, each.target, said(each.details)]);
  const list = pages(app, (after) => `api/v1/audit?${page(after, 100)}`, (answer) => {
    hide(empty, answer.entries.length > 0);
    hide(entries.node, answer.entries.length === 0);
    entries.fill(answer.entries);
  }, PERIOD);
  const refused = refusalPanel(app);
  const people = table(t.users, [t.person, t.role, t.roadsHead, t.secret], (each) => each.name, (each) => [
    each.name === me.name ? `${each.name} (${t.you})` : each.name, t.roles[each.role] ?? each.role,
    each.roads === null ? t.allRoads : each.roads.join(", "),
    [each.password && t.byPassword, each.token && t.byToken].filter(Boolean).join(" · "),
  ]);
  const nobody = make("p", "empty", t.noUsers);
  const users = make("section", "panel users", make("div", "title-row", make("h2", "", t.users)), nobody, people.node);
  let asked = false;
  let over = false;
  async function draw() {
    hide(users, !asked);
    if (asked || !app.may("admin")) return;
    const answer = await app.api.get("api/v1/users", { quiet: true }).catch(() => null);
    if (over || answer === null) return;
    asked = true;
    hide(users, false);
    hide(nobody, answer.users.length > 0);
    hide(people.node, answer.users.length === 0);
    people.fill(answer.users);
  }
  const tables = make("ul", "report-rows", ...Object.keys(t.whats).map((each) =>
    make("li", "work", make("span", "where", t.whats[each]), exporter(app, each))));
  root.append(make("div", "columns wide-left",
    make("section", "panel", make("div", "title-row", make("h2", "", t.auditTitle)), empty, entries.node, list.node),
    make("div", "column", make("section", "panel", make("div", "title-row", make("h2", "", t.exports)), tables), users, refused.node)));
  ends = [subscribe(draw), list.load.stop, refused.stop, () => { over = true; }];
  draw();
}

export function unmount() {
  for (const end of ends) end();
  ends = [];
}
