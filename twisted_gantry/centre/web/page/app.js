// The shell of the page: header, headline, switches, and the view of the path.

import { api } from "./shared/api.js";
import { ask, button } from "./shared/dialog.js";
import { mark, write } from "./shared/dom.js";
import * as language from "./shared/language.js";
import { may } from "./shared/roles.js";
import * as router from "./shared/router.js";
import * as switches from "./shared/switches.js";
import { soundAlarms } from "./shared/sound.js";
import { showTab } from "./shared/tab.js";
import { subscribe } from "./shared/telling.js";
import { say } from "./shared/toast.js";
import * as asking from "./asking.js";
import * as finder from "./finder.js";
import { showHeadline, verdict } from "./headline.js";
import { incidents, known } from "./known.js";
import "./texts.js";

const VIEWS = [
  [/^$/, "overview"],
  [/^gantries$/, "gantries"],
  [/^gantries\/(?<gantry>[^/]+)$/, "gantry"],
  [/^alarms$/, "alarms"],
  [/^commands$/, "commands"],
  [/^commands\/(?<order>[^/]+)$/, "command"],
  [/^cards$/, "cards"],
  [/^registry$/, "registry"],
  [/^audit$/, "audit"],
];
const byId = (id) => document.getElementById(id);

// What a view gets, beside its place and the parameters of its path.
const app = { api, ask, button, may, say, navigate: router.navigate, address: router.address };

function show() {
  const { text } = language;
  const { trouble, overview } = known;
  switches.showLink(trouble ? "offline" : known.answeredAt === null ? "connecting" : "online");
  if (overview !== null || trouble) mark(document.documentElement, "ready", "known");
  showHeadline(byId("headline"), byId("spoken"));
  const active = incidents();
  showTab(verdict().state, trouble ? text.linkLost : "", active.length, overview && (overview.name || text.centre));
  soundAlarms(new Set(active.filter((each) =>
    each.severity === "critical" && !each.ackedBy && !each.muted).map((each) => each.id)));
  switches.showSound();
  if (overview === null) return;
  write(byId("name"), overview.name || text.centre);
  write(byId("about"), text.about(overview.gantries.total, overview.version));
}

switches.start(() => {
  finder.build(byId("finder"));
  show();
  router.open();
});
finder.build(byId("finder"));
subscribe(show);
show();
router.start(app, VIEWS);
asking.start();
