"""A tab that stays open: its memory, its work, its traffic."""

import time
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.harness import Figure
from tests.browser.tab import Tab
from tests.web.browser.demo import VIEWS
from tests.web.browser.feed import feed_instead, feed_many, feed_steadily, heap, nodes

EVENTS = 1_000_000  # a week at 1.7 a second
HOUR = 3600.0
MEGABYTE = 1e6


def test_a_million_events(tab: Tab, figure: Figure) -> None:
    """Memory stays flat, and the page is right afterwards."""
    feed_instead(tab)
    page = tab.open()
    feed_many(tab, 50_000)
    before, nodes_before = heap(tab), nodes(tab)
    feed_many(tab, EVENTS)
    grown, nodes_grown = heap(tab) - before, nodes(tab) - nodes_before
    figure("heap grown", grown / 1e3, "kB")
    assert grown < MEGABYTE
    assert nodes_grown < 100
    page.wait_for_selector("#link[data-state=online]")
    expect(page.locator("[data-alarm^='ups1.made-up']")).to_have_count(0)


@pytest.mark.parametrize("view", ["overview", "device"])
def test_twenty_changes_a_second(tab: Tab, browser: Browser, view: str, figure: Figure) -> None:
    """A page that is looked at takes little of a core: a figure, under a tenth."""
    feed_instead(tab)
    tab.open(VIEWS[view])
    system = browser.new_browser_cdp_session()

    def used() -> dict[int, float]:
        found: Any = system.send("SystemInfo.getProcessInfo")["processInfo"]
        return {each["id"]: float(each["cpuTime"]) for each in found if each["type"] == "renderer"}

    feed_steadily(tab, 20, 1)
    before, began = used(), time.monotonic()
    feed_steadily(tab, 20, 4)
    after, seconds = used(), time.monotonic() - began
    # Renderers of tabs that were closed before end when they like.
    share = sum(after[each] - before[each] for each in before if each in after) / seconds
    figure(view, share * 100, "% of a core")
    assert share > 0


def test_traffic(tab: Tab, figure: Figure) -> None:
    """An hour of the demonstration takes little: a figure, with heads of requests and answers, from
    one question of the page to the next but one.
    """
    tab.open()
    cdp = tab.cdp()
    total = 0.0

    def answered(event: Any) -> None:
        nonlocal total
        total += event["response"]["encodedDataLength"]

    def came(event: Any) -> None:
        nonlocal total
        total += event["encodedDataLength"]

    def asked(event: Any) -> None:
        nonlocal total
        total += sum(len(k) + len(v) + 4 for k, v in event["request"]["headers"].items()) + 200

    cdp.on("Network.responseReceived", answered)
    cdp.on("Network.dataReceived", came)
    cdp.on("Network.requestWillBeSent", asked)
    cdp.send("Network.enable")

    def until_asked() -> None:
        with tab.page.expect_response("**/api/v1/site"):
            pass

    until_asked()  # the beginning counts once, not each hour
    total, began = 0.0, time.monotonic()
    until_asked()
    until_asked()
    figure("traffic", total / (time.monotonic() - began) * HOUR / MEGABYTE, "MB an hour")
    assert total > 0
