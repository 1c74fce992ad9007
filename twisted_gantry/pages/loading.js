// What the stream does not tell: asked for at once, when wished, and every now and then.

// Return `{now, stop, first}`. `ask()` gives a promise; `show(answer)` is told each answer,
// `failed()` that one did not come; `first` is a promise for the first of either. One question is on
// its way at a time, and the newest wish is always answered.
export function loader(ask, show, failed, period) {
  let running = false;
  let again = false;
  let stopped = false;
  let timer = 0;
  let came = () => {};
  const first = new Promise((resolve) => { came = resolve; });

  async function now() {
    if (running) {
      again = true;
      return;
    }
    clearTimeout(timer);
    running = true;
    do {
      again = false;
      let answer = null;
      try {
        answer = await ask();
      } catch {
        if (!stopped && !again) failed();
      }
      if (answer !== null && !stopped && !again) show(answer);
      came();
    } while (again && !stopped);
    running = false;
    if (!stopped) timer = setTimeout(tick, period);
  }

  function tick() {
    if (document.hidden) timer = setTimeout(tick, period);
    else now();
  }

  now();
  return {
    now,
    first,
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

// Show `node` when all `loaders` have told what there is, and `known` is done: nothing moves then.
export async function reveal(node, loaders, known) {
  node.hidden = true;
  await Promise.all([known, ...loaders.map(({ first }) => first)]);
  node.hidden = false;
}
