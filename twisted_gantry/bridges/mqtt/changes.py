"""What is to be sent: names that changed, each once, in the order in which they changed; but alarms
before all others.

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
        self._alarms: dict[Key, None] = {}
        self._others: dict[Key, None] = {}

    def __len__(self) -> int:
        return len(self._alarms) + len(self._others)

    def __contains__(self, key: Key) -> bool:
        return key in self._of(key)

    def note(self, key: Key) -> bool:
        """Add a name, or let it keep its place; returns False if there is no room."""
        if key not in self and len(self) >= MOST_CHANGED:
            return False
        self._of(key)[key] = None
        return True

    def take(self) -> Key | None:
        """Return the name that is next, and forget it; None without any."""
        waiting = self._alarms or self._others
        key = next(iter(waiting), None)
        if key is not None:
            del waiting[key]
        return key

    def clear(self) -> None:
        self._alarms.clear()
        self._others.clear()

    def _of(self, key: Key) -> dict[Key, None]:
        return self._alarms if key[0] is Topic.ALARM else self._others
