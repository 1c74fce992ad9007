// Where everything stands in the picture of the site: a pure function of the configuration.
//
// Power flows from the mains on the left over supplies to what they feed; the uplinks stand on the
// right. On a narrow page the columns become rows.

const SUPPLIES = ["ups-card", "ups-card-http", "cfos", "bms"];
const ON_MAINS = [...SUPPLIES, "cabinet"];
export const isUps = ({ kind }) => kind === "ups-card" || kind === "ups-card-http";

export const BOX = { width: 176, height: 66, gap: 14, lane: 44 };
const TALL = { cabinet: 2 }; // boxes that take several places

// Return `{width, height, narrow, boxes, lines}` for devices and uplinks in a space of `space.width`
// by `space.height` pixels. A box is `{id, type, name, x, y, width, height}`; a line is
// `{from, to, type, path}`, of the type "power" or "data".
export function plan({ devices, uplinks }, space) {
  const power = devices.filter((each) => SUPPLIES.includes(each.kind));
  const rest = devices.filter((each) => !SUPPLIES.includes(each.kind));
  const loads = power.some(isUps) ? [{ id: "loads", type: "loads", name: "" }] : [];
  const device = (each) => ({ id: `device:${each.name}`, type: "device", ...each });
  const lanes = [
    [{ id: "mains", type: "mains", name: "" }],
    power.map(device),
    [...loads, ...rest.map(device)],
    [{ id: "gantry", type: "gantry", name: "" },
      ...uplinks.map((each) => ({ id: `uplink:${each.name}`, type: "uplink", ...each }))],
  ].filter((lane) => lane.length);
  const narrow = space.width < 560;
  const placed = narrow ? inRows(lanes, space.width) : inColumns(lanes, space);
  return { ...placed, narrow, lines: linesOf(placed.boxes, narrow) };
}

const places = (box) => TALL[box.kind] ?? 1;

// Try each number of places in a column, and keep what is shown largest.
function inColumns(lanes, space) {
  const tries = [2, 3, 4, 5, 6, 7, 8].map((most) => columns(lanes, most));
  const scale = ({ width, height }) => Math.min(space.width / width, space.height / height);
  const best = tries.reduce((a, b) => (scale(b) > scale(a) ? b : a));
  return spread(best, space);
}

function columns(lanes, most) {
  const boxes = [];
  let x = 0;
  for (const lane of lanes) {
    const total = lane.reduce((sum, each) => sum + places(each), 0);
    const even = Math.ceil(total / Math.ceil(total / most));
    const mine = [];
    const laneX = x;
    let row = 0;
    for (const each of lane) {
      if (row && row + places(each) > even) {
        row = 0;
        x += BOX.width + BOX.gap;
      }
      const height = places(each) * BOX.height + (places(each) - 1) * BOX.gap;
      mine.push({ ...each, laneX, x, y: row * (BOX.height + BOX.gap), width: BOX.width, height });
      row += places(each);
    }
    for (const each of mine) each.laneEnd = x + BOX.width;
    boxes.push(mine);
    x += BOX.width + BOX.lane;
  }
  const end = (lane) => Math.max(...lane.map((each) => each.y + each.height));
  const height = Math.max(...boxes.map(end));
  for (const lane of boxes) {
    const down = (height - end(lane)) / 2;
    for (const each of lane) each.y += down;
  }
  return { width: x - BOX.lane, height, boxes: boxes.flat() };
}

// Use the width that is left over for more room between the lanes, up to a limit.
function spread({ width, height, boxes }, space) {
  const free = (space.width / space.height) * height - width;
  const lanes = [...new Set(boxes.map((each) => each.laneX))].sort((a, b) => a - b);
  const more = Math.max(0, Math.min(free / Math.max(1, lanes.length - 1), BOX.lane * 2));
  for (const each of boxes) {
    const moved = lanes.indexOf(each.laneX) * more;
    each.x += moved;
    each.laneX += moved;
    each.laneEnd += moved;
  }
  return { width: width + more * (lanes.length - 1), height, boxes };
}

function inRows(lanes, given) {
  const across = 2;
  const width = Math.max(given, 320);
  const each = (width - BOX.gap) / across;
  const boxes = [];
  let y = 0;
  for (const lane of lanes) {
    const heights = Array(across).fill(y);
    for (const item of lane) {
      const column = heights.indexOf(Math.min(...heights));
      const alone = lane.length === 1;
      const height = places(item) * BOX.height + (places(item) - 1) * BOX.gap;
      boxes.push({
        ...item, x: alone ? 0 : column * (each + BOX.gap), y: heights[column],
        width: alone ? width : each, height,
      });
      heights[column] += height + BOX.gap;
    }
    y = Math.max(...heights) + BOX.gap;
  }
  return { width, height: y - 2 * BOX.gap, boxes };
}

function linesOf(boxes, narrow) {
  const byId = new Map(boxes.map((each) => [each.id, each]));
  const lines = [];
  const line = (from, to, type) => {
    if (byId.has(from) && byId.has(to)) lines.push({ from, to, type });
  };
  for (const each of boxes) {
    if (each.type === "loads") {
      for (const ups of boxes.filter(isUps)) line(ups.id, each.id, "power");
    }
    if (each.type === "uplink") line("gantry", each.id, "data");
    if (each.type !== "device") continue;
    const feeder = each.fedBy ?? (ON_MAINS.includes(each.kind) ? "mains" : null);
    if (feeder !== null) line(feeder === "mains" ? "mains" : `device:${feeder}`, each.id, "power");
  }
  return lines.map((each) => ({
    ...each, path: path(byId.get(each.from), byId.get(each.to), narrow),
  }));
}

// A line from the right side of a box to the left side of another one, or from below to above.
function path(from, to, narrow) {
  if (narrow || to.x <= from.x) {
    const [x1, x2] = [from.x + 10, to.x + 10];
    const bend = to.y - BOX.gap / 2;
    return `M${x1} ${from.y + from.height}V${bend}H${x2}V${to.y}`;
  }
  // What comes from further away turns first, so that lines of two sources stay apart.
  const bend = to.laneX - (from.type === "mains" && to.laneX > BOX.width + 3 * BOX.lane ? 30 : 16);
  const right = from.x + from.width;
  // Where a lane has several columns, a line goes along the gaps between their boxes.
  const out = right < from.laneEnd
    ? `M${right - 16} ${from.y + from.height}v${BOX.gap / 2 - 3}H${bend}`
    : `M${right} ${from.y + from.height / 2}H${bend}`;
  const into = to.x > to.laneX
    ? `V${to.y - BOX.gap / 2 + 3}H${to.x + 16}V${to.y}`
    : `V${to.y + Math.min(to.height, BOX.height) / 2}H${to.x}`;
  return out + into;
}
