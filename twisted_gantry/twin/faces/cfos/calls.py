"""The calls of a Power Brain, `/cnf?cmd=…`; see also `docs/protocols/cfos.md`, Quirks."""

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted_gantry.twin.faces.cfos.device import TYPES, DeviceSettings
from twisted_gantry.twin.faces.cfos.evses import FedEvse
from twisted_gantry.twin.faces.cfos.manager import Complaint, Manager, Unauthorized, demand
from twisted_gantry.twin.faces.cfos.modbus import read, write
from twisted_gantry.twin.faces.cfos.params import ParamsChange
from twisted_gantry.wire.cfos.calls import LARGEST, OK, evse_feed, meter_feed
from twisted_gantry.wire.cfos.modbus import parse_read, parse_write
from twisted_gantry.wire.cfos.users import user as read_user
from twisted_gantry.wire.json import convert, loads
from twisted_gantry.wire.numbers import flag, number

ADMIN = "admin"
MAX_PASSWORD = 64
_LONGEST_ARGUMENT = 1000
_LONGEST_ECHO = 40


class Password:
    """The admin password; no `repr` shows it."""

    def __init__(self, password: str) -> None:
        self._password = password

    def __repr__(self) -> str:
        return "Password(***)"

    def matches(self, user: bytes, password: bytes) -> bool:
        """Tell whether these are the admin's, in constant time."""
        right = f"{ADMIN}:{self._password}".encode()
        return hmac.compare_digest(b"%b:%b" % (user, password), right)

    def change(self, old: str, new: str) -> None:
        """Set a new password. Raises Unauthorized, Complaint."""
        if not self.matches(ADMIN.encode(), old.encode()):
            raise Unauthorized
        good = 0 < len(new) <= MAX_PASSWORD and new.isprintable()
        demand(good, f"a password must have 1 to {MAX_PASSWORD} characters")
        self._password = new


@dataclass(frozen=True)
class Query:
    """A call as it came: arguments, body, and whether it has the admin password."""

    args: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    admin: bool

    def get(self, name: str) -> str:
        """Return an argument without the stray `"` of the document's URLs; empty if missing."""
        return self.raw(name).removesuffix('"')

    def raw(self, name: str) -> str:
        """Return an argument as it came; empty if missing. Raises Complaint."""
        value = self.args.get(name, "")
        demand(len(value) <= _LONGEST_ARGUMENT, f"{name} is too long")
        return value

    def given(self, name: str) -> str | None:
        """Return an argument as it came; None if missing. Raises Complaint."""
        return self.raw(name) if name in self.args else None

    def number(self, name: str) -> float | None:
        """Return a number from 0 up, None if missing. Raises Complaint."""
        if name not in self.args:
            return None
        value = number(self.get(name))
        demand(value is not None and 0 <= value <= LARGEST, f"bad number {name}")
        return value

    def switch(self, name: str) -> bool:
        """Return an argument that is 0 or 1. Raises Complaint."""
        value = flag(self.get(name))
        demand(value is not None, f"{name} must be 0 or 1")
        return value is True

    def content(self) -> Any:
        """Return the body. Raises NotJson, or Complaint if there is none."""
        demand(bool(self.body.strip()), "it must be a POST with JSON")
        return loads(self.body)

    def fed(self) -> Any:
        """Return the data for a device: the body of a POST, or else the arguments."""
        if self.body.strip():
            return loads(self.body)
        return {name: self.get(name) for name in self.args if name not in ("cmd", "dev_id")}


