// The shell of the page: header, headline, switches, and the view of the path.

import { ROOT, api } from "./api.js";
import * as asking from "./asking.js";
import { ask, button } from "./dialog.js";
import { mark, write } from "./dom.js";
import { age } from "./format.js";
import { showHeadline } from "./headline.js";
import { known, may } from "./known.js";
import * as language from "./language.js";
import * as router from "./router.js";
import * as signals from "./signals.js";
import * as theme from "./theme.js";
import { say } from "./toast.js";

const byId = (id) => document.getElementById(id);

// What a view gets. `known` has the state and `subscribe(redraw)`; `words(tables)` are the texts
// of the view in the present language; a view is mounted anew when the language changes.
const app = {
  known,
  api,
  ask,
  button,
  may,
  say,
  words: language.words,
  navigate: router.navigate,
  address: router.address,
  refresh: asking.refresh,
  get text() { return language.text; },
  get language() { return language.language; },
};

function showWords() {
  const { text } = language;
  document.documentElement.lang = text.htmlLang;
  for (const node of document.querySelectorAll("[data-text]")) write(node, text[node.dataset.text]);
  document.querySelector("nav").setAttribute("aria-label", text.views);
  byId("headline").setAttribute("aria-label", text.overall);
  const other = document.querySelector("[data-action=language]");
  write(other, text.otherLanguage);
  other.lang = language.language === "zh" ? "en" : "zh-CN";
  showSwitch("theme", { auto: "◐", light: "☀", dark: "☾" }[theme.theme()],
    text.theme(theme.theme()));
}

function showSwitch(action, sign, words) {
  const node = document.querySelector(`header [data-action=${action}]`);
  write(node, sign);
  if (node.title === words) return;
  node.title = words;
  node.setAttribute("aria-label", words);
}

function show() {
  const { text } = language;
  const { trouble, site } = known;
  const link = byId("link");
  const state = trouble ? "offline" : known.answeredAt === null ? "connecting" : "online";
  mark(link, "state", state);
  write(link, text[{ offline: "linkLost", connecting: "linkConnecting", online: "linkLive" }[state]]);
  document.body.classList.toggle("old", Boolean(trouble));
  if (site !== null || trouble) mark(document.documentElement, "ready", "known");
  showHeadline(byId("headline"), byId("spoken"));
  signals.showState();
  signals.soundAlarms();
  showSound();
  if (site === null) return;
  const name = site.name || site.gantryId;
  write(byId("name"), name);
  write(byId("about"), text.about(site.gantryId, site.version, age(site.startedAt)));
}

function showSound() {
  const { text } = language;
  const state = signals.silenced() ? "silenced" : signals.soundOn() ? "on" : "off";
  showSwitch("sound", state === "silenced" ? "♪?" : "♪", text.sound(state));
  const node = document.querySelector("[data-action=sound]");
  mark(node, "state", state);
  const pressed = String(signals.soundOn());
  if (node.getAttribute("aria-pressed") !== pressed) node.setAttribute("aria-pressed", pressed);
}

document.querySelector("[data-action=language]").addEventListener("click", () => {
  language.speak(language.language === "zh" ? "en" : "zh");
  showWords();
  show();
  router.open();
});
document.querySelector("[data-action=theme]").addEventListener("click", () => {
  theme.next();
  showWords();
});
for (const link of document.querySelectorAll("[data-path]")) {
  link.href = router.address(link.dataset.path);
}
document.querySelector("[data-action=sound]").addEventListener("click", () => {
  signals.switchSound();
  showSound();
});
document.querySelector(".skip").addEventListener("click", (event) => {
  event.preventDefault();
  byId("view").focus();
});
signals.listenForTouch();
theme.apply();
showWords();
document.documentElement.dataset.ready = "words";
known.subscribe(show);
show();
router.start(app);
asking.start();
