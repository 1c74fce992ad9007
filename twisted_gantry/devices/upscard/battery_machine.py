"""The life of a battery test as a table: announced, seen, ended, judged.

A card tells a state and a verdict; the rest follows from readings. The order of events is the
table in `_build`; the sentences beside the states say what holds there. Decisions:
`docs/protocols/etc-gantry.md`, "cmd 9" and "cmd 10".
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Protocol

from automat import TypeMachineBuilder
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.core.interfaces import BatteryTest
from twisted_gantry.wire.reading import Value

# Seconds. A UPS that said (OK must show a test within the first, and a verdict must follow the end
# within the second. After a longer gap between two readings the end of a test is not known.
BEGIN_GRACE, VERDICT_GRACE, LONGEST_GAP = 10.0, 60.0, 10.0
# A running test is stored this often, for the case that the program dies meanwhile.
KEEP_EVERY = 10.0

MAY_TEST = frozenset({"line", "he", "converter"})
"""States in which a UPS has mains, and from which it can go to its battery and come back."""
_BY_ALARM = frozenset({"battery", "bypass"})
_VERDICTS = frozenset({"good", "failed"})

Read = Callable[[str], Value]
"""Return the value of a point by its short name, None unless it is known to hold now."""


class EndCause(IntEnum):
    """Why a test ended, as far as a card tells; numbers of the ETC document's `testEndCourse`."""

    END_TIME = 2
    ALARM = 3
    BY_HAND = 4
    FAULT = 5
    OTHER = 255


_CUT_SHORT = frozenset({EndCause.ALARM, EndCause.BY_HAND, EndCause.FAULT})


class BatteryInputs(Protocol):
    """What can happen to the battery tests of a UPS."""

    def began(self) -> None:
        """The UPS said (OK to a test."""

    def stop_taken(self) -> None:
        """The UPS said (OK to the stop of the running test."""

    def taken_up(self, test: BatteryTest, seen: float | None) -> None:
        """The store tells of a test that ran when the program ended."""

    def shows_test(self, read: Read) -> None:
        """A reading shows a test."""

    def shows_none(self, read: Read) -> None:
        """A reading shows no test, within the time of the present state."""

    def shows_none_late(self, read: Read) -> None:
        """A reading shows no test, after the time of the present state."""

    def settled(self) -> None:
        """Nothing more can be learnt of the test that ended."""


@dataclass(eq=False)
class BatteryCore:
    """What is known of the last test. `keep` stores that; `now` returns Unix seconds."""

    clock: IReactorTime
    now: Callable[[], float]
    keep: Callable[[], None]
    last: BatteryTest | None = None
    seen: float | None = None
    """Unix seconds of the last reading that showed the test."""
    verdict: Value = None
    """The verdict of the last reading."""
    verdict_before: Value = None
    """The verdict of the last reading before the test."""
    _began: float | None = None  # by the clock, of a test that began in this run
    _until: float = 0.0  # by the clock: the end of the time of the present state
    _kept_at: float = 0.0

    @property
    def running(self) -> bool:
        return self.last is not None and self.last.ended is None

    @property
    def late(self) -> bool:
        return self.clock.seconds() >= self._until

    def take_up(self, test: BatteryTest, seen: float | None) -> None:
        self.last, self.seen, self._began = test, seen, None

    def begin(self, seen: float | None) -> None:
        self._began = self.clock.seconds()
        self.last, self.seen = BatteryTest(started=self.now()), seen
        self.verdict_before = self.verdict
        self._until = self.clock.seconds() + BEGIN_GRACE
        self._keep()

    def time(self) -> float:
        """Return Unix seconds by the clock of the test's start, whatever steps it made since."""
        assert self.last is not None
        if self._began is None:
            return max(self.now(), self.last.started)
        return self.last.started + self.clock.seconds() - self._began

    def follow(self, read: Read) -> None:
        assert self.last is not None
        first, now = self.seen is None, self.clock.seconds()
        self.seen, self._until = self.time(), now + LONGEST_GAP
        volts = read("battery_voltage")
        if isinstance(volts, int | float):
            self.last = replace(self.last, end_voltage=float(volts))
        if first or now - self._kept_at >= KEEP_EVERY:
            self._keep()

    def end(self, ended: float | None, cause: EndCause, read: Read, *, sure: bool = True) -> bool:
        """Note the end, None for now; returns whether a verdict may still come. `sure` is False for
        a test that perhaps never was. The verdict from before it says nothing of such a test, nor
        of one that was cut short.
        """
        assert self.last is not None
        verdict, judged = read("self_test"), sure and cause not in _CUT_SHORT
        known = verdict in _VERDICTS and (judged or verdict != self.verdict_before)
        moment = max(self.time() if ended is None else ended, self.last.started)
        result = str(verdict) if known else "unknown"
        self.last = replace(self.last, ended=moment, result=result, end_cause=cause.value)
        self._until = self.clock.seconds() + VERDICT_GRACE
        self._keep()
        return judged and not known

    def judge(self, read: Read) -> bool:
        """Take a verdict that follows the end; returns whether the reading has one."""
        assert self.last is not None
        verdict = read("self_test")
        if verdict not in _VERDICTS:
            return False
        cause = EndCause.END_TIME.value if verdict == "good" else self.last.end_cause
        self.last = replace(self.last, result=str(verdict), end_cause=cause)
        self._keep()
        return True

    def _keep(self) -> None:
        self._kept_at = self.clock.seconds()
        self.keep()


