// Light, dark, or as the system has it.

import { remember, remembered } from "./remember.js";

const THEMES = ["auto", "light", "dark"];

export const theme = () => (THEMES.includes(remembered("theme")) ? remembered("theme") : "auto");

export function apply() {
  document.documentElement.dataset.theme = theme();
}

export function next() {
  remember("theme", THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length]);
  apply();
}
