"""An electric car at a wallbox: its battery, and what its on-board charger draws.

Model: constant power, then a taper, as in the constant-current / constant-voltage charge that
S. Pelletier, O. Jabali, G. Laporte and M. Veneroni review ("Battery degradation and behaviour for
electric vehicles", Transportation Research Part B 103, 2017). Up to about 80 % of charge the
charger draws all it may; above, the power falls in proportion to the missing charge. The current
follows the wallbox's offer with a ramp (IEC 61851-1 allows 5 s).
"""

from dataclasses import dataclass

from twisted_gantry.twin.world.physics import SECONDS_PER_HOUR

TAPER_FROM = 0.8
FULL = 0.994  # where the car ends the charge: 3 % of its power are left
EFFICIENCY = 0.92  # stored energy for each unit of energy from the wallbox
RAMP_A_PER_S = 4.0
NOMINAL_V = 230.0


@dataclass
class Car:
    """The state: `charge` from 0 to 1; `phases` is 1 or 3; currents are those of each phase."""

    charge: float = 0.4
    capacity_wh: float = 60_000.0
    max_current_a: float = 16.0
    phases: int = 3
    ventilation: bool = False  # whether it needs ventilation while charging (state D)

    @property
    def full(self) -> bool:
        return self.charge >= FULL

    @property
    def accepted_w(self) -> float:
        if self.full:
            return 0.0
        most = self.max_current_a * self.phases * NOMINAL_V
        return most * min(1.0, (1.0 - self.charge) / (1.0 - TAPER_FROM))

    def wanted_a(self, offer_a: float, volts: float) -> float:
        """Return the current that it aims at, in A a phase; `volts` is the sum of its phases."""
        return min(offer_a, self.max_current_a, self.accepted_w / volts) if volts > 0 else 0.0

    def take(self, power_w: float, dt: float) -> None:
        self.charge += power_w * EFFICIENCY * dt / SECONDS_PER_HOUR / self.capacity_wh


def ramp(now_a: float, goal_a: float, dt: float) -> float:
    step = RAMP_A_PER_S * dt
    return min(now_a + step, goal_a) if now_a < goal_a else max(now_a - step, goal_a)
