"""The moment at which the work under way expires, known to those that send its bytes.

A command may wait in many places: for the disk, for the turn of its device, for a connection. Each
place that sends looks at the moment once more, right before the bytes leave: late is never. A timer
alone would not do, because after a pause of the whole process input is served before timers.

The moment travels with the work (a context variable, which coroutines inherit), so that no driver
has to hand it on.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_expires: ContextVar[float] = ContextVar("gantry-expires", default=math.inf)


@contextmanager
def expiring(at: float) -> Iterator[None]:
    """Let the work that is begun within expire at `at`, seconds of the reactor's clock."""
    token = _expires.set(at)
    try:
        yield
    finally:
        _expires.reset(token)


def expires() -> float:
    """Return when the present work expires, seconds of the reactor's clock; infinite for never."""
    return _expires.get()
