// The last day of each outbox as bars: what was delivered, set aside and dropped.

import { bars } from "./bars.js";
import { hide, make, mark, parts, sync, write } from "./shared/dom.js";
import { words } from "./shared/language.js";
import { loader } from "./shared/loading.js";
import { LISTS } from "./texts_lists.js";

const PERIOD = 60_000;

// Return `{nodes, draw, load, stop}`.
export function deliveries(app) {
  const t = words(LISTS);
  const days = make("div", "days");
  const empty = make("p", "empty", t.noDay);
  let last = null;
  hide(empty, true);

  const load = loader(
    () => app.api.get("api/v1/deliveries", { quiet: true }),
    (answer) => {
      last = answer;
      draw();
    },
    () => {},
    PERIOD,
  );

  function draw() {
    if (last === null) return;
    const counted = last.queues;
    sync(days, counted, (each) => each.name, build, fill);
    hide(empty, counted.length > 0);
  }

  function fill(node, { name, slots }) {
    const sums = { delivered: 0, setAside: 0, dropped: 0 };
    for (const [, delivered, setAside, dropped] of slots) {
      sums.delivered += delivered;
      sums.setAside += setAside;
      sums.dropped += dropped;
    }
    const said = t.dayOf(name, sums);
    write(node.parts.said, said);
    const plot = node.parts["day-plot"];
    mark(plot, "plot", `deliveries.${name}`);
    plot.firstElementChild.setAttribute("aria-label", said);
    bars(plot.firstElementChild, last, slots);
  }

  addEventListener("resize", draw);
  const shade = matchMedia("(prefers-color-scheme: dark)");
  shade.addEventListener("change", draw);
  const chosen = new MutationObserver(draw);
  chosen.observe(document.documentElement, { attributeFilter: ["data-theme"] });

  return {
    nodes: [days, empty],
    draw,
    load,
    stop() {
      load.stop();
      removeEventListener("resize", draw);
      shade.removeEventListener("change", draw);
      chosen.disconnect();
    },
  };
}

function build() {
  const canvas = make("canvas");
  canvas.setAttribute("role", "img");
  return parts(
    make("figure", "day", make("figcaption", "said"), make("div", "day-plot", canvas)),
    ["said", "day-plot"],
  );
}
