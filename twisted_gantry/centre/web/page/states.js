// How a gantry is: the one place where ranks and colours come from.

export const STATES = ["critical", "warning", "silent", "maintenance", "never", "well"];

// The state that a gantry shows: one that waits for a person is no other.
export const stateOf = (gantry) => (gantry.pending ? "pending" : gantry.state);

// Return the worst state of gantries and how many are in each.
export function summed(gantries) {
  const counts = Object.fromEntries(STATES.map((each) => [each, 0]));
  for (const each of gantries) if (!each.pending) counts[each.state] += 1;
  const worst = STATES.find((each) => counts[each]) ?? "never";
  const total = STATES.reduce((sum, each) => sum + counts[each], 0);
  return { counts, worst, total };
}

// Numbers of stakes such as K123+456, in metres; null for another text.
export function metres(stake) {
  const found = /^[A-Za-z]*K?(\d+)(?:\+(\d+(?:\.\d+)?))?$/i.exec(stake.trim());
  return found ? Number(found[1]) * 1000 + Number(found[2] ?? 0) : null;
}

const natural = new Intl.Collator("en", { numeric: true }).compare;

// Along the road: by stake where both have one, then by id.
function along(a, b) {
  const [one, other] = [metres(a.stake), metres(b.stake)];
  if (one !== null && other !== null && one !== other) return one - other;
  return natural(a.id, b.id);
}

// Group gantries: [[road, [[section, [gantry, …]], …]], …], in the order in which people read them.
export function byRoad(gantries) {
  const roads = new Map();
  for (const each of gantries) {
    if (!roads.has(each.road)) roads.set(each.road, new Map());
    const sections = roads.get(each.road);
    if (!sections.has(each.section)) sections.set(each.section, []);
    sections.get(each.section).push(each);
  }
  return [...roads].sort(([a], [b]) => natural(a, b)).map(([road, sections]) =>
    [road, [...sections].sort(([a], [b]) => natural(a, b)).map(([section, all]) =>
      [section, all.sort(along)])]);
}
