"""A reactor whose timers do not follow the computer's clock."""

import time
from typing import Any


def make_monotonic(reactor: Any) -> None:
    """Let `reactor` count its delays by the monotonic clock; call it before anything is scheduled.

    Twisted counts by the time of day: when that is set back an hour, as on a computer whose clock
    had a dead battery, every timer stands still for an hour. Nothing of ours takes the time of day
    from the reactor.
    """
    reactor.seconds = time.monotonic
