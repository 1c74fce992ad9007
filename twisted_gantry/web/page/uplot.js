// Loads uPlot and its style when a plot is first opened. The files are as published; see VENDOR.

import { ROOT } from "./shared/api.js";

let loading = null;

const loaded = (tag, attributes) => new Promise((done, failed) => {
  const node = Object.assign(document.createElement(tag), attributes);
  node.addEventListener("load", done);
  node.addEventListener("error", () => {
    node.remove();
    failed(new TypeError("uPlot"));
  });
  document.head.append(node);
});

// Return the constructor of plots. After a failure the next call tries again.
export function uPlot() {
  const at = (name) => new URL(`vendor/${name}`, ROOT).href;
  loading ??= Promise.all([
    loaded("link", { rel: "stylesheet", href: at("uPlot.min.css") }),
    loaded("script", { src: at("uPlot.iife.min.js") }),
  ]).then(() => globalThis.uPlot).catch((error) => {
    loading = null;
    throw error;
  });
  return loading;
}
