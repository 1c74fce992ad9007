"""A stream of the test's own in place of the gantry's: the page hears events as fast as it can."""

from typing import Any

from tests.browser.tab import Tab

# Stands in for EventSource; `feed(kind, data)` lets the page hear an event.
_SOURCE = """
class Fed extends EventTarget {
  constructor(url) { super(); this.url = url; this.readyState = 1; window.fed = this;
    setTimeout(() => this.dispatchEvent(new Event("open"))); }
  close() { this.readyState = 2; }
}
Fed.CLOSED = 2;
window.EventSource = Fed;
window.feed = (kind, data) =>
  window.fed.dispatchEvent(new MessageEvent(kind, { data: JSON.stringify(data) }));
"""
# Lets the page hear `count` events: points mostly, but also alarms that come and go, devices and
# uplinks that change, and now and then a new snapshot. It draws in between.
_MANY = """
async (count) => {
  const get = async (path) => (await fetch(`/api/v1/${path}`)).json();
  const [{ points }, { devices, uplinks }] = await Promise.all([get("points"), get("site")]);
  const at = () => new Date().toISOString();
  const alarm = (i, cleared) => ({ alarm: `ups1.made-up-${i % 7}`, severity: "warning",
    message: `made up ${i}`, messageZh: `虚构 ${i}`, device: "ups1", count: 1, value: null,
    raisedAt: new Date(1.7e12 + i * 1000).toISOString(), clearedAt: cleared ? at() : null,
    ackedBy: null, ackedAt: null, note: null, shelvedUntil: null, cause: null,
    consequences: [] });
  for (let i = 0; i < count; i++) {
    const kind = i % 100;
    if (kind === 50) feed("alarm", alarm(i, false));
    else if (kind === 99) feed("alarm", alarm(i - 49, true));
    else if (kind === 70) feed("device", { ...devices[i % devices.length], since: at() });
    else if (kind === 71) feed("uplink", { ...uplinks[i % uplinks.length], since: at() });
    else if (i % 100000 === 60) {
      feed("snapshot", { events: points.length + devices.length + uplinks.length });
      for (const each of points) feed("point", each);
      for (const each of devices) feed("device", each);
      for (const each of uplinks) feed("uplink", each);
      feed("live", {});
    } else {
      const point = points[i % points.length];
      const value = typeof point.value === "number" ? point.value + (i % 50) / 10 : point.value;
      feed("point", { ...point, value, at: at() });
    }
    if (i % 5000 === 0) await new Promise((go) => setTimeout(go));
  }
}
"""
# Lets the page hear so many changes of points a second, for so many seconds.
_STEADY = """
([rate, seconds]) => new Promise(async (done) => {
  const { points } = await (await fetch("/api/v1/points")).json();
  const numbers = points.filter((each) => typeof each.value === "number");
  let i = 0;
  const timer = setInterval(() => {
    const point = numbers[i % numbers.length];
    feed("point", { ...point, value: point.value + (i % 7), at: new Date().toISOString() });
    if (++i >= rate * seconds) { clearInterval(timer); done(); }
  }, 1000 / rate);
})
"""


def feed_instead(tab: Tab) -> None:
    """Let pages of a tab hear the test; to be called before a page is opened."""
    tab.page.add_init_script(_SOURCE)


def feed_many(tab: Tab, count: int) -> None:
    tab.page.evaluate(_MANY, count)


def feed_steadily(tab: Tab, rate: float, seconds: float) -> None:
    tab.page.evaluate(_STEADY, [rate, seconds])


def heap(tab: Tab) -> float:
    """Return the live bytes of the page's scripts, while no answer is just being read."""
    cdp = tab.cdp()
    found = []
    for _ in range(6):
        tab.page.wait_for_timeout(300)
        cdp.send("HeapProfiler.collectGarbage")
        found.append(cdp.send("Runtime.getHeapUsage")["usedSize"])
    return float(min(found))


def nodes(tab: Tab) -> int:
    """Return how many nodes the browser holds."""
    found: Any = tab.cdp().send("Memory.getDOMCounters")
    return int(found["nodes"])
