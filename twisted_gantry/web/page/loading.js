// What the stream does not tell: asked for at once, when wished, and every now and then.

// Return `{now, stop}`. `ask()` gives a promise; `show(answer)` is told each answer, `failed()` that
// one did not come. One question is on its way at a time; the newest wish is always answered.
export function loader(ask, show, failed, period) {
  let running = false;
  let again = false;
  let stopped = false;
  let timer = 0;

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
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
