"""Conditions of alarm rules over points: True, False, or None while the points do not tell."""

from collections.abc import Callable

from twisted_gantry.core.alarms import Read
from twisted_gantry.wire.reading import Value

Condition = Callable[[Read, bool], bool | None]
"""Takes how to read a point, and whether the alarm is raised."""


def when(name: str, bad: Callable[[Value], bool]) -> Condition:
    """Return the condition that the known value of a point is bad."""

    def condition(read: Read, raised: bool) -> bool | None:
        value = read(name).good
        return None if value is None else bad(value)

    return condition


def equals(name: str, *values: Value) -> Condition:
    return when(name, lambda value: value in values)
