"""A log with a bound on its lines, for events that a peer can cause at will."""

import math
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()

QUIET = 60.0
"""Seconds in which refusals with one code, or faults at one place, are one line of the log."""


class SeldomLog:
    """Logs refusals and faults of the entry point `name`, each kind once in `QUIET` seconds."""

    def __init__(self, name: str, clock: IReactorTime) -> None:
        self._name, self._clock = name, clock
        # By code or place: when it was last logged, and how often it was left out since.
        self._said: dict[str, tuple[float, int]] = {}

    def refused(self, code: int, host: str, why: str) -> None:
        more = self._due(f"code {code}")
        if more is not None:
            text = "{name}: {host} is refused: {why} ({left_unsaid} more before)"
            _log.info(text, name=self._name, host=host, why=why, left_unsaid=more)

    def fault(self, failure: Failure) -> None:
        place: Any = failure.frames[-1][1:3] if failure.frames else ()
        if self._due(f"{failure.type} {place}") is not None:
            _log.failure("a request to {name} failed", failure=failure, name=self._name)

    def _due(self, key: str) -> int | None:
        """Return how often `key` was left out since it was logged, None to leave it out again."""
        at, left_unsaid = self._said.get(key, (-math.inf, 0))
        if self._clock.seconds() - at < QUIET:
            self._said[key] = (at, left_unsaid + 1)
            return None
        self._said[key] = (self._clock.seconds(), 0)
        return left_unsaid
