"""Power as an electrician judges it: mains, output and battery of a UPS, a meter, a cabinet.

The one set of conditions behind the alarms of `wire/etc/conditions.py`. Voltages are judged as
shares of the nominal phase voltage. Decisions: `docs/points.md`, "Power".
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from math import sqrt
from typing import Annotated

import msgspec

from twisted_gantry.core.alarms import Read, Rule, Severity
from twisted_gantry.core.points import Measured
from twisted_gantry.devices.conditions import Condition
from twisted_gantry.wire.etc.conditions import LOST_PHASE, NOMINAL_HZ, NOMINAL_VOLTAGE, POWER
from twisted_gantry.wire.reading import Quality, Value

# Shares of the nominal voltage: an alarm ends when the voltage is back by the first.
HYSTERESIS = 0.02
OVER_VOLTAGE, UNDER_VOLTAGE = 1.15, 0.85
HZ_BAND = 0.1
RECHECK = 1.0
"""Seconds after a doubtful reading until the next one, whatever the poll period."""

OverVoltage = Annotated[float, msgspec.Meta(gt=1, le=2)]
UnderVoltage = Annotated[float, msgspec.Meta(ge=0.5, lt=1)]
NominalVoltage = Annotated[float, msgspec.Meta(ge=24, le=600)]
"""The settings `over_voltage` and `under_voltage`, shares, and `nominal_voltage` in V."""

TEXTS: Mapping[str, tuple[Severity, str, str, str]] = {
    name: (Severity(each.severity), each.en, each.zh, each.group) for name, each in POWER.items()
}
"""Each alarm about power: severity, English, Chinese as in `warningMsg`, group of the report."""


def power_rule(
    name: str,
    test: Condition,
    delay: float = 0.0,
    *,
    readings: int = 1,
    parts: Callable[[], Iterable[str]] | None = None,
) -> Rule:
    """Return the rule for one of `TEXTS`."""
    severity, en, zh, group = TEXTS[name]
    return Rule(name, severity, en, zh, test, group, delay, readings=readings, parts=parts)


Shares = Mapping[int, float | None]
"""The present phases, from 0, as shares of the nominal voltage; None for an unknown one."""


def share(value: Value, nominal: float) -> float | None:
    return value / nominal if isinstance(value, int | float) else None


def dead(value: float, *, already: bool = False) -> bool:
    """Tell whether a share is no voltage; `already`: it was none before, for the hysteresis."""
    return value < LOST_PHASE + HYSTERESIS * already


@dataclass(frozen=True)
class Limits:
    """The band of a voltage: shares of the nominal one."""

    over: float = OVER_VOLTAGE
    under: float = UNDER_VOLTAGE

    def hold(self, shares: Shares) -> bool:
        """Tell whether all phases are known and within the band."""
        return bool(shares) and all(
            each is not None and self.under <= each <= self.over for each in shares.values()
        )


def _some(shares: Shares, bad: Callable[[float], bool]) -> bool | None:
    """Return whether some phase is bad; None when none is and one is not known."""
    if any(each is not None and bad(each) for each in shares.values()):
        return True
    return None if not shares or None in shares.values() else False


def voltage_rules(
    shares: Callable[[Read], Shares],
    limits: Limits,
    parts: Callable[[], Iterable[str]] | None = None,
    phases: int = 3,
) -> tuple[Rule, ...]:
    """Return the rules over the input voltages of a source of up to `phases`. A single reading is
    no failure: two in a row are. With `parts` each part has the alarms, and `shares` reads the
    points of that part.
    """

    def over(read: Read, raised: bool) -> bool | None:
        return _some(shares(read), lambda s: s > limits.over - HYSTERESIS * raised)

    def under(read: Read, raised: bool) -> bool | None:
        """A phase that is gone is lost, not low; if all are gone, the mains failed."""
        limit = limits.under + HYSTERESIS * raised
        return _some(shares(read), lambda s: not dead(s) and s < limit)

    def lost(phase: int) -> Condition:
        def test(read: Read, raised: bool) -> bool | None:
            given = shares(read)
            if phase not in given:
                return False  # a source without the phase cannot lose it
            value = given[phase]
            if value is None or not dead(value, already=raised):
                return None if value is None else False
            others = [each for which, each in given.items() if which != phase]
            if any(each is not None and not dead(each) for each in others):
                return True
            return None if None in others else False

        return test

    def rule(name: str, test: Condition, delay: float) -> Rule:
        return power_rule(name, test, delay, readings=2, parts=parts)

    return (
        rule("input-over-voltage", over, 2),
        rule("input-under-voltage", under, 2),
        *(
            rule(f"phase-l{phase + 1}-lost", lost(phase), 1)
            for phase in range(phases if phases > 1 else 0)
        ),
    )


# A rating from here on is no phase voltage, nor is one of the others: it is from line to line.
_LINE_VOLTAGE = 300.0
_LINE_VOLTAGES = frozenset({190.0, 200.0, 208.0})


class Nominal:
    """Finds the nominal phase voltage of a source in V: the setting if `given`, else by the rating.

    A rating from line to line may stand beside voltages of phases, or beside such as it is. The
    first reading with a voltage decides which: a later brown-out must not look like the other.
    """

    def __init__(self, given: float | None = None) -> None:
        self._given = given
        self._rating: float | None = None
        self._decided: float | None = None

    def of(self, rating: Value, *, three_phase: bool, volts: Iterable[Value]) -> float:
        """Return the nominal voltage for the present `rating` and input voltages."""
        if self._given is not None:
            return self._given
        if isinstance(rating, bool) or not isinstance(rating, int | float) or rating <= 0:
            return NOMINAL_VOLTAGE
        if not three_phase or (rating < _LINE_VOLTAGE and rating not in _LINE_VOLTAGES):
            return float(rating)
        if rating != self._rating:
            self._rating, self._decided = float(rating), None
        phase_voltage = rating / sqrt(3)
        if self._decided is None:
            highest = max((v for v in volts if isinstance(v, int | float)), default=0.0)
            if not dead(highest / phase_voltage):
                between = sqrt(rating * phase_voltage)
                self._decided = float(rating) if highest > between else phase_voltage
        return self._decided or phase_voltage


class MainsJudge:
    """Judges the mains of one source, reading by reading; True is abnormal.

    Abnormal is what the device flags itself; every phase without voltage, in two readings in a row
    or with a second quantity that agrees; and a UPS on battery, unless its inputs are known to be
    good. At a source without a flag of its own one phase without voltage is enough. `doubtful`: the
    last reading needs another one soon. When the first reading of all is doubtful, it is unknown: a
    failure that an earlier process saw is not over by that.
    """

    def __init__(self, limits: Limits | None = None) -> None:
        self.doubtful = self._decided = False
        self._limits = limits or Limits()
        self._gone = self._dead = self._abnormal = False

    def judge(
        self,
        shares: Shares,
        *,
        flag: Measured | None = None,
        agrees: bool = False,
        on_battery: bool = False,
        good_frequency: bool = True,
    ) -> Measured:
        """Judge one reading. `flag` is the device's own, None for a device without one; `agrees`:
        another quantity shows the loss, too.
        """
        known = [each for each in shares.values() if each is not None]
        gone = [each for each in known if dead(each, already=self._abnormal)]
        was_gone, self._gone = self._gone, bool(gone)
        self.doubtful = self._gone and not was_gone
        enough = 1 if flag is None else max(len(shares), 1)
        was_dead, self._dead = self._dead, len(gone) >= enough
        lost = self._dead and (was_dead or agrees)
        unsupplied = on_battery and not (good_frequency and self._limits.hold(shares))
        if flag == (True, Quality.GOOD) or lost or unsupplied:
            self._abnormal = self._decided = True
            return (True, Quality.GOOD)
        unknown = len(known) < len(shares) or (self._dead and not self._decided)
        if flag is None or flag[1] is Quality.NOT_SUPPORTED:
            if not shares:
                return (None, Quality.NOT_SUPPORTED)
        elif flag[1] is not Quality.GOOD:
            return flag
        else:  # the flag is against a failure: only a lack of voltage speaks for one
            unknown = unknown and bool(known) and len(gone) == len(known)
        if unknown:
            return (None, Quality.GET_FAILED)
        self._abnormal, self._decided = False, True
        return (False, Quality.GOOD)


OFF_STATES = frozenset({"standby", "shutdown", "power-on"})
"""States of a UPS in which its output is off."""


class OutputJudge:
    """Judges whether the output of a UPS is off, reading by reading.

    The state tells, and so does a phase that had a voltage and has none in two readings in a row,
    or in one when `agrees`. A phase that never had a voltage may not be measured. `doubtful` as for
    the mains.
    """

    def __init__(self) -> None:
        self.doubtful = False
        self._seen: set[int] = set()
        self._dead = self._off = False

    def judge(self, shares: Shares, state: Measured, *, agrees: bool) -> Measured:
        known = {phase: each for phase, each in shares.items() if each is not None}
        gone = {phase for phase, each in known.items() if dead(each, already=self._off)}
        self._seen |= known.keys() - gone
        was_dead, self._dead = self._dead, bool(gone & self._seen)
        self.doubtful = self._dead and not was_dead
        if state[0] in OFF_STATES or (self._dead and (was_dead or agrees)):
            self._off = True
            return (True, Quality.GOOD)
        unknown = (self._seen - known.keys()) & shares.keys()
        if state[1] is not Quality.GOOD or (self._off and unknown):
            return (None, Quality.GET_FAILED)
        self._off = False
        return (False, Quality.GOOD)


def none_flows(quantities: Collection[Measured], most: float = 0.0) -> bool:
    """Tell whether quantities are known, at least one, and each is at most `most`."""
    values = [value for value, quality in quantities if quality is Quality.GOOD]
    numbers = [value for value in values if isinstance(value, int | float)]
    return bool(numbers) and all(abs(each) <= most for each in numbers)


def no_frequency(hertz: Measured) -> bool:
    return none_flows([hertz], LOST_PHASE * NOMINAL_HZ)


def good_frequency(hertz: Measured) -> bool:
    """Tell whether a frequency is good; an unknown one says nothing against the mains."""
    value = hertz[0]
    if hertz[1] is not Quality.GOOD or not isinstance(value, int | float):
        return True
    return abs(value / NOMINAL_HZ - 1) <= HZ_BAND
