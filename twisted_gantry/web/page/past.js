// Past values of points, on one grid of time. Times are Unix seconds.

const DAY = 86_400;
// Steps that people read with ease; each fits the grid of the history.
const STEPS = [1, 2, 5, 10, 15, 20, 30, 60, 120, 180, 300, 600, 900, 1800, 3600, 7200, 10_800,
  21_600, 43_200, DAY];
const MOST = 1500; // the API has at most 2,000 buckets in an answer

// Return the least step that gives at most `places` buckets in so many seconds.
export function stepFor(seconds, places) {
  const most = Math.max(60, Math.min(MOST, places));
  return STEPS.find((each) => seconds / each <= most) ?? Math.ceil(seconds / most / DAY) * DAY;
}

// Ask for past values of a point: `{step, known, texts}`. `known` has what is known by its time:
// [least, mean, greatest], or the text that held longest.
export async function past(api, point, since, until, step) {
  const asked = new URLSearchParams({ point, since: since.toFixed(3), until: until.toFixed(3) });
  if (step) asked.set("step", String(step));
  const answer = await api.get(`api/v1/history?${asked}`, { quiet: true });
  const texts = answer.states.length > 0;
  const rows = texts
    ? answer.states.map(([at, state]) => [Date.parse(at) / 1000, state])
    : answer.samples.map(([at, ...values]) => [Date.parse(at) / 1000, values]);
  return { step: answer.step, known: new Map(rows), texts };
}

// Return the times of a grid from `since` to `until`, both included.
export function grid(since, until, step) {
  const first = Math.floor(since / step);
  const count = Math.max(1, Math.floor(until / step) - first + 1);
  return Array.from({ length: count }, (_, n) => (first + n) * step);
}

// Tell whether past values are those of a flag; it may have no value at present.
export const flags = ({ known }) =>
  known.size > 0 && [...known.values()].every(([least, , most]) => least * (1 - least) === 0 && most * (1 - most) === 0);

// Return runs of equal values: [first, last, value] of places in `values`; null is no run.
export function runs(values) {
  const found = [];
  values.forEach((value, place) => {
    const last = found.at(-1);
    if (value === null) return;
    if (last && last[1] === place - 1 && last[2] === value) last[1] = place;
    else found.push([place, place, value]);
  });
  return found;
}
