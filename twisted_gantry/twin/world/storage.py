"""A battery store with its management system (BMS): cells, contactor, protections.

Electrical model: Rint (V. H. Johnson, "Battery performance models in ADVISOR", Journal of Power
Sources 110, 2002): an open-circuit voltage that depends on the state of charge, behind a constant
resistance; the charge of a lithium cell that goes in comes out again. Thermal model: one lumped
mass, warmed by what the resistance turns into heat (the irreversible term of D. Bernardi,
E. Pawlikowski and J. Newman, "A general energy balance for battery systems", Journal of the
Electrochemical Society 132, 1985), which cools to the ambient air (Newton).

The converter between it and the mains loses a constant share, and follows the mains: without all
three phases it stops at once, lest it feeds a dead grid (anti-islanding, IEEE 1547).

It stands for 240 lithium iron phosphate cells in series, 130 Ah: about 100 kWh. Signs: power and
current are positive into the battery.
"""

import itertools
import math
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from enum import StrEnum
from typing import NamedTuple

from twisted_gantry.twin.world.mains import PHASES, Mains
from twisted_gantry.twin.world.variables import Variable, attribute, percent
from twisted_gantry.wire.bms import OperatingStatus

CELLS = 240
CAPACITY_AH = 130.0
RESISTANCE_OHM = 0.15
HEAT_CAPACITY_J_K = 600_000.0  # 600 kg of cells
COOLING_W_K = 150.0
MOST_CURRENT_A = 1.2 * CAPACITY_AH
CONTACTOR_S = 0.5  # from a command, or a trip, until the contactor has moved
AMBIENT_C = 25.0
MOST_POWER_W = 200_000.0  # that can be demanded, either way
CONVERTER_EFFICIENCY = 0.96

# Rest voltage of one cell at 0, 10 … 100 % of charge: the usual table for lithium iron phosphate.
_REST_V = (2.80, 3.20, 3.23, 3.26, 3.28, 3.29, 3.30, 3.32, 3.33, 3.34, 3.45)
_CHARGES = tuple(step / 10 for step in range(11))

_SECONDS = 3600.0
_ROUNDING = 1e-12  # a charge nearer to its bound than this is there
_FLOWING_A = 0.1  # with less, the battery rests


class ContactorFault(StrEnum):
    """What is wrong with the contactor: it does not move at all, or it does not open."""

    NONE = "none"
    REFUSES = "refuses"
    WELDED = "welded"


class Alarm(StrEnum):
    """What the BMS reports."""

    OVER_TEMPERATURE = "over-temperature"
    OVER_CURRENT = "over-current"
    INSULATION = "insulation"
    CONTACTOR = "contactor"
    LOW_CHARGE = "low-charge"
    HIGH_CHARGE = "high-charge"


_Cause = Callable[["Storage", bool], bool]


class _Protection(NamedTuple):
    """When an alarm holds: `cause(store, raised)`, the second for the hysteresis.

    A `latched` one stays when its cause is gone until a reset; one that `trips` opens the
    contactor while its cause is there.
    """

    cause: _Cause
    latched: bool = True
    trips: bool = True


