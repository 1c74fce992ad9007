"""`ups.status` of one UPS, from its alarm rules: what a computer shuts itself down by.

A false `OB LB` shuts the customer's computers down, and a missing one lets them lose power. LB and
an announced shutdown need two readings in a row; a missing value says neither yes nor no.
Decisions: `docs/bridges.md`, "NUT".
"""

from collections.abc import Mapping

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from twisted_gantry.core.alarms import Read, Rule
from twisted_gantry.core.interfaces import IDevice
from twisted_gantry.core.status import State
from twisted_gantry.net.timers import Timer

_log = Logger()

MAX_AGE = 15.0
"""Seconds after which values that could not be read anew are stale, as `MAXAGE` of upsd."""
IN_A_ROW = 2  # readings
HYSTERESIS = 1.1
"""A runtime that was low is good again from this multiple of the limit."""
FSD_LEAST, FSD_ON_MAINS = 60.0, 15.0
"""A forced shutdown lasts at least the first, in seconds, and until the UPS was on mains for the
second. upsmon asks every 5 s; a computer that boots after a power cut needs longer than the second.
"""
_RULES = (
    *("mains-abnormal", "on-battery", "output-off", "shutting-down", "battery-low", "overload"),
    *("self-test-failed", "on-raw-mains"),
)
_FLAGS = {name: name.replace("-", "_") for name in _RULES}
JUDGED = frozenset({"state", "battery_runtime", *_FLAGS.values()})
"""A reading with one of these points is judged; others, such as ratings, tell nothing new."""


class Steady:
    """A verdict that changes after `IN_A_ROW` readings in a row that say so."""

    def __init__(self) -> None:
        self.holds = False
        self._against = 0

    def take(self, verdict: bool | None) -> None:
        """Take the verdict of a reading; None is no reading."""
        if verdict is None:
            return
        self._against = self._against + 1 if verdict is not self.holds else 0
        if self._against >= IN_A_ROW:
            self.holds, self._against = verdict, 0

    def forget(self) -> None:
        self.holds, self._against = False, 0


class Judge:
    """Judges each reading of one UPS. `read` gets its points by their names without the device's;
    `low_runtime` is in seconds.
    """

    def __init__(
        self, device: IDevice, read: Read, clock: IReactorTime, low_runtime: float
    ) -> None:
        self.device = device
        self._read, self._clock, self._low_runtime = read, clock, low_runtime
        self._rules: dict[str, Rule] = {r.name: r for r in device.rules if r.parts is None}
        self._flags: dict[str, bool] = {}
        self._failed: set[str] = set()
        self._known = False
        self._silent_since = clock.seconds()
        self._on_battery = False
        self._low, self._ending = Steady(), Steady()
        self._forced_at: float | None = None
        self._end_force = Timer(clock, self._mains_are_back)
        self.take()

    def stop(self) -> None:
        self._end_force.cancel()

    def take(self) -> None:
        """Judge the present values as one more reading."""
        told = {name: self._test(name) for name in _RULES}
        self._flags |= {name: verdict for name, verdict in told.items() if verdict is not None}
        if told["mains-abnormal"] is None and told["on-battery"] is None:
            if self._known:
                self._silent_since = self._clock.seconds()
            self._known = False
            self._end_force.cancel()
            return
        self._known = True
        was, self._on_battery = self._on_battery, self._judge_supply(told)
        if self._on_battery and not was:
            self._low.forget()  # many UPSes tell no true runtime while they are on mains
        self._low.take(self._is_low(told["battery-low"]))
        ending = told["shutting-down"]
        self._ending.take(None if ending is None else ending and not self._flag("output-off"))
        if self._forced_at is not None:
            self._watch_force()

    def force(self) -> None:
        """Begin a forced shutdown: the computers of this UPS shall shut down now."""
        self._forced_at = self._clock.seconds()
        _log.warn("{ups}: forced shutdown of its computers", ups=self.device.status.name)
        self._watch_force()

    @property
    def forced(self) -> bool:
        return self._forced_at is not None

    @property
    def stale(self) -> bool:
        """Whether nothing is known of the UPS at present."""
        if self.device.status.state is not State.ONLINE:
            return True
        return not self._known and (
            not self._flags or self._clock.seconds() - self._silent_since > MAX_AGE
        )

    @property
    def testing(self) -> bool:
        return self._read("state").value == "test"

    def words(self) -> list[str]:
        """Return the words of `ups.status`; meaningless while `stale`."""
        charge, on_battery, testing = self._read("battery_charge").good, *self._supply()
        charging = not (on_battery or testing) and isinstance(charge, float | int) and charge < 100
        given = {
            "FSD": self.forced or self._ending.holds,
            "OB": on_battery,
            "OL": not on_battery,
            "LB": self._low.holds,
            "DISCHRG": testing or self._read("state").value == "battery",
            "CHRG": charging,
            "TEST": testing,
            "BYPASS": self._flag("on-raw-mains"),
            "OVER": self._flag("overload"),
            "OFF": self._flag("output-off"),
            "RB": self._flag("self-test-failed"),
        }
        return [word for word, holds in given.items() if holds]

    def _supply(self) -> tuple[bool, bool]:
        return self._on_battery, self.testing

    def _flag(self, name: str) -> bool:
        return self._flags.get(name, False)

    def _test(self, name: str) -> bool | None:
        """Test a rule, or the point of its name for a device without that rule. The rule may be
        that of another package; one that fails tells nothing.
        """
        rule = self._rules.get(name)
        if rule is None:
            value = self._read(_FLAGS[name]).good
            return None if value is None else bool(value)
        try:
            return rule.test(self._read, self._flag(rule.name))
        except Exception:
            if rule.name not in self._failed:
                self._failed.add(rule.name)
                _log.failure("the rule {rule} failed", rule=rule.name)
            return None

    def _judge_supply(self, told: Mapping[str, bool | None]) -> bool:
        """Tell whether the load lacks the mains: a dark UPS counts, one on bypass does not. Where
        the state is missing, what is known of the mains decides.
        """
        abnormal, on_battery = told["mains-abnormal"], told["on-battery"]
        if on_battery is None:
            on_battery = self._on_battery and abnormal is not False
        return on_battery or (self._flag("mains-abnormal") and not told["on-raw-mains"])

    def _is_low(self, flag: bool | None) -> bool | None:
        runtime = self._read("battery_runtime").good
        if isinstance(runtime, bool) or not isinstance(runtime, int | float):
            return flag
        if runtime == 0 and not self._on_battery:
            return flag  # what many cards show on mains
        limit = self._low_runtime * (HYSTERESIS if self._low.holds else 1)
        return True if runtime < limit else flag

    def _watch_force(self) -> None:
        """Let the forced shutdown end in time, or not while the UPS lacks the mains."""
        if self._on_battery or not self._known:
            self._end_force.cancel()
        elif not self._end_force.running and self._forced_at is not None:
            lasted = self._clock.seconds() - self._forced_at
            self._end_force.start(max(FSD_ON_MAINS, FSD_LEAST - lasted))

    def _mains_are_back(self) -> None:
        self._forced_at = None
        _log.info("{ups}: the forced shutdown is over", ups=self.device.status.name)
