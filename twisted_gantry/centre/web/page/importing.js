// Import of the registry: a file is checked first; mistakes are shown by row and column.

import { download } from "./shared/download.js";
import { hide, make, write } from "./shared/dom.js";
import { language, words } from "./shared/language.js";
import { mistakeTable, upload } from "./uploading.js";
import { MANAGE } from "./texts_manage.js";

export function importPanel(app, changed) {
  const t = words(MANAGE);
  const file = make("input");
  [file.type, file.name, file.accept, file.required] = ["file", "file", ".csv,.xlsx", true];
  const check = app.button("check", t.check, "");
  const run = app.button("import", t.importNow, "primary");
  const told = make("p", "");
  told.setAttribute("role", "status");
  const mistakes = mistakeTable();
  const form = make("form", "line-form", make("label", "field", make("span", "", t.importFile), file), check, run);
  run.disabled = true;
  hide(mistakes.node, true);

  async function send(dry) {
    const chosen = file.files[0];
    if (chosen === undefined) {
      file.reportValidity();
      return;
    }
    for (const each of [check, run]) each.disabled = true;
    try {
      const answer = await upload(`api/v1/gantries/import${dry ? "?dryRun=1" : ""}`, chosen);
      mistakes.fill(answer.errors);
      hide(mistakes.node, answer.errors.length === 0);
      write(told, answer.errors.length ? t.mistakes(answer.errors.length) : (dry ? t.checked : t.imported)(answer));
      run.disabled = !dry || answer.errors.length > 0;
      if (!dry && !answer.errors.length) {
        app.say(t.imported(answer));
        changed();
      }
    } catch (error) {
      write(told, "");
      app.say(error, "bad");
    }
    check.disabled = false;
  }

  check.addEventListener("click", () => send(true));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    send(run.disabled);
  });
  run.type = "submit";
  file.addEventListener("change", () => {
    run.disabled = true;
    write(told, "");
    hide(mistakes.node, true);
  });
  const templates = ["csv", "xlsx"].map((format) => {
    const button = app.button("template", `${t.template} ${format.toUpperCase()}`, "");
    button.addEventListener("click", () => {
      const asked = new URLSearchParams({ format, lang: language });
      download(`api/v1/export/template?${asked}`, `template.${format}`).catch((error) => app.say(error, "bad"));
    });
    return button;
  });
  return {
    node: make("section", "panel", make("div", "title-row", make("h2", "", t.importTitle), make("span", "acts", ...templates)),
      make("p", "fine", t.importMeans), form, told, mistakes.node),
  };
}
