"""The clock that the sessions of this package need; that of a Twisted reactor fits."""

from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A scheduled call."""

    def cancel(self) -> None:
        """Cancel the call, which has not run yet."""


class Clock(Protocol):
    """Tells time, and schedules calls."""

    def seconds(self) -> float:
        """Return seconds since an arbitrary moment."""

    def callLater(self, delay: float, call: Callable[[], None], /) -> Timer:
        """Run `call` after `delay` seconds."""
