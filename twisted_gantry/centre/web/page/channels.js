// Fogslink channels of a gantry: last values with their age, and how often each is told.

import { hide, make, mark, write } from "./shared/dom.js";
import { age, clock } from "./shared/format.js";
import { words } from "./shared/language.js";
import { loader } from "./shared/loading.js";
import { table } from "./table.js";
import { MANAGE } from "./texts_manage.js";

const PERIOD = 10_000;
const NORMAL = "1";
const TONES = { set: "over", sent: "connecting", waiting: "connecting" };

export function channelPanel(app, id) {
  const t = words(MANAGE);
  const path = `api/v1/channels/${encodeURIComponent(id)}`;
  const empty = make("p", "empty", t.noChannels);
  const link = make("span", "chip");
  const set = app.button("set-channel", t.setChannel, "");
  const list = table(t.channels, [t.channel, t.state, t.value, t.when], (each) => `c${each.channel}`, (each) => [
    each.channel, chip(each.state === NORMAL ? "over" : "warning", each.state === NORMAL ? t.normal : t.abnormal),
    each.value ?? "–", each.at ? `${clock(each.at)} · ${age(each.at)}` : "",
  ], (each) => JSON.stringify([each, each.at && age(each.at)]));
  const wishes = make("ul", "report-rows");
  const node = make("section", "panel",
    make("div", "title-row", make("h2", "", t.channels), link, set), empty, list.node, wishes);
  let channels = [];
  const load = loader(() => app.api.get(path, { quiet: true }), (answer) => {
    channels = answer.channels;
    mark(link, "state", answer.connected ? "online" : "silent");
    write(link, answer.connected ? t.connected : t.notConnected);
    hide(empty, channels.length > 0);
    hide(list.node, channels.length === 0);
    hide(set, !app.may("operator") || channels.length === 0);
    list.fill(channels);
    wishes.replaceChildren(...answer.wishes.slice(0, 10).map((each) => make("li", "fine",
      chip(TONES[each.outcome] ?? "warning", t.wishOutcomes[each.outcome] ?? each.outcome), " ",
      [`${t.channel} ${each.channel}`, ...(each.period ? [`${each.period} s`] : []), ...(each.type ? [t.types[each.type] ?? each.type] : []),
        t.given(each.by, clock(each.at))].join(" · "))));
  }, () => {}, PERIOD);
  hide(empty, true);
  hide(list.node, true);
  hide(set, true);
  set.addEventListener("click", async () => {
    const given = await app.ask({
      title: t.setChannelTitle, body: t.setChannelMeans, confirm: t.save,
      fields: [
        { name: "channel", label: t.channel, type: "select", options: channels.map((each) => [each.channel, each.channel]) },
        { name: "period", label: t.channelPeriod, type: "number" },
        { name: "type", label: t.channelType, type: "select", options: ["", "0", "1"].map((each) => [each, t.types[each]]) },
      ],
    });
    if (given === null || (!given.period && !given.type)) return;
    await app.api.post(path, {
      channel: given.channel,
      ...(given.period ? { period: Math.round(Number(given.period)) } : {}),
      ...(given.type ? { type: Number(given.type) } : {}),
    }).then(() => app.say(t.setChannelSent), () => {});
    load.now();
  });
  return { node, stop: load.stop };
}

function chip(state, words) {
  const node = make("span", "chip", words);
  node.dataset.state = state;
  return node;
}
