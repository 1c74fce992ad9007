// The overview: is it well, what is wrong, since when, how long does the battery last, what waits.

import { buildAlarm, cardList, fillAlarm, fillState } from "./cards.js";
import { make, mark, parts, write } from "./dom.js";
import { causes, known } from "./known.js";
import { kindOf, text } from "./language.js";
import { pointList } from "./points.js";
import { address } from "./router.js";
import { buildUplink, fillUplink } from "./uplinks.js";

export const name = "overview";
let unsubscribe = () => {};

export function mount(root, params, app) {
  const alarms = cardList("active", text.noActiveAlarms);
  const devices = cardList("devices", text.noDevices);
  const uplinks = cardList("uplinks", text.noUplinks);
  const points = pointList(false);
  root.append(
    make("section", "", make("h2", "", text.activeAlarms), ...alarms.nodes),
    make("section", "", make("h2", "", text.devices), ...devices.nodes),
    make("section", "", make("h2", "", text.uplinks), ...uplinks.nodes),
    points.node);

  function draw() {
    if (known.site === null) return;
    alarms.fill(causes(), (a) => a.alarm + a.raisedAt, buildAlarm, fillAlarm);
    devices.fill(known.site.devices, (d) => d.name, buildDevice, fillDevice);
    uplinks.fill(known.site.uplinks, (u) => u.name, buildUplink, fillUplink);
    points.fill(known.points);
  }

  unsubscribe = app.known.subscribe(draw);
  draw();
}

export function unmount() {
  unsubscribe();
}

function buildDevice(device) {
  const link = make("a", "name", device.name);
  link.href = address(`/devices/${encodeURIComponent(device.name)}`);
  const node = parts(
    make("li", "card device", make("p", "head", link, make("span", "chip")),
      make("p", "kind"), make("p", "fine since"), make("p", "fine error")),
    ["chip", "kind", "since", "error"],
  );
  node.dataset.device = device.name;
  return node;
}

function fillDevice(node, device) {
  mark(node, "state", device.state);
  write(node.parts.kind, kindOf(device.kind));
  fillState(node, device);
}
