"""Tests in a real browser: they run in a thread of their own, which has the browser.

Playwright's blocking interface switches greenlets, as the reactor's tests do: both in one thread
would go each into the other's. A test here is a plain function; the reactor does not turn.
"""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.web.browser.demo import Demo
from tests.web.browser.tab import SHOTS, Tab
from tests.web.browser.year import make_year

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# One that never acts: there is something to show.
INTERLOCK = """
[[interlock]]
name = "hot"
when = "ups1.temperature > 95"
do = "ups1.BZON"
"""
_HERE = Path(__file__).parent
_thread = ThreadPoolExecutor(1, "browser")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if _HERE in item.path.parents:
            item.add_marker(pytest.mark.long)
            item.add_marker(pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"))


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Run the test in the browser's thread."""
    names = pyfuncitem._fixtureinfo.argnames
    given = {name: pyfuncitem.funcargs[name] for name in names}
    _thread.submit(pyfuncitem.obj, **given).result()
    return True


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Return the browser; it belongs to the browser's thread."""
    playwright = _thread.submit(sync_playwright().start).result()
    browser = _thread.submit(
        playwright.chromium.launch, executable_path=CHROMIUM, args=["--no-sandbox"]
    ).result()
    yield browser
    _thread.submit(browser.close).result()
    _thread.submit(playwright.stop).result()


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


Open = Callable[..., Tab]


@pytest.fixture
def open_tab(browser: Browser, demo: Demo, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Return what opens a tab (see `Tab`); at the end each is checked, and kept as a picture."""
    tabs: list[Tab] = []

    def open_(**more: Any) -> Tab:
        tab = Tab(browser, demo.url, **more)
        tabs.append(tab)
        return tab

    def end() -> None:
        for number, tab in enumerate(tabs):
            tab.shot(f"end-{request.node.name}-{number}")
            tab.close()
        for tab in tabs:
            tab.check()

    yield open_
    _thread.submit(end).result()


@pytest.fixture
def tab(open_tab: Open) -> Tab:
    """Return a tab of 1400 × 900 without a page."""
    opened: Tab = _thread.submit(open_tab).result()
    return opened


Figure = Callable[[str, float, str], None]


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Return what notes a figure, with its unit, beside the pictures."""

    def note(name: str, value: float, unit: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        with (SHOTS / "figures.txt").open("a", encoding="utf-8") as file:
            file.write(f"{request.node.name}: {name}: {value:.4g} {unit}\n")

    return note
