"""The HTTP API of a cFos Charging Manager: its calls, its plain answers, and what is fed into it.

Source: the cFos document; `docs/protocols/cfos.md`. The modules beside this one have the rest:
`values` the answer to `get_dev_info`, `modbus` and `registers` the registers, `users` the users.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import msgspec

from twisted_gantry.wire.cfos.modbus import Read, Write
from twisted_gantry.wire.errors import BadMessage, WireError
from twisted_gantry.wire.json import convert, dumps, loads

PATH = "/cnf"
OK = "ok"
"""What a write answers that was done; anything else is a failure, whatever the HTTP status."""

# What a manager says is shown to people up to here.
LONGEST_WORDS = 200

FLAGS = frozenset("CcEeUu")
"""The letters of `override_device`: charging, wallbox rules, user's rules; capital is off."""

DEVICE_ID = re.compile(r"[EM][0-9]{1,3}")
"""A device id: EVSEs begin with E, meters with M."""


class _Texted(IntEnum):
    """A number of the API; `text` is how a point shows it."""

    @property
    def text(self) -> str:
        """Return its name in small letters, with hyphens."""
        return self.name.lower().replace("_", "-")


class EvseState(_Texted):
    """The state of an EVSE as the manager counts it, from 1; A to E of the standard are 1 to 5."""

    WAITING = 1
    VEHICLE_PRESENT = 2
    CHARGING = 3
    CHARGING_VENTILATED = 4
    ERROR = 5
    OFFLINE = 6


class PilotState(_Texted):
    """The state of the pilot in register 8092, which counts from 0."""

    WAITING = 0
    VEHICLE_PRESENT = 1
    CHARGING = 2
    CHARGING_VENTILATED = 3
    NO_CURRENT = 4
    ERROR = 5
    DC_SENSOR = 9


class Role(_Texted):
    """What a meter counts."""

    DISPLAY = 0
    CONSUMPTION = 1
    PRODUCTION = 2
    GRID_DEMAND = 3
    VEHICLE_CONSUMPTION = 4
    STORAGE = 5


class DisablePolicy(_Texted):
    """What the manager does with an EVSE that is disabled; UNLIMITED is dangerous."""

    DISABLE = 0
    MINIMUM_CURRENT = 1
    UNLIMITED = -1


class CfosRefused(WireError):
    """The manager said something else than what was due; the text has its words."""


@dataclass(frozen=True)
class Call:
    """One request. Its arguments and its body are in no `repr`: they may be passwords and PINs.

    With a body it is a POST, else a GET.
    """

    cmd: str
    args: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)

    @property
    def method(self) -> str:
        """Return the HTTP method."""
        return "GET" if self.body is None else "POST"

    @property
    def target(self) -> str:
        """Return path and query, percent-encoded. It must not be logged; `cmd` may be."""
        return f"{PATH}?{urlencode([('cmd', self.cmd), *self.args], quote_via=quote)}"


def call(cmd: str, args: Mapping[str, Any] | None = None, body: Any = None) -> Call:
    """Return a call; arguments that are None are left out, true and false become 1 and 0.

    `body`, unless None, is sent as JSON. Raises CannotEncode for one that JSON cannot carry.
    """
    given = tuple(
        (name, str(int(value)) if isinstance(value, bool) else str(value))
        for name, value in (args or {}).items()
        if value is not None
    )
    return Call(cmd, given, None if body is None else dumps(body))


def modbus(device: str, request: Read | Write) -> Call:
    """Return the call that reads or writes registers of `meter1`, `meter2` or `evse`."""
    return Call("modbus", (("device", device), *request.query()))


# -- answers


def decode(data: bytes) -> Any:
    """Decode an answer. Raises NotJson."""
    return loads(data)


def expect_ok(data: bytes) -> None:
    """Check the answer to a write. Raises CfosRefused, or NotJson."""
    if data.strip() == OK.encode():
        return  # without its quotes
    answer = loads(data)
    if answer != OK:
        raise CfosRefused(words(answer))


def words(answer: Any) -> str:
    """Return what to tell people of an answer that was not due."""
    if isinstance(answer, str):
        text = "".join(c if c.isprintable() else " " for c in answer[:LONGEST_WORDS])
        return f"the manager answers {text!r}"[:LONGEST_WORDS]
    names = {dict: "an object", list: "a list", bool: "a truth value", type(None): "null"}
    return f"the manager answers {names.get(type(answer), 'a number')}"


