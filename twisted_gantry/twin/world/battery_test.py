"""The battery carries the load, the rectifiers stand by: the ETC document, section 3.2.3."""

from dataclasses import dataclass
from enum import IntEnum

from twisted_gantry.twin.world.battery import Battery
from twisted_gantry.twin.world.physics import SECONDS_PER_HOUR

TEST_S = 120.0
END_V = 46.0  # 1.92 V a cell
MAY_TEST_CHARGE, LOW_CHARGE = 0.80, 0.50
LOW_TEMPERATURE_C = 0.0
# IEEE 1188: a battery under 80 % of its rated capacity is to be replaced.
GOOD_HEALTH, POOR_HEALTH = 0.80, 0.60


class Verdict(IntEnum):
    """The document's `testResult`."""

    NONE = 1
    GOOD = 2
    SLIGHTLY_ABNORMAL = 3
    BADLY_ABNORMAL = 4


class End(IntEnum):
    """What ended a test: the document's `testEndCourse`."""

    END_VOLTAGE = 1
    END_TIME = 2
    ALARM = 3
    BY_HAND = 4
    FAULT = 5
    LOW_CHARGE = 6
    LOW_TEMPERATURE = 7


@dataclass
class BatteryTest:
    """A test that began at `started_s` of the world's time; it runs while `end` is None.

    `verdict` stays NONE if a test is aborted before it has shown anything. `efficiency` is the
    measured capacity as a share of the rated one.
    """

    started_s: float
    end: End | None = None
    verdict: Verdict = Verdict.NONE
    duration_s: float = 0.0
    discharged_ah: float = 0.0
    end_voltage_v: float = 0.0
    temperature_c: float = 0.0
    efficiency: float = 0.0

    @property
    def average_current_a(self) -> float:
        return self.discharged_ah * SECONDS_PER_HOUR / self.duration_s if self.duration_s else 0.0

    def step(self, dt: float, bus_v: float, battery: Battery, temperature_c: float) -> None:
        self.duration_s += dt
        self.discharged_ah += battery.current_a * dt / SECONDS_PER_HOUR
        self.end_voltage_v, self.temperature_c = bus_v, temperature_c
        self.efficiency = battery.health
        if bus_v <= END_V:
            self.abort(End.END_VOLTAGE)
        elif battery.charge < LOW_CHARGE:
            self.abort(End.LOW_CHARGE)
        elif temperature_c < LOW_TEMPERATURE_C:
            self.abort(End.LOW_TEMPERATURE)
        elif self.duration_s >= TEST_S:
            self.end, self.verdict = End.END_TIME, _judge(battery.health)

    def abort(self, end: End) -> None:
        """End before the time; a battery that ran out gets its verdict all the same."""
        self.end = end
        if end in {End.END_VOLTAGE, End.LOW_CHARGE}:
            self.verdict = Verdict.BADLY_ABNORMAL


def _judge(health: float) -> Verdict:
    if health >= GOOD_HEALTH:
        return Verdict.GOOD
    return Verdict.SLIGHTLY_ABNORMAL if health >= POOR_HEALTH else Verdict.BADLY_ABNORMAL
