"""A valve-regulated lead-acid battery of a UPS, as a function of elapsed seconds.

Model: the Rint model (V. H. Johnson, "Battery performance models in ADVISOR", Journal of Power
Sources 110, 2002): an open-circuit voltage that depends on the state of charge, behind a constant
resistance. Discharge takes the charge that Peukert's law (1897) gives for the current. Charging is
constant current, then constant voltage, in which the current falls with the missing charge (the
first law of J. A. Mas: a lead-acid battery's acceptance decays exponentially). In the cold a
discharge takes more charge, by the correction factors of IEEE 485. Energy that neither leaves nor
is stored becomes heat; one lumped mass gives it to the air (Newton).

Ageing: time uses up the rated life, twice as fast for each 10 K more (the rule of Arrhenius, as
makers of sealed batteries and Eurobat state it). Discharged Ah use it up as well (counting of Ah:
H. Bindner et al., "Lifetime modelling of lead acid batteries", Risoe-R-1515, 2005).

The model has 16 blocks of 12 V (192 V). Signs: a current is positive out of the battery.
"""

import math
from dataclasses import dataclass

from twisted_gantry.twin.world import physics

BLOCKS = 16
NOMINAL_V = 12.0 * BLOCKS
CUT_OFF_V = 10.5 * BLOCKS  # 1.75 V a cell: below it a discharge ends, or the battery is harmed
FLOAT_V = 13.62 * BLOCKS  # 2.27 V a cell: the constant voltage that ends a charge and holds it

# Of one block at 0, 10 … 100 % of charge: the usual table for a 12 V lead-acid block.
_REST_V = physics.charge_curve(
    10.50, 11.51, 11.66, 11.81, 11.96, 12.10, 12.24, 12.37, 12.50, 12.62, 12.73
)

_OHM_AH = 6.0  # 0.15 ohm at 40 Ah; a larger battery has less
_CHARGING_OHM_AH = 180.0  # polarisation while charging: 4.5 ohm at 40 Ah
_PEUKERT = 1.15  # of a sealed battery; capacity is rated over 20 h
_RATED_HOURS = 20.0
_CHARGE_RATE = 0.1  # of the capacity, in A for Ah: the constant current
_ACCEPTANCE = 0.5  # A for each Ah that is missing
_CHARGE_EFFICIENCY = 0.95  # stored Ah for each Ah of charging
_MIN_HEALTH = 0.05  # bounds the resistance of a dead battery
# The size factors of IEEE 485 over °C; above the last none is granted.
_COLD_FACTORS = physics.Curve((-4.0, 4.0, 10.0, 16.0, 25.0), (1.52, 1.30, 1.19, 1.11, 1.00))
_RATED_C = 25.0
_HEAT_CAPACITY_J_K_AH = 4_500.0  # 5 kg for each Ah of the string, of 900 J/kg K
_COOLING_W_K_AH = 0.25
# At the end of its life a battery has lost a fifth: after ten years at 25 °C, or 300 discharges.
_LIFE_LOSS = 0.2
_LIFE_S = 10 * 365.25 * 86_400
_LIFE_DISCHARGES = 300.0
_HALVING_K, _HOTTEST_C = 10.0, 80.0


