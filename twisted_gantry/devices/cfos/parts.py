"""The EVSEs and meters of a manager as they come and go, and which readings count as good."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from twisted_gantry.core.points import Measured, Points
from twisted_gantry.devices.cfos.points import (
    EVSE_ERROR,
    MAINS_ABNORMAL,
    MEASURED,
    PART_OFFLINE,
    VOLTAGES,
    part_points,
)
from twisted_gantry.devices.power import Limits, MainsJudge, none_flows, share
from twisted_gantry.wire.cfos.calls import EvseState
from twisted_gantry.wire.cfos.values import DevInfo, Part
from twisted_gantry.wire.reading import Quality

# Polls in a row without a part after which its points go: one list may be cut short.
MISSING_POLLS = 3
# The end of the type of a part that others feed with values ("HTTP input").
FED_TYPE = "_ajax"

# Volts: a phase below never had a voltage, so that a meter of one phase has not lost two.
DEAD_VOLTAGE = 50.0

_FAILED: Measured = (None, Quality.GET_FAILED)


class MainsWatch:
    """Judges the mains at a meter by the phases that ever had a voltage, in shares of `nominal` V.

    `known_bad`: the last good judgement was abnormal.
    """

    def __init__(self, limits: Limits, nominal: float) -> None:
        self.known_bad = False
        self.live: set[int] = set()
        self._nominal, self._judge = nominal, MainsJudge(limits)

    @property
    def doubtful(self) -> bool:
        return self._judge.doubtful

    @property
    def open(self) -> bool:
        """Whether an unknown judgement may be abnormal."""
        return self.known_bad or self.doubtful

    def judge(self, given: Sequence[Measured], *, none_flows: bool = False) -> Measured:
        """Return True for abnormal; `no-data` while every voltage was always 0. `none_flows`: the
        meter measures no current, either.
        """
        judged = self._judged(given, none_flows)
        if judged[1] is Quality.GOOD:
            self.known_bad = judged[0] is True
        return judged

    def _judged(self, given: Sequence[Measured], none_flows: bool) -> Measured:
        if all(quality is Quality.NOT_SUPPORTED for _, quality in given):
            return (None, Quality.NOT_SUPPORTED)
        volts = [value if quality is Quality.GOOD else None for value, quality in given]
        self.live |= {
            phase
            for phase, value in enumerate(volts)
            if isinstance(value, float) and value >= DEAD_VOLTAGE
        }
        if len(self.live) == len(volts) - 1 and None not in volts:
            self.live = set(range(len(volts)))  # no meter has two phases: the third is lost
        if not self.live:
            failed = any(quality is Quality.GET_FAILED for _, quality in given)
            return _FAILED if failed else (None, Quality.NO_DATA)
        shares = {phase: share(volts[phase], self._nominal) for phase in self.live}
        return self._judge.judge(shares, agrees=none_flows)


@dataclass
class _Known:
    """A part whose points are declared."""

    names: tuple[str, ...]
    mains: MainsWatch
    missing: int = 0


class Parts:
    """Declares and retracts the points of parts, and turns each poll into an update of points.

    Voltages are judged by `limits` of `nominal` V.
    """

    def __init__(self, device: str, points: Points, limits: Limits, nominal: float) -> None:
        self._device, self._points = device, points
        self._limits, self._nominal = limits, nominal
        self._known: dict[str, _Known] = {}
        self._absent: set[str] = set()  # from the last poll, and not yet given up
        self._remembered: Mapping[str, Iterable[int]] = {}

    def remember(self, phases: Mapping[str, Iterable[int]]) -> None:
        """Take the phases of meters that had a voltage before a restart, before the first poll: a
        meter without any may have lost its mains meanwhile.
        """
        self._remembered = phases

    def meters(self) -> dict[str, set[int]]:
        """Return the present meters with a voltage, each with the phases that ever had one."""
        return {which: known.mains.live for which, known in self._known.items() if known.mains.live}

    @property
    def doubtful(self) -> bool:
        """Whether a meter showed a voltage that was gone for the first time."""
        return any(known.mains.doubtful for known in self._known.values())

    def names(self) -> list[str]:
        return [name for known in self._known.values() for name in known.names]

    def take(self, info: DevInfo) -> dict[str, Measured]:
        """Return the update by a poll for the points of the parts and those that sum them up. What
        `derive` returns follows from it.
        """
        update: dict[str, Measured] = {}
        for which in self._known.keys() - info.parts.keys():
            known = self._known[which]
            known.missing += info.is_whole  # a damaged list may have lost the part
            if known.missing >= MISSING_POLLS:
                self._points.retract(self._device, known.names)
                del self._known[which]
            else:
                update |= dict.fromkeys(known.names, _FAILED)
        self._absent = self._known.keys() - info.parts.keys()
        readings = {which: self._read(part) for which, part in info.parts.items()}
        for which, measured in readings.items():
            update |= {f"{which}.{name}": each for name, each in measured.items()}
        return update | _summary(readings, self._absent)

    def derive(self, judged: Mapping[str, Measured]) -> dict[str, Measured]:
        """Return the judgement of the mains at each meter of a poll, and at all of them."""
        mains: dict[str, Measured] = {}
        for which, known in self._known.items():
            if which.startswith("M") and which not in self._absent:
                voltages = [judged[f"{which}.{name}"] for name in VOLTAGES]
                currents = [judged[f"{which}.current_l{n}"] for n in (1, 2, 3)]
                mains[which] = known.mains.judge(voltages, none_flows=none_flows(currents))
        each = {f"{which}.{MAINS_ABNORMAL}": judgement for which, judgement in mains.items()}
        silent = {which: _FAILED for which in self._absent if which.startswith("M")}
        return {**each, MAINS_ABNORMAL: self._mains(mains | silent)}

    def _mains(self, judged: Mapping[str, Measured]) -> Measured:
        """Sum up all meters. A silent one leaves the result open only if it was abnormal before, or
        is to be read again.
        """
        telling = [
            each
            for which, each in judged.items()
            if each[1] is Quality.GOOD or self._known[which].mains.open
        ]
        if telling:
            return _any(telling)
        return _FAILED if _FAILED in judged.values() else (None, Quality.NOT_SUPPORTED)

    def _read(self, part: Part) -> dict[str, Measured]:
        known = self._known.get(part.id)
        if known is None:
            types = part_points(part.id)
            self._points.declare(self._device, types)
            watch = MainsWatch(self._limits, self._nominal)
            watch.live |= set(self._remembered.get(part.id, ()))
            known = _Known(tuple(each.name for each in types), watch)
            self._known[part.id] = known
        known.missing = 0
        measured: dict[str, Measured] = {
            name: (each.value, each.quality) for name, each in part.readings.items()
        }
        if not _is_reached(measured):
            # The manager still shows old values.
            measured |= {
                name: _FAILED
                for name, (_, quality) in measured.items()
                if name in MEASURED and quality is not Quality.NOT_SUPPORTED
            }
        return measured


def _is_reached(measured: Mapping[str, Measured]) -> bool:
    return not (
        measured["communication_error"] == (True, Quality.GOOD)
        or measured["enabled"] == (False, Quality.GOOD)
        or measured.get("state") == (EvseState.OFFLINE.text, Quality.GOOD)
    )


def _summary(
    readings: Mapping[str, Mapping[str, Measured]], absent: Iterable[str]
) -> dict[str, Measured]:
    """Sum up the parts; one that is absent from this poll may have an error all the same."""
    unknown = [_FAILED for which in absent if which.startswith("E")]
    states = [each["state"] for which, each in readings.items() if which.startswith("E")]
    due = [each for each in readings.values() if _is_due(each)]
    return {
        EVSE_ERROR: _any(
            [*unknown, *((state == EvseState.ERROR.text, quality) for state, quality in states)]
        ),
        PART_OFFLINE: (any(not _is_reached(each) for each in due), Quality.GOOD),
    }


def _is_due(measured: Mapping[str, Measured]) -> bool:
    """Return whether the manager should reach a part: enabled, and read rather than fed."""
    fed = str(measured["type"][0]).endswith(FED_TYPE)
    return not fed and measured["enabled"] != (False, Quality.GOOD)


def _any(each: list[Measured]) -> Measured:
    """Return whether any is True; failed while none is and some is unknown."""
    if (True, Quality.GOOD) in each:
        return (True, Quality.GOOD)
    unknown = any(quality is not Quality.GOOD for _, quality in each)
    return _FAILED if unknown else (False, Quality.GOOD)
