"""The demonstration's site in a browser: see `tests/browser/harness.py`."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser import harness
from tests.browser.harness import Open, figure, tab
from tests.web.browser.demo import Demo
from tests.web.browser.year import make_year

__all__ = ["figure", "tab"]

# One that never acts: there is something to show.
INTERLOCK = """
[[interlock]]
name = "hot"
when = "ups1.temperature > 95"
do = "ups1.BZON"
"""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    harness.mark(items, Path(__file__).parent)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Run the test in the browser's thread."""
    return harness.call(pyfuncitem)


@pytest.fixture(scope="session")
def running_demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo")
    make_year(folder / "data")
    demo = Demo(folder, INTERLOCK)
    yield demo
    demo.close()


@pytest.fixture
def demo(running_demo: Demo) -> Demo:
    """Return the demonstration, one for all tests, while the site is well."""
    running_demo.until_quiet()
    return running_demo


@pytest.fixture
def open_tab(browser: Browser, demo: Demo, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Return what opens a tab."""
    with harness.tabs(browser, demo.url, request.node.name) as open_:
        yield open_
