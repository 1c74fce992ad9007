"""The recorder: what is a sample, where a gap begins, and what a failing disk does."""

from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from tests.support import START, TestClock, fired
from twisted_gantry.core import recorder as module
from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.core.history import Sample
from twisted_gantry.core.points import Point, Points
from twisted_gantry.core.recorder import Recorder
from twisted_gantry.wire.reading import Quality, Value

GOOD, FAILED, NOT_SUPPORTED = Quality.GOOD, Quality.GET_FAILED, Quality.NOT_SUPPORTED


class Kept:
    """A history that keeps samples in a list; while `reason` is set, it fails with that."""

    def __init__(self) -> None:
        self.batches: list[Sequence[Sample]] = []
        self.reason = ""
        self.slow: Deferred[None] | None = None

    def add(self, samples: Sequence[Sample]) -> Deferred[None]:
        if self.reason:
            return fail(OSError(self.reason))
        self.batches.append(samples)
        return self.slow or succeed(None)

    def of(self, name: str) -> list[tuple[float, float | str | None]]:
        """Return what was kept of a point: seconds since the start, value."""
        return [(at - START, v) for batch in self.batches for p, at, v in batch if p == f"d.{name}"]


class Desk:
    """A recorder of a device `d` with the points a to e."""

    def __init__(self) -> None:
        self.clock, self.history = TestClock(), Kept()
        self.points = Points(Catalogue(), self.clock.now)
        self.points.declare("d", [PointType(name, "V", name, name) for name in "abcde"])
        self.said: list[str | None] = []
        history: Any = self.history
        self.recorder = Recorder(self.points, history, self.clock, self.clock.now, self.said.append)
        self.recorder.start()

    def read(self, quality: Quality = GOOD, **values: Value) -> None:
        self.points.update("d", {name: (value, quality) for name, value in values.items()})


@pytest.fixture
def desk() -> Desk:
    """Return a recorder that runs."""
    return Desk()


def test_changes_are_recorded(desk: Desk) -> None:
    """A value is recorded when it changes, at the time of its reading, and only then."""
    for second, value in enumerate([1, 1, 2, 2.0, 1]):
        desk.read(a=value)
        desk.clock.run(1 if second < 4 else 2)
    assert desk.history.of("a") == [(0, 1.0), (2, 2.0), (4, 1.0)]


def test_a_steady_value_is_recorded_each_interval(desk: Desk) -> None:
    """A good point is sampled each 60 s even if it neither changes nor is read."""
    desk.read(a=5)
    desk.clock.run(185, step=0.5)
    assert [at for at, _ in desk.history.of("a")] == pytest.approx([0, 60, 120, 180], abs=1.1)


@pytest.mark.parametrize("quality", [FAILED, NOT_SUPPORTED])
def test_a_loss_is_a_gap_and_no_zero(desk: Desk, quality: Quality) -> None:
    """A failed reading is one gap, however long it lasts; the next good one ends it."""
    desk.read(a=5)
    desk.clock.run(10)
    desk.read(quality, a=None)
    desk.clock.run(100)
    desk.read(quality, a=None)
    desk.clock.run(10)
    desk.read(a=5)
    desk.clock.run(2)
    assert [value for _, value in desk.history.of("a")] == [5.0, None, 5.0]


def test_a_point_that_never_was(desk: Desk) -> None:
    """What was never read has no samples, not even a gap."""
    desk.read(FAILED, a=None)
    desk.read(NOT_SUPPORTED, b=None)
    desk.clock.run(70)
    assert desk.history.batches == []


def test_true_and_false_are_numbers(desk: Desk) -> None:
    """True is 1, false 0; texts are kept, also behind a number; what is no number begins a gap."""
    desk.read(a=True, b="battery", c=float("inf"), d=10**400, e=7)
    desk.clock.run(2)
    desk.read(a=False, b="line", e="gone")
    desk.clock.run(2)
    assert desk.history.of("a") == [(0, 1.0), (2, 0.0)]
    assert desk.history.of("b") == [(0, "battery"), (2, "line")]
    assert desk.history.of("e") == [(0, 7.0), (2, "gone")]
    assert [desk.history.of(name) for name in "cd"] == [[], []]


def test_a_point_that_is_taken_out(desk: Desk) -> None:
    """A point that its device has no more ends with a gap, and is not sampled again."""
    desk.read(a=5)
    desk.clock.run(2)
    desk.points.retract("d", ["a"])
    desk.clock.run(130, step=0.5)
    assert [value for _, value in desk.history.of("a")] == [5.0, None]


