"""The log of refusals: every reason once in a minute, with a bound on all."""

import io
from collections.abc import Iterator

import pytest
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher, textFileLogObserver

from twisted_gantry.net.http.seldom_log import MOST_REASONS, QUIET, SeldomLog


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """Return what is logged."""
    log = io.StringIO()
    observer = textFileLogObserver(log)
    globalLogPublisher.addObserver(observer)
    yield log
    globalLogPublisher.removeObserver(observer)


def test_each_reason_has_a_line(lines: io.StringIO) -> None:
    """Reasons of one code do not hide each other; the same one is counted until the minute ends."""
    clock = Clock()
    log = SeldomLog("door.do", clock)
    for why in ("1002: cmd '7' is unknown", "1002: cmd '11' is unknown", "1002: not JSON: bad"):
        for _ in range(3):
            log.refused(1002, "192.0.2.7", why)
    text = lines.getvalue()
    assert text.count("refused") == 3
    assert "cmd '7'" in text
    assert "cmd '11'" in text
    clock.advance(QUIET)
    log.refused(1002, "192.0.2.7", "1002: not JSON: bad")
    assert "not JSON: bad (2 more before)" in lines.getvalue()


def test_an_age_is_no_other_reason(lines: io.StringIO) -> None:
    """Numbers outside of quotes do not make a reason another one."""
    log = SeldomLog("door.do", Clock())
    for age in range(10):
        log.refused(1003, "192.0.2.7", f"1003: timeStamp is off by {age} s")
    assert lines.getvalue().count("refused") == 1


def test_reasons_are_bounded(lines: io.StringIO) -> None:
    """However many reasons a peer invents, a minute has a bounded number of lines."""
    clock = Clock()
    log = SeldomLog("door.do", clock)
    for turn in range(1000):
        log.refused(1002, "192.0.2.7", f"1002: unknown method 'x{turn}'")
    assert lines.getvalue().count("refused") == MOST_REASONS + 1
    for turn in range(50):
        clock.advance(QUIET)
        log.refused(1002, "192.0.2.7", f"1002: unknown method 'y{turn}'")
    assert lines.getvalue().count("refused") == MOST_REASONS + 1 + 50
