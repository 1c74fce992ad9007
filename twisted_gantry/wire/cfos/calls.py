"""The HTTP API of a cFos Charging Manager: its calls, plain answers, and feeds.

Source: the cFos document; `docs/protocols/cfos.md`. The modules beside this one have the rest:
`values` the answer to `get_dev_info`, `modbus` and `registers` the registers, `users` the users.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, TypeVar
from urllib.parse import quote, urlencode

import msgspec

from twisted_gantry.wire.cfos.modbus import Read, Write
from twisted_gantry.wire.errors import BadMessage, WireError
from twisted_gantry.wire.json import convert, dumps, salvage
from twisted_gantry.wire.numbers import flag, number
from twisted_gantry.wire.reading import Texted

PATH = "/cnf"
_T = TypeVar("_T")
OK = "ok"
"""The answer to a write that was done; anything else is a failure, whatever the HTTP status."""

# Characters of a manager's answer in an error.
LONGEST_WORDS = 200

FLAGS = frozenset("CcEeUu")
"""The letters of `override_device`: charging, wallbox rules, user rules; a capital is off."""

DEVICE_ID = re.compile(r"[EM][0-9]{1,3}")
"""A device id: EVSEs begin with E, meters with M."""


class EvseState(Texted):
    """The state of an EVSE as the manager counts it, from 1; A to E of the standard are 1 to 5."""

    WAITING = 1
    VEHICLE_PRESENT = 2
    CHARGING = 3
    CHARGING_VENTILATED = 4
    ERROR = 5
    OFFLINE = 6


class PilotState(Texted):
    """The state of the pilot in register 8092, which counts from 0."""

    WAITING = 0
    VEHICLE_PRESENT = 1
    CHARGING = 2
    CHARGING_VENTILATED = 3
    NO_CURRENT = 4
    ERROR = 5
    DC_SENSOR = 9


class Role(Texted):
    """The role of a meter."""

    DISPLAY = 0
    CONSUMPTION = 1
    PRODUCTION = 2
    GRID_DEMAND = 3
    VEHICLE_CONSUMPTION = 4
    STORAGE = 5


class DisablePolicy(Texted):
    """The treatment of a disabled EVSE; UNLIMITED is dangerous."""

    DISABLE = 0
    MINIMUM_CURRENT = 1
    UNLIMITED = -1


class CfosRefused(WireError):
    """The manager gave another answer than the one due; the text quotes it."""


@dataclass(frozen=True)
class Call:
    """One request: a POST if it has a body, else a GET. `repr` shows neither arguments nor body,
    which may hold passwords and PINs.
    """

    cmd: str
    args: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    body: bytes | None = field(default=None, repr=False)

    @property
    def method(self) -> str:
        return "GET" if self.body is None else "POST"

    @property
    def target(self) -> str:
        """Path and query, percent-encoded. Log `cmd`, never this text."""
        return f"{PATH}?{urlencode([('cmd', self.cmd), *self.args], quote_via=quote)}"


def call(cmd: str, args: Mapping[str, Any] | None = None, body: Any = None) -> Call:
    """Return a call; arguments that are None are left out, true and false become 1 and 0. `body`,
    unless None, is sent as JSON. Raises CannotEncode for a body that JSON cannot carry.
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


def expect_ok(data: bytes) -> None:
    """Check the answer to a write. Raises CfosRefused, or NotJson."""
    bare = data.strip(b"\x00 \t\r\n")
    if bare == OK.encode():
        return  # without its quotes
    answer = salvage(bare).value
    if not isinstance(answer, str) or answer.strip() != OK:
        raise CfosRefused(words(answer))


def words(answer: Any) -> str:
    """Describe an unexpected answer for an error text."""
    if isinstance(answer, str):
        text = "".join(c if c.isprintable() else " " for c in answer[:LONGEST_WORDS])
        return f"the manager answers {text!r}"[:LONGEST_WORDS]
    names = {dict: "an object", list: "a list", bool: "a truth value", type(None): "null"}
    return f"the manager answers {names.get(type(answer), 'a number')}"


