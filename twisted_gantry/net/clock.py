"""A reactor with timers that do not follow the computer's clock."""

import time
from typing import Any


def make_monotonic(reactor: Any) -> None:
    """Let `reactor` count its delays by the monotonic clock; call this before any scheduling.

    Twisted counts by the time of day: when that is set back an hour, as after a dead clock
    battery, every timer stands still for an hour. No code here takes the time of day from the
    reactor.
    """
    reactor.seconds = time.monotonic
