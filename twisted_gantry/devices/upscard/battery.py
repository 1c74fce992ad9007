"""The battery test of a UPS: what speaks against one, and how the last one went.

The card tells a state and two bits; the rest follows from readings. Decisions:
`docs/protocols/etc-gantry.md`, "cmd 9" and "cmd 10". The numbers of the end cause are those of the
ETC document, `testEndCourse`.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import IntEnum

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.interfaces import BatteryTest, IStore
from twisted_gantry.devices.upscard.points import TEST_DURATION, TEST_END_VOLTAGE
from twisted_gantry.wire.reading import Quality, Value

_log = Logger()

LEAST_CHARGE = 80.0
"""%; under it a battery is not tested."""
# Seconds: until a UPS that said (OK shows that it tests; until its verdict follows the end.
BEGIN_GRACE, VERDICT_GRACE = 10.0, 60.0
# Between two readings of a test: after a longer pause nobody knows how it ended.
LONGEST_GAP = 10.0
# A running test is written down again this often, for the case that we die meanwhile.
KEEP_EVERY = 10.0

# States from which a UPS goes over to its battery and comes back; in HE it is on its mains, too.
_MAY_TEST = {"line", "he", "converter"}
_AGAINST = (
    ("mains_abnormal", "the mains are abnormal"),
    ("overload", "overload"),
    ("battery_low", "the battery is low"),
    ("shutting_down", "the UPS is shutting down"),
)
_BY_ALARM = {"battery", "bypass"}
_VERDICTS = {"good", "failed"}


class EndCause(IntEnum):
    """Why a test ended, as far as a card lets one know."""

    END_TIME = 2
    ALARM = 3
    BY_HAND = 4
    FAULT = 5
    OTHER = 255


_CUT_SHORT = {EndCause.ALARM, EndCause.BY_HAND, EndCause.FAULT}

Read = Callable[[str], Value]
"""Return the value of a point by its short name, None unless it is known to hold now."""


def why_not_test(read: Read, *, running: bool) -> str:
    """Say what speaks against a battery test; what is not known speaks against it, too.

    `running`: the UPS said (OK to one, and may not show it yet.
    """
    against = []
    state, charge = read("state"), read("battery_charge")
    if running or state == "test":
        against.append("a test is running")
    elif state is None:
        against.append("the state is not known")
    elif state not in _MAY_TEST:
        against.append(f"the UPS is in the state {state}")
    for name, text in _AGAINST:
        value = read(name)
        if value is None:
            against.append(f"{name} is not known")
        elif value:
            against.append(text)
    if not isinstance(charge, int | float):
        against.append("the charge is not known")
    elif charge < LEAST_CHARGE:
        against.append(f"the charge is under {LEAST_CHARGE:g} %")
    return "; ".join(against)


class _Kept(msgspec.Struct, frozen=True):
    """What outlives the process; `seen` is Unix seconds of the last reading within the test."""

    test: BatteryTest
    seen: float | None = None


class BatteryTests:
    """Follows the battery tests of one UPS, by its readings.

    A test begins when the UPS said (OK to `T`, or when a reading shows one that somebody started
    at the panel. `last` is the newest, running or over. `now` returns Unix seconds.
    """

    def __init__(
        self, device: str, store: IStore, clock: IReactorTime, now: Callable[[], float]
    ) -> None:
        self.last: BatteryTest | None = None
        self._device, self._store, self._clock, self._now = device, store, clock, now
        self._name = f"{device}.battery-test"
        self._restored = self._keeping_failed = False
        self._doubtful = False  # the reply to a T was lost, and no reading came since
        self._lost = False  # it ran when the program ended, and was not seen since
        self._seen: float | None = None  # Unix seconds; `_seen_at` is the same on the clock
        self._seen_at = self._began_at = self._kept_at = 0.0
        self._stopped = False
        self._verdict: Value = None  # of the last reading
        self._verdict_before: Value = None  # of the last reading before the test
        self._verdict_until = 0.0

    @property
    def running(self) -> bool:
        """Whether a test runs, or is about to."""
        return self.last is not None and self.last.ended is None

    @property
    def perhaps_running(self) -> bool:
        """Whether one runs, or nobody knows before the next reading."""
        return self.running or self._doubtful

    def restore(self) -> Deferred[None]:
        """Take up what the last run of the program knew; until then readings are not followed."""
        return self._store.settings().addCallback(self._take_up).addErrback(self._cannot_take_up)

    def began(self) -> None:
        """Note that the UPS said (OK to a test."""
        if self.running and not self._lost:
            return
        self._begin(None)

    def doubt(self) -> None:
        """Note that the reply to a `T` was lost: the next reading shows whether it runs."""
        self._doubtful = True

    def stopped(self) -> None:
        """Note that the UPS said (OK to our command to stop."""
        self._stopped = self.running

    def stopping(self) -> None:
        """Write down what is known of a test that runs: the program may end."""
        if self.running:
            self._keep()

    def read(self, read: Read) -> None:
        """Follow one reading."""
        self._doubtful = False
        state, verdict = read("state"), read("self_test")
        if not self._restored or state is None:
            return
        if state == "test":
            self._discharging(read("battery_voltage"))
        elif self.running:
            self._perhaps_over(read, verdict)
        elif verdict in _VERDICTS and self._clock.seconds() < self._verdict_until:
            self._pass_verdict(str(verdict))
        self._verdict = verdict

    def _begin(self, seen: float | None) -> None:
        self.last = BatteryTest(started=self._now())
        self._lost = self._stopped = False
        self._seen, self._began_at, self._verdict_until = seen, self._clock.seconds(), 0.0
        self._verdict_before = self._verdict
        self._keep()

    def _discharging(self, volts: Value) -> None:
        if not self.running:
            self._begin(self._now())
        assert self.last is not None
        first = self._seen is None
        self._lost = False
        self._seen, self._seen_at = self._now(), self._clock.seconds()
        if isinstance(volts, int | float):
            self.last = replace(self.last, end_voltage=float(volts))
        if first or self._seen_at - self._kept_at >= KEEP_EVERY:
            self._keep()

    def _perhaps_over(self, read: Read, verdict: Value) -> None:
        now = self._clock.seconds()
        if self._lost:
            assert self.last is not None
            self._end(self._seen or self.last.started, EndCause.OTHER, verdict)
        elif self._seen is None:
            # It said (OK and has shown nothing yet: it may take a moment, or it did it in between.
            if self._stopped or now - self._began_at >= BEGIN_GRACE:
                cause = EndCause.BY_HAND if self._stopped else EndCause.OTHER
                self._end(self._now(), cause, verdict, sure=False)
        elif now - self._seen_at > LONGEST_GAP:
            self._end(self._seen, EndCause.OTHER, verdict)
        else:
            self._end(self._now(), self._cause(read, verdict), verdict)

    def _cause(self, read: Read, verdict: Value) -> EndCause:
        if self._stopped:
            return EndCause.BY_HAND
        state = read("state")
        if state == "fault":
            return EndCause.FAULT
        if state in _BY_ALARM or read("mains_abnormal") or read("overload"):
            return EndCause.ALARM
        in_order = state in _MAY_TEST and verdict == "good"
        return EndCause.END_TIME if in_order else EndCause.OTHER

    def _end(self, ended: float, cause: EndCause, verdict: Value, *, sure: bool = True) -> None:
        """Write down an end; the old verdict says nothing of a test that came to none."""
        assert self.last is not None
        known = verdict in _VERDICTS
        if (not sure or cause in _CUT_SHORT) and verdict == self._verdict_before:
            known = False
        self.last = replace(
            self.last,
            ended=max(ended, self.last.started),
            result=str(verdict) if known else "unknown",
            end_cause=cause.value,
        )
        if not known and cause not in _CUT_SHORT and sure and not self._lost:
            self._verdict_until = self._clock.seconds() + VERDICT_GRACE
        self._lost = False
        self._keep()

    def _pass_verdict(self, verdict: str) -> None:
        """Add a verdict that came after the end."""
        assert self.last is not None
        cause = EndCause.END_TIME.value if verdict == "good" else self.last.end_cause
        self.last = replace(self.last, result=verdict, end_cause=cause)
        self._verdict_until = 0.0
        self._keep()

    def points(self) -> Mapping[str, tuple[Value, Quality]]:
        """Return the points that tell of the last test that ended."""
        last = self.last
        volts = seconds = None
        if last is not None and last.ended is not None:
            volts, seconds = last.end_voltage, last.ended - last.started
        return {
            name: (value, Quality.NO_DATA if value is None else Quality.GOOD)
            for name, value in ((TEST_END_VOLTAGE, volts), (TEST_DURATION, seconds))
        }

    # -- what outlives the process

    def _take_up(self, settings: Mapping[str, object]) -> None:
        self._restored = True
        raw = settings.get(self._name)
        if raw is None or self.last is not None:
            return
        try:
            kept = msgspec.convert(raw, _Kept)
        except msgspec.ValidationError as error:
            _log.warn("{name}: no battery test: {error}", name=self._name, error=str(error))
            return
        self.last, self._seen = kept.test, kept.seen
        self._lost = self.running

    def _cannot_take_up(self, failure: Failure) -> None:
        self._restored = True
        _log.failure("{name} cannot be read", failure=failure, name=self._name)

    def _keep(self) -> None:
        assert self.last is not None
        self._kept_at = self._clock.seconds()
        kept = self._store.put_setting(
            self._name, msgspec.to_builtins(_Kept(self.last, self._seen))
        )
        kept.addCallbacks(self._was_kept, self._was_not_kept)

    def _was_kept(self, _: object) -> None:
        self._keeping_failed = False

    def _was_not_kept(self, failure: Failure) -> None:
        if not self._keeping_failed:  # a full disk stays full for a while
            _log.failure("{name} cannot be kept", failure=failure, name=self._name)
        self._keeping_failed = True
