"""The battery tests of a UPS: what speaks against one, and what is known of the last.

`battery_machine.py` follows a test; this module feeds it with readings and stores the result.
"""

from collections.abc import Callable, Mapping

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.interfaces import BatteryTest, IStore
from twisted_gantry.devices.upscard.battery_machine import (
    MAY_TEST,
    BatteryCore,
    Read,
    battery_machine,
)
from twisted_gantry.devices.upscard.points import TEST_DURATION, TEST_END_VOLTAGE
from twisted_gantry.wire.reading import Quality, Value

_log = Logger()

# Battery charge in % below which a test is refused.
LEAST_CHARGE = 80.0
_AGAINST = (
    ("mains_abnormal", "the mains are abnormal"),
    ("overload", "overload"),
    ("battery_low", "the battery is low"),
    ("shutting_down", "the UPS is shutting down"),
)


def why_not_test(read: Read, *, running: bool) -> str:
    """Return what speaks against a battery test; an unknown value does so, too. `running`: the UPS
    said (OK to a test that readings may not show yet.
    """
    against = []
    state, charge = read("state"), read("battery_charge")
    if running or state == "test":
        against.append("a test is running")
    elif state is None:
        against.append("the state is not known")
    elif state not in MAY_TEST:
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
    """A test in the store; `seen` is the Unix seconds of the last reading that showed it."""

    test: BatteryTest
    seen: float | None = None


class BatteryTests:
    """Follows the battery tests of one UPS by its readings. `now` returns Unix seconds. A test
    begins when the UPS said (OK to `T`, or with a reading that shows a test started at the panel.
    """

    def __init__(
        self, device: str, store: IStore, clock: IReactorTime, now: Callable[[], float]
    ) -> None:
        self._core = BatteryCore(clock, now, self._keep)
        self._machine = battery_machine(self._core)
        self.began = self._machine.began
        self._store, self._name = store, f"{device}.battery-test"
        self._restored = self._keeping_failed = False
        self._doubtful = False  # the reply to a T was lost, and no reading came since

    @property
    def last(self) -> BatteryTest | None:
        return self._core.last

    @property
    def running(self) -> bool:
        return self._core.running

    @property
    def perhaps_running(self) -> bool:
        """Whether a test runs, or the next reading must show whether one does."""
        return self.running or self._doubtful

    def restore(self) -> Deferred[None]:
        """Take up what the store has of the last test; readings count from then on."""
        return self._store.settings().addCallback(self._take_up).addErrback(self._cannot_take_up)

    def doubt(self) -> None:
        """Note that the reply to a `T` was lost: the next reading shows whether a test runs."""
        self._doubtful = True

    def stopped(self) -> None:
        """Note that the UPS said (OK to our command to stop."""
        if self.running:
            self._machine.stop_taken()

    def stopping(self) -> None:
        """Store a test that runs: the program may end."""
        if self.running:
            self._keep()

    def read(self, read: Read) -> None:
        self._doubtful = False
        state = read("state")
        if not self._restored or state is None:
            return
        if state == "test":
            self._machine.shows_test(read)
        elif self._core.late:
            self._machine.shows_none_late(read)
        else:
            self._machine.shows_none(read)
        self._core.verdict = read("self_test")

    def points(self) -> Mapping[str, tuple[Value, Quality]]:
        """Return the points about the last test, `no-data` until it ended."""
        last = self.last
        volts = seconds = None
        if last is not None and last.ended is not None:
            volts, seconds = last.end_voltage, last.ended - last.started
        return {
            name: (value, Quality.NO_DATA if value is None else Quality.GOOD)
            for name, value in ((TEST_END_VOLTAGE, volts), (TEST_DURATION, seconds))
        }

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
        if kept.test.ended is None:
            self._machine.taken_up(kept.test, kept.seen)
        else:
            self._core.last = kept.test

    def _cannot_take_up(self, failure: Failure) -> None:
        self._restored = True
        _log.failure("{name} cannot be read", failure=failure, name=self._name)

    def _keep(self) -> None:
        assert self.last is not None
        kept = _Kept(self.last, self._core.seen)
        stored = self._store.put_setting(self._name, msgspec.to_builtins(kept))
        stored.addCallbacks(self._was_kept, self._was_not_kept)

    def _was_kept(self, _: object) -> None:
        self._keeping_failed = False

    def _was_not_kept(self, failure: Failure) -> None:
        if not self._keeping_failed:  # a full disk stays full for a while
            _log.failure("{name} cannot be kept", failure=failure, name=self._name)
        self._keeping_failed = True
