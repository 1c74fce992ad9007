"""A page is honest when the network, the gantry or a clock fails, and right again afterwards."""

import signal
import time

from playwright.sync_api import expect

from tests.browser.harness import Figure
from tests.browser.tab import Tab
from tests.web.browser.demo import Demo

GONE = r"ERR_|Failed to load resource|Failed to fetch"
OLD = "body.old #link[data-state=offline]"
LIVE = "body:not(.old) #link[data-state=online]"
# The computer that shows the page is three hours ahead.
_AHEAD = """
const now = Date.now.bind(Date), Real = Date;
window.Date = class extends Real {
  constructor(...given) { given.length ? super(...given) : super(now() + 10800000); }
  static now() { return now() + 10800000; }
};
"""


def test_offline_and_back(tab: Tab, demo: Demo) -> None:
    """A browser off the network says since when; back, it shows what happened meanwhile."""
    tab.allow(GONE)
    page = tab.open(language="en")
    tab.offline(True)
    page.wait_for_selector(OLD, timeout=15_000)
    assert "has not answered since" in tab.headline()
    tab.shot("offline-en-1400")
    demo.world(mains__voltage=0)
    try:
        tab.offline(False)
        page.wait_for_selector(LIVE, timeout=15_000)
        page.wait_for_selector(".active > [data-alarm]", timeout=15_000)
    finally:
        demo.world(mains__voltage=220)


def test_a_gantry_that_is_frozen_then_gone(tab: Tab, demo: Demo, figure: Figure) -> None:
    """Frozen, it shows within 15 s; after a restart the page is right without being loaded anew."""
    tab.allow(GONE)
    page = tab.open(language="en")
    page.evaluate("window.kept = 1")
    demo.send(signal.SIGSTOP)
    before = time.monotonic()
    page.wait_for_selector(OLD, timeout=15_000)
    figure("until a frozen gantry shows", time.monotonic() - before, "s")
    demo.send(signal.SIGCONT)
    page.wait_for_selector(LIVE, timeout=15_000)
    assert demo.daemon.end()
    page.wait_for_selector(OLD, timeout=15_000)
    demo.start()
    page.wait_for_selector(LIVE, timeout=30_000)
    expect(page.locator("#about")).to_contain_text(" s ago")
    assert page.evaluate("window.kept") == 1


def test_a_clock_that_is_off(tab: Tab) -> None:
    """Ages are those of the gantry's clock, not of the computer that shows the page."""
    tab.page.add_init_script(_AHEAD)
    page = tab.open(language="en")
    assert " h" not in page.inner_text("#about").partition("started")[2]