class Calls:
    """All the calls. Each may raise Complaint, WireError (their text is the answer), Unauthorized.

    The `OPEN` calls need no admin password; those that are `OPEN_IN_PART` check it themselves. A
    call that returns None is answered OK.
    """

    OPEN = frozenset(("get_dev_info", "get_params", "get_dev_types", "get_devices", "enter_rfid"))
    OPEN_IN_PART = frozenset(("modbus", "set_user", "override_device"))

    def __init__(self, manager: Manager, password: Password) -> None:
        self._manager = manager
        self.known: Mapping[str, Callable[[Query], Any]] = {
            "modbus": self._modbus,
            "get_dev_info": lambda _: manager.show_all(),
            "get_params": lambda _: {**manager.show_params(), "dev_meta": TYPES},
            "get_dev_types": lambda _: TYPES,
            "get_devices": lambda _: manager.show_settings(),
            "set_params": self._set_params,
            "set_device": self._set_device,
            "set_cm_vars": lambda query: manager.set_variable(query.get("name"), query.get("val")),
            "enter_rfid": lambda query: manager.enter_rfid(query.get("rfid"), query.get("dev_id")),
            "override_device": self._override_device,
            "soft_meter": self._soft_meter,
            "set_ajax_meter": self._feed_meter,
            "set_ajax_evse": self._feed_evse,
            "get_users": lambda _: manager.users.all(),
            "get_user": self._get_user,
            "set_user": self._set_user,
            "get_new_user_id": lambda _: manager.users.new_id(),
            "accept_license": self._accept_license,
            "change_admin_pwd": lambda q: password.change(q.raw("old_pwd"), q.raw("new_pwd")),
            "del_device": lambda query: manager.delete(query.get("dev_id")),
            "reset_device": lambda query: manager.reset(query.get("dev_id")),
            "set_diag_logging": lambda query: manager.log_diagnosis(query.switch("enable")),
        }

    def answer(self, cmd: str, query: Query) -> Any:
        """Execute a call and return its answer. Raises Complaint, WireError, Unauthorized."""
        call = self.known.get(cmd)
        if call is None:
            raise Complaint(f"unknown cmd {cmd[:_LONGEST_ECHO]}")
        if not query.admin and cmd not in self.OPEN | self.OPEN_IN_PART:
            raise Unauthorized
        answer = call(query)
        self._manager.settle()
        return OK if answer is None else answer

    def _modbus(self, query: Query) -> Any:
        writing = "write" in query.args
        if writing and not query.admin:
            raise Unauthorized
        registers = self._manager.registers(query.get("device"))
        if writing:
            value, values = query.given("value"), query.given("values")
            write(registers, parse_write(query.raw("write"), value, values))
            return None
        demand("read" in query.args, "modbus needs read or write")
        return read(registers, parse_read(query.raw("read"), query.given("count")))

    def _set_params(self, query: Query) -> None:
        content = query.content()
        change = convert(content, ParamsChange)
        if "devices" not in content:
            demand(self._manager.params.change(change), "no parameter that is known")
        else:
            self._change_device(content)
            self._manager.params.change(change)

    def _set_device(self, query: Query) -> None:
        content = query.content()
        if isinstance(content, dict) and "devices" not in content:
            content = {"devices": [content]}
        self._change_device(content)

    def _change_device(self, content: Any) -> None:
        devices = content.get("devices") if isinstance(content, dict) else None
        if not (isinstance(devices, list) and len(devices) == 1 and isinstance(devices[0], dict)):
            raise Complaint("devices must hold one device")
        dev_id = devices[0].get("dev_id")
        if not isinstance(dev_id, str):
            raise Complaint("a device needs its dev_id")
        self._manager.change_device(dev_id, convert(devices[0], DeviceSettings))

    def _override_device(self, query: Query) -> None:
        dev_id, flags = query.get("dev_id"), query.get("flags")
        limit_ma, rfid = query.number("mamps"), query.get("rfid")
        self._manager.override(dev_id, flags, limit_ma, rfid, admin=query.admin)

    def _soft_meter(self, query: Query) -> int:
        evse = self._manager.evse(query.get("dev_id"))
        before, value = int(evse.energy_wh), query.number("val")
        if value is not None:
            evse.energy_wh = value
        return before

    def _feed_meter(self, query: Query) -> None:
        meter = self._manager.fed_meter(query.get("dev_id"))
        fields = query.fed()
        if isinstance(fields, dict) and "power_va" in fields:  # the key that some clients use
            fields.setdefault("power_w", fields["power_va"])
        meter.feed(meter_feed(fields))

    def _feed_evse(self, query: Query) -> Any:
        evse = self._manager.evse(query.get("dev_id"))
        if not isinstance(evse, FedEvse):
            raise Complaint(f"{evse.dev_id} is no HTTP input EVSE")
        return self._manager.feed_evse(evse, evse_feed(query.fed()))

    def _get_user(self, query: Query) -> Any:
        user = self._manager.users.get(query.get("id"))
        demand(user is not None, f"unknown user {query.get('id')[:_LONGEST_ECHO]}")
        return user

    def _set_user(self, query: Query) -> None:
        if not query.admin and not query.body.strip():
            raise Unauthorized
        user = read_user(query.content())
        if not query.admin and user.id not in self._manager.users:
            raise Unauthorized
        self._manager.put_user(user)

    def _accept_license(self, query: Query) -> None:
        self._manager.license = {
            "license_accepted": query.switch("acc"),
            "allow_usage_stats": query.switch("allow_usage_stats"),
        }
