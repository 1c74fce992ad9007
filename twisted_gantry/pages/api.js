// The API. Paths are relative to the page's root, which a proxy may have moved.

import { serverClock } from "./format.js";
import { language } from "./language.js";
import { say } from "./toast.js";

export const ROOT = new URL("..", import.meta.url);
const TIMEOUT = 8000;

export class Denied extends Error {}

// An answer that is an error; `code` and `message` are the server's, in the page's language.
export class Refused extends Error {
  constructor(status, { code = "", message = "", messageZh = "" } = {}) {
    super((language === "zh" && messageZh) || message || `HTTP ${status}`);
    this.status = status;
    this.code = code;
  }
}

// Ask for JSON. Raises Denied, Refused, or TypeError and DOMException of a server that is silent.
export async function fetchJson(path, options = {}) {
  const answer = await fetch(new URL(path, ROOT), {
    signal: AbortSignal.timeout(options.timeout ?? TIMEOUT),
    cache: "no-store",
    credentials: "same-origin",
    ...options,
    headers: { ...options.headers, "Accept-Language": language },
  });
  if (answer.status === 401) throw new Denied();
  noteClock(answer);
  if (!answer.ok && path !== "healthz") {
    throw new Refused(answer.status, (await answer.json().catch(() => ({}))).error);
  }
  return answer.json();
}

function noteClock(answer) {
  const date = Date.parse(answer.headers.get("Date") ?? "");
  // The header has whole seconds: half a second is the best guess at the rest.
  if (!Number.isNaN(date)) serverClock.offset = date + 500 - Date.now();
  if (Math.abs(serverClock.offset) < 2000) serverClock.offset = 0;
}

// An error is shown to the reader, then raised. `options.quiet`: not shown.
async function shown(path, options) {
  try {
    return await fetchJson(path, options);
  } catch (error) {
    if (!options.quiet) say(error, "bad");
    throw error;
  }
}

const sent = (method) => (path, body, options = {}) =>
  shown(path, {
    method,
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify(body ?? {}),
    timeout: 60_000, // a command may take long
    ...options,
  });

export const api = {
  get: (path, options = {}) => shown(path, options),
  post: sent("POST"),
  put: sent("PUT"),
  delete: (path, options = {}) => shown(path, { method: "DELETE", ...options }),
};
