"""Every edge is carried: openings of doors over stops, kills, reloads and outages."""

import math
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail

from tests.support import fired
from tests.uplinks.etc.test_native import CLOSED, SHUT, FakeCabinet, NativeRig
from twisted_gantry.core.interfaces import NotKept
from twisted_gantry.twin.faults.settings import ETC
from twisted_gantry.uplinks.etc.doors import DoorStates, Move, Seen

Opening = tuple[str, str, str]
"""The card, the unlock type and the time of an opening, as the platform gets them."""


class MortalStore:
    """The store of one life of the daemon: behind a disk of some delay, and silent once killed."""

    def __init__(self, store: Any, clock: Any) -> None:
        self._store, self._clock = store, clock
        self.delay = self._free_at = 0.0
        self.killed = self.broken = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def _guarded(self, work: Callable[[], Deferred[Any]]) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()

        def run() -> None:
            if not self.killed:
                worked = fail(OSError("disk is full")) if self.broken else work()
                worked.addBoth(lambda result: None if self.killed else done.callback(result))

        now = self._clock.seconds()
        self._free_at = max(self._free_at, now + self.delay)  # one job after the other
        if self._free_at > now:
            self._clock.callLater(self._free_at - now, run)
        else:
            run()
        return done

    def add_report(self, *args: Any) -> Deferred[Any]:
        return self._guarded(lambda: self._store.add_report(*args))

    def delivered(self, reports: Any) -> Deferred[Any]:
        return self._guarded(lambda: self._store.delivered(reports))

    def settings(self) -> Deferred[Any]:
        return self._guarded(self._store.settings)


class Lives(NativeRig):
    """A gantry that is stopped, killed and started anew on one store, below one platform."""

    def __init__(self) -> None:
        super().__init__()
        self.real_store = self.bench.store
        self.openings: list[Opening] = []
        self.promised: list[Opening] = []
        self.state = dict(CLOSED)
        self.uplink.stopService()
        self._begin()

    def _begin(self) -> None:
        self.store = self.bench.site.store = MortalStore(self.real_store, self.clock)  # type: ignore[assignment]
        self.uplink = self.new_uplink()
        self.uplink.startService()

    def upload(self, **changes: Any) -> None:
        """Upload the doors; once `monitor.do` would answer 1000, the opening is promised."""
        self.state |= changes
        opening = None
        if self.state["front_door_closed"] is False:
            card, time = (self.state[f"front_door_{n}"] for n in ("unlock_card_id", "change_time"))
            opening = (str(card), "1", str(time))
            if opening not in self.openings:
                self.openings.append(opening)
        self.cab.doors(**self.state)

        def kept(_: Any) -> None:
            if opening is not None and opening not in self.promised:
                self.promised.append(opening)

        self.uplink.kept().addCallbacks(kept, lambda failure: failure.trap(NotKept))

    def turn(self, number: int, *, closed: bool) -> None:
        """Let the front door open or close by the card of that number, at that second."""
        self.upload(
            front_door_closed=closed,
            front_door_unlock_type="locked" if closed else "card",
            front_door_unlock_card_id=SHUT["unlock_card_id"] if closed else f"card{number}",
            front_door_change_time=f"2026-11-30 10:{number // 60:02}:{number % 60:02}.000",
        )

    def stop_and_start(self) -> None:
        self.uplink.stopService()
        self.clock.run(0.5)  # the writer finishes its jobs before it closes
        self._new_process()

    def kill_and_start(self) -> None:
        self.store.killed = True
        self.uplink.stopService()
        self._new_process()

    def _new_process(self) -> None:
        names = [p.name.partition(".")[2] for p in self.bench.points.under("cab1.")]
        self.bench.points.retract("cab1", names)
        self.bench.alarms.unwatch("cab1")
        del self.bench.site.devices["cab1"]
        self.cab = FakeCabinet(self.bench)
        self._begin()

    def reload(self) -> None:
        """Make the uplink anew; the devices and their points stay."""
        self.uplink.stopService()
        self.clock.run(0.5)
        self._begin()

    def told(self) -> list[Opening]:
        """Return the openings that the platform got, in order, without repetitions."""
        told: list[Opening] = []
        for report in self.cabinets():
            doors = report["doors"]
            if doors["frontDoorClosed"] == "0":
                names = ("UnlockCardId", "UnlockType", "ChangeTime")
                card, kind, time = (doors[f"frontDoor{name}"] for name in names)
                if not told or told[-1] != (card, kind, time):
                    told.append((card, kind, time))
        return told


_STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            ["turn", "turn", "turn", "stop", "kill", "reload", "outage", "end", "slow", "fast"]
        ),
        st.sampled_from([0.0, 0.1, 0.3, 1.1, 5.0, 130.0]),
    ),
    min_size=1,
    max_size=25,
)


def live(steps: list[tuple[str, float]]) -> Lives:
    """Let all of it happen, then peace."""
    lives = Lives()
    lives.clock.run(0.5)
    number = 0
    for step, seconds in steps:
        if step == "turn":
            number += 1
            lives.turn(number, closed=number % 3 == 0)  # two openings in a row, then a closing
        happen: dict[str, Callable[[], Any]] = {
            "stop": lives.stop_and_start,
            "kill": lives.kill_and_start,
            "reload": lives.reload,
            "outage": lambda: lives.faults.put(ETC, {"drop": 1}),
            "end": lambda: lives.faults.clear(ETC),
            "slow": lambda: setattr(lives.store, "delay", 0.2),
            "fast": lambda: setattr(lives.store, "delay", 0.0),
        }
        happen.get(step, lambda: None)()
        if step in ("stop", "kill"):
            lives.upload()  # the cabinet uploads soon after the start
        lives.clock.run(seconds, step=0.05 if seconds < 2 else 0.5 if seconds < 100 else 2.0)
    lives.faults.clear(ETC)
    lives.store.delay = 0.0
    lives.uplink.retry()
    lives.clock.run(400, step=2.0)
    return lives


def in_order(wanted: list[Opening], told: list[Opening]) -> bool:
    """Tell whether `wanted` is in `told` in its order, with others in between."""
    rest = iter(told)
    return all(each in rest for each in wanted)


@given(_STEPS)
def test_every_opening_is_carried(steps: list[tuple[str, float]]) -> None:
    """Each promised opening reaches the platform at least once with its card, in order; once when
    nothing was killed; the present state comes last.
    """
    lives = live(steps)
    told = lives.told()
    assert in_order(lives.promised, told), (lives.promised, told)
    if not any(step in ("kill", "stop", "reload", "outage") for step, _ in steps):
        assert told == lives.promised == lives.openings
    last = lives.cabinets()[-1]["doors"]
    assert last["frontDoorClosed"] == str(int(bool(lives.state["front_door_closed"])))
    assert last["frontDoorChangeTime"] == lives.state["front_door_change_time"]
    ledger = lives.ledger()
    assert (ledger.queued, ledger.set_aside, ledger.dropped) == (0, 0, 0)
    lives.stop()


@pytest.mark.parametrize("end", ["stop_and_start", "kill_and_start", "reload"])
def test_a_second_opening_within_the_second_is_carried(end: str) -> None:
    """Two openings 0.1 s apart, and the daemon ends right behind the second: both are told."""
    lives = Lives()
    lives.clock.run(0.5)
    lives.turn(1, closed=False)
    lives.clock.run(0.1)
    lives.turn(2, closed=False)
    getattr(lives, end)()
    lives.clock.run(5)
    assert [card for card, _, _ in lives.told()] == ["card1", "card2"]
    lives.stop()


def test_three_openings_in_a_second_are_told_as_three() -> None:
    """Yes, yes, yes: each with its card, and then that the door is closed."""
    lives = Lives()
    lives.clock.run(0.5)
    before = len(lives.cabinets())
    for number in (1, 2, 3):
        lives.turn(number, closed=False)
        lives.turn(number, closed=True)
    lives.clock.run(5)
    told = [each["doors"] for each in lives.cabinets()[before:]]
    cards = [each["frontDoorUnlockCardId"] for each in told if each["frontDoorClosed"] == "0"]
    assert cards == ["card1", "card2", "card3"]
    assert told[-1]["frontDoorClosed"] == "1"
    lives.stop()


