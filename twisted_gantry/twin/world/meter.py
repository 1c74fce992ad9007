"""Meters: one in the mains, and one that counts the pulses (S0) of another; both are exact."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping

from twisted_gantry.twin.world.mains import PHASES, Mains
from twisted_gantry.twin.world.physics import SECONDS_PER_HOUR
from twisted_gantry.twin.world.variables import Variables, readings

ALL_PHASES = 0b111


class Meter(ABC):
    """A meter: settings, counters in Wh, and the values of L1 to L3.

    `phases` is a bit mask (bit 0 L1). A power below 0 flows out of the site. `step` counts the
    energy of `dt` seconds.
    """

    input = 0  # the S0 input that it counts; 0 without one
    known = True  # whether the power is known

    def __init__(self) -> None:
        self.phases = ALL_PHASES
        self.nominal_v = [230, 230, 230]
        self.pulses_per_kwh = 1000
        self.pulses = 0
        self.import_wh = 0.0
        self.export_wh = 0.0

    @property
    @abstractmethod
    def power_w(self) -> float: ...

    @property
    def ms_per_pulse(self) -> int:
        """The time from pulse to pulse, in ms; 0 without pulses."""
        return 0

    @abstractmethod
    def voltages_v(self) -> tuple[float, ...]: ...

    @abstractmethod
    def currents_a(self) -> tuple[float, ...]: ...

    @abstractmethod
    def step(self, dt: float) -> None: ...

    @abstractmethod
    def variables(self) -> Variables: ...

    def set_energy(self, energy_wh: float) -> None:
        self.import_wh, self.export_wh = float(energy_wh), 0.0

    def _sees(self, bit: int) -> bool:
        return bool(self.phases >> bit & 1)


class MainsMeter(Meter):
    """Measures the mains: voltages and currents of three phases, energy in and out."""

    def __init__(self, mains: Mains, currents: Callable[[], Mapping[str, float]]) -> None:
        super().__init__()
        self._mains, self._currents = mains, currents

    def voltages_v(self) -> tuple[float, ...]:
        return tuple(self._mains.voltage_v[phase] for phase in PHASES)

    def currents_a(self) -> tuple[float, ...]:
        currents = self._currents()
        return tuple(currents[p] if self._sees(bit) else 0.0 for bit, p in enumerate(PHASES))

    @property
    def power_w(self) -> float:
        pairs = zip(self.voltages_v(), self.currents_a(), strict=True)
        return sum(volts * amps for volts, amps in pairs)

    def step(self, dt: float) -> None:
        energy_wh = self.power_w * dt / SECONDS_PER_HOUR
        if energy_wh >= 0:
            self.import_wh += energy_wh
        else:
            self.export_wh -= energy_wh

    def variables(self) -> Variables:
        names = {"power": "power_w", "import": "import_wh", "export": "export_wh"}
        yield from readings(self, **names)


class PulseMeter(Meter):
    """Counts the pulses of a meter elsewhere.

    `source` returns the power there, in W. Voltages are the nominal ones, and currents follow from
    them. The power is unknown until the first pulse.
    """

    input = 1
    known = False

    def __init__(self, source: Callable[[], float]) -> None:
        super().__init__()
        self._source = source
        self._pending_wh = 0.0

    @property
    def power_w(self) -> float:
        return self._source() if self.known else 0.0

    @property
    def ms_per_pulse(self) -> int:
        power = self.power_w
        if power <= 0 or not self.pulses_per_kwh:
            return 0
        return round(SECONDS_PER_HOUR * 1e6 / (self.pulses_per_kwh * power))

    def voltages_v(self) -> tuple[float, ...]:
        return tuple(float(volts) for volts in self.nominal_v)

    def currents_a(self) -> tuple[float, ...]:
        volts = sum(v for bit, v in enumerate(self.nominal_v) if self._sees(bit))
        amps = self.power_w / volts if volts else 0.0
        return tuple(amps if self._sees(bit) else 0.0 for bit in range(3))

    def step(self, dt: float) -> None:
        if not self.pulses_per_kwh:
            return
        self._pending_wh += self._source() * dt / SECONDS_PER_HOUR
        pulse_wh = 1000.0 / self.pulses_per_kwh
        count = math.floor(self._pending_wh / pulse_wh)
        if count:
            self.known = True
            self.pulses += count
            self.import_wh += count * pulse_wh
            self._pending_wh -= count * pulse_wh

    def variables(self) -> Variables:
        yield from readings(self, "pulses", **{"import": "import_wh"})
