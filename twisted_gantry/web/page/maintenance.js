// Devices under maintenance: nobody is called for their alarms.

import { cardList } from "./shared/cards.js";
import { hide, make, mark, parts, write } from "./shared/dom.js";
import { age, clock, now as present } from "./shared/format.js";
import { known } from "./known.js";
import { may } from "./shared/roles.js";
import { words } from "./shared/language.js";
import { loader } from "./shared/loading.js";
import { lengthField, noteField } from "./shared/muting.js";
import { LISTS } from "./texts_lists.js";

const PERIOD = 10_000;
const PATH = "api/v1/maintenance";

// Return `{nodes, begin, draw, load}`; `begin` is the button that begins one.
export function maintenanceList(app) {
  const t = words(LISTS);
  const list = cardList("maintenance", t.noMaintenance);
  const begin = app.button("maintenance", t.beginMaintenance, "");
  let muted = [];
  let mutes = null; // whether each active alarm is muted, as it was drawn

  const load = loader(
    () => app.api.get(PATH, { quiet: true }),
    (answer) => {
      muted = answer.maintenance;
      draw();
    },
    () => {},
    PERIOD,
  );

  function draw() {
    hide(begin, !may("operator"));
    list.fill(muted, (each) => each.device, build, fill);
    // Others begin and end maintenance, too: their alarms tell of that.
    const now = known.active.map((each) => `${each.alarm}:${each.muted}`).join();
    const changed = mutes !== null && now !== mutes;
    mutes = now;
    if (changed) load.now();
  }

  function build() {
    const node = parts(
      make("li", "card mute", make("p", "head", make("strong", "name"), make("span", "fine until")),
        make("p", "fine by"), make("p", "note")),
      ["name", "until", "by", "note"],
    );
    const end = app.button("end-maintenance", t.end, "");
    end.addEventListener("click", () => finish(node.dataset.maintenance));
    node.parts.end = end;
    node.append(make("div", "actions", end));
    return node;
  }

  function fill(node, each) {
    mark(node, "maintenance", each.device);
    write(node.parts.name, each.device);
    const left = age(new Date(present()).toISOString(), Date.parse(each.until));
    write(node.parts.until, t.until(clock(each.until), left));
    write(node.parts.by, t.begunBy(each.by, clock(each.since)));
    hide(node.parts.note, !each.note);
    write(node.parts.note, each.note ? t.note(each.note) : "");
    hide(node.parts.end.parentNode, !may("operator"));
  }

  begin.addEventListener("click", async () => {
    const { devices, uplinks, bridges = [] } = known.site;
    const given = await app.ask({
      title: t.beginTitle,
      body: t.beginMeans,
      confirm: t.begin,
      fields: [
        {
          name: "device", label: t.device, type: "select",
          options: [...devices, ...uplinks, ...bridges].map((each) => [each.name, each.name]),
        },
        lengthField(),
        noteField(),
      ],
    });
    if (given === null) return;
    const body = { device: given.device, for: Number(given.seconds), note: given.note };
    await told(app.api.post(PATH, body), t.begun(given.device));
  });

  async function finish(device) {
    const path = `${PATH}?device=${encodeURIComponent(device)}`;
    await told(app.api.delete(path), t.ended(device));
    if (document.activeElement === document.body) begin.focus();
  }

  async function told(changing, done) {
    try {
      await changing;
      app.say(done);
    } catch {
      // The reader was told why not.
    }
    load.now();
  }

  return { nodes: list.nodes, begin, draw, load };
}
