// The overview: is it well, what is wrong, since when, how long does the battery last, what waits.

import { attention } from "./attention.js";
import { hide, make, mark, parts, sync, write } from "./shared/dom.js";
import { subscribe } from "./shared/telling.js";
import { finder } from "./finder.js";
import { age, clock } from "./shared/format.js";
import { keyValues } from "./key_values.js";
import { known } from "./known.js";
import { kindOf } from "./reading.js";
import { inLanguage, text } from "./shared/language.js";
import { address } from "./shared/router.js";
import { pointsOf } from "./site_facts.js";
import { sitePicture } from "./site_picture.js";
import { buildPeer, buildUplink, fillPeer, fillUplink } from "./uplinks.js";
import { alarmsOf, howBad } from "./worst.js";

export const name = "overview";
const [NARROW, FEW] = [640, 6]; // pixels, devices
let unsubscribe = () => {};

export function mount(root, params, app) {
  const picture = sitePicture();
  const wrong = attention();
  const find = finder();
  const devices = make("ul", "devices");
  const summary = make("summary", "");
  const fold = make("details", "fold", summary, devices);
  let folded = null; // until the devices are known
  const uplinks = make("ul", "uplinks");
  const peers = make("ul", "peers");
  const [noDevices, noUplinks] = [text.noDevices, text.noUplinks].map((each) => make("p", "empty", each));
  hide(noDevices, true);
  hide(noUplinks, true);
  root.append(
    make("section", "site", make("h2", "hidden", text.picture), picture.node),
    wrong.node,
    make("section", "all-devices",
      make("div", "title-row", make("h2", "", text.devices), find.node), fold, noDevices),
    make("section", "waiting", make("h2", "", text.uplinks), uplinks, noUplinks, peers));

  function draw() {
    const { site } = known;
    if (site === null) return;
    picture.fill();
    wrong.fill();
    find.fill();
    if (folded === null) {
      // On a phone many cards open when a person asks for them: the picture has all devices.
      folded = innerWidth < NARROW && site.devices.length > FEW;
      fold.open = !folded;
      hide(summary, !folded);
    }
    write(summary, text.countDevices(site.devices.length));
    sync(devices, site.devices, (d) => d.name, buildDevice, fillDevice);
    sync(uplinks, site.uplinks, (u) => u.name, buildUplink, fillUplink);
    sync(peers, [...(site.notify ?? []), ...(site.bridges ?? [])], (p) => p.kind + p.name,
      buildPeer, fillPeer);
    hide(noDevices, site.devices.length > 0);
    hide(noUplinks, site.uplinks.length > 0);
  }

  unsubscribe = subscribe(draw);
  draw();
}

export function unmount() {
  unsubscribe();
}

function buildDevice(device) {
  const link = make("a", "name", device.name);
  link.href = address(`/devices/${encodeURIComponent(device.name)}`);
  const values = make("dl", "values");
  for (let i = 0; i < 3; i += 1) values.append(make("div", "", make("dt"), make("dd")));
  const node = parts(
    make("li", "card device",
      make("p", "head", link, make("span", "kind"), make("span", "chip")), values,
      make("p", "fine error")),
    ["kind", "chip", "values", "error"],
  );
  node.dataset.device = device.name;
  return node;
}

function fillDevice(node, device) {
  const { kind, chip, values, error } = node.parts;
  const state = howBad(device);
  mark(node, "state", state);
  write(kind, kindOf(device.kind));
  mark(chip, "state", state);
  const count = alarmsOf(device.name).length;
  write(chip, device.state !== "online" ? text[device.state]
    : count ? text.countAlarms(count) : text.online);
  const offline = device.state === "offline";
  hide(values, offline);
  hide(error, !offline);
  if (offline) {
    const why = inLanguage([device.lastError, device.lastErrorZh]) ?? "";
    write(error, `${text.sinceAge(clock(device.since), age(device.since))} · ${why}`);
    error.title = why;
    return;
  }
  const shown = keyValues(device.kind, pointsOf(device.name));
  [...values.children].forEach((each, i) => {
    hide(each, shown[i] === undefined);
    if (shown[i] === undefined) return;
    mark(each, "stale", String(shown[i].stale));
    write(each.firstChild, shown[i].label);
    write(each.lastChild, shown[i].value);
  });
}
