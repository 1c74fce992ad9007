"""The Charging Manager of a Power Brain: devices, users and changes, as in the cFos document."""

import re
from collections.abc import Callable
from typing import Any

import msgspec

from twisted_gantry.twin.faces.cfos.device import DeviceSettings
from twisted_gantry.twin.faces.cfos.evses import BuiltInEvse, EvseHardware, FedEvse, Wallbox
from twisted_gantry.twin.faces.cfos.load_control import Devices, LoadControl, evses_of
from twisted_gantry.twin.faces.cfos.meters import BuiltInMeter, FedMeter, MeterDevice
from twisted_gantry.twin.faces.cfos.modbus import EvseRegisters, MeterRegisters
from twisted_gantry.twin.faces.cfos.params import Params, watts
from twisted_gantry.twin.faces.cfos.transactions import Users
from twisted_gantry.twin.world.charging import ChargingSite
from twisted_gantry.twin.world.meter import Meter
from twisted_gantry.wire.cfos.calls import FLAGS, CfosControl, EvseFeed, Role
from twisted_gantry.wire.cfos.registers import RegisterError, unknown_device
from twisted_gantry.wire.cfos.users import Rfid, User

DIAGNOSIS_S = 300.0
_MAX_VARIABLES = 100
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,31}")
_LONGEST_ECHO = 40


class Complaint(Exception):
    """A call with an error; the text, which holds no secret, is the answer."""


def demand(good: bool, why: str) -> None:
    """Raise Complaint unless `good`."""
    if not good:
        raise Complaint(why)


class Unauthorized(Exception):
    """A call without the admin password, or the PIN of a user, that it needs."""


def _meter(n: int, meter: Meter, modbus_id: int, role: Role, name: str, desc: str) -> BuiltInMeter:
    common = (f"M{n}", "meter_powerbrain", f"meter{n}", n + 2, name, desc)
    return BuiltInMeter(*common, modbus_id=modbus_id, role=role, meter=meter)


