// The picture that a gantry took when a door opened.

import { ROOT } from "./shared/api.js";
import { hide, make, write } from "./shared/dom.js";
import { clock, serverClock } from "./shared/format.js";
import { words } from "./shared/language.js";
import { MANAGE } from "./texts_manage.js";

const MOST = 12; // kept pictures that are offered

export function picturePanel(app, id, reports) {
  const t = words(MANAGE);
  const at = make("input");
  [at.type, at.name, at.required, at.step] = ["datetime-local", "at", true, "1"];
  const show = make("button", "", t.showPicture);
  show.dataset.action = "picture";
  const trouble = make("p", "empty", t.noPicture);
  const image = make("img", "picture");
  hide(trouble, true);
  hide(image, true);
  const form = make("form", "line-form", make("label", "field", make("span", "", t.pictureAt), at), show);
  const path = `api/v1/pictures/${encodeURIComponent(id)}`;
  const kept = make("p", "acts kept");

  function load(moment, cabinet = "") {
    const asked = new URLSearchParams({ at: moment, ...(cabinet ? { cabinet } : {}) });
    image.alt = `${t.picture} ${clock(moment)}`;
    image.src = new URL(`${path}?${asked}`, ROOT);
    hide(trouble, true);
    write(show, "…");
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const offset = /(?:Z|[+-]\d\d:\d\d)$/.exec(serverClock.sample)?.[0] ?? "Z";
    load(`${at.value.length === 16 ? `${at.value}:00` : at.value}${offset}`);
  });
  app.api.get(path, { quiet: true }).then(({ pictures }) => kept.append(...pictures.slice(0, MOST).map((each) => {
    const button = app.button("picture", `${t.cabinet(each.cabinet)} · ${clock(each.at)}`, "");
    button.addEventListener("click", () => load(each.at, each.cabinet));
    return button;
  })), () => {});
  const end = (there) => () => {
    write(show, t.showPicture);
    hide(image, !there);
    hide(trouble, there);
  };
  image.addEventListener("load", end(true));
  image.addEventListener("error", end(false));
  reports.doors(([newest]) => {
    if (newest && !at.value) at.value = newest.slice(0, 19).replace(" ", "T");
  });
  return { node: make("section", "panel", make("div", "title-row", make("h2", "", t.picture)), kept, form, trouble, image) };
}
