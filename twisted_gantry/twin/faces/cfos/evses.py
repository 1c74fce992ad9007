"""The EVSEs of a Charging Manager: the cFos document, "get_dev_info" and "set_ajax_evse"."""

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

from twisted_gantry.twin.faces.cfos import device as base
from twisted_gantry.twin.faces.cfos.transactions import Transaction
from twisted_gantry.twin.world.evse import LEAST_A, MOST_A, Evse
from twisted_gantry.wire.cfos.calls import EvseFeed, EvseState, PilotState
from twisted_gantry.wire.cfos.users import ChargingRule

_STORED_ONLY = (
    "battery_save_threshold",
    "enable_snooze",
    "enable_wakeup",
    "fixed_rfid",
    "group",
    "ocpp_gateway_client_id",
    "phase_rotation",
)  # settings of an EVSE that are stored and shown, and have no effect here


@dataclass
class Wallbox(base.Device, ABC):
    """An EVSE of any type, as the manager controls it.

    `limit_ma` is `max_charging_cur` and the current limit of register 8093; `expression` is the
    text of a computed limit. `allowed`, `paused` and `offer_ma` are the manager's last decision.
    `car` tells whether one is connected; the currents are those of L1 to L3.
    """

    min_ma: float = 1000 * LEAST_A
    limit_ma: float = 16_000.0
    expression: str = ""
    prio: int = 1
    label: str = ""
    attach: str = ""
    charging_rules: list[ChargingRule] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    stored: dict[str, Any] = field(default_factory=dict)
    charging_on: bool = True
    transaction: Transaction = field(default_factory=Transaction)
    last_rfid: str = ""
    allowed: bool = True
    paused: bool = False
    paused_at: float | None = None
    offer_ma: float = 0.0

    @property
    @abstractmethod
    def car(self) -> bool: ...

    @property
    @abstractmethod
    def state(self) -> EvseState: ...

    @property
    @abstractmethod
    def model(self) -> str: ...

    @property
    @abstractmethod
    def energy_wh(self) -> float: ...

    @energy_wh.setter
    @abstractmethod
    def energy_wh(self, value: float) -> None: ...

    @property
    @abstractmethod
    def currents_ma(self) -> tuple[float, ...]: ...

    @property
    @abstractmethod
    def power_w(self) -> float: ...

    @property
    def enable(self) -> bool:
        """Register 8094: charging is on and not overridden."""
        return self.charging_on and "C" not in self.transaction.off

    @enable.setter
    def enable(self, value: bool) -> None:
        self.charging_on = value
        if value:
            self.transaction.off.discard("C")

    @property
    def needs_user(self) -> bool:
        return bool(self.users) and self.transaction.user is None

    def set_limit(self, limit: float | str) -> None:
        """Set `max_charging_cur`: mA, or an expression that the manager evaluates."""
        if isinstance(limit, str):
            self.expression = limit
        else:
            self.limit_ma, self.expression = limit, ""

    def offer(self, current_ma: float) -> None:
        self.offer_ma = current_ma

    def info(self, up_s: float, pause_s: float, pause_min_s: float) -> dict[str, Any]:
        currents = self.currents_ma
        shown = {
            **self.common(up_s),
            "label": self.label,
            "min_charging_cur": round(self.min_ma),
            "max_charging_cur": self.expression or round(self.limit_ma),
            "max_power": round(self.limit_ma / 1000 * 3 * base.PHASE_V),
            "prio": self.prio,
            "charging_enabled": self.allowed,
            "cur_charging_power": round(self.power_w),
            "total_energy": int(self.energy_wh),
            "phases": sum(1 << n for n, each in enumerate(currents) if each),
            "state": int(self.state),
            "model": self.model,
            "paused": self.paused,
            "pause_time": round(pause_s),
            "pause_min_time": round(pause_min_s),
            "last_set_charging_cur": round(self.offer_ma),
            "needs_auth": self.car and self.needs_user,
            "overrides": self.transaction.overrides,
            "attach": self.attach,
            "ocpp": {"status": "disabled"},
        }
        if self.transaction.limit_ma is not None:
            shown["ov_cur"] = round(self.transaction.limit_ma)
        return shown | base.by_phase("current", currents)

    def settings(self) -> dict[str, Any]:
        # Everyone can read the settings; an RFID is a secret.
        return {
            **{name: value for name, value in self.stored.items() if name != "fixed_rfid"},
            "charging_rules": self.charging_rules,
            "users": self.users,
            "soft_meter": int(self.energy_wh),
        }

    def change(self, settings: base.DeviceSettings) -> None:
        super().change(settings)
        if settings.min_charging_cur is not None:
            self.min_ma = settings.min_charging_cur
        if settings.max_charging_cur is not None:
            self.set_limit(settings.max_charging_cur)
        self.take(settings, "prio", "label", "attach", "charging_rules", "users")
        if settings.soft_meter is not None:
            self.energy_wh = settings.soft_meter
        self.stored |= {name: v for name, v in base.given(settings).items() if name in _STORED_ONLY}


