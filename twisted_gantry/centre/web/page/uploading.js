// Tables that a person sends, and the mistakes in them by row.

import { Denied, ROOT, Refused } from "./shared/api.js";
import { make } from "./shared/dom.js";
import { inLanguage, words } from "./shared/language.js";
import { table } from "./table.js";
import { MANAGE } from "./texts_manage.js";

const XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";

// Send a file. An answer with mistakes by row is an answer; others are raised as `fetchJson` does.
export async function upload(path, file) {
  const answer = await fetch(new URL(path, ROOT), {
    method: "POST",
    body: file,
    headers: { "Content-Type": /\.xlsx$/i.test(file.name) ? XLSX : "text/csv" },
    cache: "no-store",
    credentials: "same-origin",
  });
  if (answer.status === 401) throw new Denied();
  const content = await answer.json().catch(() => ({}));
  if (answer.ok || Array.isArray(content.errors)) return content;
  throw new Refused(answer.status, content.error);
}

export function mistakeTable() {
  const t = words(MANAGE);
  return table(t.mistake, [t.row, t.column, t.mistake], (each) => `${each.row} ${each.column} ${each.message}`,
    (each) => [String(each.row), each.column || "–", inLanguage([each.message, each.messageZh])]);
}

// Let a person choose a file; null for none.
export function pick(accept) {
  const input = make("input");
  [input.type, input.accept] = ["file", accept];
  return new Promise((resolve) => {
    input.addEventListener("change", () => resolve(input.files[0] ?? null));
    input.addEventListener("cancel", () => resolve(null));
    input.click();
  });
}
