"""The rules of alarms: conditions over the points of a device."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum

from twisted_gantry.core.points import Point

BAD_THEN_SILENT = 30.0
"""Seconds offline after which a device has an alarm if its condition was bad when last known."""

Read = Callable[[str], Point]


class Severity(StrEnum):
    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True)
class Rule:
    """A condition over the points of one device.

    `test(read, raised)` gets a function from a point's name (without the device's) to the point,
    and whether the alarm is raised, for the hysteresis; it returns None if the value is unknown.
    The condition must hold for `delay` seconds, or be gone for `clear_delay`. Silence of up to
    `silence_grace` seconds does not restart the delay. A rule with a delay may want several
    `readings` in a row of the points that `test` reads: one reading may be an outlier. `group` is
    that of the cabinet report. With `parts` each of these parts of the device has the alarm: the
    names that `test` reads are those of the part. `subject` is what the alarm is about, where its
    name does not say that. An alarm that is raised too often is held, unless the rule counts
    `each_time`, as that of a door does.
    """

    name: str
    severity: Severity
    en: str
    zh: str
    test: Callable[[Read, bool], bool | None]
    group: str = ""
    delay: float = 0.0
    clear_delay: float = 0.0
    silence_grace: float = BAD_THEN_SILENT
    readings: int = 1
    parts: Callable[[], Iterable[str]] | None = None
    subject: str = ""
    each_time: bool = False
