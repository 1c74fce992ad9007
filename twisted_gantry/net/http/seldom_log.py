"""A log with a bound on its lines, for events that a peer can cause at will."""

import math
import re
from collections import OrderedDict
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()

QUIET = 60.0
"""Seconds in which refusals for one reason, or faults at one place, are one line of the log."""
MOST_REASONS = 20
"""Reasons that have a line of their own in `QUIET` seconds; further ones share the next line."""
_MOST_KEPT = 4 * MOST_REASONS
# Numbers such as an age do not make another reason; texts of the peer, which are quoted, do.
_NUMBERS = re.compile(r"('[^']*')|[0-9]+")


class SeldomLog:
    """Logs refusals and faults of the entry point `name`, each reason once in `QUIET` seconds."""

    def __init__(self, name: str, clock: IReactorTime) -> None:
        self._name, self._clock = name, clock
        # By reason or place: when it was last logged, and how often it was left out since.
        self._said: OrderedDict[str, tuple[float, int]] = OrderedDict()

    def refused(self, code: int, host: str, why: str) -> None:
        """Log a refusal; texts of the peer in `why` are quoted and bounded."""
        more = self._due(f"{code} {_NUMBERS.sub(lambda match: match[1] or '#', why)}")
        if more is not None:
            text = "{name}: {host} is refused: {why} ({left_unsaid} more before)"
            _log.info(text, name=self._name, host=host, why=why, left_unsaid=more)

    def fault(self, failure: Failure) -> None:
        place: Any = failure.frames[-1][1:3] if failure.frames else ()
        if self._due(f"{failure.type} {place}") is not None:
            _log.failure("a request to {name} failed", failure=failure, name=self._name)

    def _due(self, key: str) -> int | None:
        """Return how often `key` was left out since it was logged, None to leave it out again."""
        now = self._clock.seconds()
        recent = sum(now - at < QUIET for at, _ in self._said.values())
        if key not in self._said and recent >= MOST_REASONS:
            key = ""  # one line for all reasons beyond the bound
        at, left_unsaid = self._said.pop(key, (-math.inf, 0))
        if now - at < QUIET:
            self._said[key] = (at, left_unsaid + 1)
            return None
        self._said[key] = (now, 0)
        if len(self._said) > _MOST_KEPT:
            self._said.popitem(last=False)
        return left_unsaid
