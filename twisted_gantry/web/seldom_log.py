"""What the entry points of the ETC interface log: things that a peer can bring about at will."""

import math
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

_log = Logger()

QUIET = 60.0
"""Seconds in which refusals of one code, or faults of one place, are one line of the log."""


class SeldomLog:
    """The log of the entry point `name`, where each thing is said once in a while."""

    def __init__(self, name: str, clock: IReactorTime) -> None:
        self._name, self._clock = name, clock
        # When something was last said, and how often it was left unsaid since. The keys are codes
        # and places of the program, of which there are a few.
        self._said: dict[str, tuple[float, int]] = {}

    def refused(self, code: int, host: str, why: str) -> None:
        """Say that a request was refused; of several with one code in a while, the first."""
        left_unsaid = self._due(f"code {code}")
        if left_unsaid is not None:
            _log.info(
                "{name}: {host} is refused: {why} ({left_unsaid} more before)",
                name=self._name,
                host=host,
                why=why,
                left_unsaid=left_unsaid,
            )

    def fault(self, failure: Failure) -> None:
        """Log what should not have happened, with its trace; the answer does not show it."""
        place: Any = failure.frames[-1][1:3] if failure.frames else ()
        if self._due(f"{failure.type} {place}") is not None:
            _log.failure("a request to {name} failed", failure=failure, name=self._name)

    def _due(self, key: str) -> int | None:
        """Tell whether `key` may be said again: how often it was not, or None."""
        at, left_unsaid = self._said.get(key, (-math.inf, 0))
        if self._clock.seconds() - at < QUIET:
            self._said[key] = (at, left_unsaid + 1)
            return None
        self._said[key] = (self._clock.seconds(), 0)
        return left_unsaid