# Both documents have the states of IEC 61851-1; any other pilot state is an error.
_STATES = {each: EvseState[each.name] for each in PilotState if each.name in EvseState.__members__}


@dataclass
class EvseHardware:
    """Registers of the wallbox that survive `reset_device`, by their names; currents in 0.1 A."""

    default_fixed_current: int = 0
    default_current_limit: int = 160
    default_enabled: int = 1
    fail_safe_time: int = 0
    fail_safe_current: int = 60
    relay_select: int = 0
    relay2: int = 0
    fixed_current: int = 0
    pulses: int = 0
    restarts: int = 0
    nominal_v: list[int] = field(default_factory=lambda: [230, 230, 230])
    pilot_off_until: float = 0.0


@dataclass(kw_only=True)
class BuiltInEvse(Wallbox):
    """The wallbox of the Power Brain itself, which acts on the world."""

    evse: Evse
    hardware: EvseHardware = field(default_factory=EvseHardware)
    _offset_wh: float = 0.0

    @property
    def car(self) -> bool:
        return self.evse.plugged

    @property
    def state(self) -> EvseState:
        return _STATES.get(self.evse.state, EvseState.ERROR)

    @property
    def model(self) -> str:
        return base.MODEL

    @property
    def energy_wh(self) -> float:
        return self.evse.energy_wh + self._offset_wh

    @energy_wh.setter
    def energy_wh(self, value: float) -> None:
        self._offset_wh = value - self.evse.energy_wh

    @property
    def currents_ma(self) -> tuple[float, ...]:
        return tuple(round(1000 * amps) for amps in self.evse.phase_currents_a.values())

    @property
    def power_w(self) -> float:
        return self.evse.power_w

    def offer(self, current_ma: float) -> None:
        super().offer(current_ma)
        rfid = self.transaction.rfid
        phases = self.used_phases or 0b111
        if rfid is not None and rfid.used_phases:
            phases &= rfid.used_phases
        self.evse.phases = phases & (0b001 if self.hardware.relay_select else 0b111)
        self.evse.offer_a = min(current_ma / 1000, MOST_A)

    def info(self, up_s: float, pause_s: float, pause_min_s: float) -> dict[str, Any]:
        shown = super().info(up_s, pause_s, pause_min_s)
        shown["evse"] = {
            "cp_state": self.evse.state.text,
            "cp_fault": self.state is EvseState.ERROR,
            "pp_state": f"{self.evse.cable_a:g} A" if self.evse.cable_a else "no cable",
            "charging": self.evse.charging,
            "current": round(self.offer_ma),
            "enabled": self.enable,
        }
        return shown


@dataclass(kw_only=True)
class FedEvse(Wallbox):
    """An EVSE of the type "HTTP input", which has the data that were fed last."""

    com_error: str = base.NEVER_FED
    state: EvseState = EvseState.OFFLINE
    car: bool = False
    model: str = ""
    currents_ma: tuple[float, ...] = (0.0, 0.0, 0.0)
    energy_wh: float = 0.0

    @property
    def power_w(self) -> float:
        return sum(self.currents_ma) / 1000 * base.PHASE_V

    def feed(self, feed: EvseFeed) -> None:
        """Take the fields that are given, except `rfid`, which is for the manager."""
        self.com_error = ""
        if feed.state is not None:
            self.state = EvseState(feed.state)
        elif self.state is EvseState.OFFLINE:
            self.state = EvseState.WAITING
        if self.state is not EvseState.ERROR:  # an error unplugs no car
            self.car = self.state is not EvseState.WAITING
        if feed.model is not None:
            self.model = feed.model
        if feed.current is not None:
            self.currents_ma = base.three(feed.current)
        if feed.total_energy is not None:
            self.energy_wh = feed.total_energy
        if feed.max_charging_current is not None:
            self.set_limit(max(feed.max_charging_current, 0.0))
