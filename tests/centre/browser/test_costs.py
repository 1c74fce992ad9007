"""What the page of the centre costs: bytes, frames, and nothing that moves."""

from tests.browser.harness import Figure, Open
from tests.browser.tab import Tab
from tests.browser.watching import WATCH, first_load, frames
from tests.centre.browser.conftest import Played
from tests.centre.browser.test_views import open_view

CHANGES = 100  # a second


def test_first_view(open_tab: Open, figure: Figure) -> None:
    """Under 120 kB without the stream, and nothing moves; what the stream brings is a figure."""
    tab = open_tab()
    size, painted = first_load(tab, "overview", without="/stream")
    assert tab.page.evaluate("window.shifted") == 0, tab.page.evaluate("window.shifts")
    figure("bytes of the first view", size / 1000, "kB")
    figure("first contentful paint", painted, "ms")
    assert size < 120_000
    whole, _ = first_load(open_tab(), "overview")
    figure("with every gantry by the stream", whole / 1000, "kB")


def test_nothing_moves(tab: Tab, centre: Played, figure: Figure) -> None:
    """While 100 gantries change a second nothing jumps, and frames stay short (figures)."""
    tab.page.add_init_script(WATCH)
    for view in ("overview", "tree", "wall", "map"):
        open_view(tab, centre, view)
        page = tab.page
        page.wait_for_timeout(300)
        for _ in range(2):
            centre.change(f"flicker?count={CHANGES}")
            median, most = frames(tab, 1.0)
        figure(f"{view}: frame", median, "ms")
        figure(f"{view}: frame, 95 of 100", most, "ms")
        assert page.evaluate("window.shifted") == 0, (view, page.evaluate("window.shifts"))
