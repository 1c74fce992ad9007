// The header's switches for language, colours and sound, and the words that stand in the document.

import { mark, write } from "./dom.js";
import * as language from "./language.js";
import { listenForTouch, silenced, soundOn, switchSound } from "./sound.js";
import * as theme from "./theme.js";

const find = (action) => document.querySelector(`header [data-action=${action}]`);

// Let the switches work; `spoken()` is called when the language changed.
export function start(spoken) {
  find("language").addEventListener("click", () => {
    language.speak(language.language === "zh" ? "en" : "zh");
    showWords();
    spoken();
  });
  find("theme").addEventListener("click", () => {
    theme.next();
    showWords();
  });
  find("sound").addEventListener("click", () => {
    switchSound();
    showSound();
  });
  listenForTouch();
  theme.apply();
  showWords();
  document.documentElement.dataset.ready = "words";
}

function showWords() {
  const { text } = language;
  document.documentElement.lang = text.htmlLang;
  for (const node of document.querySelectorAll("[data-text]")) write(node, text[node.dataset.text]);
  for (const node of document.querySelectorAll("[data-label]")) {
    node.setAttribute("aria-label", text[node.dataset.label]);
  }
  const other = find("language");
  write(other, text.otherLanguage);
  other.lang = language.language === "zh" ? "en" : "zh-CN";
  showSwitch("theme", { auto: "◐", light: "☀", dark: "☾" }[theme.theme()],
    text.theme(theme.theme()));
  showSound();
}

function showSwitch(action, sign, words) {
  const node = find(action);
  write(node, sign);
  if (node.title === words) return;
  node.title = words;
  node.setAttribute("aria-label", words);
}

export function showSound() {
  const state = silenced() ? "silenced" : soundOn() ? "on" : "off";
  showSwitch("sound", state === "silenced" ? "♪?" : "♪", language.text.sound(state));
  const node = find("sound");
  mark(node, "state", state);
  const pressed = String(soundOn());
  if (node.getAttribute("aria-pressed") !== pressed) node.setAttribute("aria-pressed", pressed);
}

// Show how the page's own link is: "online", "connecting" or "offline".
export function showLink(state) {
  const link = document.getElementById("link");
  mark(link, "state", state);
  write(link, language.text[{ offline: "linkLost", connecting: "linkConnecting", online: "linkLive" }[state]]);
  document.body.classList.toggle("old", state === "offline");
}
