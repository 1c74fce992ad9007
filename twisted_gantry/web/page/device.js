// A device: its state and what to do next, plots, points, commands, its battery test, the way to it.

import { buildAlarm, fillAlarm } from "./alarm_card.js";
import { batteryTest } from "./battery_test.js";
import { cardList } from "./shared/cards.js";
import { commandPanel } from "./commands.js";
import { DEVICE_TEXTS } from "./device_texts.js";
import { devicePoints } from "./device_points.js";
import { diagnosis } from "./diagnose.js";
import { hide, make, mark, parts, write } from "./shared/dom.js";
import { subscribe } from "./shared/telling.js";
import { age, clock } from "./shared/format.js";
import { interlocks } from "./interlocks.js";
import { byUrgency, known } from "./known.js";
import { kindOf } from "./reading.js";
import { inLanguage, text } from "./shared/language.js";
import { plot } from "./plot.js";

export const name = "device";
const DEFAULT = 3; // numbers in the plot that is drawn unasked
const TELLING = [/load_r$|load$|power$|cpu_usage$/, /battery_charge$|soc$|memory_usage$/,
  /input_voltage_r$|voltage$/, /temperature$/, /humidity$|disk_usage$|current/];
const FIXED = /\.(max|min|rated|nominal|reserve|overdraft)_|_size$|_(errors|time)$/; // hardly ever change
let close = () => {};

// Return the names of the points that tell most of a device: few numbers, and its state.
export function telling(points) {
  const numbers = points.filter((each) => !FIXED.test(each.point)
    && (typeof each.value === "number" || (each.value === null && each.unit && each.quality !== "not-supported")));
  const found = TELLING.flatMap((pattern) => numbers.filter((each) => pattern.test(each.point)).slice(0, 1));
  const chosen = [...new Set([...found, ...numbers])].slice(0, DEFAULT);
  const state = points.find((each) => /\.(state|operating_status)$/.test(each.point));
  return [...chosen, ...(state ? [state] : [])].map((each) => each.point);
}

export function mount(root, { device: wanted }, app) {
  const words = app.words(DEVICE_TEXTS);
  const head = parts(
    make("section", "card device-head",
      make("p", "head", make("strong", "name", wanted), make("span", "kind"), make("span", "chip")),
      make("p", "fine since"), make("p", "error"), make("p", "advice")),
    ["kind", "chip", "since", "error", "advice"],
  );
  const unknown = make("p", "empty", text.noSuchDevice(wanted));
  hide(unknown, true);
  const points = devicePoints(app, words, (point) => drawing?.toggle(point));
  const commands = commandPanel(app, words, wanted);
  const test = batteryTest(app, words, wanted);
  const trial = diagnosis(app, words, wanted);
  const locks = interlocks(app, words, wanted);
  const alarms = cardList("active", text.noActiveAlarms);
  const place = make("div", "plot-place");
  commands.ran(test.told);
  const alarmsTitle = make("h2", "", text.activeAlarms);
  const side = make("div", "device-side", commands.node, test.node, trial.node, locks.node,
    make("section", "", alarmsTitle, ...alarms.nodes));
  root.append(unknown, make("div", "device-columns",
    make("div", "device-main", head, place, points.node), side));
  // Nothing moves when the commands and the interlocks come.
  hide(side, true);
  Promise.all([commands.loaded, locks.loaded]).then(() => hide(side, false));

  let drawing = null;

  function openPlot(own) {
    const asked = new URLSearchParams(location.search);
    const listed = (asked.get("plot") ?? "").split(",")
      .filter((each) => app.known.points.some(({ point }) => point === each));
    const [span, until] = [Number(asked.get("span")), Number(asked.get("until"))];
    const time = {
      ...(span >= 60 ? { span } : {}),
      ...(until > 0 ? { until } : {}),
    };
    drawing = plot(app, listed.length ? listed : telling(own), time, keep);
    place.append(drawing.node);
    drawing.load();
  }

  // The address has what is plotted, so that it can be loaded again and given away.
  function keep() {
    const { span, until } = drawing.shown();
    const asked = new URLSearchParams(location.search);
    asked.set("plot", drawing.names.join(","));
    asked.set("span", String(Math.round(span)));
    if (until === null) asked.delete("until");
    else asked.set("until", String(Math.round(until)));
    history.replaceState(history.state, "", `?${asked.toString().replaceAll("%2C", ",")}`);
    draw();
  }

  function draw() {
    const device = known.site?.devices.find((each) => each.name === wanted);
    hide(unknown, known.site === null || device !== undefined);
    root.lastElementChild.hidden = known.site !== null && device === undefined;
    if (known.site === null || device === undefined) return;
    const own = known.points.filter((each) => each.point.startsWith(`${wanted}.`));
    if (drawing === null && own.length) openPlot(own);
    points.fill(own, drawing?.names ?? []);
    commands.fill();
    test.fill();
    trial.fill();
    locks.fill();
    const active = known.active.filter((each) => each.source === wanted).sort(byUrgency);
    write(alarmsTitle, active.length ? words.alarms(active.length) : text.activeAlarms);
    alarms.fill(active, (a) => a.alarm + a.raisedAt, buildAlarm, fillAlarm);
    showState(device, active);
  }

  function showState(device, active) {
    const { kind, chip, since, error, advice } = head.parts;
    const critical = active.some((each) => each.severity === "critical");
    mark(head, "state", device.state);
    mark(head, "severity", critical ? "critical" : active.length ? "warning" : "");
    write(kind, kindOf(device.kind));
    mark(chip, "state", device.state);
    write(chip, text[device.state]);
    const count = active.length ? ` · ${words.alarms(active.length)}` : "";
    write(since, `${text.since(clock(device.since), age(device.since))}${count}`);
    const said = inLanguage([device.lastError, device.lastErrorZh]);
    const at = device.lastErrorAt ? `${clock(device.lastErrorAt)}, ${text.ago(age(device.lastErrorAt))}` : "";
    write(error, said ? words.error(said, at) : words.noError);
    const next = inLanguage([device.advice, device.adviceZh]);
    write(advice, next ? words.next(next) : "\u00a0");
  }

  const unsubscribe = subscribe(draw);
  close = () => {
    unsubscribe();
    drawing?.close();
    points.close();
    trial.close();
    locks.close();
  };
  draw();
}

export function unmount() {
  close();
}
