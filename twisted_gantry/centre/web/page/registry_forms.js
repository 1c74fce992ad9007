// Questions that change the registry: add, edit, remove, approve.

import { words } from "./shared/language.js";
import { MANAGE } from "./texts_manage.js";
import { gantryName } from "./words.js";

const FIELDS = ["name", "road", "section", "stake", "direction", "position", "remoteControl", "eqSN"];
const SECRETS = { auth: "hasAuth", apiKey: "hasApiKey" };
const MOST = 1000; // ids in one request

function fields(t, gantry) {
  return [
    ...FIELDS.map((each) => ({
      name: each, label: t.fields[each], value: gantry[each] ?? "", maxLength: each === "remoteControl" ? 500 : 200,
      hint: each === "stake" ? t.stakeHint : "",
    })),
    ...Object.entries(SECRETS).map(([each, has]) => ({
      name: each, label: t.fields[each], type: "password", maxLength: 200,
      hint: gantry[has] ? `${t.hasSecret}. ${t.keep}` : t.noSecret,
    })),
  ];
}

// What a person left empty of the secrets stays as it is.
function body(given) {
  const { auth, apiKey, id, ...rest } = given;
  return { ...rest, ...(auth ? { auth } : {}), ...(apiKey ? { apiKey } : {}) };
}

async function save(app, id, given) {
  const t = words(MANAGE);
  const saved = await app.api.put(`api/v1/gantries/${encodeURIComponent(id)}`, body(given)).catch(() => null);
  if (saved !== null) app.say(t.saved);
  return saved !== null;
}

export async function addGantry(app) {
  const t = words(MANAGE);
  const given = await app.ask({
    title: t.addTitle, confirm: t.save,
    fields: [{ name: "id", label: t.fields.id, required: true, maxLength: 20 }, ...fields(t, {})],
  });
  if (given === null) return false;
  const id = given.id.trim();
  // What the form leaves empty would empty the entry that is there.
  const taken = await app.api.get(`api/v1/gantries/${encodeURIComponent(id)}`, { quiet: true }).then(
    () => t.isThere(id), (error) => (error.status === 404 ? "" : error));
  if (taken !== "") {
    app.say(taken, "bad");
    return false;
  }
  return save(app, id, given);
}

export async function editGantry(app, gantry) {
  const t = words(MANAGE);
  const given = await app.ask({ title: t.editTitle(gantry.id), confirm: t.save, fields: fields(t, gantry) });
  return given !== null && save(app, gantry.id, given);
}

export async function removeGantry(app, gantry) {
  const t = words(MANAGE);
  const given = await app.ask({
    title: t.removeTitle(gantryName(gantry)), danger: t.removeMeans, confirm: t.remove.replace("…", ""),
  });
  if (given === null) return false;
  const gone = await app.api.delete(`api/v1/gantries/${encodeURIComponent(gantry.id)}`).catch(() => null);
  if (gone !== null) app.say(t.removed);
  return gone !== null;
}

export async function approve(app, ids) {
  const t = words(MANAGE);
  const given = await app.ask({
    title: t.approveTitle(ids.length), body: [ids.slice(0, 20).join(", ")], danger: t.approveMeans, confirm: t.approve,
  });
  if (given === null) return false;
  let approved = 0;
  try {
    for (let start = 0; start < ids.length; start += MOST) {
      const answer = await app.api.post("api/v1/gantries/approve", { gantries: ids.slice(start, start + MOST) });
      approved += answer.approved;
    }
  } catch {
    return false;
  }
  app.say(t.approved(approved));
  return true;
}
