"""A battery store with its management system (BMS): cells, contactor, protections.

Electrical model: Rint (V. H. Johnson, "Battery performance models in ADVISOR", Journal of Power
Sources 110, 2002): an open-circuit voltage that depends on the state of charge, behind a constant
resistance. Lithium cells return the whole charge. Thermal model: the losses of the resistance warm
one lumped mass (the irreversible term of D. Bernardi, E. Pawlikowski and J. Newman, "A general
energy balance for battery systems", Journal of the Electrochemical Society 132, 1985), which cools
to the ambient air (Newton).

The converter loses a constant share of the power. Without all three phases of the mains it stops
at once (anti-islanding, IEEE 1547).

The model has 240 lithium iron phosphate cells in series, 130 Ah: about 100 kWh. Signs: power and
current are positive into the battery.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import NamedTuple

from twisted_gantry.twin.world import physics
from twisted_gantry.twin.world import variables as var
from twisted_gantry.twin.world.mains import PHASES, Mains
from twisted_gantry.wire.bms import OperatingStatus

CELLS = 240
CAPACITY_AH = 130.0
RESISTANCE_OHM = 0.15
HEAT_CAPACITY_J_K = 600_000.0  # 600 kg of cells
COOLING_W_K = 150.0
MOST_CURRENT_A = 1.2 * CAPACITY_AH
CONTACTOR_S = 0.5  # from a command or a trip until the contactor has moved
AMBIENT_C = 25.0
MOST_POWER_W = 200_000.0  # of a demand, either way
CONVERTER_EFFICIENCY = 0.96

# Of one cell at 0, 10 … 100 % of charge: the usual table for lithium iron phosphate.
_REST_V = physics.charge_curve(2.80, 3.20, 3.23, 3.26, 3.28, 3.29, 3.30, 3.32, 3.33, 3.34, 3.45)

_ROUNDING = 1e-12  # a charge closer to its bound than this is at the bound
_FLOWING_A = 0.1  # below, the battery is idle


class ContactorFault(StrEnum):
    """What is wrong with the contactor: it does not move, or it does not open."""

    NONE = "none"
    REFUSES = "refuses"
    WELDED = "welded"


class Alarm(StrEnum):
    OVER_TEMPERATURE = "over-temperature"
    OVER_CURRENT = "over-current"
    INSULATION = "insulation"
    CONTACTOR = "contactor"
    LOW_CHARGE = "low-charge"
    HIGH_CHARGE = "high-charge"


class _Protection(NamedTuple):
    """When an alarm holds: `cause(store, raised)`, with `raised` for the hysteresis.

    A `latched` alarm stays after its cause until a reset; one that `trips` opens the contactor
    while its cause lasts.
    """

    cause: Callable[["Storage", bool], bool]
    latched: bool = True
    trips: bool = True


class Storage(var.Part):
    """The store. Call `settle` after a change of a public attribute.

    `charge` is from 0 to 1. `demand_w` is the power that the converter aims at; `power_w` is what
    the mains, the contactor and the charge allow. Without `mains` these are always good.
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

    @property
    def open_circuit_v(self) -> float:
        return CELLS * _REST_V.at(self.charge)

    @property
    def voltage_v(self) -> float:
        return self.open_circuit_v + self.current_a * RESISTANCE_OHM

    @property
    def power_w(self) -> float:
        return self.voltage_v * self.current_a

    @property
    def grid_w(self) -> float:
        """Power from the mains, in W; below 0 into them."""
        power_w = self.power_w
        return power_w / CONVERTER_EFFICIENCY if power_w > 0 else power_w * CONVERTER_EFFICIENCY

    def phase_w(self) -> dict[str, float]:
        return dict.fromkeys(PHASES, self.grid_w / len(PHASES))

    @property
    def stored_j(self) -> float:
        return _REST_V.area(self.charge) * CELLS * CAPACITY_AH * physics.SECONDS_PER_HOUR

    @property
    def heat_w(self) -> float:
        return self.current_a**2 * RESISTANCE_OHM

    @property
    def alarms(self) -> frozenset[Alarm]:
        return self._causes | self._latched

    @property
    def status(self) -> OperatingStatus:
        if not self.contactor_closed:
            return OperatingStatus.POWERED_DOWN
        if abs(self.current_a) < _FLOWING_A:
            return OperatingStatus.IDLE
        return OperatingStatus.CHARGING if self.current_a > 0 else OperatingStatus.DISCHARGING

    def close_contactor(self) -> None:
        """Begin to close it; the cause of a trip prevents that."""
        self._move(closed=True)
        self.settle()

    def open_contactor(self) -> None:
        self._move(closed=False)
        self.settle()

    def reset_fault(self) -> None:
        self._latched &= self._causes
        self.settle()

    @property
    def until_change_s(self) -> float:
        moved_s = math.inf if self._moving_to is None else self._move_left_s
        if self.current_a == 0:
            return moved_s
        room = 1 - self.charge if self.current_a > 0 else self.charge
        bound_s = room * CAPACITY_AH * physics.SECONDS_PER_HOUR / abs(self.current_a)
        return min(moved_s, bound_s)

    def step(self, dt: float) -> None:
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
        self._set_current()
        raised = self.alarms
        self._causes = frozenset(
            alarm for alarm, each in _PROTECTIONS.items() if each.cause(self, alarm in raised)
        )
        self._latched |= {alarm for alarm in self._causes if _PROTECTIONS[alarm].latched}
        if any(_PROTECTIONS[alarm].trips for alarm in self._causes):
            self._move(closed=False)  # it opens, or closes no further

    def variables(self) -> var.Variables:
        # Set, `power` is the demand; read, it is the real power.
        demand = var.number(self, "demand_w", -MOST_POWER_W, MOST_POWER_W)
        yield "power", dataclasses.replace(demand, get=lambda: self.power_w)
        yield from var.readings(self, "grid_w", power_demand="demand_w")
        yield "state_of_charge", var.percent(self, "charge")
        yield from var.readings(self, voltage="voltage_v", current="current_a")
        yield "temperature", var.number(self, "temperature_c", -40, 120)
        yield "ambient", var.number(self, "ambient_c", -40, 80)
        yield "status", var.Variable(lambda: self.status.text)
        yield "contactor", var.Variable(lambda: self.contactor_closed)
        yield "contactor_fault", var.choice(self, "contactor_fault", ContactorFault)
        yield "insulation_fault", var.switch(self, "insulation_fault")
        yield "alarms", var.Variable(lambda: float(len(self.alarms)))
        yield "alarm_names", var.Variable(lambda: " ".join(sorted(self.alarms)))

    def _flow(self, dt: float) -> None:
        moved = self.current_a * dt / (CAPACITY_AH * physics.SECONDS_PER_HOUR)
        self.charge = min(max(self.charge + moved, 0.0), 1.0)
        goal_c = self.ambient_c + self.heat_w / COOLING_W_K
        time_constants = dt * COOLING_W_K / HEAT_CAPACITY_J_K
        self.temperature_c = physics.approach(self.temperature_c, goal_c, time_constants)

    def _set_current(self) -> None:
        demand = self.demand_w
        full, empty = self.charge > 1 - _ROUNDING, self.charge < _ROUNDING
        bounded = (full and demand > 0) or (empty and demand < 0)
        if not demand or not self.contactor_closed or bounded or not self._mains.usable(PHASES):
            self.current_a = 0.0
        else:
            self.current_a = -physics.current_out_a(self.open_circuit_v, RESISTANCE_OHM, -demand)

    def _move(self, *, closed: bool) -> None:
        if closed == self.contactor_closed:
            self._moving_to = None
        elif self._moving_to is None:
            self._moving_to, self._move_left_s = closed, CONTACTOR_S

    def _moved(self, closed: bool) -> None:
        self._moving_to = None
        fault = self.contactor_fault
        if fault is ContactorFault.REFUSES or (fault is ContactorFault.WELDED and not closed):
            self._latched |= {Alarm.CONTACTOR}
        else:
            self.contactor_closed = closed


_PROTECTIONS: Mapping[Alarm, _Protection] = {
    Alarm.OVER_TEMPERATURE: _Protection(lambda store, on: store.temperature_c > 60.0 - 5.0 * on),
    Alarm.OVER_CURRENT: _Protection(lambda store, _: abs(store.current_a) > MOST_CURRENT_A),
    Alarm.INSULATION: _Protection(lambda store, _: store.insulation_fault),
    Alarm.CONTACTOR: _Protection(  # it once failed to move, and is still broken
        lambda store, on: on and store.contactor_fault is not ContactorFault.NONE, trips=False
    ),
    Alarm.LOW_CHARGE: _Protection(
        lambda store, on: store.charge < 0.05 + 0.03 * on, latched=False, trips=False
    ),
    Alarm.HIGH_CHARGE: _Protection(
        lambda store, on: store.charge > 0.98 - 0.03 * on, latched=False, trips=False
    ),
}
