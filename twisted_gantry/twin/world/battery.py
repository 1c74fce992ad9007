"""A valve-regulated lead-acid battery of a UPS, as a function of elapsed seconds.

Model: the Rint model (V. H. Johnson, "Battery performance models in ADVISOR", Journal of Power
Sources 110, 2002): an open-circuit voltage that depends on the state of charge, behind a constant
resistance. Discharge takes the charge that Peukert's law (1897) gives for the current. Charging is
constant current, then constant voltage, in which the current falls with what is missing (the first
law of J. A. Mas: a lead-acid battery's acceptance decays exponentially). In the cold a discharge
uses up more, by the correction factors of IEEE 485. What neither goes out nor is stored is heat;
one lumped mass gives it to the air (Newton).

Ageing: the rated life is used up by time, twice as fast for each 10 K more (the rule of Arrhenius,
as makers of sealed batteries and Eurobat state it), and by the charge that goes through (counting
of Ah: H. Bindner et al., "Lifetime modelling of lead acid batteries", Risoe-R-1515, 2005).

It stands for 16 blocks of 12 V (192 V). Signs: a current is positive out of the battery.
"""

import itertools
import math
from bisect import bisect_right
from dataclasses import dataclass

BLOCKS = 16
NOMINAL_V = 12.0 * BLOCKS
CUT_OFF_V = 10.5 * BLOCKS
"""1.75 V a cell: below it a discharge ends, or the battery is harmed."""
FLOAT_V = 13.62 * BLOCKS
"""2.27 V a cell: the constant voltage that ends a charge and holds it."""

# Rest voltage of one block at 0, 10 … 100 % of charge: the usual table for a 12 V lead-acid block.
_REST_V = (10.50, 11.51, 11.66, 11.81, 11.96, 12.10, 12.24, 12.37, 12.50, 12.62, 12.73)
_CHARGES = tuple(step / 10 for step in range(11))

_OHM_AH = 6.0  # 0.15 ohm at 40 Ah; a larger battery has less
_CHARGING_OHM_AH = 180.0  # polarisation while charging: 4.5 ohm at 40 Ah
_PEUKERT = 1.15  # of a sealed battery; capacity is rated over 20 h
_RATED_HOURS = 20.0
_CHARGE_RATE = 0.1  # of the capacity, in A for Ah: the constant current
_ACCEPTANCE = 0.5  # A for each Ah that is missing
_CHARGE_EFFICIENCY = 0.95  # of the Ah that go in, what stays
_MIN_HEALTH = 0.05  # a dead battery still has some resistance, not an infinite one
# The size factors of IEEE 485 at -4, 4, 10, 16 and 25 °C; above, none is granted.
_COLD_C = (-4.0, 4.0, 10.0, 16.0, 25.0)
_COLD_FACTORS = (1.52, 1.30, 1.19, 1.11, 1.00)
_RATED_C = 25.0
_HEAT_CAPACITY_J_K_AH = 4_500.0  # 5 kg for each Ah of the string, of 900 J/kg K
_COOLING_W_K_AH = 0.25
# At the end of its life a battery has lost a fifth: after ten years at 25 °C, or 300 discharges.
_LIFE_LOSS = 0.2
_LIFE_S = 10 * 365.25 * 86_400
_LIFE_DISCHARGES = 300.0
_HALVING_K, _HOTTEST_C = 10.0, 80.0
_SECONDS = 3600.0


