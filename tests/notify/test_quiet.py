"""Quiet hours in the time zone of the site."""

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from twisted_gantry.notify.quiet import Quiet


def left(span: str, time: str, zone: str = "Asia/Shanghai") -> float:
    at = datetime.fromisoformat(time).replace(tzinfo=ZoneInfo(zone))
    return Quiet.parse(span).left(at.timestamp(), ZoneInfo(zone))


@pytest.mark.parametrize(
    ("span", "time", "seconds"),
    [
        ("22:00-07:00", "2026-06-01 21:59:59", 0),
        ("22:00-07:00", "2026-06-01 22:00:00", 9 * 3600),
        ("22:00-07:00", "2026-06-02 00:30:00", 6.5 * 3600),
        ("22:00-07:00", "2026-06-02 06:59:30", 30),
        ("22:00-07:00", "2026-06-02 07:00:00", 0),
        ("12:00-13:30", "2026-06-02 12:30:00", 3600),
        ("12:00-13:30", "2026-06-02 13:30:00", 0),
    ],
)
def test_left(span: str, time: str, seconds: float) -> None:
    """A span may go over midnight; its end is outside."""
    assert left(span, time) == seconds


def test_a_night_in_which_the_clocks_change() -> None:
    """The night before summer time is an hour shorter."""
    assert left("22:00-07:00", "2026-03-28 22:00:00", "Europe/Berlin") == 8 * 3600


@pytest.mark.parametrize("text", ["", "22:00", "22-7", "24:00-07:00", "22:60-07:00", "7:00-8:00"])
def test_wrong(text: str) -> None:
    """What is no span is refused with an example."""
    with pytest.raises(ValueError, match="such as 22:00-07:00"):
        Quiet.parse(text)


def test_an_empty_span() -> None:
    """A span that begins when it ends says nothing."""
    with pytest.raises(ValueError, match="begins when it ends"):
        Quiet.parse("07:00-07:00")
