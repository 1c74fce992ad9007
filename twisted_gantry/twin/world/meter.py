"""Meters of the site: one in the mains, and one that counts the pulses (S0) of another.

Their counters are exact: each step adds the power that flowed in it.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping

from twisted_gantry.twin.world.mains import PHASES, Mains
from twisted_gantry.twin.world.variables import Variable

ALL_PHASES = 0b111
_SECONDS = 3600.0


class Meter(ABC):
    """What every meter has: settings, and counters in Wh. `phases` is a bit mask (bit 0 L1)."""

    input = 0
    """The S0 input that it counts; 0: none."""

    def __init__(self) -> None:
        self.phases = ALL_PHASES
        self.nominal_v = [230, 230, 230]
        self.pulses_per_kwh = 1000
        self.pulses = 0
        self.import_wh = 0.0
        self.export_wh = 0.0

    @property
    @abstractmethod
    def power_w(self) -> float:
        """What flows, in W; negative out of the site."""

    @property
    def known(self) -> bool:
        """Whether it can tell the power."""
        return True

    @property
    def ms_per_pulse(self) -> int:
        """The time from pulse to pulse, in ms; 0 where there is none."""
        return 0

    @abstractmethod
    def voltages_v(self) -> tuple[float, ...]:
        """Return the voltages of L1 to L3, in V."""

    @abstractmethod
    def currents_a(self) -> tuple[float, ...]:
        """Return the currents of L1 to L3, in A."""

    @abstractmethod
    def step(self, dt: float) -> None:
        """Count what flows for `dt` seconds."""

    def set_energy(self, energy_wh: float) -> None:
        """Set the counters: what came in so far; what went out begins anew."""
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
        return tuple(
            currents[phase] if self._sees(bit) else 0.0 for bit, phase in enumerate(PHASES)
        )

    @property
    def power_w(self) -> float:
        pairs = zip(self.voltages_v(), self.currents_a(), strict=True)
        return sum(volts * amps for volts, amps in pairs)

    def step(self, dt: float) -> None:
        energy_wh = self.power_w * dt / _SECONDS
        if energy_wh >= 0:
            self.import_wh += energy_wh
        else:
            self.export_wh -= energy_wh

    def variables(self) -> Iterator[tuple[str, Variable]]:
        """Name its variables."""
        yield "power", Variable(lambda: self.power_w)
        yield "import", Variable(lambda: self.import_wh)
        yield "export", Variable(lambda: self.export_wh)


class PulseMeter(Meter):
    """Counts the pulses of a meter elsewhere, and knows nothing else of it.

    `source` gives W. Voltages are the nominal ones, currents follow from them; the power is unknown
    until the first pulse.
    """

    input = 1

    def __init__(self, source: Callable[[], float]) -> None:
        super().__init__()
        self._source = source
        self._pending_wh = 0.0
        self._pulsed = False

    @property
    def known(self) -> bool:
        return self._pulsed

    @property
    def power_w(self) -> float:
        return self._source() if self._pulsed else 0.0

    @property
    def ms_per_pulse(self) -> int:
        power = self.power_w
        if power <= 0 or not self.pulses_per_kwh:
            return 0
        return round(_SECONDS * 1e6 / (self.pulses_per_kwh * power))

    def voltages_v(self) -> tuple[float, ...]:
        return tuple(float(volts) for volts in self.nominal_v)

    def currents_a(self) -> tuple[float, ...]:
        volts = sum(v for bit, v in enumerate(self.nominal_v) if self._sees(bit))
        amps = self.power_w / volts if volts else 0.0
        return tuple(amps if self._sees(bit) else 0.0 for bit in range(3))

    def step(self, dt: float) -> None:
        if not self.pulses_per_kwh:
            return
        self._pending_wh += self._source() * dt / _SECONDS
        pulse_wh = 1000.0 / self.pulses_per_kwh
        count = math.floor(self._pending_wh / pulse_wh)
        if count:
            self._pulsed = True
            self.pulses += count
            self.import_wh += count * pulse_wh
            self._pending_wh -= count * pulse_wh

    def variables(self) -> Iterator[tuple[str, Variable]]:
        """Name its variables."""
        yield "pulses", Variable(lambda: self.pulses)
        yield "import", Variable(lambda: self.import_wh)
