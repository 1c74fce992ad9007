"""Who may hold a listener's connections, and who goes when they are crowded."""

from collections import Counter

import pytest
from twisted.internet.task import Clock

from twisted_gantry.net.slots import Allowed, Progress, Slot, Slots

FRIEND, STRANGER, OTHER = "192.0.2.1", "192.0.2.66", "192.0.2.67"


class Listener:
    """Slots, with the connections that they closed, and the addresses that crowded them."""

    def __init__(
        self,
        connections: int = 8,
        per_address: int = 4,
        reserved: int = 2,
        allowed: tuple[str, ...] = (),
        remembered: int = 1024,
    ) -> None:
        self.clock = Clock()
        self.counts: Counter[str] = Counter()
        self.closed: list[Slot] = []
        self.crowded: list[str] = []
        self.slots = Slots(
            self.clock,
            connections=connections,
            per_address=per_address,
            reserved=reserved,
            work=0.1,
            counts=self.counts,
            allowed=Allowed(allowed),
            crowded=self.crowded.append,
            remembered=remembered,
        )

    def admit(self, host: str, progress: Progress = Progress.SILENT) -> Slot | None:
        slot = self.slots.admit(host)
        if slot is not None:
            made = slot
            slot.close = lambda: self.closed.append(made)
            slot.reached(progress)
        return slot

    def connect(self, host: str, progress: Progress = Progress.SILENT) -> Slot:
        slot = self.admit(host, progress)
        assert slot is not None
        return slot


@pytest.fixture
def listener() -> Listener:
    return Listener()


def test_a_stranger_makes_room_with_its_own(listener: Listener) -> None:
    """Past its share an address loses its own oldest connection."""
    mine = [listener.connect(STRANGER) for _ in range(5)]
    assert listener.closed == mine[:1]
    assert listener.counts == {"connections": 5, "evicted": 1}
    assert listener.crowded == [STRANGER]


def test_strangers_together_leave_the_reserve(listener: Listener) -> None:
    """All strangers hold at most the connections that are not reserved."""
    for host in (STRANGER, OTHER, "192.0.2.68", "192.0.2.69"):
        for _ in range(4):
            listener.admit(host)
    assert listener.slots.open == 6


def test_who_sent_least_goes_first(listener: Listener) -> None:
    """A silent connection goes before half a request, and that before a whole one."""
    whole = listener.connect(STRANGER, Progress.WHOLE)
    begun = listener.connect(STRANGER, Progress.BEGUN)
    silent = listener.connect(STRANGER)
    young = listener.connect(STRANGER)
    answered = [listener.connect(STRANGER, Progress.WHOLE) for _ in range(4)]
    assert listener.closed == [silent, young, begun, whole]
    answered[0].answering = True
    listener.connect(STRANGER)
    assert listener.closed[-1] is answered[1]


def test_a_known_address_has_reserved_places(listener: Listener) -> None:
    """An address that once proved itself gets in, at the cost of strangers, with any number."""
    listener.connect(FRIEND, Progress.PROVED).free()
    for host in (STRANGER, OTHER):
        for _ in range(4):
            listener.admit(host)
    mine = [listener.connect(FRIEND, Progress.PROVED) for _ in range(8)]
    assert {each.host for each in listener.closed} == {STRANGER, OTHER}
    assert listener.admit(STRANGER) is None
    assert not set(mine) & set(listener.closed)
    assert listener.slots.open == 8


def test_a_new_address_gets_in_beside_a_crowd(listener: Listener) -> None:
    """The address with most connections makes room for one that has none."""
    hog = [listener.connect(STRANGER) for _ in range(4)]
    few = [listener.connect(OTHER) for _ in range(2)]
    new = listener.connect(FRIEND)
    assert listener.closed == hog[:1]
    again = listener.connect(STRANGER)
    assert listener.closed == hog[:2]
    assert not {new, again, *few} & set(listener.closed)


def test_the_fuller_of_two_known_addresses_makes_room(listener: Listener) -> None:
    """Where all connections are proved, an unused one of the address with most goes."""
    mine = [listener.connect(FRIEND, Progress.PROVED) for _ in range(8)]
    mine[0].answering = True
    assert listener.admit(STRANGER) is None
    listener.slots.knows(OTHER)
    listener.connect(OTHER, Progress.PROVED)
    assert listener.closed == [mine[1]]
    assert listener.admit(FRIEND) is None


def test_turnover_is_bounded(listener: Listener) -> None:
    """A stranger that reconnects at once has no more than twenty others closed in a second."""
    for _ in range(500):
        listener.admit(STRANGER)
    assert listener.counts["evicted"] == 20
    assert listener.counts["refused"] == 500 - 24
    assert listener.admit(FRIEND) is not None
    listener.clock.advance(1)
    assert listener.admit(STRANGER) is not None


def test_a_proof_is_of_the_address(listener: Listener) -> None:
    """A lost connection gives its place back once; an evicted one changes nothing any more."""
    slot = listener.connect(FRIEND)
    slot.free()
    slot.free()
    slot.reached(Progress.PROVED)
    slot.flooded()
    assert listener.slots.open == 0
    assert listener.counts == {"connections": 1}


def test_who_is_not_allowed(listener: Listener) -> None:
    """Others than the allowed clients get no place, and are counted."""
    listener = Listener(allowed=("192.0.2.0/26", "2001:db8::/32"))
    assert listener.admit(FRIEND) is not None
    assert listener.admit("2001:db8::1") is not None
    assert [listener.admit(each) for each in (STRANGER, "unix")] == [None, None]
    assert listener.counts["not-allowed"] == 2


def test_a_stranger_that_floods_is_backed_off(listener: Listener) -> None:
    """Past its budget of work an address is closed at accept, each time for longer."""
    for pause in (1, 2, 4):
        slot = listener.connect(STRANGER)
        assert slot.pay(0.05)
        assert not slot.pay(0.06)
        slot.flooded()
        slot.free()
        assert listener.admit(STRANGER) is None
        assert listener.admit(OTHER) is not None
        listener.clock.advance(pause)
    assert listener.counts["flooded"] == 3
    listener.connect(STRANGER)


def test_work_with_a_proof_is_free(listener: Listener) -> None:
    """A proved connection pays nothing, and its address is not shut out by a neighbour's flood."""
    mine, hostile = listener.connect(FRIEND, Progress.PROVED), listener.connect(FRIEND)
    assert not hostile.pay(0.2)
    hostile.flooded()
    assert mine.pay(1.0)
    fresh = listener.connect(FRIEND)
    assert fresh.pay(0.004)
    assert not fresh.pay(0.004)


def test_what_is_remembered_is_bounded() -> None:
    """Of very many addresses those that were silent longest are forgotten."""
    listener = Listener(connections=4, per_address=0, reserved=2, remembered=3)
    for number in range(1, 9):
        listener.connect(f"198.51.100.{number}", Progress.PROVED).free()
    strangers = [listener.admit(STRANGER) for _ in range(4)]
    assert strangers[0] in listener.closed
    listener.connect("198.51.100.8", Progress.PROVED)
    listener.connect("198.51.100.7", Progress.PROVED)
    assert listener.slots.open == 4
