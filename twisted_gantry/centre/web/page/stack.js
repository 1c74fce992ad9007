// A list of rows of one height, of which only those in sight are in the document. Rows have places by
// `transform`, so that one that comes, goes or moves shifts nothing.

import { make, sync } from "./shared/dom.js";

const SPARE = 6; // rows beyond the edges

// `rem()` is the height of a row. Returns `{node, fill(items)}`: `key(item)`, `build(item)` and
// `show(row, item)` are those of `sync`; `label` names the list for a screen reader.
export function stack(label, rem, key, build, show) {
  const list = make("ul", "stack-list");
  const node = make("div", "stack", list);
  node.tabIndex = 0;
  node.setAttribute("role", "region");
  node.setAttribute("aria-label", label);
  let items = [];
  let drawing = 0;
  let shown = "";

  const height = () => rem() * parseFloat(getComputedStyle(document.documentElement).fontSize);

  function draw() {
    drawing = 0;
    const each = height();
    const whole = `${Math.ceil(items.length * each)}px`;
    if (list.style.height !== whole) list.style.height = whole;
    const first = Math.max(0, Math.floor(node.scrollTop / each) - SPARE);
    const last = Math.min(items.length, Math.ceil((node.scrollTop + node.clientHeight) / each) + SPARE);
    const places = Array.from({ length: Math.max(0, last - first) }, (_, n) => first + n);
    // A row that a person is in stays.
    const held = list.contains(document.activeElement)
      ? document.activeElement.closest("li")?.dataset.key : undefined;
    const at = held === undefined ? -1 : items.findIndex((item) => key(item) === held);
    if (at >= 0 && (at < first || at >= last)) places.push(at);
    sync(list, places, (n) => key(items[n]), (n) => build(items[n]), (row, n) => {
      const move = `translateY(${Math.round(n * each)}px)`;
      if (row.style.transform !== move) row.style.transform = move;
      row.setAttribute("aria-posinset", String(n + 1));
      row.setAttribute("aria-setsize", String(items.length));
      show(row, items[n]);
    });
    shown = `${first}-${last}`;
  }

  function scrolled() {
    if (!drawing) drawing = requestAnimationFrame(() => {
      const each = height();
      const first = Math.max(0, Math.floor(node.scrollTop / each) - SPARE);
      const last = Math.min(items.length, Math.ceil((node.scrollTop + node.clientHeight) / each) + SPARE);
      if (shown !== `${first}-${last}`) draw();
      else drawing = 0;
    });
  }

  node.addEventListener("scroll", scrolled, { passive: true });
  const sized = new ResizeObserver(scrolled);
  sized.observe(node);
  return {
    node,
    fill(wanted) {
      items = wanted;
      draw();
    },
    stop: () => sized.disconnect(),
  };
}