def expect_object(answer: Any) -> dict[str, Any]:
    """Return an answer that must be an object. Raises CfosRefused."""
    if not isinstance(answer, dict):
        raise CfosRefused(words(answer))
    return answer


def expect_list(answer: Any) -> list[Any]:
    """Return an answer that must be a list. Raises CfosRefused."""
    if not isinstance(answer, list):
        raise CfosRefused(words(answer))
    return answer


def expect_number(answer: Any) -> int | float:
    """Return an answer that must be a number, such as a meter's. Raises CfosRefused."""
    value = bounded_number(answer)
    if value is None:
        raise CfosRefused(words(answer))
    return value


# No current, power, energy or time in the units of this API is beyond.
LARGEST = 10**13


def bounded_number(value: Any) -> int | float | None:
    """Return a number that may be a measurement, None for anything else: text is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -LARGEST <= value <= LARGEST else None


# -- what is fed in, and what comes back

Number = Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
Phases = Annotated[tuple[Number, ...], msgspec.Meta(min_length=1, max_length=3)]
Model = Annotated[str, msgspec.Meta(max_length=100)]


class MeterFeed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a meter of the type "HTTP input" is fed by `set_ajax_meter`: Wh, V, mA, W.

    A key that is None is not sent, and keeps what it was.
    """

    model: Model | None = None
    import_wh: Number | None = None
    export_wh: Number | None = None
    voltage: Phases | None = None
    current: Phases | None = None
    power_w: Number | None = None
    is_va: bool | None = None


class EvseFeed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What an EVSE of the type "HTTP input" is fed by `set_ajax_evse`: mA, Wh.

    `state` is one of EvseState but OFFLINE.
    """

    state: Annotated[int, msgspec.Meta(ge=1, le=5)] | None = None
    max_charging_current: Number | None = None
    current: Phases | None = None
    total_energy: Number | None = None
    model: Model | None = None
    rfid: Annotated[str, msgspec.Meta(max_length=64)] | None = None

    def __repr__(self) -> str:
        """Show what it is, not the RFID."""
        return f"EvseFeed(state={self.state!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        """Show the same to rich, which would list every field."""
        return [("state", self.state)]


_PHASED = ("voltage", "current")


def meter_feed(fields: Any) -> MeterFeed:
    """Read a feed from the decoded body of a POST, or from the arguments of a GET.

    `import_vah` is `import_wh`, and `1,2,3` a list. Raises BadMessage.
    """
    given = _fed(fields)
    if "import_vah" in given:
        given.setdefault("import_wh", given["import_vah"])
    return convert(given, MeterFeed)


def evse_feed(fields: Any) -> EvseFeed:
    """Read a feed as `meter_feed` does. A number is a good RFID. Raises BadMessage."""
    given = _fed(fields)
    rfid = given.get("rfid")
    if isinstance(rfid, int) and not isinstance(rfid, bool) and abs(rfid) <= LARGEST:
        given["rfid"] = str(rfid)
    return convert(given, EvseFeed)


def _fed(fields: Any) -> dict[str, Any]:
    if not isinstance(fields, Mapping):
        raise BadMessage("a feed that is no object")
    given = dict(fields)
    for name in _PHASED:
        if isinstance(given.get(name), str):
            given[name] = given[name][:200].split(",")
    return given


class CfosControl(msgspec.Struct, frozen=True, kw_only=True):
    """What `set_ajax_evse` answers, which the EVSE must obey; `charging_current` is mA."""

    device_enabled: bool
    charging_enabled: bool
    paused: bool
    charging_current: Annotated[float, msgspec.Meta(ge=0, le=1_000_000)]


# The document's Korean text translated two of the keys; in English they are as above.
_TRANSLATED = {"일시정지": "paused", "충전_전류": "charging_current"}


def decode_control(answer: Any) -> CfosControl:
    """Read a control object, its keys in English or as the document prints them.

    Raises CfosRefused for another answer, BadMessage for an object that is none.
    """
    fields = {_TRANSLATED.get(key, key): value for key, value in expect_object(answer).items()}
    return convert(fields, CfosControl)
