"""Each view in both languages, from a phone to a wall: accessible, nothing beside the window."""

import pytest
from playwright.sync_api import expect

from tests.browser.tab import Tab
from tests.web.browser.demo import VIEWS

SIZES = ((400, 800), (1400, 900), (3840, 2160))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("view", VIEWS)
def test_view(tab: Tab, view: str, language: str) -> None:
    """A view stands once, without a violation, and fits each width."""
    page = tab.open(VIEWS[view], language)
    expect(page.locator("[data-view]")).to_have_count(1)
    expect(page.locator(f"[data-view={view}]")).to_be_visible()
    expect(page.locator("html")).to_have_attribute("lang", {"en": "en", "zh": "zh-CN"}[language])
    tab.axe()
    for width, height in SIZES:
        tab.size(width, height)
        tab.shot(f"{view}-{language}-{width}")
        tab.until_fits((view, width))
