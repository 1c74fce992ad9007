"""Each view in both languages, from a phone to a wall, with 3,000 gantries: accessible, nothing
beside the window.
"""

import pytest
from playwright.sync_api import expect

from tests.browser.tab import Tab
from tests.centre.browser.conftest import Played
from tests.centre.browser.province import PER_ROAD, ROADS

SIZES = ((400, 800), (1400, 900), (3840, 2160))
VIEWS = {
    "overview": "/",
    "tree": "/gantries?road=G2",
    "wall": "/gantries?as=wall",
    "map": "/gantries?as=map&state=critical,silent",
    "gantry": "/gantries/{dark}",
    "alarms": "/alarms",
    "commands": "/commands?new=1&road=G2",
    "cards": "/cards",
    "registry": "/registry",
    "audit": "/audit",
}
EACH_SIZE = ("overview", "tree", "gantry")
"""Views that are looked at in every size; the others as on a desk and on a phone."""


def open_view(tab: Tab, centre: Played, view: str, language: str = "en") -> None:
    [dark] = centre.get("gantries?sort=batteryMinutes&limit=1")["gantries"]
    tab.open(VIEWS[view].format(dark=dark["id"]), language)
    name = "gantries" if view in ("tree", "wall", "map") else view
    tab.page.locator(f"[data-view={name}] :visible").first.wait_for()
    if name == "gantries":
        expect(tab.page.locator(".matches")).to_contain_text(f"of {ROADS * PER_ROAD}")


@pytest.mark.parametrize("view", VIEWS)
def test_view(tab: Tab, centre: Played, view: str) -> None:
    """A view stands once in both languages, without a violation, and fits each width."""
    open_view(tab, centre, view)
    page = tab.page
    for language in ("en", "zh-CN"):
        expect(page.locator("html")).to_have_attribute("lang", language)
        expect(page.locator("[data-view]")).to_have_count(1)
        page.locator("[data-view] :visible").first.wait_for()
        if view != "wall" or language == "en":  # its 3,000 cells take seconds
            tab.axe()
        for width, height in SIZES if view in EACH_SIZE else SIZES[:2]:
            tab.size(width, height)
            tab.shot(f"centre-{view}-{language}-{width}")
            tab.until_fits((view, width))
        tab.size(*SIZES[1])
        page.click(tab.action("language"))
