"""The answer to `get_dev_info`: parameters of the manager, its EVSEs and meters, as readings.

Both generations of the firmware are read into one shape (`docs/protocols/cfos.md`, Quirks).
Readings have the names and units of points: mA become A, ms become s. A wrong value costs that
value alone. Source: the cFos document, "/cnf?cmd=get_dev_info".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from twisted_gantry.wire import numbers
from twisted_gantry.wire.cfos import calls
from twisted_gantry.wire.errors import BadMessage, WireError
from twisted_gantry.wire.json import salvage
from twisted_gantry.wire.quote import quote
from twisted_gantry.wire.reading import Quality, Reading, Value, missing

# The vendor licenses at most some dozen devices a manager.
MAX_DEVICES = 64

Readings = dict[str, Reading]


@dataclass(frozen=True, slots=True)
class Part:
    """An EVSE (`E1`) or a meter (`M1`). `fields` has all keys that came, unknown ones too."""

    id: str
    readings: Readings
    fields: Mapping[str, Any] = field(repr=False)

    @property
    def is_evse(self) -> bool:
        """Whether it is an EVSE; the id decides, because the document's meter says `is_evse`."""
        return self.id.startswith("E")


@dataclass(frozen=True, slots=True)
class DevInfo:
    """One poll. `odd` names the faults that were skipped, for counters. `wrong` describes each
    value without a meaning and each device that is no part; `repairs` what was repaired to read
    the answer.
    """

    params: Readings
    parts: Mapping[str, Part]
    fields: Mapping[str, Any] = field(repr=False)
    odd: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    repairs: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether the list of devices came as it was meant: a part that it lacks is gone."""
        return not self.odd and not self.repairs


# Returns the meaning of a value, None for a value without one.
_Meaning = Callable[[Any], Value]


def _measure(divisor: int = 1) -> _Meaning:
    def read(value: Any) -> Value:
        number = calls.read_number(value)
        return None if number is None else number / divisor

    return read


def _count(value: Any) -> Value:
    number = numbers.whole(value)
    return number if number is not None and abs(number) <= calls.LARGEST else None


def _truth(value: Any) -> Value:
    return numbers.flag(value)


def _trouble(value: Any) -> Value:
    """Return whether a communication error is told: by anything but 0 and false."""
    if value is None:
        return None
    known = numbers.flag(value)
    return value != "" if known is None else known


def _text(value: Any) -> Value:
    if isinstance(value, str):
        text = value[: calls.LONGEST_WORDS]
        return text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
    return numbers.text(calls.bounded_number(value))


def _named(
    numbers: type[calls.EvseState] | type[calls.Role] | type[calls.DisablePolicy],
) -> _Meaning:
    def read(value: Any) -> Value:
        number = _count(value)
        try:
            return numbers(number).text if isinstance(number, int) else None
        except ValueError:
            return None

    return read


def _phases(value: Any) -> Value:
    """Return a bit field of phases as text, `L1 L2 L3`; `none` for 0."""
    bits = _count(value)
    if not isinstance(bits, int) or not 0 <= bits <= 7:
        return None
    return " ".join(f"L{n + 1}" for n in range(3) if bits >> n & 1) or "none"


_number, _milli = _measure(), _measure(1000)


@dataclass(frozen=True, slots=True)
class _Field:
    """One reading, and the keys that may hold it; the first that can be read counts. `inner` are
    further keys of the object `evse`; a value in `none` is no value.
    """

    name: str
    unit: str
    meaning: _Meaning
    keys: tuple[str, ...]
    inner: tuple[str, ...] = ()
    none: tuple[float, ...] = ()


def _field(
    name: str,
    unit: str,
    meaning: _Meaning,
    *keys: str,
    inner: tuple[str, ...] = (),
    none: tuple[float, ...] = (),
) -> _Field:
    return _Field(name, unit, meaning, keys or (name,), inner, none)


_PARAMS = (
    _field("title", "", _text),
    _field("version", "", _text),
    _field("max_total_current", "A", _milli),
    _field("max_total_power", "W", _number),
    _field("reserve_current", "A", _milli),
    _field("reserve_power", "W", _number, "power_reserve"),
    _field("overdraft_current", "A", _milli, "overdraft_cur"),
    _field("overdraft_power", "W", _number, "overdraft"),
    _field("max_evse_current", "A", _milli, "max_total_evse_current"),
    _field("max_evse_power", "W", _number, "max_total_evse_power"),
    _field("evse_power", "W", _number, "cons_evse_power", "consumed_evse_power"),
    _field("available_evse_power", "W", _number, "avail_evse_power", "remaining_evse_power"),
    _field("load_balancing", "", _truth, "lb_enabled"),
    _field("disable_policy", "", _named(calls.DisablePolicy)),
    _field("cycle_time", "s", _milli),
    _field("trial_version", "", _truth, "shareware_mode"),
)

_COMMON = (
    _field("name", "", _text),
    _field("description", "", _text, "desc"),
    _field("type", "", _text, "dev_type"),
    _field("model", "", _text),
    _field("enabled", "", _truth, "device_enabled"),
    _field("communication_error", "", _trouble, "com_err"),
    _field("communication_errors", "", _count, "com_errors"),
    _field("last_error", "", _text),
    *(_field(f"current_l{n}", "A", _milli) for n in (1, 2, 3)),
    *(_field(f"voltage_l{n}", "V", _number) for n in (1, 2, 3)),
)

_EVSE = (
    *_COMMON,
    _field("state", "", _named(calls.EvseState)),
    _field("charging_enabled", "", _truth),
    _field("paused", "", _truth),
    _field("pause_time", "s", _number),
    _field("pause_min_time", "s", _number),
    _field("power", "W", _number, "power_w", "cur_charging_power"),
    _field("import_energy", "Wh", _number, "total_energy"),
    # Not in the document; managers in the field use one of these keys, with -1 for none.
    _field(
        "charging_current", "A", _milli, "last_set_charging_cur", inner=("current",), none=(-1,)
    ),
    _field("min_charging_current", "A", _milli, "min_charging_cur"),
    _field("max_charging_current", "A", _milli, "max_charging_cur"),
    _field("max_charging_power", "W", _number, "max_power"),
    _field("phases", "", _phases),
    _field("priority", "", _count, "prio"),
    _field("label", "", _text),
)

_EVSE_BY_EXPRESSION = tuple(each for each in _EVSE if each.name != "max_charging_current")

_METER = (
    *_COMMON,
    _field("power", "W", _number, "power_w"),
    _field("import_energy", "Wh", _number, "import"),
    _field("export_energy", "Wh", _number, "export"),
    _field("role", "", _named(calls.Role)),
)

PARAM_UNITS: Mapping[str, str] = {each.name: each.unit for each in _PARAMS}
EVSE_UNITS: Mapping[str, str] = {each.name: each.unit for each in _EVSE}
METER_UNITS = {**{each.name: each.unit for each in _METER}, "apparent_power": "VA"}


def decode_dev_info(data: bytes) -> DevInfo:
    """Read a poll. Raises NotJson; CfosRefused for an answer that is no object; BadMessage for
    `devices` that cannot be read, and for more than MAX_DEVICES.
    """
    try:
        answer, repairs = salvage(data)
    except WireError as error:
        raise type(error)(f"{error}; it is {quote(data)}") from None
    fields = calls.expect(dict, _only(answer))
    params, devices = _only(fields.get("params", {})), _devices(fields.get("devices"))
    if devices is None:
        raise BadMessage("devices that are no list")
    if len(devices) > MAX_DEVICES:
        raise BadMessage(f"{len(devices)} devices, more than {MAX_DEVICES}")
    parts: dict[str, Part] = {}
    odd: list[str] = []
    wrong: list[str] = []
    twice: set[str] = set()
    if not isinstance(params, dict):
        wrong.append(f"params is {_shown(params)}")
        params = dict.fromkeys(key for each in _PARAMS for key in each.keys)
    for device in devices:
        part = _part(device, wrong)
        if part is None:
            odd.append("bad-device")
            wrong.append("a device without an id such as E1 or M1")
        elif parts.setdefault(part.id, part).fields != part.fields:
            twice.add(part.id)
    for which in sorted(twice):
        del parts[which]  # nobody knows which is which
        odd.append("equal-device-ids")
        wrong.append(f"two devices are {which}")
    readings = _read(params, _PARAMS, "params", wrong)
    return DevInfo(readings, parts, params, tuple(odd), tuple(wrong), repairs)


def _only(node: Any) -> Any:
    """Return the only element of a list, and anything else as it is."""
    return node[0] if isinstance(node, list) and len(node) == 1 else node


def _devices(node: Any) -> list[Any] | None:
    """Return the list of devices; one device alone, or an object of devices by their ids, too."""
    if not isinstance(node, dict):
        return node if isinstance(node, list) else None
    if "dev_id" in node or not node:
        return [node] if node else None
    return [
        {"dev_id": key, **each} if isinstance(each, dict) else each for key, each in node.items()
    ]


def _part(device: Any, wrong: list[str]) -> Part | None:
    device = _only(device)
    which = numbers.unpadded(device.get("dev_id")) if isinstance(device, dict) else None
    which = which.strip().upper() if isinstance(which, str) else ""
    if not calls.DEVICE_ID.fullmatch(which):
        return None
    if which.startswith("E"):
        most = device.get("max_charging_cur")
        expression = isinstance(most, str) and calls.read_number(most) is None
        readings = _read(device, _EVSE_BY_EXPRESSION if expression else _EVSE, which, wrong)
        if expression:
            # An expression is allowed: it has no number, and nothing failed.
            readings["max_charging_current"] = missing("A", Quality.NOT_SUPPORTED)
    else:
        readings = _read(device, _METER, which, wrong)
        _tell_power(readings, device)
    return Part(which, readings, device)


def _tell_power(readings: Readings, device: Mapping[str, Any]) -> None:
    """Move a meter's power to `apparent_power` if `is_va` says so."""
    readings["apparent_power"] = missing("VA", Quality.NOT_SUPPORTED)
    if numbers.flag(device.get("is_va")):
        power = readings["power"]
        readings["apparent_power"] = Reading(power.value, "VA", power.quality)
        readings["power"] = missing("W", Quality.NOT_SUPPORTED)


