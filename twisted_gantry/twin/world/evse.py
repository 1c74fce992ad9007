"""One wallbox (EVSE): the pilot signal, the contactor and the energy that goes to the car.

The states are those of IEC 61851-1. A visit may be planned: in how many seconds a car comes and
leaves. The controller sets the offered current (`offer_a`).
"""

import math
from enum import StrEnum

from twisted_gantry.twin.world import variables as var
from twisted_gantry.twin.world.car import Car, ramp
from twisted_gantry.twin.world.mains import PHASES, Mains
from twisted_gantry.twin.world.physics import SECONDS_PER_HOUR
from twisted_gantry.wire.cfos.calls import PilotState

LEAST_A, MOST_A = 6.0, 63.0  # of a pilot signal, in A a phase; less than the least is no offer
CABLE_A = 32.0
ALL_PHASES = 0b111
LONGEST_PLAN_S = 31 * 86_400.0


class EvseFault(StrEnum):
    """What is broken: the pilot line has no voltage, the wallbox, or a direct current leaks."""

    NONE = "none"
    PILOT = "pilot"
    BROKEN = "broken"
    DC_SENSOR = "dc-sensor"


_FAULTY = {
    EvseFault.PILOT: PilotState.NO_CURRENT,
    EvseFault.BROKEN: PilotState.ERROR,
    EvseFault.DC_SENSOR: PilotState.DC_SENSOR,
}
_CHARGING = {PilotState.CHARGING, PilotState.CHARGING_VENTILATED}


class Evse:
    """The wallbox. Call `settle` after a change of a public attribute or of the mains.

    `phases` is the bit mask of its contactor (bit 0 L1). `current_a` flows in each of
    `used_phases`; `energy_wh` is the total. `arrives_s` and `leaves_s` count down to a planned
    visit; 0 without a plan.
    """

    def __init__(self, mains: Mains) -> None:
        self.mains, self.car = mains, Car()
        self.plugged = True
        self.arrives_s = self.leaves_s = 0.0
        self.offer_a = 16.0
        self.phases = ALL_PHASES
        self.fault = EvseFault.NONE
        self.state = PilotState.WAITING
        self.used_phases: tuple[str, ...] = ()
        self.current_a = 0.0
        self.energy_wh = 0.0
        self.settle()

    @property
    def charging(self) -> bool:
        return self.state in _CHARGING

    @property
    def power_w(self) -> float:
        return self.current_a * self._volts

    @property
    def phase_currents_a(self) -> dict[str, float]:
        return {phase: self.current_a if phase in self.used_phases else 0.0 for phase in PHASES}

    @property
    def cable_a(self) -> float:
        """The current that the cable is coded for, in A; 0 without a cable."""
        return CABLE_A if self.plugged else 0.0

    @property
    def until_change_s(self) -> float:
        return min(self.arrives_s or math.inf, self.leaves_s or math.inf)

    def step(self, dt: float) -> None:
        """Let the present current flow for `dt` seconds; then it moves to the wanted one."""
        power = self.power_w
        self.energy_wh += power * dt / SECONDS_PER_HOUR
        if self.charging:
            self.car.take(power, dt)
            wanted = self.car.wanted_a(min(self.offer_a, CABLE_A), self._volts)
            self.current_a = ramp(self.current_a, wanted, dt)
        if self.arrives_s:
            self.arrives_s = max(self.arrives_s - dt, 0.0)
            self.plugged = self.plugged or not self.arrives_s
        if self.leaves_s:
            self.leaves_s = max(self.leaves_s - dt, 0.0)
            self.plugged = self.plugged and self.leaves_s > 0
        self.settle()

    def settle(self) -> None:
        usable = self._usable_phases()
        self.state = self._state(usable)
        self.used_phases = usable if self.charging else ()
        if not self.charging:
            self.current_a = 0.0

    def _state(self, usable: tuple[str, ...]) -> PilotState:
        if self.fault is not EvseFault.NONE:
            return _FAULTY[self.fault]
        if not self.plugged:
            return PilotState.WAITING
        if self.offer_a < LEAST_A or not usable or self.car.full:
            return PilotState.VEHICLE_PRESENT
        return PilotState.CHARGING_VENTILATED if self.car.ventilation else PilotState.CHARGING

    def _usable_phases(self) -> tuple[str, ...]:
        on = (p for bit, p in enumerate(PHASES[: self.car.phases]) if self.phases >> bit & 1)
        return tuple(phase for phase in on if self.mains.usable((phase,)))

    @property
    def _volts(self) -> float:
        return sum(self.mains.voltage_v[phase] for phase in self.used_phases)

    def variables(self) -> var.Variables:
        car = self.car
        yield "car", var.mapped(self, "plugged", {"none": False, "connected": True})
        for name in ("arrives_s", "leaves_s"):
            yield f"car_{name}", var.number(self, name, 0, LONGEST_PLAN_S)
        yield "car_charge", var.percent(car, "charge")
        yield "car_capacity", var.number(car, "capacity_wh", 1000, 500_000)
        yield "car_current", var.number(car, "max_current_a", LEAST_A, MOST_A)
        yield "car_phases", var.mapped(car, "phases", {"1": 1, "3": 3})
        yield "car_ventilation", var.switch(car, "ventilation")
        yield "fault", var.choice(self, "fault", EvseFault)
        yield "state", var.Variable(lambda: self.state.text)
        yield from var.readings(self, offer="offer_a", current="current_a")
        yield from var.readings(self, power="power_w", energy="energy_wh")
