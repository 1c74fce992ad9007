// What the cursor shows: the time, and the value of each point there, in words that assistive
// programs read, too.

import { hide, make, mark, parts, sync, write } from "./shared/dom.js";
import { reading } from "./reading.js";
import { message } from "./shared/language.js";
import { siteClock } from "./plot_draw.js";

// Return `{node, fill(model, place)}`; `place` null is the newest value. `remove(name)` is told
// which point a person takes away.
export function legend(words, remove) {
  const when = make("p", "plot-when fine");
  const list = make("ul", "plot-legend");
  const alarms = make("p", "plot-alarms fine");
  const node = make("div", "", when, list, alarms);

  function build({ name }) {
    const off = make("button", "quiet", "×");
    off.type = "button";
    off.setAttribute("aria-label", words.remove(name));
    off.addEventListener("click", () => remove(name));
    const swatch = make("span", "swatch");
    swatch.setAttribute("aria-hidden", "true");
    return parts(
      make("li", "", swatch, make("span", "label"), make("strong", "value"), make("span", "band fine"), off),
      ["swatch", "label", "value", "band"],
    );
  }

  function fill(model, place) {
    const { points, times, step, sample, since, until } = model;
    const at = place === null ? null : times[place];
    const clock = (moment) => siteClock(moment, sample);
    write(when, at == null
      ? `${words.range(clock(since), clock(until))} · ${words.step(model.duration(step))}`
      : clock(at));
    sync(list, points, (each) => each.name, build, (item, point) => {
      const { swatch, label, value, band } = item.parts;
      mark(swatch, "colour", point.number ? String(point.colour + 1) : "state");
      write(label, point.label === point.name ? point.name : `${point.label} · ${point.name}`);
      label.title = label.textContent;
      const [mean, edges] = valueAt(point, at, model);
      write(value, mean);
      write(band, edges);
    });
    const there = at == null ? [] : model.alarms.filter((each) => each.from < at + step && each.to >= at);
    hide(alarms, false);
    write(alarms, there.length
      ? `${words.alarms} ${there.map(({ alarm }) => `${message(alarm)} (${alarm.alarm})`).join("; ")}`
      : "\u00a0");
  }

  function valueAt(point, at, { latest }) {
    const { known, unit, name } = point;
    if (at == null) return [latest(point), ""];
    const found = known.get(at);
    if (found === undefined) return [words.unknown, ""];
    if (!point.number) return [point.word(point.values(found)), ""];
    const say = (value) => reading({ point: name, value, unit }, 2);
    const [least, mean, most] = found;
    return [say(mean), least === most ? "" : words.band(say(least), say(most))];
  }

  return { node, fill };
}
