"""A valve-regulated lead-acid battery of a UPS, as a function of elapsed seconds.

Model: the Rint model (V. H. Johnson, "Battery performance models in ADVISOR", Journal of Power
Sources 110, 2002): an open-circuit voltage that depends on the state of charge, behind a constant
resistance. Discharge takes the charge that Peukert's law (1897) gives for the current. Charging is
constant current, then constant voltage, in which the current falls with what is missing (the first
law of J. A. Mas: a lead-acid battery's acceptance decays exponentially).

It stands for 16 blocks of 12 V (192 V). Signs: a current is positive out of the battery.
"""

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
_SECONDS = 3600.0


@dataclass
class Battery:
    """The state: `charge` and `health` from 0 to 1; `rated_ah` at 20 h, when new."""

    rated_ah: float = 40.0
    charge: float = 0.98
    health: float = 1.0
    voltage_v: float = 0.0
    """At the terminals, by the last of `rest`, `load` and `feed`."""
    current_a: float = 0.0

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

    def step(self, dt: float) -> None:
        """Let the current of the last `rest`, `load` or `feed` flow for `dt` seconds.

        Steps of a second keep the change of the voltage within one small.
        """
        if self.current_a > 0:
            moved_ah = -self.current_a * self._peukert(self.current_a) * dt / _SECONDS
        else:
            moved_ah = -self.current_a * _CHARGE_EFFICIENCY * dt / _SECONDS
        self.charge = min(max(self.charge + moved_ah / self.capacity_ah, 0.0), 1.0)

    def runtime_s(self, power_w: float) -> float:
        """Estimate how long it would give `power_w`, in seconds, as a UPS does: from now."""
        if power_w <= 0:
            return 0.0
        current_a = power_w / max(self.open_circuit_v, 1.0)
        return self.charge_ah / (current_a * self._peukert(current_a)) * _SECONDS

    def _peukert(self, current_a: float) -> float:
        """Return by how much a large current uses up more charge than it carries, at least 1."""
        rated_a = self.capacity_ah / _RATED_HOURS
        return max(1.0, math.pow(current_a / rated_a, _PEUKERT - 1))