def test_a_clock_set_back(desk: Desk) -> None:
    """Sampling goes on when the computer's clock is set back, with the times that it shows."""
    desk.read(a=5)
    desk.clock.run(10)
    desk.clock.wall_offset -= 7200
    desk.clock.run(115, step=0.5)
    assert [at for at, _ in desk.history.of("a")] == pytest.approx(
        [0, 60 - 7200, 120 - 7200], abs=1.1
    )


def test_batches(desk: Desk) -> None:
    """What a second brings is one batch; while one is being written, the next waits."""
    desk.history.slow = Deferred()
    desk.read(a=1, b=2)
    desk.read(a=2)
    desk.clock.run(1)
    assert [len(batch) for batch in desk.history.batches] == [3]
    desk.read(a=3)
    desk.clock.run(3)
    assert len(desk.history.batches) == 1
    slow, desk.history.slow = desk.history.slow, None
    slow.callback(None)
    desk.clock.run(1)
    assert [len(batch) for batch in desk.history.batches] == [3, 1]


def test_a_failing_disk_loses_nothing(desk: Desk) -> None:
    """What cannot be kept waits, in its order, and is kept when the disk works again; told once."""
    desk.history.reason = "the disk is full"
    for value in range(5):
        desk.read(a=value)
        desk.clock.run(1)
    assert desk.said == ["the disk is full"]
    desk.history.reason = ""
    desk.clock.run(2)
    assert [value for _, value in desk.history.of("a")] == [0, 1, 2, 3, 4]
    assert desk.said == ["the disk is full", None]
    assert desk.recorder.dropped == 0


def test_a_turn_that_raises_does_not_end_sampling(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    """While sampling fails this is told once and logged once; when it works again it goes on."""
    desk.read(a=5)
    desk.clock.run(2)

    def broken(point: Point) -> float | None:
        raise ZeroDivisionError("no number")

    with monkeypatch.context() as patch:
        patch.setattr(module, "recorded", broken)
        desk.clock.run(30)
        assert desk.said == ["no number"]
        assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    desk.clock.run(90, step=0.5)
    assert desk.said == ["no number", None]
    assert [at for at, _ in desk.history.of("a")] == pytest.approx([0, 60, 120], abs=1.6)
    logged_failures.clear()


def test_the_history_works_when_sampling_and_writing_do(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    """The end of one of two failures is not told as a recovery."""
    desk.history.reason = "the disk is full"
    desk.read(a=1)
    desk.clock.run(2)
    monkeypatch.setattr(desk.recorder, "_sample", lambda *_: 1 / 0)
    desk.clock.run(2)
    desk.history.reason = ""
    desk.clock.run(2)
    assert desk.said == ["the disk is full"]
    monkeypatch.undo()
    desk.clock.run(2)
    assert desk.said == ["the disk is full", None]
    logged_failures.clear()


def test_what_waits_is_bounded(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the disk fails the oldest samples are given up, and counted; the newest stay."""
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    desk.history.reason = "the disk is ill"
    for value in range(30):
        desk.read(a=value)
        desk.clock.run(0.5)
    desk.history.reason = ""
    desk.clock.run(2)
    assert [value for _, value in desk.history.of("a")] == list(range(20, 30))
    assert desk.recorder.dropped == 20


def test_a_stop_ends_every_point(desk: Desk) -> None:
    """The end is a gap: the values are unknown while nothing runs."""
    desk.read(a=1, b=2)
    desk.clock.run(5)
    desk.read(a=3)
    stopped = fired(desk.recorder.stop())
    assert stopped == [None]
    assert [value for _, value in desk.history.of("a")] == [1.0, 3.0, None]
    assert [value for _, value in desk.history.of("b")] == [2.0, None]
    desk.read(a=4)
    assert desk.clock.getDelayedCalls() == []
    assert [value for _, value in desk.history.of("a")] == [1.0, 3.0, None]
    assert fired(desk.recorder.stop()) == [None]


def test_a_stop_waits_for_the_batch_under_way(desk: Desk) -> None:
    """The last samples are handed over behind those that are being written."""
    desk.history.slow = Deferred()
    desk.read(a=1)
    desk.clock.run(1)
    stopped = fired(desk.recorder.stop())
    assert stopped == []
    slow, desk.history.slow = desk.history.slow, None
    slow.callback(None)
    assert stopped == [None]
    assert [value for _, value in desk.history.of("a")] == [1.0, None]


def test_a_stop_does_not_hang_on_a_failing_disk(desk: Desk) -> None:
    """With a disk that fails the stop ends all the same."""
    desk.history.reason = "the disk is ill"
    desk.read(a=1)
    assert fired(desk.recorder.stop()) == [None]
