"""The meters of a Power Brain: the cFos document, "get_dev_info" and "set_ajax_meter"."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import msgspec

from twisted_gantry.twin.faces.cfos import device as base
from twisted_gantry.twin.world.meter import ALL_PHASES, Meter
from twisted_gantry.wire.cfos.calls import MeterFeed, Role

_OFF = (0.0, 0.0, 0.0)
_UNFED = MeterFeed(model="", import_wh=0.0, export_wh=0.0, voltage=_OFF, current=_OFF, power_w=0.0)


@dataclass
class MeterDevice(base.Device, ABC):
    """A meter of any type. `invert` changes the sign of currents and power."""

    role: Role = Role.DISPLAY
    invert: bool = False
    is_va: bool = False

    @abstractmethod
    def measured(self) -> MeterFeed:
        """Return the measured values, without None."""

    @property
    def currents_ma(self) -> tuple[float, ...]:
        sign = -1 if self.invert else 1
        return tuple(sign * round(each) for each in self.measured().current or ())

    def info(self, up_s: float) -> dict[str, Any]:
        measured = self.measured()
        power = round(measured.power_w or 0.0) * (-1 if self.invert else 1)
        return {
            **self.common(up_s),
            "is_va": self.is_va,
            "invert": self.invert,
            "import": int(measured.import_wh or 0.0),
            "export": int(measured.export_wh or 0.0),
            "power_w": power,
            "power": power,
            **base.by_phase("current", self.currents_ma),
            **base.by_phase("voltage", [round(each) for each in measured.voltage or ()]),
            "role": int(self.role),
            "model": measured.model,
        }

    def change(self, settings: base.DeviceSettings) -> None:
        super().change(settings)
        self.take(settings, "role", "invert", "is_va")


@dataclass(kw_only=True)
class BuiltInMeter(MeterDevice):
    meter: Meter
    restarts: int = 0

    def set_phases(self, phases: int) -> None:
        super().set_phases(phases)
        self.meter.phases = phases or ALL_PHASES

    def measured(self) -> MeterFeed:
        return MeterFeed(
            model=base.MODEL,
            import_wh=self.meter.import_wh,
            export_wh=self.meter.export_wh,
            voltage=self.meter.voltages_v(),
            current=tuple(1000 * amps for amps in self.meter.currents_a()),
            power_w=self.meter.power_w,
        )


@dataclass(kw_only=True)
class FedMeter(MeterDevice):
    """A meter of the type "HTTP input", which has the data that were fed last."""

    com_error: str = base.NEVER_FED
    fed: MeterFeed = _UNFED

    def measured(self) -> MeterFeed:
        return self.fed

    def feed(self, feed: MeterFeed) -> None:
        """Take the fields that are given; without a power, compute it from new currents."""
        self.com_error = ""
        told = base.given(feed)
        for name in ("voltage", "current"):
            if name in told:
                told[name] = base.three(told[name])
        if told.pop("is_va", None) is not None:
            self.is_va = bool(feed.is_va)
        self.fed = msgspec.structs.replace(self.fed, **told)
        if feed.power_w is None and "current" in told:
            pairs = zip(self.fed.voltage or (), self.fed.current or (), strict=True)
            power = sum(volts * milliamps / 1000 for volts, milliamps in pairs)
            self.fed = msgspec.structs.replace(self.fed, power_w=power)
