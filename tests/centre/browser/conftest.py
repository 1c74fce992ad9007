"""The page of the centre in a browser, before a province that is made up."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest
from playwright.sync_api import Browser

from tests.browser import harness
from tests.browser.harness import Open, figure, tab

__all__ = ["figure", "tab"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    harness.mark(items, Path(__file__).parent)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool:
    """Run the test in the browser's thread."""
    return harness.call(pyfuncitem)


class Played:
    """The process that plays the API; `url` is where its page is."""

    def __init__(self, rate: float) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.centre.browser.fake", "0", str(rate)],
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        self.url = f"http://127.0.0.1:{int(self._process.stdout.readline())}"

    def get(self, path: str) -> Any:
        with urlopen(f"{self.url}/api/v1/{path}", timeout=10) as answer:
            return json.load(answer)

    def change(self, path: str) -> None:
        """Change the province: `flicker?count=`, `end?incident=`, `fault?alarm=`, `well`."""
        with urlopen(Request(f"{self.url}/test/{path}", b"", method="POST"), timeout=10):
            pass

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        assert self._process.stdout is not None
        self._process.stdout.close()


@pytest.fixture(scope="session")
def centre() -> Iterator[Played]:
    """Return the province, in which nothing changes but for what tests do."""
    played = Played(0)
    yield played
    played.close()


@pytest.fixture
def open_tab(browser: Browser, centre: Played, request: pytest.FixtureRequest) -> Iterator[Open]:
    """Return what opens a tab."""
    with harness.tabs(browser, centre.url, request.node.name) as open_:
        yield open_
