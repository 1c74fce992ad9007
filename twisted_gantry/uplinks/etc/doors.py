"""The last known state of each door, and what a new state says: an opening, a movement, nothing.

The state is stored with the report that tells of it, so that a door that opened while the program
was down is an opening after the start. Decisions: `docs/protocols/etc-gantry.md`, "Delivery".
"""

from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

import msgspec
from twisted.logger import Logger

from twisted_gantry.core.points import Points
from twisted_gantry.uplinks.etc.native_rows import DOORS
from twisted_gantry.wire.reading import Value

_log = Logger()


class Seen(msgspec.Struct, frozen=True):
    """The state of a door; None is unknown."""

    closed: bool | None = None
    locked: bool | None = None
    unlock_type: str | None = None
    unlock_card_id: str | None = None
    open_illegally: bool | None = None
    change_time: str | None = None

    @property
    def notable(self) -> bool:
        """Whether the platform must hear of the state even if it is over: open, or unlocked."""
        return self.closed is False or self.open_illegally is True or self.locked is False


class Move(Enum):
    """The news in a state."""

    NONE = "none"
    MOVED = "moved"
    """The present state is to be reported at once."""
    OPENED = "opened"
    """A report of its own carries this state."""


class DoorStates:
    """The last known states, by `<device>.doors.<door>`. `unsaved` tells whether a state is newer
    than the stored one.
    """

    def __init__(self) -> None:
        self._seen: dict[str, Seen] = {}
        self.unsaved = False

    def load(self, stored: Any) -> None:
        """Take the value of the setting; one that cannot be read counts as none, and is logged."""
        try:
            self._seen = msgspec.convert(stored or {}, dict[str, Seen]) | self._seen
        except msgspec.ValidationError as error:
            _log.warn("the stored states of the doors cannot be read: {error}", error=str(error))

    def save(self) -> Mapping[str, Any]:
        """Return the value of the setting."""
        self.unsaved = False
        builtins: Mapping[str, Any] = msgspec.to_builtins(self._seen)
        return builtins

    def take(self, door: str, state: Seen) -> Move:
        """Compare a state with the last known one, and keep it."""
        before = self._seen.get(door)
        if state == before or state.closed is None:
            return Move.NONE
        self._seen[door] = state
        self.unsaved = True
        if before is None:
            return Move.OPENED if state.closed is False else Move.NONE
        fields = Seen.__struct_fields__
        news = {
            name
            for name in fields
            if None not in (getattr(before, name), getattr(state, name))
            and getattr(before, name) != getattr(state, name)
        }
        if not news:
            return Move.NONE
        return Move.OPENED if state.notable else Move.MOVED


def present(points: Points, device: str) -> Iterator[tuple[str, Seen]]:
    """Yield the doors of a device with their present states."""
    for which in DOORS:
        door = f"{device}.doors.{which}"
        found = {name: points.get(f"{door}_door_{name}") for name in Seen.__struct_fields__}
        yield door, Seen(**{n: _typed(n, p.good) for n, p in found.items() if p is not None})


def _typed(name: str, value: Value) -> Any:
    is_flag = name in {"closed", "locked", "open_illegally"}
    return value if isinstance(value, bool if is_flag else str) else None
