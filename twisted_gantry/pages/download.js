// Files to take away, and fields of the forms that ask for them.

import { ROOT, Denied, Refused } from "./api.js";
import { make } from "./dom.js";

const KEPT = 60_000; // how long a file is kept for the browser to write

// The file is fetched, so that a refusal and a broken connection are told, then given to the
// browser to keep. Raises what `fetchJson` raises.
export async function download(path, name) {
  const answer = await fetch(new URL(path, ROOT), { cache: "no-store", credentials: "same-origin" });
  if (answer.status === 401) throw new Denied();
  if (!answer.ok) throw new Refused(answer.status, (await answer.json().catch(() => ({}))).error);
  const link = make("a");
  link.href = URL.createObjectURL(await answer.blob());
  const named = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "");
  link.download = named?.[1] ?? name;
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT);
}

export function selectField(name, label, options) {
  const input = make("select");
  input.name = name;
  for (const [value, word] of options) input.append(new Option(word, value));
  return make("label", "field", make("span", "", label), input);
}

export function momentField(name, label) {
  const input = make("input");
  input.type = "datetime-local";
  input.name = name;
  return make("label", "field", make("span", "", label), input);
}
