// The shell of the page: header, headline, switches, and the view of the path.

import * as asking from "./asking.js";
import { showHeadline } from "./headline.js";
import { known } from "./known.js";
import { api } from "./shared/api.js";
import { ask, button } from "./shared/dialog.js";
import { mark, write } from "./shared/dom.js";
import { age } from "./shared/format.js";
import * as language from "./shared/language.js";
import { may } from "./shared/roles.js";
import * as router from "./shared/router.js";
import * as switches from "./shared/switches.js";
import { subscribe } from "./shared/telling.js";
import { say } from "./shared/toast.js";
import * as signals from "./signals.js";
import "./texts.js";

const VIEWS = [
  [/^$/, "overview"],
  [/^devices\/(?<device>[^/]+)$/, "device"],
  [/^alarms$/, "alarms"],
  [/^reports$/, "reports"],
  [/^audit$/, "audit"],
];
const byId = (id) => document.getElementById(id);

// What a view gets. `known` has the state; `words(tables)` are the texts of the view in the present
// language; a view is mounted anew when the language changes.
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

function show() {
  const { text } = language;
  const { trouble, site } = known;
  switches.showLink(trouble ? "offline" : known.answeredAt === null ? "connecting" : "online");
  if (site !== null || trouble) mark(document.documentElement, "ready", "known");
  showHeadline(byId("headline"), byId("spoken"));
  signals.showState();
  signals.sound();
  switches.showSound();
  if (site === null) return;
  const name = site.name || site.gantryId;
  write(byId("name"), name);
  write(byId("about"), text.about(site.gantryId, site.version, age(site.startedAt)));
}

switches.start(() => {
  show();
  router.open();
});
subscribe(show);
show();
router.start(app, VIEWS);
asking.start();
