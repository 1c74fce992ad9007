"""Tests in a real browser: they run in a thread of their own, which has the browser.

Playwright's blocking interface switches greenlets, as the reactor's tests do: both in one thread
would go each into the other's. A test here is a plain function; the reactor does not turn.
"""

import shutil
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.tab import PATIENCE, SHOTS, Tab

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
THREAD = ThreadPoolExecutor(1, "browser")
Open = Callable[..., Tab]
"""Opens a tab; takes what `Tab` takes behind its origin."""
Figure = Callable[[str, float, str], None]

expect.set_options(timeout=PATIENCE * 1000)


def mark(items: list[pytest.Item], folder: Path) -> None:
    """Mark every test below a folder."""
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.long)
            # A busy machine is waited for; the limit of other tests would end the whole process.
            item.add_marker(pytest.mark.timeout(900))
            item.add_marker(pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium"))


def call(pyfuncitem: pytest.Function) -> bool:
    """Run a test in the browser's thread."""
    names = pyfuncitem._fixtureinfo.argnames
    given = {name: pyfuncitem.funcargs[name] for name in names}
    THREAD.submit(pyfuncitem.obj, **given).result()
    return True


@contextmanager
def launched() -> Iterator[Browser]:
    """Return a browser; it belongs to the browser's thread."""
    playwright = THREAD.submit(sync_playwright().start).result()
    browser = THREAD.submit(
        playwright.chromium.launch, executable_path=CHROMIUM, args=["--no-sandbox"]
    ).result()
    yield browser
    THREAD.submit(browser.close).result()
    THREAD.submit(playwright.stop).result()


@contextmanager
def tabs(browser: Browser, origin: str, name: str) -> Iterator[Open]:
    """Return what opens a tab (see `Tab`); at the end each is checked, and kept as a picture."""
    opened: list[Tab] = []

    def open_(**more: Any) -> Tab:
        tab = Tab(browser, origin, **more)
        opened.append(tab)
        return tab

    def end() -> None:
        for number, tab in enumerate(opened):
            tab.shot(f"end-{name}-{number}")
            tab.close()
        for tab in opened:
            tab.check()

    yield open_
    THREAD.submit(end).result()


@pytest.fixture
def tab(open_tab: Open) -> Tab:
    """Return a tab of 1400 × 900 without a page."""
    opened: Tab = THREAD.submit(open_tab).result()
    return opened


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Figure:
    """Return what notes a figure, with its unit, beside the pictures."""

    def note(name: str, value: float, unit: str) -> None:
        SHOTS.mkdir(parents=True, exist_ok=True)
        with (SHOTS / "figures.txt").open("a", encoding="utf-8") as file:
            file.write(f"{request.node.name}: {name}: {value:.4g} {unit}\n")

    return note
