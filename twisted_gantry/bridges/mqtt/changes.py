"""What is to be sent: names that changed, each once, in the order in which they changed.

A name stands for its newest state, which is read when the name is sent. So the queue is bounded by
what the site has, and the broker gets the newest value last, however slow it is.
"""

from enum import StrEnum

MOST_CHANGED = 20_000
"""Names that wait at most; more are dropped, and sent when they change again or are repeated."""


class Topic(StrEnum):
    """What a name is the name of."""

    RETRACTED = "retracted"  # a topic whose retained message is to go
    COMMAND = "command"  # a command for which Home Assistant has a button
    POINT = "point"
    ALARM = "alarm"
    STATUS = "status"


Key = tuple[Topic, str]


class Changes:
    """The names that wait."""

    def __init__(self) -> None:
        self._waiting: dict[Key, None] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def __contains__(self, key: Key) -> bool:
        return key in self._waiting

    def note(self, key: Key) -> bool:
        """Add a name, or let it keep its place; returns False if there is no room."""
        if key not in self._waiting and len(self._waiting) >= MOST_CHANGED:
            return False
        self._waiting[key] = None
        return True

    def take(self) -> Key | None:
        """Return the name that has waited for longest, and forget it; None without any."""
        key = next(iter(self._waiting), None)
        if key is not None:
            del self._waiting[key]
        return key

    def clear(self) -> None:
        self._waiting.clear()