@dataclass
class Battery:
    """The state: `charge` and `health` from 0 to 1; `rated_ah` at 20 h, when new."""

    rated_ah: float = 40.0
    charge: float = 0.98
    health: float = 1.0
    temperature_c: float = _RATED_C
    voltage_v: float = 0.0
    """At the terminals, by the last of `rest`, `load` and `feed`."""
    current_a: float = 0.0
    given_off_w: float = 0.0
    """What warmed the air during the last step."""

    def __post_init__(self) -> None:
        self.rest()

    @property
    def capacity_ah(self) -> float:
        """What it holds when full: the rated capacity, less what age has taken."""
        return self.rated_ah * max(self.health, _MIN_HEALTH)

    @property
    def charge_ah(self) -> float:
        """What is in it."""
        return self.charge * self.capacity_ah

    @property
    def resistance_ohm(self) -> float:
        """Inside, while it is discharged; it grows as the battery ages."""
        return _OHM_AH / self.capacity_ah

    @property
    def open_circuit_v(self) -> float:
        """Without a current."""
        at = min(bisect_right(_CHARGES, self.charge), len(_CHARGES) - 1)
        low, high = _REST_V[at - 1], _REST_V[at]
        part = (self.charge - _CHARGES[at - 1]) / (_CHARGES[at] - _CHARGES[at - 1])
        return BLOCKS * (low + (high - low) * part)

    @property
    def empty(self) -> bool:
        """Whether a discharge must end: nothing left, or the voltage at its lower bound."""
        return self.charge <= 0 or self.voltage_v <= CUT_OFF_V

    @property
    def power_w(self) -> float:
        """What it gives at its terminals; below 0, takes."""
        return self.voltage_v * self.current_a

    @property
    def stored_w(self) -> float:
        """By how much what is stored rises, in W; below 0, falls."""
        return self.open_circuit_v * self._stored_a

    @property
    def heat_w(self) -> float:
        """What becomes heat in it."""
        return -self.power_w - self.stored_w

    @property
    def stored_j(self) -> float:
        """What is stored, in J: the rest voltage, which is linear between its points, over the Ah.

        Age takes with the capacity what is in the lost part of it.
        """
        total = 0.0
        for at, (low, high) in enumerate(itertools.pairwise(_REST_V)):
            part = min(max(self.charge * 10 - at, 0.0), 1.0)
            total += part * (low + (high - low) * part / 2)
        return total / 10 * BLOCKS * self.capacity_ah * _SECONDS

    def rest(self) -> None:
        """Carry no current."""
        self.current_a, self.voltage_v = 0.0, self.open_circuit_v

    def load(self, power_w: float) -> None:
        """Take on a constant power: voltage and current follow at once.

        Where `power_w` is more than the battery can give at any current, the voltage sinks to half,
        the point of its greatest power.
        """
        open_v, ohm = self.open_circuit_v, self.resistance_ohm
        root = math.sqrt(max(open_v**2 - 4 * ohm * power_w, 0.0))
        self.current_a = (open_v - root) / (2 * ohm)
        self.voltage_v = open_v - self.current_a * ohm

    def feed(self) -> None:
        """Be charged: first with a constant current, then at a constant voltage."""
        most = _CHARGE_RATE * self.capacity_ah
        accepted = _ACCEPTANCE * (self.capacity_ah - self.charge_ah)
        if accepted < most:
            self.current_a, self.voltage_v = -accepted, FLOAT_V
        else:
            rise = most * _CHARGING_OHM_AH / self.capacity_ah
            self.current_a, self.voltage_v = -most, min(self.open_circuit_v + rise, FLOAT_V)

    def step(self, dt: float, ambient_c: float = _RATED_C) -> None:
        """Let the current of the last `rest`, `load` or `feed` flow for `dt` seconds.

        Steps of a second keep the change of the voltage within one small.
        """
        stored_a = self._stored_a
        self._exchange_heat(dt, ambient_c, -self.power_w - self.open_circuit_v * stored_a)
        moved_ah = stored_a * dt / _SECONDS
        self.charge = min(max(self.charge + moved_ah / self.capacity_ah, 0.0), 1.0)
        self._age(dt, max(self.current_a, 0.0) * dt / _SECONDS)

    def runtime_s(self, power_w: float) -> float:
        """Estimate how long it would give `power_w`, in seconds, as a UPS does: from now."""
        if power_w <= 0:
            return 0.0
        current_a = power_w / max(self.open_circuit_v, 1.0)
        return self.charge_ah / (current_a * self._peukert(current_a)) * _SECONDS

    @property
    def _stored_a(self) -> float:
        """What the present current adds to the charge, in A; below 0 it uses it up."""
        if self.current_a > 0:
            return -self.current_a * self._peukert(self.current_a)
        return -self.current_a * _CHARGE_EFFICIENCY

    def _peukert(self, current_a: float) -> float:
        """Return by how much a discharge uses up more charge than it carries, at least 1."""
        rated_a = self.capacity_ah / _RATED_HOURS
        return max(1.0, math.pow(current_a / rated_a, _PEUKERT - 1)) * self._cold_factor

    @property
    def _cold_factor(self) -> float:
        if self.temperature_c >= _RATED_C:
            return 1.0
        at = min(max(bisect_right(_COLD_C, self.temperature_c), 1), len(_COLD_C) - 1)
        low_c, high_c = _COLD_C[at - 1], _COLD_C[at]
        part = (self.temperature_c - low_c) / (high_c - low_c)
        return _COLD_FACTORS[at - 1] + (_COLD_FACTORS[at] - _COLD_FACTORS[at - 1]) * part

    def _exchange_heat(self, dt: float, ambient_c: float, heat_w: float) -> None:
        capacity, cooling = _HEAT_CAPACITY_J_K_AH * self.rated_ah, _COOLING_W_K_AH * self.rated_ah
        goal_c = ambient_c + heat_w / cooling
        warmer_k = (goal_c - self.temperature_c) * -math.expm1(-dt * cooling / capacity)
        self.temperature_c += warmer_k
        self.given_off_w = heat_w - capacity * warmer_k / dt if dt else 0.0

    def _age(self, dt: float, discharged_ah: float) -> None:
        hot = math.pow(2.0, (min(self.temperature_c, _HOTTEST_C) - _RATED_C) / _HALVING_K)
        used_up = dt / _LIFE_S * hot + discharged_ah / (self.rated_ah * _LIFE_DISCHARGES)
        self.health = max(self.health - _LIFE_LOSS * used_up, 0.0)
