// The event stream: hands on what changes, and says whether it is there.

const AGAIN = 30_000;

// Listen to the stream at `path`: `told(kind, data)` for each event of `kinds`, `there(yes)` when it
// comes or goes. The events of a snapshot come as one, `told("all", {KIND: […], …})`. Only a
// page that is looked at listens, or one of which `always()` holds: a browser has few connections
// for all its pages.
export function listen(path, kinds, told, there, always) {
  let source = null;
  let whole = null; // the snapshot that is coming
  let again = 0;

  function take(kind, data) {
    if (kind === "snapshot") {
      whole = Object.fromEntries(kinds.map((each) => [each, []]));
    } else if (kind === "live") {
      if (whole !== null) told("all", whole);
      whole = null;
    } else if (whole !== null) {
      whole[kind].push(data);
    } else {
      told(kind, data);
    }
  }

  function close() {
    clearTimeout(again);
    source?.close();
    source = null;
    whole = null;
    there(false);
  }

  function open() {
    close();
    if (document.hidden && !always()) return;
    source = new EventSource(path);
    for (const kind of ["snapshot", ...kinds, "live"]) {
      source.addEventListener(kind, (event) => take(kind, JSON.parse(event.data)));
    }
    source.addEventListener("open", () => {
      whole = null;
      there(true);
    });
    source.addEventListener("error", () => {
      there(false);
      // The browser connects again by itself, but not after an answer that is no stream.
      if (source?.readyState === EventSource.CLOSED) again = setTimeout(open, AGAIN);
    });
  }

  document.addEventListener("visibilitychange", open);
  addEventListener("pagehide", close);
  addEventListener("pageshow", (event) => event.persisted && open());
  open();
}