@dataclass
class Battery:
    """The state: `charge` and `health` from 0 to 1; `rated_ah` over 20 h, when new."""

    rated_ah: float = 40.0
    charge: float = 0.98
    health: float = 1.0
    temperature_c: float = _RATED_C
    voltage_v: float = 0.0  # at the terminals, as `rest`, `load` or `feed` set it last
    current_a: float = 0.0
    given_off_w: float = 0.0  # heat into the air during the last step

    def __post_init__(self) -> None:
        self.rest()

    @property
    def capacity_ah(self) -> float:
        return self.rated_ah * max(self.health, _MIN_HEALTH)

    @property
    def charge_ah(self) -> float:
        return self.charge * self.capacity_ah

    @property
    def resistance_ohm(self) -> float:
        return _OHM_AH / self.capacity_ah

    @property
    def open_circuit_v(self) -> float:
        return BLOCKS * _REST_V.at(self.charge)

    @property
    def empty(self) -> bool:
        return self.charge <= 0 or self.voltage_v <= CUT_OFF_V

    @property
    def power_w(self) -> float:
        return self.voltage_v * self.current_a

    @property
    def stored_w(self) -> float:
        """The rise of the stored energy, in W; below 0 it falls."""
        return self.open_circuit_v * self._stored_a

    @property
    def heat_w(self) -> float:
        return -self.power_w - self.stored_w

    @property
    def stored_j(self) -> float:
        """The stored energy, in J; the part of the capacity that age takes loses its energy."""
        return _REST_V.area(self.charge) * BLOCKS * self.capacity_ah * physics.SECONDS_PER_HOUR

    def rest(self) -> None:
        self.current_a, self.voltage_v = 0.0, self.open_circuit_v

    def load(self, power_w: float) -> None:
        """Give a constant power; above the greatest, the voltage falls to half, where that lies."""
        self.current_a = physics.current_out_a(self.open_circuit_v, self.resistance_ohm, power_w)
        self.voltage_v = self.open_circuit_v - self.current_a * self.resistance_ohm

    def feed(self) -> None:
        most = _CHARGE_RATE * self.capacity_ah
        accepted = _ACCEPTANCE * (self.capacity_ah - self.charge_ah)
        if accepted < most:
            self.current_a, self.voltage_v = -accepted, FLOAT_V
        else:
            rise = most * _CHARGING_OHM_AH / self.capacity_ah
            self.current_a, self.voltage_v = -most, min(self.open_circuit_v + rise, FLOAT_V)

    def step(self, dt: float, ambient_c: float = _RATED_C) -> None:
        """Let the current of the last `rest`, `load` or `feed` flow for `dt`, at most about 1 s."""
        stored_a = self._stored_a
        self._exchange_heat(dt, ambient_c, -self.power_w - self.open_circuit_v * stored_a)
        moved_ah = stored_a * dt / physics.SECONDS_PER_HOUR
        self.charge = min(max(self.charge + moved_ah / self.capacity_ah, 0.0), 1.0)
        self._age(dt, max(self.current_a, 0.0) * dt / physics.SECONDS_PER_HOUR)

    def runtime_s(self, power_w: float) -> float:
        if power_w <= 0:
            return 0.0
        current_a = power_w / max(self.open_circuit_v, 1.0)
        return self.charge_ah / (current_a * self._peukert(current_a)) * physics.SECONDS_PER_HOUR

    @property
    def _stored_a(self) -> float:
        """The part of the current that changes the charge, in A; below 0 the charge falls."""
        if self.current_a > 0:
            return -self.current_a * self._peukert(self.current_a)
        return -self.current_a * _CHARGE_EFFICIENCY

    def _peukert(self, current_a: float) -> float:
        rated_a = self.capacity_ah / _RATED_HOURS
        cold = _COLD_FACTORS.at(min(self.temperature_c, _RATED_C))
        return max(1.0, math.pow(current_a / rated_a, _PEUKERT - 1)) * cold

    def _exchange_heat(self, dt: float, ambient_c: float, heat_w: float) -> None:
        capacity, cooling = _HEAT_CAPACITY_J_K_AH * self.rated_ah, _COOLING_W_K_AH * self.rated_ah
        before_c, goal_c = self.temperature_c, ambient_c + heat_w / cooling
        self.temperature_c = physics.approach(before_c, goal_c, dt * cooling / capacity)
        stored_j = capacity * (self.temperature_c - before_c)
        self.given_off_w = heat_w - stored_j / dt if dt else 0.0

    def _age(self, dt: float, discharged_ah: float) -> None:
        hot = math.pow(2.0, (min(self.temperature_c, _HOTTEST_C) - _RATED_C) / _HALVING_K)
        used_up = dt / _LIFE_S * hot + discharged_ah / (self.rated_ah * _LIFE_DISCHARGES)
        self.health = max(self.health - _LIFE_LOSS * used_up, 0.0)
