"""The doors of a cabinet: locks, card readers, the guard."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twin.faces.cabinet.bench import change, shown
from twisted_gantry.twin.world.cabinet import Cabinet
from twisted_gantry.twin.world.doors import RELOCK_S, Unlock
from twisted_gantry.twin.world.mains import Mains


@pytest.fixture
def cabinet() -> Cabinet:
    cabinet = Cabinet(Mains())
    cabinet.doors.admits = lambda card_id: card_id == "A1"
    return cabinet


def unlock(cabinet: Cabinet, way: str) -> None:
    """Unlock, or force, the front door in one of the ways there are."""
    if way == "remote":
        cabinet.doors.front.unlock(Unlock.REMOTE)
    elif way == "card":
        change(cabinet, present_card="A1")
    elif way == "key":
        change(cabinet, turn_key_front_door=True)


@pytest.mark.parametrize(
    ("way", "armed", "kind", "illegal", "siren"),
    [
        ("card", False, Unlock.CARD, False, False),
        ("remote", False, Unlock.REMOTE, False, False),
        ("key", False, Unlock.KEY, False, False),
        ("force", False, Unlock.LOCKED, True, False),
        ("card", True, Unlock.CARD, True, True),
        ("remote", True, Unlock.REMOTE, False, False),
        ("key", True, Unlock.KEY, True, True),
        ("force", True, Unlock.LOCKED, True, True),
    ],
)
def test_how_a_door_was_opened_decides(
    cabinet: Cabinet, way: str, armed: bool, kind: Unlock, illegal: bool, siren: bool
) -> None:
    """Under guard only remote control opens legally; force never does."""
    change(cabinet, armed=armed)
    unlock(cabinet, way)
    assert not cabinet.doors.siren  # a lock that opens is no opening
    if way == "force":
        change(cabinet, force_front_door=True)
    else:
        change(cabinet, front_door="open")
    front = cabinet.doors.front
    assert (front.closed, front.unlocked_by, front.illegal) == (False, kind, illegal)
    assert cabinet.doors.siren is siren
    assert cabinet.doors.back.closed
    change(cabinet, front_door="closed")
    assert (front.closed, front.locked, front.illegal) == (True, True, False)
    assert not cabinet.doors.siren


def test_a_card_is_shown_with_the_door_that_it_opened(cabinet: Cabinet) -> None:
    """Each door has its reader; the card is named until the bolt is out again."""
    change(cabinet, present_card_back=" A1 ")
    assert shown(cabinet, "back_door_card") == "A1"
    assert shown(cabinet, "back_door_unlocked_by") == "card"
    assert shown(cabinet, "front_door_locked") is True
    cabinet.step(RELOCK_S)
    assert shown(cabinet, "back_door_card") == ""


def test_a_card_that_is_not_admitted_opens_nothing(cabinet: Cabinet) -> None:
    """It is counted; the door stays locked, and who pulls pulls in vain."""
    change(cabinet, present_card="B2", front_door="open")
    assert shown(cabinet, "front_door") == "closed"
    assert shown(cabinet, "front_door_locked") is True
    assert shown(cabinet, "cards_refused") == 1


def test_one_change_may_unlock_and_open(cabinet: Cabinet) -> None:
    """The card counts before the pull, in whatever order they are written."""
    change(cabinet, front_door="open", present_card="A1")
    assert shown(cabinet, "front_door") == "open"


def test_a_locked_door_cannot_be_pulled_open(cabinet: Cabinet) -> None:
    """The complaint says how it can be opened."""
    with pytest.raises(ValueError, match=r"front_door: it is locked.*force_front_door"):
        change(cabinet, front_door="open")
    assert shown(cabinet, "front_door") == "closed"


def test_an_unlocked_door_that_nobody_opens_locks_again(cabinet: Cabinet) -> None:
    """The bolt waits some seconds; an open door waits for good."""
    front = cabinet.doors.front
    front.unlock(Unlock.REMOTE)
    cabinet.step(RELOCK_S - 0.1)
    assert shown(cabinet, "front_door_locked") is False
    cabinet.step(0.1)
    assert shown(cabinet, "front_door_locked") is True
    change(cabinet, turn_key_front_door=True, front_door="open")
    for _ in range(100):
        cabinet.step(1.0)
    assert (front.closed, front.locked) == (False, False)


def test_a_broken_lock_obeys_its_key_alone(cabinet: Cabinet) -> None:
    """Neither a card nor remote control moves it."""
    change(cabinet, front_door_lock_fault=True, present_card="A1")
    assert cabinet.doors.front.locked
    assert not cabinet.doors.front.unlock(Unlock.REMOTE)
    change(cabinet, turn_key_front_door=True)
    assert not cabinet.doors.front.locked


def test_the_guard_is_not_armed_over_an_open_door(cabinet: Cabinet) -> None:
    """It would sound at once, or never."""
    change(cabinet, force_back_door=True)
    assert not cabinet.doors.arm()
    change(cabinet, back_door="closed")
    assert cabinet.doors.arm()


def test_the_time_of_a_change_is_that_of_the_opening(cabinet: Cabinet) -> None:
    """Opening and closing are changes; a lock that moves, and a door that is open already, not."""
    front = cabinet.doors.front
    cabinet.step(1.0)
    front.unlock(Unlock.REMOTE)
    assert front.changed_s == 0.0
    cabinet.step(1.0)
    change(cabinet, front_door="open")
    assert front.changed_s == 2.0
    cabinet.step(1.0)
    change(cabinet, force_front_door=True, front_door="open")
    assert front.changed_s == 2.0
    change(cabinet, front_door="closed")
    assert front.changed_s == 3.0


@pytest.mark.parametrize(
    "values",
    [
        {"present_card": ""},
        {"present_card": "x" * 65},
        {"present_card": 7},
        {"front_door": "ajar"},
        {"turn_key_front_door": "yes"},
        {"front_door_locked": False},
    ],
)
def test_what_cannot_be_set_is_refused(cabinet: Cabinet, values: dict[str, object]) -> None:
    """A card has 1 to 64 characters; what follows from the rest cannot be set."""
    with pytest.raises(ValueError):
        change(cabinet, **values)


_ACTS = st.sampled_from(
    ["card", "remote", "key", "force", "pull", "close", "arm", "disarm", "wait"]
)


@given(st.lists(_ACTS, max_size=30))
def test_whatever_is_done_the_doors_make_sense(acts: list[str]) -> None:
    """A closed door is never illegal; an open one that is legal is unlocked; a card has a kind."""
    cabinet = Cabinet(Mains())
    doors, front = cabinet.doors, cabinet.doors.front
    doors.admits = lambda card_id: True
    for act in acts:
        acts_by_name: dict[str, Callable[[], object]] = {
            "card": lambda: doors.present(front, "A1"),
            "remote": lambda: front.unlock(Unlock.REMOTE),
            "key": lambda: front.unlock(Unlock.KEY),
            "force": lambda: front.force(doors.armed),
            "pull": lambda: front.pull(doors.armed),
            "close": front.close,
            "arm": doors.arm,
            "disarm": lambda: setattr(doors, "armed", False),
            "wait": lambda: cabinet.step(10.0),
        }
        acts_by_name[act]()
        cabinet.settle()
        assert not (front.closed and front.illegal)
        assert bool(front.card_id) is (front.unlocked_by is Unlock.CARD)
        assert doors.siren is (doors.armed and front.illegal)
