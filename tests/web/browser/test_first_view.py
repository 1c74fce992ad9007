"""What the first view costs: bytes, time, and nothing that jumps."""

import pytest

from tests.browser.harness import Figure, Open
from tests.browser.tab import Tab
from tests.browser.watching import WATCH, first_load
from tests.web.browser.demo import VIEWS, Demo, eventually

# The alarms of a mains failure that come last.
_LAST = {"cfos.mains-abnormal", "ups1.on-battery", "ups2.on-battery"}


def test_first_view(open_tab: Open, figure: Figure) -> None:
    """Under 120 kB in all, and nothing moves; the time until it is painted is a figure."""
    loads: list[tuple[int, float]] = []
    for _ in range(3):
        tab = open_tab()
        loads.append(first_load(tab, "overview"))
        assert tab.page.evaluate("window.shifted") == 0, tab.page.evaluate("window.shifts")
    size, painted = max(each[0] for each in loads), min(each[1] for each in loads)
    figure("bytes of the first view", size / 1000, "kB")
    figure("first contentful paint", painted, "ms")
    assert size < 120_000


@pytest.mark.alone
def test_nothing_moves(tab: Tab, demo: Demo, figure: Figure) -> None:
    """Views do not jump, neither as they load nor as values and alarms change."""
    tab.page.add_init_script(WATCH)
    worst = 0.0
    try:
        for view, path in VIEWS.items():
            tab.open(path)
            if view == "overview":
                demo.world(mains__voltage=0)
                tab.page.wait_for_selector(".active > [data-alarm]")
                eventually("all of its alarms", lambda: demo.active() >= _LAST)
                tab.page.locator(".cause .acked", has_text="told to demo").first.wait_for()
            tab.page.wait_for_timeout(1500)
            worst = max(worst, shifted := tab.page.evaluate("window.shifted"))
            # A chip whose word grows to the left counts as 0.00003; what is new must have room.
            assert shifted < 0.001, (view, shifted, tab.page.evaluate("window.shifts"))
    finally:
        demo.world(mains__voltage=220)
    figure("cumulative layout shift", worst, "")
