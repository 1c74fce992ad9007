// A plot of any points together: their past values over time, with zoom, pan and a cursor.

import { reason } from "./shared/toast.js";
import { hide, make, mark, write } from "./shared/dom.js";
import { reading, valueName } from "./reading.js";
import { duration, now as siteNow } from "./shared/format.js";
import { inLanguage, text } from "./shared/language.js";
import { flags, grid, past, stepFor } from "./past.js";
import { COLOURS, columns, coloursOf, draw } from "./plot_draw.js";
import { fingers } from "./plot_fingers.js";
import { legend } from "./plot_legend.js";
import { saveCsv, savePng } from "./plot_save.js";
import { PLOT_TEXTS } from "./plot_texts.js";
import { plotTools } from "./plot_tools.js";
import { uPlot } from "./uplot.js";

const DAY = 86_400;
const LONGEST = 2 * 365 * DAY;
const SHORTEST = 60;
const MOST_POINTS = 12;
const NOTHING = { known: new Map(), texts: false };
const FRESH = 15; // seconds after which a plot of the present is continued, at the soonest

// Return `{node, names, toggle(name), close()}`; `changed()` is told after each change of the
// points or of the time that is shown.
export function plot(app, wanted, { span = DAY, until = null } = {}, changed = () => {}) {
  const words = app.words(PLOT_TEXTS);
  const names = wanted.slice(0, MOST_POINTS);
  let shown = { span, until }; // `until` null: the present
  let resolution = "";
  let rows = new Map(); // of each point, what `past` told
  let alarms = [];
  let range = { since: 0, until: 1, step: 1 };
  let model = null;
  let drawn = null; // the uPlot
  let shape = ""; // of what is drawn: another shape needs another uPlot
  let colours = null;
  let turn = 0;
  let timer = 0;
  let loadedAt = 0;

  const box = make("div", "plot-box");
  box.tabIndex = 0;
  box.setAttribute("role", "application");
  const note = make("p", "plot-note fine", words.loading);
  const again = app.button("again", words.again, "");
  again.addEventListener("click", () => load());
  const about = make("span", "visually-hidden");
  about.setAttribute("role", "status");
  const key = legend(words, (name) => toggle(name));
  const tools = plotTools(app, words, { span: setSpan, move, zoom, resolution: setResolution, add: toggle, png, csv });
  const stage = make("div", "plot-stage", box, note, again);
  const node = make("section", "card plot", tools.node, stage, key.node,
    make("p", "fine keys", words.keys), about);
  hide(again, true);

  const now = () => siteNow() / 1000;

  function bounds() {
    const end = shown.until ?? now();
    return [end - shown.span, end];
  }

  function info(name) {
    return app.known.points.find((each) => each.point === name);
  }

  // -- asking

  async function load() {
    const mine = ++turn;
    clearTimeout(timer);
    const [since, until] = bounds();
    const step = resolution ? Number(resolution) : stepFor(until - since, box.clientWidth);
    mark(stage, "busy", "true");
    hide(again, true);
    let Plot = null;
    try {
      const [library, listed, ...answers] = await Promise.all([
        uPlot(), pastAlarms(since, until), ...names.map((name) => past(app.api, name, since, until, step)),
      ]);
      if (mine !== turn) return;
      rows = new Map(names.map((name, n) => [name, answers[n]]));
      alarms = listed;
      range = { since, until, step: Math.max(...answers.map((each) => each.step), answers.length ? 0 : step) };
      loadedAt = now();
      Plot = library;
    } catch (error) {
      if (mine !== turn) return;
      write(note, `${words.failed} ${reason(error)}`);
      hide(note, false);
      hide(again, false);
    }
    schedule();
    if (Plot !== null) show(Plot);
    mark(stage, "busy", "false");
  }

  async function pastAlarms(since, until) {
    if (names.length === 0) return [];
    const asked = new URLSearchParams({ since: since.toFixed(0), until: until.toFixed(0), limit: "500" });
    const { alarms: found } = await app.api.get(`api/v1/alarms?${asked}`, { quiet: true });
    const seen = new Set(found.map((each) => each.alarm + each.raisedAt));
    return [...found, ...app.known.active.filter((each) => !seen.has(each.alarm + each.raisedAt))];
  }

  function schedule() {
    clearTimeout(timer);
    if (shown.until === null) timer = setTimeout(proceed, Math.max(FRESH, range.step) * 1000);
  }

  // Ask for what came since, and move on.
  async function proceed() {
    const mine = turn;
    const [since, until] = bounds();
    if (document.hidden || app.known.trouble || !names.length || now() - loadedAt > shown.span / 2) {
      if (!document.hidden && now() - loadedAt > shown.span / 2) load();
      else schedule();
      return;
    }
    try {
      const from = loadedAt - 2 * range.step;
      const answers = await Promise.all(names.map((name) => past(app.api, name, from, until, range.step)));
      if (mine !== turn) return;
      answers.forEach(({ known }, n) => {
        const kept = rows.get(names[n]).known;
        for (const [at, value] of known) kept.set(at, value);
        for (const at of kept.keys()) if (at < since - range.step) kept.delete(at);
      });
      loadedAt = now();
      range = { ...range, since, until };
      show(await uPlot());
    } catch {
      // The link says so; the next turn tries again.
    }
    if (mine === turn) schedule();
  }

  // -- showing

  function modelled() {
    const { since, until, step } = range;
    const times = grid(since, until, step);
    const points = names.map((name, n) => {
      const { known, texts } = rows.get(name) ?? NOTHING;
      const point = info(name);
      const flag = typeof point?.value === "boolean"
        || (!texts && point?.value === null && !point.unit && flags({ known }));
      const values = flag ? ([, , most]) => most > 0 : (each) => each;
      const word = flag ? (yes) => (yes ? text.yes : text.no) : (each) => valueName(name, each);
      const label = point ? inLanguage([point.label.en, point.label.zh]) || name : name;
      const number = !texts && !flag && typeof point?.value !== "string";
      return { name, label, unit: point?.unit ?? "", known, number, values, word, colour: n % COLOURS };
    });
    const lanes = points.filter((each) => !each.number).map(({ label, known, values, word }) => ({
      label, word, values: times.map((at) => (known.has(at) ? values(known.get(at)) : null)),
    }));
    const devices = new Set(names.map((name) => name.split(".", 1)[0]));
    return {
      ...range, times, points, lanes, numbers: points.filter((each) => each.number),
      sample: app.known.site?.startedAt ?? "",
      duration,
      latest: ({ name }) => (info(name) ? reading(info(name)) : words.unknown),
      alarms: alarms.filter(({ source }) => devices.has(source)).map((alarm) => ({
        alarm, severity: alarm.severity, from: Date.parse(alarm.raisedAt) / 1000,
        to: alarm.clearedAt === null ? until : Date.parse(alarm.clearedAt) / 1000,
      })).filter(({ to }) => to >= since),
    };
  }

  function show(Plot) {
    model = modelled();
    const empty = model.points.every((each) => each.known.size === 0);
    write(note, names.length ? words.nothing : words.choose);
    hide(note, !empty);
    box.setAttribute("aria-label", words.chart(model.points.map((each) => each.label).join(", ")));
    mark(node, "plot", names.join(" "));
    const wantedShape = JSON.stringify([model.points.map(({ name, number }) => [name, number]), box.clientWidth < 600]);
    if (drawn === null || shape !== wantedShape) {
      drawn?.destroy();
      colours = coloursOf(box);
      drawn = draw(Plot, box, () => model, colours, { cursor, selected, reset: () => setSpan(span) });
      shape = wantedShape;
    } else {
      drawn.setData(columns(model));
    }
    key.fill(model, drawn.cursor.idx ?? null);
    tools.fill(shown, names);
  }

  function cursor(place) {
    if (model && drawn) key.fill(model, place);
  }

  // -- what a person does

  function set(next) {
    const length = Math.min(LONGEST, Math.max(SHORTEST, next.span));
    const present = now();
    const end = next.until === null || next.until >= present - 1 ? null : Math.max(length, next.until);
    shown = { span: length, until: end };
    tools.fill(shown, names);
    changed();
    if (drawn && model) { // what is known is shown until the answer comes
      const [since, until] = bounds();
      range = { ...range, since, until };
      model = { ...model, since, until };
      drawn.setScale("x", { min: since, max: until });
    }
    return load();
  }

  function selected(since, until) {
    set({ span: until - since, until });
  }

  function setSpan(length) {
    return set({ span: length, until: null });
  }

  // Move by a part of what is shown; back is negative.
  function move(part) {
    const [, until] = bounds();
    return set({ span: shown.span, until: until + part * shown.span });
  }

  function zoom(factor) {
    const [since, until] = bounds();
    const pointed = drawn?.cursor.idx == null ? null : model.times[drawn.cursor.idx];
    const middle = pointed ?? (shown.until === null ? until : (since + until) / 2);
    const share = (until - middle) / (until - since);
    return set({ span: shown.span * factor, until: middle + share * shown.span * factor });
  }

  function setResolution(wantedStep) {
    resolution = wantedStep;
    return load();
  }

  function toggle(name) {
    const place = names.indexOf(name);
    if (place >= 0) names.splice(place, 1);
    else if (names.length === MOST_POINTS) app.say(words.tooMany, "bad");
    else names.push(name);
    changed();
    return load();
  }

  function png() {
    if (model && drawn) savePng(drawn.ctx.canvas, model, colours, words);
  }

  function csv() {
    if (model) saveCsv(model, words);
  }

  function step(by) {
    if (!drawn || !model) return;
    const last = model.times.length - 1;
    const place = Math.min(last, Math.max(0, (drawn.cursor.idx ?? (by > 0 ? -1 : last + 1)) + by));
    drawn.setCursor({ left: drawn.valToPos(model.times[place], "x"), top: drawn.over.clientHeight / 2 });
    about.textContent = key.node.innerText.replaceAll("\n", " ");
  }

  const KEYS = {
    ArrowLeft: () => step(-1), ArrowRight: () => step(1),
    PageUp: () => step(-20), PageDown: () => step(20),
    Home: () => step(-Infinity), End: () => step(Infinity),
    "Shift+ArrowLeft": () => move(-0.25), "Shift+ArrowRight": () => move(0.25),
    "+": () => zoom(0.5), "=": () => zoom(0.5), "-": () => zoom(2), _: () => zoom(2),
    Escape: () => setSpan(span),
  };
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const act = KEYS[(event.shiftKey && event.key.startsWith("Arrow") ? "Shift+" : "") + event.key];
    if (!act) return;
    event.preventDefault();
    act();
  });
  fingers(box, {
    area: () => (model ? drawn?.over ?? null : null),
    bounds,
    shows: (since, until) => {
      model = { ...model, since, until };
      drawn.setScale("x", { min: since, max: until });
    },
    chosen: selected,
  });

  // -- what changes around it

  function redraw() {
    shape = "";
    if (model) uPlot().then((Plot) => node.isConnected && show(Plot), () => {});
  }
  const sized = new ResizeObserver(() => {
    if (!drawn) return;
    if (box.clientWidth && (drawn.width !== box.clientWidth || drawn.height !== box.clientHeight)) {
      drawn.setSize({ width: box.clientWidth, height: box.clientHeight });
    }
  });
  sized.observe(box);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", redraw);
  const themed = new MutationObserver(redraw);
  themed.observe(document.documentElement, { attributeFilter: ["data-theme"] });

  function close() {
    turn += 1;
    clearTimeout(timer);
    sized.disconnect();
    themed.disconnect();
    dark.removeEventListener("change", redraw);
    drawn?.destroy();
  }

  // The names have their place before the values come.
  [range.since, range.until] = bounds();
  range.step = stepFor(span, 600);
  key.fill(modelled(), null);
  tools.fill(shown, names);
  return { node, names, load, toggle, close, shown: () => shown };
}
