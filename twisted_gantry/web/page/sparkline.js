// Small lines of the last day, asked for when they come into view, few at a time.

import { grid, past } from "./past.js";
import { now } from "./shared/format.js";

const DAY = 86_400;
const STEP = 1800;
const WIDTH = 96;
const HEIGHT = 24;
const AT_ONCE = 2;
const OLD = 900_000; // ms after which a line in view is asked for again
const SVG = "http://www.w3.org/2000/svg";

// Return `{watch(node, point), wants(node, yes), close()}`: draws into watched nodes that want it.
export function sparklines(app) {
  const points = new Map(); // node → {point, wants, seen, at}
  const queue = [];
  let running = 0;
  let closed = false;

  const seen = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const it = points.get(target);
      if (!it) continue;
      it.seen = isIntersecting;
      ask(target);
    }
  });
  const again = setInterval(() => {
    if (!document.hidden) for (const node of points.keys()) ask(node);
  }, OLD / 5);

  function ask(node) {
    const it = points.get(node);
    const due = it.wants && it.seen && performance.now() - it.at > OLD;
    if (!due || queue.includes(node)) return;
    queue.push(node);
    work();
  }

  async function work() {
    if (running >= AT_ONCE || closed || queue.length === 0) return;
    running += 1;
    const node = queue.shift();
    const it = points.get(node);
    it.at = performance.now();
    const until = now() / 1000;
    try {
      const { known, step } = await past(app.api, it.point, until - DAY, until, STEP);
      if (!closed) node.replaceChildren(line(grid(until - DAY, until, step).map((at) => known.get(at)?.[1] ?? null)));
    } catch {
      it.at = performance.now() - OLD + 60_000; // another try in a minute
    }
    running -= 1;
    work();
  }

  return {
    watch(node, point) {
      points.set(node, { point, wants: false, seen: false, at: -Infinity });
      seen.observe(node);
    },
    wants(node, yes) {
      const it = points.get(node);
      if (!yes || it.wants) return;
      it.wants = true;
      ask(node);
    },
    close() {
      closed = true;
      seen.disconnect();
      clearInterval(again);
    },
  };
}

// Return the line of values, null for a gap. What it shows is in the plot, too, and in the value
// beside it: assistive programs are spared.
function line(values) {
  const known = values.filter((each) => each !== null);
  const [least, most] = [Math.min(...known), Math.max(...known)];
  const x = (n) => ((n / (values.length - 1 || 1)) * (WIDTH - 2) + 1).toFixed(1);
  const y = (value) => (most === least ? HEIGHT / 2 : HEIGHT - 2 - ((value - least) / (most - least)) * (HEIGHT - 4)).toFixed(1);
  let path = "";
  let pen = false;
  values.forEach((value, n) => {
    if (value !== null) path += `${pen ? "L" : "M"}${x(n)} ${y(value)}${pen ? "" : "h0.1"}`;
    pen = value !== null;
  });
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
  svg.setAttribute("aria-hidden", "true");
  const drawn = document.createElementNS(SVG, "path");
  drawn.setAttribute("d", path);
  svg.append(drawn);
  return svg;
}
