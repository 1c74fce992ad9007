"""The two doors of a cabinet: locks, card readers and guard. ETC document, section 3.1."""

from collections.abc import Callable, Iterator, Mapping
from enum import IntEnum

from twisted_gantry.twin.world.variables import Variable, Variables, switch

RELOCK_S = 15.0  # how long an unlocked door waits to be opened before it locks again
MAX_CARD_ID = 64


class Unlock(IntEnum):
    """What unlocked a door: the document's `frontDoorUnlockType`."""

    LOCKED = 0
    CARD = 1
    REMOTE = 2
    KEY = 3


class Door:
    """One door. `seconds` is the world's time; `changed_s` the time it last opened or closed.

    A forced door is open although it is locked. `illegal` marks an opening until the door closes.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.closed = True
        self.unlocked_by = Unlock.LOCKED
        self.card_id = ""
        self.illegal = False
        self.lock_fault = False  # the electric lock does not move; a key still works
        self.changed_s = seconds()
        self._seconds = seconds
        self._relock_left_s = 0.0

    @property
    def locked(self) -> bool:
        return self.unlocked_by is Unlock.LOCKED

    def unlock(self, by: Unlock, card_id: str = "") -> bool:
        """Unlock the door, and note the reason; False if the lock did not move."""
        if self.lock_fault and by is not Unlock.KEY:
            return False
        self.unlocked_by, self.card_id = by, card_id
        self._relock_left_s = RELOCK_S
        return True

    def pull(self, armed: bool) -> None:
        if self.closed and not self.locked:
            self._open(illegal=armed and self.unlocked_by is not Unlock.REMOTE)

    def force(self, armed: bool) -> None:
        self.pull(armed)
        if self.closed:
            self._open(illegal=True)

    def close(self) -> None:
        if not self.closed:
            self.closed, self.illegal = True, False
            self.changed_s = self._seconds()
            self._lock()

    def step(self, dt: float) -> None:
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

    `admits` decides on each card; without it none is admitted. While `armed`, every opening but by
    remote control is illegal and sounds the local alarm. A forced opening is always illegal.
    """

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.front, self.back = Door(seconds), Door(seconds)
        self.armed = False
        self.fault = False  # the door controller is broken: the state of the doors cannot be read
        self.admits: Callable[[str], bool] | None = None
        self.cards_refused = 0

    @property
    def by_name(self) -> dict[str, Door]:
        return {"front": self.front, "back": self.back}

    @property
    def open_count(self) -> int:
        return sum(not door.closed for door in self.by_name.values())

    @property
    def siren(self) -> bool:
        return self.armed and any(door.illegal for door in self.by_name.values())

    def arm(self) -> bool:
        """Arm the guard unless a door is open; returns whether the guard is armed."""
        self.armed = self.armed or not self.open_count
        return self.armed

    def present(self, door: Door, card_id: str) -> None:
        if self.admits is not None and self.admits(card_id):
            door.unlock(Unlock.CARD, card_id)
        else:
            self.cards_refused += 1

    def step(self, dt: float) -> None:
        for door in self.by_name.values():
            door.step(dt)

    def variables(self) -> Variables:
        """Yield its variables; those that unlock come before those that open."""
        yield "armed", switch(self, "armed")
        yield "siren", Variable(lambda: self.siren)
        yield "doors_fault", switch(self, "fault")
        yield "cards_refused", Variable(lambda: self.cards_refused)
        for name, door in self.by_name.items():
            yield from self._variables_of(name, door)

    def _variables_of(self, name: str, door: Door) -> Variables:
        def present(card_id: str) -> None:
            self.present(door, card_id.strip())

        yield f"{name}_door_lock_fault", switch(door, "lock_fault")
        yield _reader_of(name), Variable(None, present, check=_card_complaint)
        yield f"turn_key_{name}_door", Variable(None, lambda on: on and door.unlock(Unlock.KEY))
        yield f"force_{name}_door", Variable(None, lambda on: door.force(self.armed) if on else on)
        shown = Variable(
            lambda: "closed" if door.closed else "open",
            lambda to: door.pull(self.armed) if to == "open" else door.close(),
            choices=("closed", "open"),
        )
        yield f"{name}_door", shown
        yield f"{name}_door_locked", Variable(lambda: door.locked)
        yield f"{name}_door_unlocked_by", Variable(lambda: door.unlocked_by.name.lower())
        yield f"{name}_door_card", Variable(lambda: door.card_id)
        yield f"{name}_door_illegal", Variable(lambda: door.illegal)

    def complaints(self, values: Mapping[str, object]) -> Iterator[str]:
        for name, door in self.by_name.items():
            ways = (_reader_of(name), f"turn_key_{name}_door", f"force_{name}_door")
            pulled = values.get(f"{name}_door") == "open" and door.closed and door.locked
            if pulled and not any(values.get(way) for way in ways):
                yield f"{name}_door: it is locked; use one of {', '.join(ways)}"


def _reader_of(door: str) -> str:
    return "present_card" if door == "front" else f"present_card_{door}"


def _card_complaint(card_id: str) -> str | None:
    good = 0 < len(card_id.strip()) <= MAX_CARD_ID
    return None if good else f"must have 1 to {MAX_CARD_ID} characters"
