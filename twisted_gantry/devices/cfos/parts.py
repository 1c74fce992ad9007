"""The EVSEs and meters of a manager as they come and go, and which readings count as good."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from twisted_gantry.core.points import Points
from twisted_gantry.devices.cfos.points import (
    EVSE_ERROR,
    MAINS_ABNORMAL,
    MEASURED,
    PART_OFFLINE,
    part_points,
)
from twisted_gantry.wire.cfos.calls import EvseState
from twisted_gantry.wire.cfos.values import DevInfo, Part
from twisted_gantry.wire.reading import Quality, Value

Measured = tuple[Value, Quality]

# Polls in a row without a part after which its points go: one list may be cut short.
MISSING_POLLS = 3
# Readings in a row, none below the one before, that prove that a counter was set back. Zeros take
# longer: a device that boots reports 0 before it has read its memory.
CONFIRM, CONFIRM_ZERO = 3, 12
# Volts. A phase below the first has no voltage. Mains are normal between the others, 85 % of 220 V
# and 115 % of 230 V: meters are built for either.
DEAD_VOLTAGE = 50.0
LOWEST_VOLTAGE, HIGHEST_VOLTAGE = 187.0, 264.5

# The end of the type of a part that others feed with values ("HTTP input").
FED_TYPE = "_ajax"

_ENERGIES = ("import_energy", "export_energy")
_FAILED: Measured = (None, Quality.GET_FAILED)


@dataclass
class EnergyCounter:
    """Accepts a counter that grows, and one that was set back once readings confirm that."""

    last: float | None = None
    _doubtful: float | None = None
    _times: int = 0

    def believes(self, value: float) -> bool:
        """Take a reading in Wh; returns whether it counts as good."""
        grown = value > 0 if self.last is None else value >= self.last
        if not grown and not self._confirmed(value):
            return False
        self.last, self._doubtful, self._times = value, None, 0
        return True

    def _confirmed(self, value: float) -> bool:
        before, self._doubtful = self._doubtful, value
        goes_on = before is not None and value >= before and (value > 0) == (before > 0)
        self._times = self._times + 1 if goes_on else 1
        return self._times >= (CONFIRM if value > 0 else CONFIRM_ZERO)


@dataclass
class MainsWatch:
    """Judges the mains at a meter by the phases that ever had a voltage. `known_bad`: the last good
    judgement was abnormal.
    """

    known_bad: bool = False
    _live: set[int] = field(default_factory=set)

    def judge(self, voltages: Iterable[Measured]) -> Measured:
        """Return True for abnormal; `no-data` while every voltage was always 0."""
        judged = self._judge(list(voltages))
        if judged[1] is Quality.GOOD:
            self.known_bad = judged[0] is True
        return judged

    def _judge(self, given: list[Measured]) -> Measured:
        if all(quality is Quality.NOT_SUPPORTED for _, quality in given):
            return (None, Quality.NOT_SUPPORTED)
        known = {
            phase: value
            for phase, (value, quality) in enumerate(given)
            if quality is Quality.GOOD and isinstance(value, float)
        }
        self._live |= {phase for phase, value in known.items() if value >= DEAD_VOLTAGE}
        watched = [known.get(phase) for phase in self._live]
        if any(v is not None and not LOWEST_VOLTAGE <= v <= HIGHEST_VOLTAGE for v in watched):
            return (True, Quality.GOOD)
        if None in watched or any(quality is Quality.GET_FAILED for _, quality in given):
            return _FAILED
        return (False, Quality.GOOD) if watched else (None, Quality.NO_DATA)


@dataclass
class _Known:
    """A part whose points are declared."""

    names: tuple[str, ...]
    energies: dict[str, EnergyCounter]
    mains: MainsWatch
    missing: int = 0


class Parts:
    """Declares and retracts the points of parts, and turns each poll into an update of points."""

    def __init__(self, device: str, points: Points) -> None:
        self._device, self._points = device, points
        self._known: dict[str, _Known] = {}

    def names(self) -> list[str]:
        return [name for known in self._known.values() for name in known.names]

    def take(self, info: DevInfo) -> dict[str, Measured]:
        """Return the update by a poll for the points of the parts and those that sum them up."""
        update: dict[str, Measured] = {}
        for which, known in list(self._known.items()):
            if which not in info.parts:
                known.missing += 1
                if known.missing >= MISSING_POLLS:
                    self._points.retract(self._device, known.names)
                    del self._known[which]
                else:
                    update |= dict.fromkeys(known.names, _FAILED)
        readings = {which: self._read(part) for which, part in info.parts.items()}
        for which, measured in readings.items():
            update |= {f"{which}.{name}": each for name, each in measured.items()}
        return update | _summary(readings) | {MAINS_ABNORMAL: self._mains(readings)}

    def _mains(self, readings: Mapping[str, Mapping[str, Measured]]) -> Measured:
        """Judge all meters; a silent one leaves the result open only if it was abnormal before."""
        judged = {w: each[MAINS_ABNORMAL] for w, each in readings.items() if MAINS_ABNORMAL in each}
        telling = [
            each
            for which, each in judged.items()
            if each[1] is Quality.GOOD or self._known[which].mains.known_bad
        ]
        if telling:
            return _any(telling)
        return _FAILED if _FAILED in judged.values() else (None, Quality.NOT_SUPPORTED)

    def _read(self, part: Part) -> dict[str, Measured]:
        known = self._known.get(part.id)
        if known is None:
            types = part_points(part.id)
            self._points.declare(self._device, types)
            counters = {name: EnergyCounter() for name in _ENERGIES}
            known = _Known(tuple(each.name for each in types), counters, MainsWatch())
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
        for name, counter in known.energies.items():
            value, quality = measured.get(name, _FAILED)
            if quality is Quality.GOOD and isinstance(value, float) and not counter.believes(value):
                measured[name] = _FAILED
        if not part.is_evse:
            voltages = [measured[f"voltage_l{n}"] for n in (1, 2, 3)]
            measured[MAINS_ABNORMAL] = known.mains.judge(voltages)
        return measured


def _is_reached(measured: Mapping[str, Measured]) -> bool:
    return not (
        measured["communication_error"] == (True, Quality.GOOD)
        or measured["enabled"] == (False, Quality.GOOD)
        or measured.get("state") == (EvseState.OFFLINE.text, Quality.GOOD)
    )


def _summary(readings: Mapping[str, Mapping[str, Measured]]) -> dict[str, Measured]:
    states = [each["state"] for which, each in readings.items() if which.startswith("E")]
    due = [each for each in readings.values() if _is_due(each)]
    return {
        EVSE_ERROR: _any([(state == EvseState.ERROR.text, quality) for state, quality in states]),
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
