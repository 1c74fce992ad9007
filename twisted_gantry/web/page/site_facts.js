// What stands in each box of the picture: a title, short lines, and how bad it is.

import { kindOf, reading } from "./reading.js";
import { age } from "./shared/format.js";
import { doors, keyValues, short } from "./key_values.js";
import { known } from "./known.js";
import { text } from "./shared/language.js";
import { isUps } from "./site_plan.js";
import { alarmsOf, howBad, worst } from "./worst.js";

// Return `{title, words, state, spoken, dead, charge}`; `dead`: no power comes from there; `charge`:
// what is left of its battery in %, of a device that tells it.
export function facts(box) {
  return { mains, loads, gantry, uplink, device }[box.type](box);
}

const POWER = /\.(mains-abnormal|mains-warning|phase-l[123]-lost|input-(over|under)-voltage)$/;
// Return the points of a device by their names without the device's.
export function pointsOf(name) {
  const start = `${name}.`;
  return new Map(known.points.filter((each) => each.point.startsWith(start))
    .map((each) => [each.point.slice(start.length), each]));
}

const good = (point) => point?.quality === "good" && point.value !== null;

const VOLTAGES = [
  ["input_voltage_r", "input_voltage_s", "input_voltage_t"],
  ["M1.voltage_l1", "M1.voltage_l2", "M1.voltage_l3"],
  ["elec.1.voltage"],
];

function mains() {
  const state = worst(known.active.filter((each) => POWER.test(each.alarm)));
  const words = [];
  for (const { name } of known.site.devices) {
    const points = pointsOf(name);
    const found = VOLTAGES.map((names) => names.map((each) => points.get(each)).filter(good))
      .find((each) => each.length);
    if (!found) continue;
    const values = found.map((each) => each.value.toFixed(0));
    words.push(`${new Set(values).size === 1 ? values[0] : values.join(" / ")} V`);
    if (good(points.get("input_frequency"))) words.push(reading(points.get("input_frequency"), 1));
    break;
  }
  return { title: text.mains, words, state, dead: state === "critical" };
}

function loads() {
  let power = 0;
  let measured = false;
  let off = [];
  for (const { name } of known.site.devices.filter(isUps)) {
    const points = pointsOf(name);
    for (const phase of "rst") {
      const [v, i] = [points.get(`output_voltage_${phase}`), points.get(`output_current_${phase}`)];
      if (!good(v) || !good(i)) continue;
      power += v.value * i.value;
      measured = true;
    }
    off = [...off, ...alarmsOf(name).filter((each) => each.alarm.endsWith(".output-off"))];
  }
  const words = measured ? [`${(power / 1000).toFixed(1)} kVA`] : ["—"];
  return { title: text.loads, words: off.length ? [...words, text.noSupply] : words, state: worst(off) };
}

function gantry() {
  const own = known.active.filter((each) => ["gantry", "store", "history", "record"].includes(each.source));
  const { reasons, site } = known;
  const count = known.active.length;
  return {
    title: text.thisComputer,
    words: [count ? text.countAlarms(count) : text.noActiveAlarms, text.up(age(site.startedAt))],
    state: reasons.length ? "critical" : worst(own),
  };
}

function uplink({ name }) {
  const one = known.site.uplinks.find((each) => each.name === name);
  const { ledger } = one;
  const waits = ledger === null ? text.ledgerShort : text.waits(ledger.queued);
  const words = [`${text[one.state]} · ${waits}`];
  if (ledger?.oldest) words.push(text.oldest(age(ledger.oldest)));
  else if (one.lastDelivered) words.push(text.lastDelivered(age(one.lastDelivered)));
  return { title: name, spoken: kindOf(one.kind), words, state: howBad(one), dead: one.state === "offline" };
}

function device({ name }) {
  const one = known.site.devices.find((each) => each.name === name);
  const points = pointsOf(name);
  const dead = alarmsOf(name).some((each) => /\.(output-off|power-off)$/.test(each.alarm));
  const words = one.state === "offline" ? [text.offline] : (WORDS[one.kind] ?? others)(points, one);
  const battery = points.get("battery_charge");
  const charge = one.state !== "offline" && good(battery) ? battery.value : null;
  return { title: name, spoken: kindOf(one.kind), words, state: howBad(one), dead, charge };
}

const show = (point, digits) => (good(point) ? reading(point, digits) : "—");
const join = (...words) => words.filter(Boolean).join(" · ");

function ups(points) {
  const load = ["load_r", "load_s", "load_t"].map((each) => points.get(each)).filter(good);
  const most = load.length ? `${Math.max(...load.map((each) => each.value)).toFixed(0)} %` : "";
  const left = points.get("battery_runtime");
  return [
    join(show(points.get("state")), most && text.load(most)),
    join(show(points.get("battery_charge"), 0), good(left) ? reading(left) : ""),
  ];
}

function cabinet(points) {
  const closed = doors((name) => points.get(name));
  const air = [...points.values()].filter(({ point }) => /\.air_conditioners\.[^.]+\.is_working$/.test(point));
  const works = air.filter((each) => each.value === true).length;
  const alarm = (sensor) => points.get(`${sensor}.is_warning`);
  const sensed = (name, sensor) => {
    const point = alarm(sensor);
    if (point === undefined) return "";
    return `${name} ${good(point) ? (point.value ? text.alarm : text.fine) : "—"}`;
  };
  const temperature = points.get("thermohygrometer.temperature");
  const humidity = points.get("thermohygrometer.humidity");
  return [
    temperature && join(show(temperature, 1), humidity && show(humidity, 0)),
    closed && `${text.doors} ${closed.value}`,
    air.length && `${text.air} ${text.ofAll(works, air.length)}`,
    sensed(text.smoke, "smoke_sensor"),
    sensed(text.water, "waterlogging_sensor"),
    points.has("elec.1.voltage") && `${text.mains} ${show(points.get("elec.1.voltage"), 0)}`,
  ].filter(Boolean);
}

function cfos(points) {
  const power = points.get("evse_power");
  const grid = points.get("M1.power");
  return [
    `${text.charging} ${good(power) ? short(power) : "—"}`,
    good(grid) ? `${text.grid} ${short(grid)}` : "",
  ].filter(Boolean);
}

function bms(points) {
  const closed = points.get("contactor_closed");
  return [show(points.get("operating_status")),
    closed ? `${text.contactor} ${good(closed) ? (closed.value ? text.closed : text.open) : "—"}` : ""];
}

function others(points, { kind }) {
  return keyValues(kind, points).slice(0, 2).map((each) => `${each.label} ${each.value}`);
}

const WORDS = { "ups-card": ups, "ups-card-http": ups, cabinet, cfos, bms };