class Storage:
    """The store. Whoever changes a public attribute calls `settle` after it.

    `charge` is from 0 to 1. `demand_w` is what the converter puts in, below 0 takes out, as far as
    the mains, the contactor and the charge allow: `power_w` is what flows. Without `mains` they are
    always good.
    """

    def __init__(self, mains: Mains | None = None) -> None:
        self._mains = mains or Mains()
        self.charge = 0.6
        self.demand_w = 0.0
        self.temperature_c = AMBIENT_C
        self.ambient_c = AMBIENT_C
        self.insulation_fault = False
        self.contactor_fault = ContactorFault.NONE
        self.contactor_closed = True
        self.current_a = 0.0
        self._moving_to: bool | None = None
        self._move_left_s = 0.0
        self._causes: frozenset[Alarm] = frozenset()
        self._latched: frozenset[Alarm] = frozenset()
        self.settle()

    # -- what follows from it

    @property
    def open_circuit_v(self) -> float:
        """Without a current."""
        at = min(bisect_right(_CHARGES, self.charge), len(_CHARGES) - 1)
        low, high = _REST_V[at - 1], _REST_V[at]
        part = (self.charge - _CHARGES[at - 1]) / (_CHARGES[at] - _CHARGES[at - 1])
        return CELLS * (low + (high - low) * part)

    @property
    def voltage_v(self) -> float:
        """At the terminals."""
        return self.open_circuit_v + self.current_a * RESISTANCE_OHM

    @property
    def power_w(self) -> float:
        """What flows in at the terminals; below 0, out."""
        return self.voltage_v * self.current_a

    @property
    def grid_w(self) -> float:
        """What the converter takes from the mains; below 0, gives."""
        power_w = self.power_w
        return power_w / CONVERTER_EFFICIENCY if power_w > 0 else power_w * CONVERTER_EFFICIENCY

    def phase_w(self) -> dict[str, float]:
        """Return what it takes from each phase, in W; below 0 it gives."""
        return dict.fromkeys(PHASES, self.grid_w / len(PHASES))

    @property
    def stored_j(self) -> float:
        """What is stored: the rest voltage, which is linear between its points, over the charge."""
        total = 0.0
        for at, (low, high) in enumerate(itertools.pairwise(_REST_V)):
            part = min(max(self.charge * 10 - at, 0.0), 1.0)
            total += part * (low + (high - low) * part / 2)
        return total / 10 * CELLS * CAPACITY_AH * _SECONDS

    @property
    def heat_w(self) -> float:
        """What the resistance turns into heat."""
        return self.current_a**2 * RESISTANCE_OHM

    @property
    def alarms(self) -> frozenset[Alarm]:
        """What holds, and what is latched."""
        return self._causes | self._latched

    @property
    def status(self) -> OperatingStatus:
        """What the BMS reports."""
        if not self.contactor_closed:
            return OperatingStatus.POWERED_DOWN
        if abs(self.current_a) < _FLOWING_A:
            return OperatingStatus.IDLE
        return OperatingStatus.CHARGING if self.current_a > 0 else OperatingStatus.DISCHARGING

    # -- commands

    def close_contactor(self) -> None:
        """Begin to close it; it does not while there is the cause of a trip."""
        self._move(closed=True)
        self.settle()

    def open_contactor(self) -> None:
        """Begin to open it, whatever flows."""
        self._move(closed=False)
        self.settle()

    def reset_fault(self) -> None:
        """Clear the latched alarms whose cause is gone."""
        self._latched &= self._causes
        self.settle()

    # -- time, and what needs none

    @property
    def until_change_s(self) -> float:
        """When the contactor has moved, or the battery is full or empty."""
        return min(self._until_moved_s, self._until_bound_s)

    def step(self, dt: float) -> None:
        """Let `dt` seconds pass: stretches between the moments at which something changes."""
        left = dt
        while left > 0:
            stretch = min(left, self.until_change_s)
            self._flow(stretch)
            if self._moving_to is not None:
                self._move_left_s -= stretch
                if self._move_left_s <= 0:
                    self._moved(self._moving_to)
            self.settle()
            left -= stretch

    def settle(self) -> None:
        """Let current, alarms and trips follow."""
        self._set_current()
        raised = self.alarms
        self._causes = frozenset(
            alarm for alarm, each in _PROTECTIONS.items() if each.cause(self, alarm in raised)
        )
        self._latched |= {alarm for alarm in self._causes if _PROTECTIONS[alarm].latched}
        if any(_PROTECTIONS[alarm].trips for alarm in self._causes):
            self._move(closed=False)  # it opens, or closes no further

    def draw_noise(self) -> None:
        """Do nothing: the face shows no measurement."""

    def variables(self) -> Iterator[tuple[str, Variable]]:
        """Name what there is to see and to change."""
        most = MOST_POWER_W
        # Set, it is the demand; read, it is what flows.
        yield (
            "power",
            Variable(
                lambda: self.power_w, lambda watts: setattr(self, "demand_w", watts), -most, most
            ),
        )
        yield "power_demand", Variable(lambda: self.demand_w)
        yield "grid_w", Variable(lambda: self.grid_w)
        yield "state_of_charge", percent(self, "charge", 0)
        yield "voltage", Variable(lambda: self.voltage_v)
        yield "current", Variable(lambda: self.current_a)
        yield "temperature", Variable(*attribute(self, "temperature_c"), low=-40, high=120)
        yield "ambient", Variable(*attribute(self, "ambient_c"), low=-40, high=80)
        yield "status", Variable(lambda: self.status.text)
        yield "contactor", Variable(lambda: self.contactor_closed)
        yield (
            "contactor_fault",
            Variable(
                *attribute(self, "contactor_fault", ContactorFault), choices=tuple(ContactorFault)
            ),
        )
        yield "insulation_fault", Variable(*attribute(self, "insulation_fault"))
        yield "alarms", Variable(lambda: float(len(self.alarms)))
        yield "alarm_names", Variable(lambda: " ".join(sorted(self.alarms)))

    def complaints(self, values: Mapping[str, object]) -> Iterator[str]:
        """Find nothing: the variables do not depend on each other."""
        yield from ()

    @property
    def _until_moved_s(self) -> float:
        return math.inf if self._moving_to is None else self._move_left_s

    @property
    def _until_bound_s(self) -> float:
        """How long the current can flow until the battery is full or empty."""
        if self.current_a == 0:
            return math.inf
        room = 1 - self.charge if self.current_a > 0 else self.charge
        return room * CAPACITY_AH * _SECONDS / abs(self.current_a)

    def _flow(self, dt: float) -> None:
        moved = self.current_a * dt / (CAPACITY_AH * _SECONDS)
        self.charge = min(max(self.charge + moved, 0.0), 1.0)
        goal_c = self.ambient_c + self.heat_w / COOLING_W_K
        cooled = -math.expm1(-dt * COOLING_W_K / HEAT_CAPACITY_J_K)
        self.temperature_c += (goal_c - self.temperature_c) * cooled

    def _set_current(self) -> None:
        demand = self.demand_w
        full, empty = self.charge > 1 - _ROUNDING, self.charge < _ROUNDING
        bounded = (full and demand > 0) or (empty and demand < 0)
        if not demand or not self.contactor_closed or bounded or not self._mains.usable(PHASES):
            self.current_a = 0.0
            return
        # The current at which the terminals carry the demand; past the greatest power that the
        # battery can give, that at which it gives it.
        open_v = self.open_circuit_v
        root = math.sqrt(max(open_v**2 + 4 * RESISTANCE_OHM * demand, 0.0))
        self.current_a = (root - open_v) / (2 * RESISTANCE_OHM)

    def _move(self, *, closed: bool) -> None:
        if closed == self.contactor_closed:
            self._moving_to = None
        elif self._moving_to is None:
            self._moving_to, self._move_left_s = closed, CONTACTOR_S

    def _moved(self, closed: bool) -> None:
        """End a movement, if the contactor can make it."""
        self._moving_to = None
        fault = self.contactor_fault
        if fault is ContactorFault.REFUSES or (fault is ContactorFault.WELDED and not closed):
            self._latched |= {Alarm.CONTACTOR}
        else:
            self.contactor_closed = closed


def _contactor_cause(store: Storage, raised: bool) -> bool:
    """Tell whether a contactor that has once failed to move is still broken."""
    return raised and store.contactor_fault is not ContactorFault.NONE


def _above(value: Callable[[Storage], float], limit: float, back: float) -> _Cause:
    """Return the cause that `value` is above `limit`; it must go `back` below it to be gone."""
    return lambda store, raised: value(store) > limit - back * raised


_PROTECTIONS: Mapping[Alarm, _Protection] = {
    Alarm.OVER_TEMPERATURE: _Protection(_above(lambda store: store.temperature_c, 60.0, 5.0)),
    Alarm.OVER_CURRENT: _Protection(lambda store, _: abs(store.current_a) > MOST_CURRENT_A),
    Alarm.INSULATION: _Protection(lambda store, _: store.insulation_fault),
    Alarm.CONTACTOR: _Protection(_contactor_cause, trips=False),
    Alarm.LOW_CHARGE: _Protection(
        lambda store, raised: store.charge < 0.05 + 0.03 * raised, latched=False, trips=False
    ),
    Alarm.HIGH_CHARGE: _Protection(
        lambda store, raised: store.charge > 0.98 - 0.03 * raised, latched=False, trips=False
    ),
}
