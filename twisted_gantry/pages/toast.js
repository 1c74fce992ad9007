// Short words on what became of something, which go by themselves.

import { text } from "./language.js";

const STAYS = 8000;

// Say a text or an error; `tone` is "good" or "bad".
export function say(what, tone = "good") {
  const box = document.getElementById("toasts");
  const words = what instanceof Error ? reason(what) : what;
  const item = document.createElement("p");
  item.className = "toast";
  item.dataset.tone = tone;
  item.textContent = words;
  box.append(item);
  while (box.children.length > 4) box.firstElementChild.remove();
  setTimeout(() => item.remove(), STAYS);
}

// Return why something failed, in the reader's words.
export function reason(error) {
  if (error.name === "TimeoutError" || error instanceof TypeError) return text.neverAnswered;
  return error.message || text.denied;
}
