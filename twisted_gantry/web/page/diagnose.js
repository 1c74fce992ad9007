// Tries the way to a device live, and shows each step as it comes.

import { hide, make, mark, sync, write } from "./shared/dom.js";
import { clock } from "./shared/format.js";
import { inLanguage } from "./shared/language.js";

const AGAIN = 400;

// Return `{node, fill(), close()}` for a device or an uplink.
export function diagnosis(app, words, name) {
  const start = app.button("diagnose", words.diagnose, "");
  const when = make("p", "fine");
  const steps = make("ol", "steps");
  steps.setAttribute("aria-live", "polite");
  const node = make("section", "card diagnosis",
    make("div", "title-row", make("h2", "", words.diagnosis), start), when, steps);
  let closed = false;

  start.addEventListener("click", async () => {
    start.disabled = true;
    write(start, words.diagnosing);
    try {
      let found = await app.api.post("api/v1/diagnose", { name, wait: false });
      show(found);
      while (!found.ended && !closed) {
        await new Promise((done) => { setTimeout(done, AGAIN); });
        found = await app.api.get(`api/v1/diagnose?${new URLSearchParams({ name })}`);
        show(found);
      }
    } catch {
      // The reader was told.
    }
    start.disabled = false;
    write(start, words.diagnose);
  });

  function show({ beganAt, peer, steps: all }) {
    write(when, [words.diagnosed(clock(beganAt)), peer].filter(Boolean).join(" · "));
    sync(steps, all, (each) => each.step, () => make("li", "", make("p", ""), make("p", "fine")), (item, step) => {
      mark(item, "outcome", step.outcome);
      const said = inLanguage([step.message, step.messageZh]);
      const outcome = words.stepOutcomes[step.outcome] ?? step.outcome;
      write(item.firstChild, [`${words.steps[step.step] ?? step.step}: ${outcome}`, said].filter(Boolean).join(" — "));
      const advice = inLanguage([step.advice, step.adviceZh]);
      hide(item.lastChild, !advice);
      write(item.lastChild, advice ? words.next(advice) : "");
    });
  }

  return {
    node,
    fill: () => hide(node, !app.may("operator")),
    close: () => { closed = true; },
  };
}