@pytest.mark.parametrize(
    ("then", "told"),
    [
        ({"front_door_change_time": "2026-11-30 11:00:00.000"}, True),
        ({"front_door_unlock_card_id": "card9"}, True),
        ({}, False),
    ],
)
def test_an_open_door_after_a_start(then: dict[str, Any], told: bool) -> None:
    """It is an opening, unless the door was open with the same card and time before."""
    lives = Lives()
    lives.clock.run(0.5)
    lives.turn(1, closed=False)
    lives.clock.run(5)
    lives.kill_and_start()
    lives.faults.put(ETC, {"drop": 1})
    lives.state |= then
    lives.cab.doors(**lives.state)
    lives.clock.run(2)
    [waiting] = fired(lives.store.reports("etc", "queued", 10))
    assert any(report.urgent for report in waiting) is told
    lives.stop()


def test_the_promise_is_not_given_while_the_disk_fails(logged_failures: list[Any]) -> None:
    """A report that cannot be stored is not promised; the edge leaves once the disk works."""
    lives = Lives()
    lives.clock.run(0.5)
    lives.store.broken = True
    lives.turn(1, closed=False)
    assert lives.promised == []
    assert fired(lives.uplink.kept())[0].check(NotKept)
    lives.store.broken = False
    lives.clock.settle()
    assert list(fired(lives.uplink.kept())) == [None]
    lives.clock.run(2)
    assert [card for card, _, _ in lives.told()] == ["card1"]
    assert logged_failures
    logged_failures.clear()
    lives.stop()


OPEN = Seen(closed=False, locked=False, unlock_type="card", unlock_card_id="1", change_time="t1")
SHUT_ = Seen(closed=True, locked=True, unlock_type="locked", unlock_card_id="", change_time="t0")


@pytest.mark.parametrize(
    ("before", "now", "move"),
    [
        (None, OPEN, Move.OPENED),
        (None, SHUT_, Move.NONE),
        (SHUT_, OPEN, Move.OPENED),
        (OPEN, SHUT_, Move.MOVED),
        (OPEN, OPEN, Move.NONE),
        (SHUT_, Seen(closed=True, locked=True, change_time="t2"), Move.MOVED),
        (SHUT_, Seen(closed=True, locked=False), Move.OPENED),
        (OPEN, Seen(closed=False), Move.NONE),
        (OPEN, Seen(closed=False, change_time="t2"), Move.OPENED),
        (OPEN, Seen(closed=False, unlock_card_id="2"), Move.OPENED),
        (OPEN, Seen(closed=None, change_time="t2"), Move.NONE),
        (SHUT_, Seen(closed=True, open_illegally=True), Move.NONE),
        (
            Seen(closed=True, open_illegally=False),
            Seen(closed=True, open_illegally=True),
            Move.OPENED,
        ),
    ],
)
def test_what_a_state_says(before: Seen | None, now: Seen, move: Move) -> None:
    """Known fields are compared; what is unknown is no news."""
    states = DoorStates()
    if before is not None:
        states.take("cab1.doors.front", before)
    assert states.take("cab1.doors.front", now) is move


def test_the_states_survive_the_store() -> None:
    """What was saved is known after the next start; a value that is no state is left out."""
    states, later = DoorStates(), DoorStates()
    states.take("cab1.doors.front", OPEN)
    later.load(states.save())
    assert later.take("cab1.doors.front", OPEN) is Move.NONE
    odd_values: list[Any] = [{"x": 1}, [], "x", math.inf]
    for odd in odd_values:
        DoorStates().load(odd)


def test_openings_of_an_outage_come_in_order() -> None:
    """A fresh opening does not overtake one that was kept back by an outage."""
    turns = [("turn", 0.3), ("turn", 130.0), ("turn", 0.3), ("turn", 0.3)]
    lives = live([("outage", 0.0), *turns, ("end", 5.0)])
    assert in_order(lives.promised, lives.told())
    assert [card for card, _, _ in lives.promised] == ["card1", "card2", "card4"]
    lives.stop()
