// What a person does about an incident, an alarm, or a place where people work.

import { api } from "./shared/api.js";
import { ask, button } from "./shared/dialog.js";
import { hide, make } from "./shared/dom.js";
import { message, text } from "./shared/language.js";
import { lengthField, noteField } from "./shared/muting.js";
import { may } from "./shared/roles.js";
import { say } from "./shared/toast.js";
import { emergency } from "./known.js";

const VERBS = ["ack", "unack", "shelve", "unshelve"];

// Return `{node, fill(thing)}`: the buttons for an incident, an alarm of a gantry, or a fault `ofCentre`,
// which is never shelved; `changed()` is called after a change.
export function careButtons(changed) {
  const node = make("span", "actions");
  let thing = null;
  const buttons = Object.fromEntries(VERBS.map((verb) => {
    const each = button(verb, text[verb], "");
    each.addEventListener("click", async () => {
      if (await care(verb, thing)) changed?.();
    });
    node.append(each);
    return [verb, each];
  }));
  return {
    node,
    fill(given) {
      thing = given;
      const over = Boolean(given.until ?? given.clearedAt);
      const muted = given.cause === undefined ? Boolean(given.shelvedUntil) : given.muted;
      hide(node, over || !may("operator"));
      hide(buttons.ack, Boolean(given.ackedBy));
      hide(buttons.unack, !given.ackedBy);
      hide(buttons.shelve, muted || given.ofCentre || emergency(given.cause ?? given.alarm));
      hide(buttons.unshelve, !muted);
    },
  };
}

// What the API calls an incident, an alarm of a gantry, or a fault of the centre.
const named = (thing) => (thing.cause === undefined
  ? { gantry: thing.gantry, alarm: thing.alarm } : { incident: thing.id });

async function care(verb, thing) {
  let body = {};
  if (verb === "ack" || verb === "shelve") {
    const shelves = verb === "shelve";
    const given = await ask({
      title: shelves ? text.shelveTitle : text.ackTitle,
      body: [message(thing) || thing.cause || thing.alarm, ...(shelves ? [text.shelveMeans] : [])],
      confirm: shelves ? text.shelve.replace("…", "") : text.ack,
      fields: [...(shelves ? [lengthField()] : []), noteField()],
    });
    if (given === null) return false;
    body = { note: given.note, ...(shelves ? { for: Number(given.seconds) } : {}) };
  }
  try {
    await api.post(`api/v1/alarms/${verb}`, { ...named(thing), ...body });
  } catch {
    return false; // the reader was told why not
  }
  say({ ack: text.acked, unack: text.unacked, shelve: text.shelved, unshelve: text.unshelved }[verb]);
  return true;
}

// Ask for and begin a maintenance of `{gantry}`, or `{road, section}`.
export async function maintain(where, name) {
  const given = await ask({
    title: text.maintenanceTitle(name), body: text.maintenanceMeans, confirm: text.begin,
    fields: [lengthField(), noteField()],
  });
  if (given === null) return false;
  return done(
    api.post("api/v1/maintenance", { ...where, for: Number(given.seconds), note: given.note }), text.begun);
}

export function endMaintenance(where) {
  const asked = new URLSearchParams(where);
  return done(api.delete(`api/v1/maintenance?${asked}`), text.ended);
}

async function done(changing, words) {
  try {
    await changing;
  } catch {
    return false;
  }
  say(words);
  return true;
}
