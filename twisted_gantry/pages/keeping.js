// Keeps what a page knows true: one question at a time, and what the event stream tells.

import { Denied } from "./api.js";
import { tell } from "./telling.js";

// Return `{ask, hear, due, asking}` for a `known` with `answeredAt` and `trouble`. `note(kind, data)`
// notes what the stream tells; the page is drawn at most every `draw` ms for that.
export function keeper(known, note, draw) {
  let asking = false;
  let askedAt = -Infinity;
  let told = []; // what the stream told while an answer was on its way, which may be older
  let drawing = 0;

  // Await `job()`, which asks and notes the answers.
  async function ask(job) {
    asking = true;
    askedAt = performance.now();
    try {
      await job();
      for (const [kind, data] of told) note(kind, data);
      known.answeredAt = Date.now();
      known.trouble = "";
    } catch (error) {
      known.trouble = error instanceof Denied ? "denied" : "silent";
    } finally {
      asking = false;
      told = [];
    }
    tell();
  }

  // Note what the stream tells, and again after an answer that is on its way. Before the page is
  // `ready` only the latter.
  function hear(kind, data, ready = true) {
    if (asking) told.push([kind, data]);
    if (!ready) return;
    note(kind, data);
    known.answeredAt = Date.now(); // a question that failed stays a trouble until one is answered
    if (!drawing) {
      drawing = setTimeout(() => {
        drawing = 0;
        tell();
      }, draw);
    }
  }

  return {
    ask,
    hear,
    due: (period) => performance.now() - askedAt >= period, // since the last question, in ms
    get asking() { return asking; },
  };
}
