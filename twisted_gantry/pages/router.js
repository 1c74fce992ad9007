// Which view stands at which path. A view is a module that exports `name`,
// `mount(root, params, app)` and `unmount()`, and is loaded when it is opened first.

import { ROOT } from "./api.js";

let routes = []; // [pattern, view]: groups of the pattern are the parameters

// Return `{view, params}` of a location, null for one that is no view's.
export function routed(url) {
  if (url.origin !== ROOT.origin || !url.pathname.startsWith(ROOT.pathname)) return null;
  const path = url.pathname.slice(ROOT.pathname.length);
  for (const [pattern, view] of routes) {
    const found = pattern.exec(path);
    if (found) return { view, params: decoded(found.groups ?? {}) };
  }
  return null;
}

function decoded(groups) {
  return Object.fromEntries(Object.entries(groups).map(([key, each]) => {
    try {
      return [key, decodeURIComponent(each)];
    } catch {
      return [key, each];
    }
  }));
}

let app = null;
let shown = null; // the module of the view that is shown
let turn = 0;

// Show the view of the present location. A later call overtakes an earlier one.
export async function open() {
  const mine = ++turn;
  const { view, params } = routed(location) ?? { view: routes[0][1], params: {} };
  const module = await import(new URL(`${view}.js`, ROOT));
  if (mine !== turn) return;
  shown?.unmount();
  const root = document.createElement("div");
  root.dataset.view = view;
  Object.assign(root.dataset, params);
  document.getElementById("view").replaceChildren(root);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.dataset.to === view) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  shown = module;
  module.mount(root, params, app);
}

// Go to a path such as `/devices/ups1`.
export function navigate(path) {
  const url = new URL(path.replace(/^\//, ""), ROOT);
  if (url.href !== location.href) history.pushState(null, "", url);
  scrollTo(0, 0);
  return open();
}

// Return the address of a path, for a link.
export function address(path) {
  const url = new URL(path.replace(/^\//, ""), ROOT);
  return url.pathname + url.search;
}

// Show the view of the path, here and after each step. The first of `views`, [pattern, view], is that
// of a path without a view.
export function start(given, views) {
  app = given;
  routes = views;
  for (const link of document.querySelectorAll("[data-path]")) link.href = address(link.dataset.path);
  document.querySelector(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    document.getElementById("view").focus();
  });
  addEventListener("popstate", open);
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[href]");
    const plain = !event.button && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
    if (!link || !plain || event.defaultPrevented) return;
    if (link.hasAttribute("target") || link.hasAttribute("download")) return;
    const url = new URL(link.getAttribute("href"), location.href); // also of a link in a picture
    if (url.hash) return;
    if (routed(url) === null) return;
    event.preventDefault();
    navigate(url.pathname.slice(ROOT.pathname.length) + url.search);
  });
  return open();
}
