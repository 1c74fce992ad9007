// Fingers on a plot: one moves the time, two zoom it; the mouse with Shift is one finger.

const LEAST = 0.01; // of the width: a smaller move is a touch alone
const CLOSEST = 0.05; // of the width between two fingers, from where they zoom no further

// Listen on `box`. `area()` is the element of the drawn time, null while there is none; `bounds()`
// its `[since, until]`. `shows(since, until)` hears of each move, `chosen(since, until)` of its end.
export function fingers(box, { area, bounds, shows, chosen }) {
  const down = new Map(); // the place of each finger, as a part of the width
  let from = null; // where the fingers began: `{view, places}`
  let view = null; // what they show now

  const placeOf = (event) => {
    const { left, width } = area().getBoundingClientRect();
    return (event.clientX - left) / width;
  };

  function begin() {
    from = { view: view ?? bounds(), places: [...down.values()] };
  }

  // What was under each finger stays under it.
  function seen() {
    const [since, until] = from.view;
    const now = [...down.values()];
    let span = until - since;
    const timeAt = (place) => since + place * (until - since);
    if (now.length === 2) {
      const apart = (places) => Math.max(CLOSEST, Math.abs(places[1] - places[0]));
      span *= apart(from.places) / apart(now);
    }
    const middle = (places) => places.reduce((sum, each) => sum + each, 0) / places.length;
    const start = timeAt(middle(from.places)) - middle(now) * span;
    return [start, start + span];
  }

  box.addEventListener("pointerdown", (event) => {
    if (area() === null || !(event.pointerType === "touch" || event.shiftKey) || down.size === 2) return;
    event.stopPropagation();
    box.setPointerCapture(event.pointerId);
    down.set(event.pointerId, placeOf(event));
    begin();
  }, true);
  box.addEventListener("mousedown", (event) => event.shiftKey && event.stopPropagation(), true);
  box.addEventListener("pointermove", (event) => {
    if (!down.has(event.pointerId) || area() === null) return;
    down.set(event.pointerId, placeOf(event));
    view = seen();
    shows(...view);
  });
  const release = (event) => {
    if (!down.delete(event.pointerId)) return;
    if (down.size) {
      begin();
      return;
    }
    const [since, until] = bounds();
    const span = until - since;
    const shown = view;
    view = from = null;
    if (shown && shown.some((at, n) => Math.abs(at - [since, until][n]) > LEAST * span)) chosen(...shown);
  };
  box.addEventListener("pointerup", release);
  box.addEventListener("pointercancel", release);
}
