// The title and the icon of a browser's tab.

import { ROOT } from "./api.js";

const ICONS = { online: "favicon.svg", connecting: "favicon.svg", warning: "favicon-warning.svg",
  critical: "favicon-critical.svg", offline: "favicon-offline.svg" };
const MARKS = { critical: "▲ ", warning: "△ ", offline: "✕ " };

// Show a state; `trouble` says why the page is old, `count` is that of the causes. Without a `name`
// the title stays.
export function showTab(state, trouble, count, name) {
  const icon = document.querySelector("link[rel=icon]");
  const wanted = new URL(`shared/${ICONS[state]}`, ROOT).href;
  // Its attribute, for an address that is relative changes with the path of the view.
  if (icon.getAttribute("href") !== wanted) icon.href = wanted;
  if (name === null) return;
  const title = trouble ? `${MARKS.offline}${trouble} · ${name}`
    : count ? `${MARKS[state] ?? ""}(${count}) ${name}` : name;
  if (document.title !== title) document.title = title;
}