def _read(
    fields: Mapping[str, Any], wanted: tuple[_Field, ...], place: str, wrong: list[str]
) -> Readings:
    """Return the readings of one object; a value without a meaning is added to `wrong`."""
    readings: Readings = {}
    evse = _only(fields.get("evse"))
    for each in wanted:
        value, key, odd = _first(each, each.keys, fields)
        if value is None and isinstance(evse, dict):  # where firmware 2 keeps some
            value, inner, other = _first(each, each.keys + each.inner, evse)
            if not key and inner:
                key, odd = f"evse.{inner}", other
        quality = Quality.GOOD
        if value is None:
            quality = Quality.GET_FAILED if key else Quality.NOT_SUPPORTED
            if key:
                wrong.append(f"{place}: {key} is {_shown(odd)}")
        readings[each.name] = Reading(value, each.unit, quality)
    return readings


def _first(
    wanted: _Field, keys: tuple[str, ...], fields: Mapping[str, Any]
) -> tuple[Value, str, Any]:
    """Return the first value that can be read; without one, the first key with an odd value, and
    that.
    """
    odd_key, odd = "", None
    for key in keys:
        if key in fields:
            found = numbers.unpadded(fields[key])
            if wanted.none and numbers.number(found) in wanted.none:
                continue
            value = wanted.meaning(found)
            if value is not None:
                return value, "", None
            if not odd_key:
                odd_key, odd = key, found
    return None, odd_key, odd


def _shown(value: Any) -> str:
    """Return a value for an error text, bounded in length."""
    kinds = {dict: "an object", list: "a list", type(None): "null"}
    if isinstance(value, int | float) and calls.bounded_number(value) is None:
        return "true or false" if isinstance(value, bool) else "a number out of range"
    return kinds.get(type(value)) or ascii(value[:40] if isinstance(value, str) else value)