def expect(kind: type[_T], answer: Any) -> _T:
    """Return an answer that must be an object (`dict`) or a `list`. Raises CfosRefused."""
    if not isinstance(answer, kind):
        raise CfosRefused(words(answer))
    return answer


def expect_number(answer: Any) -> int | float:
    value = read_number(answer)
    if value is None:
        raise CfosRefused(words(answer))
    return value


# No current, power, energy or time is larger, in the units of this API.
LARGEST = 10**13


def bounded_number(value: Any) -> int | float | None:
    """Return a number within LARGEST; None for anything else, text included."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if -LARGEST <= value <= LARGEST else None


def read_number(value: Any) -> int | float | None:
    """Return a number within LARGEST in any spelling of an answer; None for anything else."""
    if isinstance(value, str):
        value = number(value)
    return bounded_number(value)


Number = Annotated[float, msgspec.Meta(ge=-LARGEST, le=LARGEST)]
Phases = Annotated[tuple[Number, ...], msgspec.Meta(min_length=1, max_length=3)]
Model = Annotated[str, msgspec.Meta(max_length=100)]


class MeterFeed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A measurement for a meter of the type "HTTP input" (`set_ajax_meter`): Wh, V, mA, W. A key
    that is None is not sent; the meter keeps its value.
    """

    model: Model | None = None
    import_wh: Number | None = None
    export_wh: Number | None = None
    voltage: Phases | None = None
    current: Phases | None = None
    power_w: Number | None = None
    is_va: bool | None = None


class EvseFeed(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A measurement for an EVSE of the type "HTTP input" (`set_ajax_evse`): mA, Wh. `state` is one
    of EvseState except OFFLINE.
    """

    state: Annotated[int, msgspec.Meta(ge=1, le=5)] | None = None
    max_charging_current: Number | None = None
    current: Phases | None = None
    total_energy: Number | None = None
    model: Model | None = None
    rfid: Annotated[str, msgspec.Meta(max_length=64)] | None = None

    def __repr__(self) -> str:
        return f"EvseFeed(state={self.state!r})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [("state", self.state)]


_PHASED = ("voltage", "current")


def meter_feed(fields: Any) -> MeterFeed:
    """Read a feed from the decoded body of a POST or the arguments of a GET. `import_vah` means
    `import_wh`; the text `1,2,3` is a list. Raises BadMessage.
    """
    given = _fed(fields)
    if "import_vah" in given:
        given.setdefault("import_wh", given["import_vah"])
    return convert(given, MeterFeed)


def evse_feed(fields: Any) -> EvseFeed:
    """Read a feed as `meter_feed` does; an RFID may be a number. Raises BadMessage."""
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
    """The answer to `set_ajax_evse`, which the EVSE must obey; `charging_current` is mA. A member
    that cannot be read is None.
    """

    device_enabled: bool | None
    charging_enabled: bool | None
    paused: bool | None
    charging_current: float | None


# Of a control, in mA.
_MOST_CURRENT = 1_000_000


# The document's Korean text translates two of the keys.
_TRANSLATED = {"일시정지": "paused", "충전_전류": "charging_current"}


def decode_control(answer: Any) -> CfosControl:
    """Read a control. Raises CfosRefused unless it is an object, BadMessage if none of its members
    can be read.
    """
    answer = answer[0] if isinstance(answer, list) and len(answer) == 1 else answer
    fields = {_TRANSLATED.get(key, key): value for key, value in expect(dict, answer).items()}
    flags = {name: flag(fields.get(name)) for name in _CONTROL_FLAGS}
    current = read_number(fields.get("charging_current"))
    if current is not None and not 0 <= current <= _MOST_CURRENT:
        current = None
    if current is None and all(each is None for each in flags.values()):
        raise BadMessage("a control without any member that can be read")
    return CfosControl(**flags, charging_current=None if current is None else float(current))


_CONTROL_FLAGS = ("device_enabled", "charging_enabled", "paused")
