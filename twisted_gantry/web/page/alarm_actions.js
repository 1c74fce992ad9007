// What a person may do about an alarm, and about the alarms that it explains.

import { api } from "./shared/api.js";
import { ask, button } from "./shared/dialog.js";
import { hide, make } from "./shared/dom.js";
import { known, note, under, urgency } from "./known.js";
import { may } from "./shared/roles.js";
import { tell } from "./shared/telling.js";
import { message, words } from "./shared/language.js";
import { lengthField, noteField } from "./shared/muting.js";
import { say } from "./shared/toast.js";
import { LISTS } from "./texts_lists.js";

const NAMES = ["ack", "unack", "shelve", "unshelve"];

// Return the buttons of a card; `fillActions` says which of them are there, for which alarm.
export function actions(card) {
  const t = words(LISTS);
  const made = { node: make("div", "actions"), alarm: null, buttons: {} };
  for (const name of NAMES) {
    const each = button(name, t[name], "");
    each.addEventListener("click", async () => {
      await DO[name](made.alarm);
      // The button may be gone, and with it the place of a reader without a mouse.
      if (card.isConnected && each.hidden) card.querySelector(".actions button:not([hidden])")?.focus();
    });
    made.buttons[name] = each;
    made.node.append(each);
  }
  return made;
}

export function fillActions(made, alarm) {
  made.alarm = alarm;
  const there = may("operator") && alarm.clearedAt === null;
  const mutable = urgency(alarm) !== 0;
  const { ack, unack, shelve, unshelve } = made.buttons;
  hide(made.node, !there);
  hide(ack, alarm.ackedBy !== null);
  hide(unack, alarm.ackedBy === null);
  hide(shelve, !mutable || alarm.shelvedUntil !== null);
  hide(unshelve, alarm.shelvedUntil === null);
}

const DO = {
  async ack(alarm) {
    const t = words(LISTS);
    const also = under(alarm).filter((each) => each.ackedBy === null);
    const given = await ask({
      title: t.ackTitle, body: message(alarm), confirm: t.ack,
      fields: [noteField(), ...alsoField(also)],
    });
    if (given === null) return;
    await each([alarm, ...(given.also ? also : [])], "ack", { note: given.note }, t.acked);
  },
  async shelve(alarm) {
    const t = words(LISTS);
    const also = under(alarm).filter((each) => each.shelvedUntil === null && urgency(each) !== 0);
    const given = await ask({
      title: t.shelveTitle, body: [message(alarm), t.shelveMeans], confirm: t.shelve,
      fields: [lengthField(), noteField(), ...alsoField(also)],
    });
    if (given === null) return;
    const body = { for: Number(given.seconds), note: given.note };
    await each([alarm, ...(given.also ? also : [])], "shelve", body, t.shelved);
  },
  unack: (alarm) => each([alarm], "unack", {}, words(LISTS).unacked),
  unshelve: (alarm) =>
    each([alarm, ...under(alarm).filter((one) => one.shelvedUntil !== null)], "unshelve", {},
      words(LISTS).unshelved),
};

// Acknowledge an alarm and what it explains, without a question.
export function acknowledge(alarm) {
  const also = under(alarm).filter((each) => each.ackedBy === null);
  return each([alarm, ...also], "ack", {}, words(LISTS).acked);
}

function alsoField(also) {
  if (!also.length) return [];
  return [{ name: "also", label: words(LISTS).also(also.length), type: "checkbox", value: true }];
}

// The cause comes last: once it shows what was done, that holds for all. What it explains may have
// ended meanwhile.
async function each([cause, ...explained], verb, body, done) {
  const one = async ({ alarm }, options) =>
    note("alarm", await api.post(`api/v1/alarms/${verb}`, { alarm, ...body }, options));
  const left = explained.filter(({ alarm }) => known.active.some((now) => now.alarm === alarm));
  await Promise.all(left.map((alarm) => one(alarm, { quiet: true }).catch(() => {})));
  try {
    await one(cause);
    say(done);
  } catch {
    // The reader was told why not.
  }
  tell();
}
