"""A tab of a real browser that is watched: what goes wrong unseen fails the test.

Problems are errors of the console and of the page, and requests to another origin.
"""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import (
    Browser,
    CDPSession,
    ConsoleMessage,
    Error,
    Locator,
    Page,
    Request,
)

SHOTS = Path(os.environ.get("GANTRY_SHOTS", "build/browser"))
"""Where screenshots are kept."""
PATIENCE = 60.0
"""Seconds that a tab waits for anything: a busy machine is slow, and no failure."""
_AXE = Axe()


class Tab:
    """One tab with a storage of its own. `page` is Playwright's."""

    def __init__(
        self, browser: Browser, origin: str, width: int = 1400, height: int = 900, **more: Any
    ) -> None:
        self.origin = origin
        self.problems: list[str] = []
        self._allowed: list[str] = []
        self._context = browser.new_context(
            viewport={"width": width, "height": height}, accept_downloads=True, **more
        )
        self._context.set_default_timeout(PATIENCE * 1000)
        self.page: Page = self._context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", self._failed)
        self.page.on("request", self._requested)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error":
            self.problems.append(f"{message.text} ({message.location.get('url')})")

    def _failed(self, error: Error) -> None:
        self.problems.append(f"{error}\n{error.stack}")

    def _requested(self, request: Request) -> None:
        if not request.url.startswith((f"{self.origin}/", "data:", f"blob:{self.origin}/")):
            self.problems.append(f"a request off the origin: {request.url}")

    def allow(self, pattern: str) -> None:
        """Let problems pass that match: where a gantry is gone, the console says so."""
        self._allowed.append(pattern)

    def check(self) -> None:
        """Fail on a problem."""
        left = [e for e in self.problems if not any(re.search(a, e) for a in self._allowed)]
        assert not left, "\n".join(left)

    def open(self, path: str = "/", language: str = "en") -> Page:
        """Load a path in a language, and wait until its view has the state of the site."""
        mark = "&" if "?" in path else "?"
        self.page.goto(f"{self.origin}{path}{mark}lang={language}")
        self.page.wait_for_selector("#link[data-state=online]")
        # The module of a view may come later than the first answers.
        self.page.locator("[data-view] :visible").first.wait_for()
        return self.page

    def until_view(self, view: str) -> None:
        """Wait until a view shows something.

        A function that the page waits for is evaluated there, which its policy forbids.
        """
        self.page.locator(f"[data-view={view}] :visible").first.wait_for()

    def action(self, name: str) -> str:
        """Return the selector of what a person presses."""
        return f"[data-action={name}]"

    @property
    def headline(self) -> Locator:
        """The sentence on top."""
        return self.page.locator("[data-field=headline]")

    def until(self, what: str, holds: Callable[[], object]) -> None:
        """Wait until something holds that no expectation of Playwright's can say."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, what
            self.page.wait_for_timeout(50)

    def axe(self) -> None:
        """Fail on a violation of accessibility."""
        result = _AXE.run(self.page)
        assert result.violations_count == 0, result.generate_report()

    def until_fits(self, what: object) -> None:
        """Wait until nothing of the page is beside the window: a picture is drawn anew for another
        size.
        """
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        self.until(f"{what} is wider", lambda: self.page.evaluate(script) <= 0)

    def size(self, width: int, height: int) -> None:
        """Change the size of the window."""
        self.page.set_viewport_size({"width": width, "height": height})

    def shot(self, name: str) -> None:
        """Keep a picture."""
        SHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SHOTS / f"{name}.png")

    def cdp(self) -> CDPSession:
        """Return a session with the browser itself, for figures."""
        return self._context.new_cdp_session(self.page)

    def offline(self, yes: bool) -> None:
        """Cut the browser off the network, or not."""
        self._context.set_offline(yes)

    def close(self) -> None:
        """Close it."""
        self.page.unroute_all(behavior="ignoreErrors")
        self._context.close()
