"""A page is honest when the network, the gantry or a clock fails, and right again afterwards."""

import re
import signal
import time

from playwright.sync_api import expect

from tests.browser.harness import Figure
from tests.browser.tab import PATIENCE, Tab
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
    page.wait_for_selector(OLD)
    expect(tab.headline).to_contain_text("has not answered since")
    tab.shot("offline-en-1400")
    demo.world(mains__voltage=0)
    try:
        tab.offline(False)
        page.wait_for_selector(LIVE)
        page.wait_for_selector(".active > [data-alarm]")
    finally:
        demo.world(mains__voltage=220)


def test_a_gantry_that_is_frozen_then_gone(tab: Tab, demo: Demo, figure: Figure) -> None:
    """Frozen, it shows (how soon is a figure); restarted, the page is right without a new load."""
    tab.allow(GONE)
    page = tab.open(language="en")
    page.evaluate("window.kept = 1")
    demo.send(signal.SIGSTOP)
    try:
        before = time.monotonic()
        page.wait_for_selector(OLD)
        figure("until a frozen gantry shows", time.monotonic() - before, "s")
    finally:
        demo.send(signal.SIGCONT)
    page.wait_for_selector(LIVE)
    demo.send(signal.SIGTERM)
    demo.daemon.process.wait(PATIENCE)
    try:
        page.wait_for_selector(OLD)
    finally:
        demo.start()
    page.wait_for_selector(LIVE)
    expect(page.locator("#about")).to_contain_text(" s ago")
    assert page.evaluate("window.kept") == 1


def test_a_clock_that_is_off(tab: Tab) -> None:
    """Ages are those of the gantry's clock, not of the computer that shows the page."""
    tab.page.add_init_script(_AHEAD)
    page = tab.open(language="en")
    expect(page.locator("#about")).to_contain_text(re.compile("started (?!3 h)"))