def _cause(read: Read) -> EndCause:
    """Return why a test ended, by the first reading after it."""
    state = read("state")
    if state == "fault":
        return EndCause.FAULT
    if state in _BY_ALARM or read("mains_abnormal") or read("overload"):
        return EndCause.ALARM
    in_order = state in MAY_TEST and read("self_test") == "good"
    return EndCause.END_TIME if in_order else EndCause.OTHER


def _build() -> Callable[[BatteryCore], BatteryInputs]:  # noqa: C901 - one table
    builder = TypeMachineBuilder(BatteryInputs, BatteryCore)

    idle = builder.state("Idle")
    """No test runs, and nothing more can be learnt of the last."""
    announced = builder.state("Announced")
    """The UPS said (OK to a test; no reading has shown the test yet."""
    called_off = builder.state("CalledOff")
    """The UPS said (OK to a test and then to its stop; no reading has shown the test."""
    testing = builder.state("Testing")
    """The last reading showed the test."""
    stopping = builder.state("Stopping")
    """The last reading showed the test, and the UPS said (OK to its stop."""
    unwatched = builder.state("Unwatched")
    """The test ran when the program ended, and was not seen since."""
    unwatched_stopping = builder.state("UnwatchedStopping")
    """As `Unwatched`, and the UPS said (OK to the stop of the test."""
    ended = builder.state("Ended")
    """The test is over, and its verdict may still come."""

    def take_up(
        machine: BatteryInputs, core: BatteryCore, test: BatteryTest, seen: float | None
    ) -> None:
        core.take_up(test, seen)

    def begin(machine: BatteryInputs, core: BatteryCore) -> None:
        core.begin(None)

    def begin_by_reading(machine: BatteryInputs, core: BatteryCore, read: Read) -> None:
        core.begin(core.now())
        core.follow(read)

    def follow(machine: BatteryInputs, core: BatteryCore, read: Read) -> None:
        core.follow(read)

    def end_unseen(machine: BatteryInputs, core: BatteryCore, read: Read) -> None:
        core.end(None, EndCause.OTHER, read, sure=False)

    def end_called_off(machine: BatteryInputs, core: BatteryCore, read: Read) -> None:
        core.end(None, EndCause.BY_HAND, read, sure=False)

    def end_by_hand(machine: BatteryInputs, core: BatteryCore, read: Read) -> None:
        core.end(None, EndCause.BY_HAND, read)

    def end_by_reading(machine: BatteryInputs, core: BatteryCore, read: Read) -> None:
        if not core.end(None, _cause(read), read):
            machine.settled()

    def end_after_gap(machine: BatteryInputs, core: BatteryCore, read: Read) -> None:
        if not core.end(core.seen, EndCause.OTHER, read):
            machine.settled()

    def end_unwatched(machine: BatteryInputs, core: BatteryCore, read: Read) -> None:
        assert core.last is not None
        core.end(core.seen or core.last.started, EndCause.OTHER, read)

    def judge(machine: BatteryInputs, core: BatteryCore, read: Read) -> None:
        if core.judge(read):
            machine.settled()

    idle.upon(BatteryInputs.began).to(announced)(begin)
    idle.upon(BatteryInputs.shows_test).to(testing)(begin_by_reading)
    idle.upon(BatteryInputs.taken_up).to(unwatched)(take_up)
    announced.upon(BatteryInputs.shows_test).to(testing)(follow)
    announced.upon(BatteryInputs.stop_taken).to(called_off).returns(None)
    announced.upon(BatteryInputs.shows_none_late).to(idle)(end_unseen)
    called_off.upon(BatteryInputs.shows_test).to(stopping)(follow)
    called_off.upon(BatteryInputs.shows_none).to(idle)(end_called_off)
    called_off.upon(BatteryInputs.shows_none_late).to(idle)(end_called_off)
    testing.upon(BatteryInputs.shows_test).loop()(follow)
    testing.upon(BatteryInputs.stop_taken).to(stopping).returns(None)
    testing.upon(BatteryInputs.shows_none).to(ended)(end_by_reading)
    testing.upon(BatteryInputs.shows_none_late).to(ended)(end_after_gap)
    stopping.upon(BatteryInputs.shows_test).loop()(follow)
    stopping.upon(BatteryInputs.shows_none).to(idle)(end_by_hand)
    stopping.upon(BatteryInputs.shows_none_late).to(ended)(end_after_gap)
    ended.upon(BatteryInputs.began).to(announced)(begin)
    ended.upon(BatteryInputs.shows_test).to(testing)(begin_by_reading)
    ended.upon(BatteryInputs.shows_none).loop()(judge)
    ended.upon(BatteryInputs.shows_none_late).to(idle).returns(None)
    ended.upon(BatteryInputs.settled).to(idle).returns(None)
    unwatched.upon(BatteryInputs.shows_test).to(testing)(follow)
    unwatched.upon(BatteryInputs.stop_taken).to(unwatched_stopping).returns(None)
    unwatched_stopping.upon(BatteryInputs.shows_test).to(stopping)(follow)
    for state in (unwatched, unwatched_stopping):
        state.upon(BatteryInputs.began).to(announced)(begin)
        state.upon(BatteryInputs.shows_none).to(idle)(end_unwatched)
        state.upon(BatteryInputs.shows_none_late).to(idle)(end_unwatched)
    for state in (announced, called_off, testing, stopping):
        state.upon(BatteryInputs.began).loop().returns(None)
    for state in (called_off, stopping, unwatched_stopping):
        state.upon(BatteryInputs.stop_taken).loop().returns(None)
    for state in (idle, announced):
        state.upon(BatteryInputs.shows_none).loop().returns(None)
    idle.upon(BatteryInputs.shows_none_late).loop().returns(None)

    return builder.build()


battery_machine = _build()
