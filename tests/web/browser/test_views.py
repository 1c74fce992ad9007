"""Each view in both languages, from a phone to a wall: accessible, nothing beside the window."""

import pytest

from tests.browser.tab import Tab
from tests.web.browser.demo import VIEWS, eventually

SIZES = ((400, 800), (1400, 900), (3840, 2160))


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("view", VIEWS)
def test_view(tab: Tab, view: str, language: str) -> None:
    """A view stands once, without a violation, and fits each width."""
    page = tab.open(VIEWS[view], language)
    # No string of code: the page's policy lets none be evaluated again.
    eventually("a view", lambda: page.inner_text("[data-view]").strip())
    assert page.locator("[data-view]").count() == page.locator(f"[data-view={view}]").count() == 1
    assert page.get_attribute("html", "lang") == {"en": "en", "zh": "zh-CN"}[language]
    tab.axe()
    for width, height in SIZES:
        tab.size(width, height)
        tab.shot(f"{view}-{language}-{width}")
        assert tab.overflow() <= 0, (view, width)
