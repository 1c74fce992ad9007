// The course and the result of a battery test, as the points of a UPS tell them.

import { hide, make, mark, parts, write } from "./shared/dom.js";
import { reading, valueName } from "./reading.js";
import { duration, now } from "./shared/format.js";
import { inLanguage } from "./shared/language.js";
import { past } from "./past.js";

const LONGEST = 86_400; // seconds to look back for the begin of a test
const STEP = 60;
const STARTING = 60_000; // ms within which readings show a test that was started

// Return `{node, fill(), told(command, args)}` for a device; hidden for one that has no test.
export function batteryTest(app, words, device) {
  const node = parts(
    make("section", "card battery-test", make("h2", "", words.test), make("p", "course"),
      make("p", "fine numbers"), make("p", "fine last")),
    ["course", "numbers", "last"],
  );
  node.dataset.field = "battery-test";
  const progress = make("progress", "");
  progress.setAttribute("aria-label", words.test);
  node.parts.course.after(progress);
  let began = null; // ms by the gantry's clock
  let startedAt = -Infinity;
  let asked = ""; // what a cabinet was told, which tells nothing of its course

  const point = (name) => app.known.points.find((each) => each.point === `${device}.${name}`);
  const good = (name) => {
    const found = point(name);
    return found?.quality === "good" && found.value !== null ? found : null;
  };

  async function lookBack() {
    began = now(); // until the history says more
    const until = now() / 1000;
    try {
      const { known } = await past(app.api, `${device}.state`, until - LONGEST, until, STEP);
      const times = [...known.keys()].sort((a, b) => b - a);
      const first = times.findIndex((at) => known.get(at) !== "test");
      const begin = first < 0 ? times.at(-1) : times[first - 1];
      if (begin !== undefined) began = Math.min(began, begin * 1000);
    } catch {
      // The age counts from what this page saw.
    }
  }

  function fill() {
    const state = good("state");
    const testable = point("battery_test_duration") !== undefined;
    hide(node, !testable && !asked);
    if (!testable) {
      hide(progress, true);
      write(node.parts.course, asked);
      return;
    }
    const runs = state?.value === "test";
    const starting = !runs && performance.now() - startedAt < STARTING;
    if (runs && began === null) lookBack();
    if (!runs) began = null;
    mark(node, "state", runs ? "running" : starting ? "starting" : "idle");
    hide(progress, !runs && !starting);
    const last = result();
    write(node.parts.course, runs
      ? words.testRuns(began === null ? "" : duration((now() - began) / 1000))
      : starting ? words.testStarting : last ? words.testLast(last) : words.testNone);
    const numbers = [["voltage", "battery_voltage"], ["charge", "battery_charge"]]
      .map(([word, name]) => [word, good(name)]).filter(([, found]) => found);
    write(node.parts.numbers, numbers.map(([word, found]) => `${words[word]} ${reading(found)}`).join(" · ") || "\u00a0");
    write(node.parts.last, runs && last ? words.testLast(last) : "\u00a0");
  }

  // What is known of the last test, in words.
  function result() {
    const verdict = good("self_test");
    const end = good("battery_test_end_voltage");
    const took = good("battery_test_duration");
    return [
      verdict && verdict.value !== "unknown" && valueName(verdict.point, verdict.value),
      took && `${words.took} ${duration(took.value)}`,
      end && `${words.endVoltage} ${reading(end)}`,
    ].filter(Boolean).join(inLanguage([", ", "，"]));
  }

  function told(command, args) {
    if (command === "T") startedAt = performance.now();
    if (command === "battery-test") {
      asked = words.testAsked(args.testStartStop === "1" ? words.outcome.done : words.stopped);
    }
    fill();
  }

  return { node, fill, told };
}
