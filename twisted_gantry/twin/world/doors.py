"""The two doors of a cabinet: locks, card readers, and the guard over them.

Source: the ETC document, section 3.1, `doors`.
"""

from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum

from twisted_gantry.twin.world.variables import Variable, attribute

RELOCK_S = 15.0
"""How long an unlocked door waits to be opened, before its bolt goes out again."""
MAX_CARD_ID = 64


class Unlock(IntEnum):
    """What has opened a lock: the document's `frontDoorUnlockType`."""

    LOCKED = 0
    CARD = 1
    REMOTE = 2
    KEY = 3


class Door:
    """One door. `seconds` is the world's time; `changed_s` when it last opened or closed.

    A door that is forced is open while its bolt is out. `illegal` belongs to an opening, and ends
    when the door closes.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.closed = True
        self.unlocked_by = Unlock.LOCKED
        self.card_id = ""
        self.illegal = False
        self.lock_fault = False
        """The electric lock does not move: a key still does."""
        self.changed_s = seconds()
        self._seconds = seconds
        self._relock_left_s = 0.0

    @property
    def locked(self) -> bool:
        """Whether the bolt is out."""
        return self.unlocked_by is Unlock.LOCKED

    def unlock(self, by: Unlock, card_id: str = "") -> bool:
        """Draw the bolt; of several reasons the last counts. False: the lock did not move."""
        if self.lock_fault and by is not Unlock.KEY:
            return False
        self.unlocked_by, self.card_id = by, card_id
        self._relock_left_s = RELOCK_S
        return True

    def pull(self, armed: bool) -> None:
        """Open the door; one that is locked stays as it is."""
        if self.closed and not self.locked:
            self._open(illegal=armed and self.unlocked_by is not Unlock.REMOTE)

    def force(self, armed: bool) -> None:
        """Open the door, locked or not."""
        self.pull(armed)
        if self.closed:
            self._open(illegal=True)

    def close(self) -> None:
        """Close the door; its bolt goes out at once."""
        if not self.closed:
            self.closed, self.illegal = True, False
            self.changed_s = self._seconds()
            self._lock()

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass."""
        if self.closed and not self.locked:
            self._relock_left_s -= dt
            if self._relock_left_s <= 0:
                self._lock()

    def _open(self, *, illegal: bool) -> None:
        self.closed, self.illegal = False, illegal
        self.changed_s = self._seconds()

    def _lock(self) -> None:
        self.unlocked_by, self.card_id = Unlock.LOCKED, ""


class Doors:
    """Both doors, each with its card reader, under one guard.

    `admits` decides on a card that is held to a reader; without it none is admitted. `armed`: an
    opening that is not made by remote control is illegal, and sounds the local alarm; a forced one
    is illegal at any time.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.front, self.back = Door(seconds), Door(seconds)
        self.armed = False
        self.fault = False
        """The door controller is broken: nobody can tell how the doors are."""
        self.admits: Callable[[str], bool] | None = None
        self.cards_refused = 0

    @property
    def by_name(self) -> dict[str, Door]:
        """The doors, `front` first."""
        return {"front": self.front, "back": self.back}

    @property
    def open_count(self) -> int:
        """How many are open."""
        return sum(not door.closed for door in self.by_name.values())

    @property
    def siren(self) -> bool:
        """Whether the local alarm sounds."""
        return self.armed and any(door.illegal for door in self.by_name.values())

    def arm(self) -> bool:
        """Arm the guard; it is not armed over an open door."""
        self.armed = self.armed or not self.open_count
        return self.armed

    def present(self, door: Door, card_id: str) -> None:
        """Hold a card to the reader of a door."""
        if self.admits is not None and self.admits(card_id):
            door.unlock(Unlock.CARD, card_id)
        else:
            self.cards_refused += 1

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass."""
        for door in self.by_name.values():
            door.step(dt)

    def variables(self) -> Iterator[tuple[str, Variable]]:
        """Name its variables; what unlocks comes before what opens."""
        yield "armed", Variable(*attribute(self, "armed"))
        yield "siren", Variable(lambda: self.siren)
        yield "doors_fault", Variable(*attribute(self, "fault"))
        yield "cards_refused", Variable(lambda: self.cards_refused)
        for name, door in self.by_name.items():
            yield from self._variables_of(name, door)

    def _variables_of(self, name: str, door: Door) -> Iterator[tuple[str, Variable]]:
        def present(card_id: str) -> None:
            self.present(door, card_id.strip())

        def turn_key(turned: bool) -> None:
            if turned:
                door.unlock(Unlock.KEY)

        def force(forced: bool) -> None:
            if forced:
                door.force(self.armed)

        def move(to: str) -> None:
            if to == "open":
                door.pull(self.armed)
            else:
                door.close()

        yield f"{name}_door_lock_fault", Variable(*attribute(door, "lock_fault"))
        yield _reader_of(name), Variable(None, present, check=_card_complaint)
        yield f"turn_key_{name}_door", Variable(None, turn_key)
        yield f"force_{name}_door", Variable(None, force)
        shown = Variable(
            lambda: "closed" if door.closed else "open", move, choices=("closed", "open")
        )
        yield f"{name}_door", shown
        yield f"{name}_door_locked", Variable(lambda: door.locked)
        yield f"{name}_door_unlocked_by", Variable(lambda: door.unlocked_by.name.lower())
        yield f"{name}_door_card", Variable(lambda: door.card_id)
        yield f"{name}_door_illegal", Variable(lambda: door.illegal)

    def complaints(self, values: Mapping[str, object]) -> Iterator[str]:
        """Find doors that are to be opened, and are locked, and that nothing unlocks."""
        for name, door in self.by_name.items():
            ways = (_reader_of(name), f"turn_key_{name}_door", f"force_{name}_door")
            pulled = values.get(f"{name}_door") == "open" and door.closed and door.locked
            if pulled and not any(values.get(way) for way in ways):
                yield f"{name}_door: it is locked; there are {', '.join(ways)}"


def _reader_of(door: str) -> str:
    return "present_card" if door == "front" else f"present_card_{door}"


def _card_complaint(card_id: str) -> str | None:
    good = 0 < len(card_id.strip()) <= MAX_CARD_ID
    return None if good else f"must have 1 to {MAX_CARD_ID} characters"
