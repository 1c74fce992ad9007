// The interlocks that watch a device or command it: when, what, and where each stands, with why.

import { hide, make, mark, sync, write } from "./shared/dom.js";
import { reading } from "./reading.js";
import { duration } from "./shared/format.js";
import { inLanguage } from "./shared/language.js";
import { loader } from "./shared/loading.js";

const PERIOD = 30_000;

// Return `{node, loaded, fill(), close()}`; hidden where there is none.
export function interlocks(app, words, device) {
  const list = make("ul", "interlocks");
  const node = make("section", "card", make("h2", "", words.interlocks), list);
  let known = [];
  hide(node, true);

  function fill() {
    hide(node, known.length === 0);
    sync(list, known, (each) => each.name, () => make("li", "", make("p", ""), make("p", "fine"), make("p", "fine")), show);
  }

  function show(item, each) {
    const [head, when, why] = item.children;
    mark(item, "state", each.state);
    write(head, `${each.name}: ${words.interlockStates[each.state] ?? each.state}`);
    const point = app.known.points.find(({ point: name }) => name === each.point);
    const value = point ? ` (${reading(point)})` : "";
    write(when, [
      words.interlockWhen(`${each.when}${value}`, each.delay ? duration(each.delay) : ""),
      words.interlockDoes(`${each.target} ${each.does}`),
      each.undoes ? words.interlockUndoes(`${each.undoesOn} ${each.undoes}`) : "",
    ].filter(Boolean).join(inLanguage(["; ", "；"])));
    const said = inLanguage([each.why, each.whyZh]);
    hide(why, !said);
    write(why, said ?? "");
  }

  const loading = loader(
    () => app.api.get("api/v1/interlocks", { quiet: true }),
    (answer) => {
      const concerns = ({ point, target, undoesOn }) =>
        point.startsWith(`${device}.`) || target === device || undoesOn === device;
      known = answer.interlocks.filter(concerns);
      fill();
    },
    () => {},
    PERIOD,
  );
  return { node, loaded: loading.first, fill, close: loading.stop };
}
