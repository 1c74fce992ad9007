"""What a page costs: bytes of its first view, what moves, how long frames take."""

from typing import Any

from tests.browser.tab import Tab

# A page that waits longer than 3 s for its first answers shows what it has, and moves then. In a
# test only the machine is slow: there it goes on to wait.
WATCH = """
const patient = new CSSStyleSheet();
patient.replaceSync("body, main { animation: none !important; }");
document.adoptedStyleSheets = [patient];
window.shifted = 0;
new PerformanceObserver((list) => {
  for (const each of list.getEntries()) {
    window.shifted += each.value;
    const moved = each.sources.map((one) => `${one.node?.outerHTML?.slice(0, 80)} ${
      one.previousRect.x},${one.previousRect.y} to ${one.currentRect.x},${one.currentRect.y}`);
    window.shifts = [...(window.shifts ?? []), moved];
  }
}).observe({ type: "layout-shift", buffered: true });
"""
"""Counts what moves as `window.shifted`; to be run before a page."""
PAINT = """
new Promise((done) => new PerformanceObserver((list) => {
  for (const { name, startTime } of list.getEntries()) {
    if (name === "first-contentful-paint") done(startTime);
  }
}).observe({ type: "paint", buffered: true }))
"""
_FRAMES = """
(seconds) => new Promise((done) => {
  const took = [];
  let last = performance.now();
  const end = last + seconds * 1000;
  const scrolled = document.querySelector(".stack") ?? document.scrollingElement;
  function frame(now) {
    took.push(now - last);
    last = now;
    scrolled.scrollTop += 40;
    if (scrolled.scrollTop + scrolled.clientHeight >= scrolled.scrollHeight) scrolled.scrollTop = 0;
    if (now < end || took.length < 10) requestAnimationFrame(frame);
    else done(took.slice(1).sort((a, b) => a - b));
  }
  requestAnimationFrame(frame);
})
"""


def frames(tab: Tab, seconds: float) -> tuple[float, float]:
    """Scroll, and return the median and the 95th percentile of the milliseconds of a frame."""
    took = tab.page.evaluate(_FRAMES, seconds)
    return took[len(took) // 2], took[len(took) * 95 // 100]


def first_load(tab: Tab, view: str, without: str = "") -> tuple[int, float]:
    """Return the bytes of the first view, and the milliseconds until something is painted. With
    `without`, requests whose path has that are left out.
    """
    cdp = tab.cdp()
    total = 0
    left_out: set[str] = set()

    def came(event: Any) -> None:
        nonlocal total
        if event["requestId"] not in left_out:
            total += event["encodedDataLength"]

    def answered(event: Any) -> None:
        nonlocal total
        if without and without in event["response"]["url"]:
            left_out.add(event["requestId"])
            return
        total += event["response"]["encodedDataLength"]

    cdp.on("Network.dataReceived", came)
    cdp.on("Network.responseReceived", answered)
    cdp.send("Network.enable")
    tab.page.add_init_script(WATCH)
    tab.open()
    tab.until_view(view)
    tab.page.wait_for_load_state("load")
    tab.page.wait_for_timeout(500)
    return total, float(tab.page.evaluate(PAINT))
