"""Budgets by number and by time, and input in slices."""

from twisted.internet.task import Clock

from twisted_gantry.net.budget import HOLD_S, SLICE, Budget, Slices


def test_a_budget_fills_up_again() -> None:
    """As many units as the burst at once, then the rate; never more than the burst."""
    clock = Clock()
    budget = Budget(clock, 2, 4)
    assert [budget.spend() for _ in range(5)] == [True] * 4 + [False]
    clock.advance(1)
    assert [budget.spend() for _ in range(3)] == [True, True, False]
    clock.advance(100)
    assert budget.left == 4
    assert budget.charge(3)
    assert not budget.charge(3)
    assert not budget.spend(0.5)
    clock.advance(2)
    assert budget.left == 2


class Peer:
    """A transport whose bytes cost `cost` seconds a slice; `budget` slices are paid for."""

    def __init__(self, cost: float = 0.0, budget: int = 10**6) -> None:
        self.clock = Clock()
        self.fed: list[bytes] = []
        self.told: list[str] = []
        self.spent = 0.0
        self._cost, self._budget = cost, budget
        self.slices = Slices(
            self.clock, self._feed, self._pay, lambda: self.told.append("flooded"), self._work
        )
        self.slices.transport = self

    def _feed(self, data: bytes) -> None:
        self.fed.append(data)
        self.spent += self._cost

    def _work(self) -> float:
        return self.spent

    def _pay(self, seconds: float) -> bool:
        self._budget -= 1
        return self._budget >= 0

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")


def test_cheap_bytes_are_fed_at_once() -> None:
    """What costs little is fed in one turn, in order."""
    peer = Peer()
    data = bytes(range(256)) * 100
    peer.slices.take(data)
    assert b"".join(peer.fed) == data
    assert max(map(len, peer.fed)) == SLICE
    assert peer.told == []


def test_dear_bytes_wait_for_the_next_turn() -> None:
    """Past the hold the transport pauses, and each turn of the reactor feeds a part."""
    peer = Peer(cost=HOLD_S * 0.6)
    data = bytes(range(256)) * 100
    peer.slices.take(data)
    assert len(peer.fed) == 2
    peer.slices.take(b"more")
    peer.clock.advance(0)
    assert len(peer.fed) <= 2 + 2 * peer.told.count("pause")
    assert b"".join(peer.fed) == data + b"more"
    assert peer.told[-1] == "resume"


def test_who_floods_is_told_and_dropped() -> None:
    """Past the budget nothing more is fed."""
    peer = Peer(budget=2)
    peer.slices.take(bytes(10 * SLICE))
    peer.slices.take(b"more")
    assert len(peer.fed) == 3
    assert peer.told == ["flooded"]


def test_the_end_of_a_connection_feeds_what_waits() -> None:
    """The rest of an answer is not lost with its connection, but after a drop it is."""
    for end, whole in ((Slices.end, True), (Slices.drop, False)):
        peer = Peer(cost=HOLD_S * 2)
        peer.slices.take(bytes(3 * SLICE))
        assert len(peer.fed) == 1
        end(peer.slices)
        assert (sum(map(len, peer.fed)) == 3 * SLICE) == whole
        peer.slices.take(b"late")
        assert peer.clock.getDelayedCalls() == []
