// The commands of a device, as forms made of what the API says of each: what it needs, what it
// endangers, and why it is locked.

import { make, mark, sync, write } from "./shared/dom.js";
import { siteTime } from "./shared/format.js";
import { inLanguage, text } from "./shared/language.js";

const KEPT = 5; // outcomes that are shown

// Return the name of a command without what is said of its arguments.
const shortName = ({ en, zh, command }) => inLanguage([en, zh]).split(/[:：;；,，（(]/)[0].trim() || command;

// Return `{node, fill(), loaded, ran(listener)}` of a device. `loaded` is done once the commands are
// known; `ran` is told `(command, args)` of each command that was done.
export function commandPanel(app, words, device) {
  const list = make("ul", "command-list");
  const note = make("p", "fine");
  const outcomes = make("ul", "outcomes");
  outcomes.setAttribute("aria-live", "polite");
  const node = make("section", "card commands", make("h2", "", words.commands), note, list, outcomes);
  const listeners = [];
  let commands = null;
  let running = 0;

  async function load() {
    try {
      const { devices } = await app.api.get("api/v1/commands", { quiet: true });
      commands = devices.find((each) => each.target === device)?.commands ?? [];
    } catch {
      commands = null;
    }
    fill(true);
  }

  function fill(tried = false) {
    if (!app.may("operator")) {
      write(note, words.viewer);
      list.replaceChildren();
      return;
    }
    if (commands === null) {
      write(note, tried ? words.commandsFailed : "\u00a0");
      return;
    }
    write(note, commands.length ? `⚠ ${words.asks}` : words.noCommands);
    note.hidden = commands.length > 0 && !commands.some((each) => each.endangers);
    // What can hurt stands last.
    const sorted = [...commands].sort((a, b) => Boolean(a.endangers) - Boolean(b.endangers));
    sync(list, sorted, (each) => each.command, build, fillCommand);
  }

  function build() {
    const button = make("button", "");
    button.type = "button";
    const item = make("li", "", button, make("span", "locked fine"));
    button.addEventListener("click", () => press(item.command));
    return item;
  }

  function fillCommand(item, info) {
    item.command = info;
    const [button, why] = item.children;
    mark(button, "command", info.command);
    const name = shortName(info);
    write(button, `${info.endangers ? "⚠ " : ""}${name}${info.arguments.length || info.endangers ? "…" : ""}`);
    button.title = `${inLanguage([info.en, info.zh])} (${info.command})`;
    mark(button, "endangers", info.endangers ?? "");
    const locked = inLanguage([info.locked, info.lockedZh]) ?? "";
    button.disabled = Boolean(locked) || running > 0;
    why.hidden = !locked;
    write(why, locked ? words.locked(locked) : "");
  }

  async function press(info) {
    const asks = Boolean(info.endangers);
    let args = {};
    if (asks || info.arguments.length) {
      const answers = await app.ask({
        title: `${shortName(info)} · ${device}`,
        body: inLanguage([info.en, info.zh]),
        danger: asks ? `${words.endangers[info.endangers] ?? info.endangers} — ${words.consequence(inLanguage([info.danger, info.dangerZh]))}` : "",
        confirm: asks ? text.confirm : words.runNow,
        fields: info.arguments.map(field),
      });
      if (answers === null) return;
      try {
        args = given(info, answers);
      } catch (error) {
        app.say(words.badValue(error.message), "bad");
        return;
      }
    }
    await run(info, args, asks);
  }

  function field({ name, type, required, secret, choices }) {
    const hint = [required ? "" : words.optional, { array: words.list, object: words.object }[type] ?? ""]
      .filter(Boolean).join(" · ");
    const plain = { name, label: name, required, hint };
    const open = required ? [] : [["", words.choose]];
    if (choices.length) return { ...plain, type: "select", options: [...open, ...choices.map((each) => [each, each])] };
    if (type === "boolean") {
      return { ...plain, type: "select", options: [...open, ["true", text.yes], ["false", text.no]] };
    }
    if (secret) return { ...plain, type: "password" };
    return { ...plain, type: type === "integer" || type === "number" ? "number" : "text" };
  }

  // Return the arguments that a person gave; raises SyntaxError with the name of a bad one.
  function given(info, answers) {
    const args = {};
    for (const { name, type } of info.arguments) {
      const raw = answers[name];
      if (raw === "" || raw === undefined) continue;
      args[name] = valueOf(name, type, raw);
    }
    return args;
  }

  function valueOf(name, type, raw) {
    if (type === "boolean") return raw === "true";
    if (type === "string") return raw;
    const bad = new SyntaxError(name);
    try {
      const read = JSON.parse(type === "array" && !raw.trim().startsWith("[") ? `[${raw}]` : raw);
      const fits = {
        integer: Number.isSafeInteger(read), number: typeof read === "number",
        array: Array.isArray(read), object: read !== null && typeof read === "object" && !Array.isArray(read),
      }[type];
      if (fits) return read;
    } catch {
      // A list of texts may be written without quotes.
      if (type === "array") return raw.split(/[,，]/).map((each) => each.trim());
    }
    throw bad;
  }

  async function run(info, args, confirm) {
    const name = shortName(info);
    const line = make("li", "", make("p", "", words.running(name)));
    line.dataset.outcome = "running";
    outcomes.prepend(line);
    while (outcomes.children.length > KEPT) outcomes.lastElementChild.remove();
    running += 1;
    fill();
    try {
      const body = { target: device, command: info.command, args };
      const answer = await app.api.post("api/v1/commands", confirm ? { ...body, confirm: true } : body);
      show(line, name, answer);
      if (answer.result === "done") for (const told of listeners) told(info.command, args);
    } catch (error) {
      const lost = error.status === undefined;
      line.dataset.outcome = lost ? "timeout" : "refused";
      write(line.firstChild, `${name}: ${lost ? words.lost : error.message}`);
    } finally {
      running -= 1;
      fill();
    }
  }

  function show(line, name, { result, detail, detailZh, value }) {
    line.dataset.outcome = result;
    const said = `${siteTime(Date.now())} ${name}: ${words.outcome[result] ?? result}`;
    write(line.firstChild, detail ? `${said} — ${inLanguage([detail, detailZh])}` : said);
    if (value === null || value === undefined || value === "") return;
    const shown = typeof value === "object" ? JSON.stringify(value, null, 1) : String(value);
    const box = make("pre", "", shown);
    box.tabIndex = 0;
    box.setAttribute("role", "group");
    box.setAttribute("aria-label", name);
    line.append(box);
  }

  return { node, fill, loaded: load(), ran: (listener) => listeners.push(listener) };
}