class Manager:
    """The manager. `seconds` is a monotonic clock, `now` returns Unix seconds."""

    def __init__(
        self, charging: ChargingSite, seconds: Callable[[], float], now: Callable[[], float]
    ) -> None:
        self.params = Params()
        # The first user is that of the document.
        rfid = Rfid(id="4711", name="TeSt", ac_auth=True, ac_ovch=False, used_phases=7)
        self.users = Users(User(id="2167520770", name="wusel", dev_ids=["E1"], rfids=[rfid]))
        self.variables: dict[str, str] = {}
        self.license = {"license_accepted": False, "allow_usage_stats": False}
        self._charging, self._seconds, self._now = charging, seconds, now
        self._started = seconds()
        self._diagnosis_until = 0.0
        self._hardware = EvseHardware()
        mains, demand = charging.mains_meter, Role.GRID_DEMAND
        pulse, consumed, s0 = charging.pulse_meter, Role.VEHICLE_CONSUMPTION, "S0 Zähler 2"
        self._builders: dict[str, Callable[[], Wallbox | MeterDevice]] = {
            "E1": self._new_evse,
            "E2": lambda: FedEvse("E2", "evse_ajax", "", 2, "Wallbox 2", "HTTP input"),
            "M1": lambda: _meter(1, mains, 2, demand, "Mains", "Grid demand of the site"),
            "M2": lambda: _meter(2, pulse, 41, consumed, s0, f"cFos Power Brain, {s0}"),
            "M3": lambda: FedMeter("M3", "meter_ajax", "", 5, "HTTP input", "HTTP input"),
        }
        self.devices: Devices = {dev_id: build() for dev_id, build in self._builders.items()}
        self.control = LoadControl(self.params, self.devices, self.variables, seconds, now)
        charging.control = self.control.run
        charging.settle()

    def _new_evse(self) -> BuiltInEvse:
        hardware = self._hardware
        hardware.fixed_current = hardware.default_fixed_current
        common = ("E1", "evse_powerbrain", "evse", 1, "Wallbox", "cFos Power Brain Wallbox 11kW")
        return BuiltInEvse(
            *common,
            modbus_id=1,
            limit_ma=100.0 * hardware.default_current_limit,
            charging_on=bool(hardware.default_enabled),
            attach="M2",
            evse=self._charging.evses["E1"],
            hardware=hardware,
        )

    def show_params(self) -> dict[str, Any]:
        consumed = round(sum(evse.power_w for evse in evses_of(self.devices)))
        available = watts(self.control.budget_ma())
        return {
            **self.params.shown(),
            "cons_evse_power": consumed,
            "consumed_evse_power": consumed,
            "avail_evse_power": available,
            "remaining_evse_power": max(available - consumed, 0),
            "time": int(self._now()),
            "diag_logging": self._seconds() < self._diagnosis_until,
            **self.license,
        }

    def show_all(self) -> dict[str, Any]:
        devices = [self._show(device) for device in self.devices.values()]
        return {"params": self.show_params(), "devices": devices}

    def show_settings(self) -> list[dict[str, Any]]:
        return [
            self._show(device) | (device.settings() if isinstance(device, Wallbox) else {})
            for device in self.devices.values()
        ]

    def _show(self, device: Wallbox | MeterDevice) -> dict[str, Any]:
        up_s = self._seconds() - self._started
        if isinstance(device, Wallbox):
            return device.info(up_s, self.control.pause_s(device), self.params.min_pause_time)
        return device.info(up_s)

    def device(self, dev_id: str) -> Wallbox | MeterDevice:
        """Return a device. Raises Complaint, which names it."""
        demand(dev_id in self.devices, f"unknown device {dev_id[:_LONGEST_ECHO]}")
        return self.devices[dev_id]

    def evse(self, dev_id: str) -> Wallbox:
        """Return an EVSE. Raises Complaint."""
        device = self.device(dev_id)
        if not isinstance(device, Wallbox):
            raise Complaint(f"{dev_id} is no EVSE")
        return device

    def fed_meter(self, dev_id: str) -> FedMeter:
        """Return a meter that can be fed. Raises Complaint."""
        meter = self.device(dev_id)
        if not isinstance(meter, FedMeter):
            raise Complaint(f"{dev_id} is no HTTP input meter")
        return meter

    def registers(self, name: str) -> MeterRegisters | EvseRegisters:
        """Return the registers of `meter1`, `meter2` or `evse`. Raises RegisterError."""
        for device in self.devices.values():
            if isinstance(device, BuiltInMeter) and device.address == name:
                return MeterRegisters(device)
            if isinstance(device, BuiltInEvse) and device.address == name:
                attached = self.devices.get(device.attach)
                meter = attached if isinstance(attached, MeterDevice) else None
                return EvseRegisters(device, meter, self._seconds)
        raise RegisterError(unknown_device(name))

    def settle(self) -> None:
        self._charging.settle()

    def change_device(self, dev_id: str, settings: DeviceSettings) -> None:
        """Apply settings to a device; a deleted one is created anew. Raises Complaint."""
        if settings.attach:
            self.device(settings.attach)
            demand(settings.attach.startswith("M"), f"{settings.attach} is no meter")
        if dev_id not in self.devices and dev_id in self._builders:
            self.devices[dev_id] = self._builders[dev_id]()
        self.device(dev_id).change(settings)

    def delete(self, dev_id: str) -> None:
        """Delete a device; its hardware keeps the last offer. Raises Complaint."""
        self.device(dev_id)
        del self.devices[dev_id]

    def reset(self, dev_id: str) -> None:
        """Delete a device and create it anew. Raises Complaint."""
        self.delete(dev_id)
        self.devices[dev_id] = self._builders[dev_id]()

    def set_variable(self, name: str, value: str) -> None:
        """Set a variable of the manager. Raises Complaint."""
        demand(bool(_VARIABLE.fullmatch(name)), f"bad variable name {name[:_LONGEST_ECHO]}")
        room = name in self.variables or len(self.variables) < _MAX_VARIABLES
        demand(room, "too many variables")
        self.variables[name] = value[:200]

    def log_diagnosis(self, enable: bool) -> None:
        """Show `diag_logging` for DIAGNOSIS_S, or end that."""
        self._diagnosis_until = self._seconds() + DIAGNOSIS_S if enable else 0.0

    def feed_evse(self, evse: FedEvse, feed: EvseFeed) -> CfosControl:
        evse.feed(feed)
        self.control.run()
        if feed.rfid and evse.car:
            self._present(evse, feed.rfid)
            self.control.run()
        return CfosControl(
            device_enabled=evse.enabled,
            charging_enabled=evse.allowed,
            paused=evse.paused,
            charging_current=round(evse.offer_ma),
        )

    def may_use(self, user: User, evse: Wallbox) -> bool:
        at_evse = not evse.users or user.id in evse.users
        return at_evse and (not user.dev_ids or evse.dev_id in user.dev_ids)

    def put_user(self, user: User) -> None:
        """Add or replace a user; one without an id gets one. Raises Complaint."""
        if not user.id:
            user = msgspec.structs.replace(user, id=self.users.new_id())
        if (wrong := self.users.put(user)) is not None:
            raise Complaint(wrong)
        for evse in evses_of(self.devices):
            if evse.transaction.user is not None and evse.transaction.user.id == user.id:
                evse.transaction.user = user

    def enter_rfid(self, rfid: str, dev_id: str) -> None:
        """Enter a PIN or RFID, by default at the first EVSE that waits for it. Raises Complaint."""
        if dev_id:
            evse = self.evse(dev_id)
            demand(evse.car, f"no car at {dev_id}")
            demand(self._present(evse, rfid), f"this RFID is not for {dev_id}")
            return
        waiting = sorted(evses_of(self.devices), key=lambda each: not each.needs_user)
        acts = any(evse.car and self._present(evse, rfid) for evse in waiting)
        demand(acts, "no EVSE waits for this RFID")

    def _present(self, evse: Wallbox, text: str) -> bool:
        found = self.users.find(text)
        if found is None or not self.may_use(found[0], evse):
            return False
        user, rfid = found
        transaction = evse.transaction
        began_it = transaction.user is not None and transaction.user.id == user.id
        if rfid.ac_ovch and (began_it or not rfid.ac_auth):
            transaction.set_flag("c" if "C" in transaction.off else "C")
        elif rfid.ac_auth:
            transaction.user, transaction.rfid = user, rfid
        else:
            return False
        evse.last_rfid = text
        return True

    def override(
        self, dev_id: str, flags: str, limit_ma: float | None, rfid: str, *, admin: bool
    ) -> None:
        """Override settings of an EVSE until its car leaves. Raises Unauthorized, Complaint."""
        found = self.users.find(rfid) if rfid else None
        if not admin and (found is None or "e" in flags.lower()):
            raise Unauthorized
        evse = self.evse(dev_id)
        by_user = found is not None and self.may_use(found[0], evse)
        if not admin and not by_user:
            raise Unauthorized
        demand(FLAGS.issuperset(flags), f"unknown flags {flags[:_LONGEST_ECHO]}")
        demand(by_user or "u" not in flags.lower(), "U and u need the RFID of a user")
        demand(bool(flags) or limit_ma is not None, "nothing to override")
        demand(evse.car, f"no car at {dev_id}")
        for letter in flags:
            evse.transaction.set_flag(letter)
        if limit_ma is not None:
            evse.transaction.limit_ma = limit_ma
