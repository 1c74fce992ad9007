// Writing to the page: nodes are kept, and only what changed is written, so that nothing flickers
// and a selection stays. Data goes into text nodes alone, never into markup.

export function write(node, content) {
  if (node.textContent !== content) node.textContent = content;
}

export function mark(node, name, value) {
  if (node.dataset[name] !== value) node.dataset[name] = value;
}

export function hide(node, hidden) {
  if (node.hidden !== hidden) node.hidden = hidden;
}

export function make(tag, className, ...children) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  node.append(...children);
  return node;
}

// Make the children of `parent` one for each item: kept by key, made by `build`, told by `fill`.
export function sync(parent, items, key, build, fill) {
  const held = document.activeElement;
  const wanted = new Set(items.map(key));
  const kept = new Map();
  for (const child of [...parent.children]) {
    const name = child.dataset.key;
    if (wanted.has(name) && !kept.has(name)) kept.set(name, child);
    else child.remove();
  }
  let place = parent.firstElementChild;
  for (const item of items) {
    const name = key(item);
    let child = kept.get(name);
    if (child === undefined) {
      child = build(item);
      child.dataset.key = name;
      kept.set(name, child);
    }
    if (child === place) place = place.nextElementSibling;
    else parent.insertBefore(child, place);
    fill(child, item);
  }
  // A node that moves loses the focus, and who goes by keyboard with it.
  if (held !== document.activeElement && parent.contains(held)) held.focus({ preventScroll: true });
}

// Keep the descendants of `node` that have these classes as `node.parts`, by class.
export function parts(node, names) {
  node.parts = Object.fromEntries(names.map((name) => [name, node.querySelector(`.${name}`)]));
  return node;
}
