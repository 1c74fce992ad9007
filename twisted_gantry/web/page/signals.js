// What a tab shows and sounds while nobody reads the page: title, icon and sound.

import { verdict } from "./headline.js";
import { causes, known } from "./known.js";
import { text } from "./shared/language.js";
import { soundAlarms } from "./shared/sound.js";
import { showTab } from "./shared/tab.js";

export function showState() {
  const { site, trouble } = known;
  const { state } = verdict();
  const name = site && (site.name || site.gantryId);
  showTab(state, trouble ? text.linkLost : "", causes().length, name);
}

export function sound() {
  const urgent = known.active.filter((each) =>
    each.severity === "critical" && each.cause === null && each.ackedBy === null && !each.muted);
  soundAlarms(new Set(urgent.map((each) => each.alarm + each.raisedAt)));
}
