"""The upload of a smart cabinet below us, read leniently: a bad value costs that value alone.

Source: the ETC document, sections 1.8 and 3.1; decisions: `docs/protocols/etc-gantry.md`,
"Receiving from cabinets below us". Each value becomes a Reading: numbers in the units of the
catalogue (kW become W, kWh become Wh, minutes become s), flags true or false, enumerations words.
`Field.write` turns a value back into the document's text.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC
from typing import Any, get_args, get_origin

import msgspec

from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc import reports
from twisted_gantry.wire.etc.commands import parse_local_time
from twisted_gantry.wire.etc.envelope import SENTINELS, Sentinel, flag, number, percent
from twisted_gantry.wire.reading import Quality, Reading, Value, missing

# Rows of one group that are read; a cabinet has a handful.
MAX_ROWS = 64
LONGEST_TEXT = 500  # characters: `warningMsg` is a list
LONGEST_ID = 20
_LONGEST_ROW_ID = 16

Readings = dict[str, Reading]

RUNNING_STATES: Mapping[str, str] = {
    "1": "float-charge",
    "2": "equalising",
    "3": "discharging",
    "4": "charging",
    "5": "testing",
}
WORK_MODES: Mapping[str, str] = {"0": "ventilation", "1": "cooling", "2": "heating"}
UNLOCK_TYPES: Mapping[str, str] = {"0": "locked", "1": "card", "2": "remote", "3": "key"}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: its unit, and how it is read (None: no meaning) and written."""

    unit: str
    read: Callable[[str], Value]
    write: Callable[[Any], str]


_NUMBER = re.compile(r"[-+]?[0-9]{1,12}(\.[0-9]{1,17})?([eE][-+]?[0-9]{1,2})?")


def _measure(unit: str, factor: float = 1, low: float = -1e9, high: float = 1e9) -> Kind:
    """Return the kind of a number that counts `factor` units, within `low` and `high` as sent.
    Volts, amperes and power may be negative: a telecom supply has -48 V.
    """

    def read(text: str) -> Value:
        value = float(text) if _NUMBER.fullmatch(text) else None
        # Rounded, so that 2.3 kW is 2300 W.
        return None if value is None or not low <= value <= high else round(value * factor, 6)

    write = percent if unit in {"%", "°C"} else number
    return Kind(unit, read, lambda value: write(value / factor))


def _count(text: str) -> Value:
    return int(text) if re.fullmatch("[0-9]{1,9}", text) else None


def _text(text: str) -> Value:
    return "".join(c if c.isprintable() else " " for c in text[:LONGEST_TEXT])


def _warnings(text: str) -> Value:
    items = (item.strip() for item in str(_text(text)).split(","))
    return ",".join(item for item in items if item)


def _time(text: str) -> Value:
    try:
        parse_local_time(text, UTC)  # only the form counts
    except BadMessage:
        return None
    return text


def _choice(words: Mapping[str, str]) -> Kind:
    codes = {word: code for code, word in words.items()}
    return Kind("", words.get, codes.__getitem__)


_FLAG = Kind("", {"1": True, "0": False}.get, flag)
_ABNORMAL = Kind("", {"0": True, "1": False}.get, lambda value: flag(not value))
_COUNT = Kind("", _count, str)
_TEXT = Kind("", _text, str)
_WARNINGS = Kind("", _warnings, str)
_TIME = Kind("", _time, str)
_VOLTS, _AMPERES, _KILOWATTS = _measure("V"), _measure("A"), _measure("W", 1000)
_PERCENT, _CELSIUS = _measure("%", 1, 0, 100), _measure("°C", 1, -100, 200)

# A field name means the same in each group that has the field.
_KINDS: Mapping[str, Kind] = {
    "status": _FLAG,
    "voltage": _VOLTS,
    "current": _AMPERES,
    "power": _KILOWATTS,
    "frequency": _measure("Hz", 1, 0),
    "elec_consumption": _measure("Wh", 1000, 0),
    "current_limiting": _FLAG,
    "output_voltage": _VOLTS,
    "output_current": _AMPERES,
    "output_power": _KILOWATTS,
    "running_state": _choice(RUNNING_STATES),
    "input_voltage": _VOLTS,
    "input_current": _AMPERES,
    "power_rate": _PERCENT,
    "surplus_time": _measure("s", 60, 0),
    "remain_capacity": _measure("Ah", 1, 0),
    "temperature": _CELSIUS,
    "humidity": _PERCENT,
    "error_msg": _TEXT,
    "is_working": _FLAG,
    "work_mode": _choice(WORK_MODES),
    # The document's 0 is abnormal: true is a warning here, as the name says.
    "system_warning": _ABNORMAL,
    "temperature_warning": _ABNORMAL,
    "is_warning": _FLAG,
    "warning_change_time": _TIME,
    "warning_msg": _WARNINGS,
    "defend_mode": _FLAG,
    **{
        f"{side}_door_{name}": kind
        for side in ("front", "back")
        for name, kind in {
            "closed": _FLAG,
            "locked": _FLAG,
            "unlock_type": _choice(UNLOCK_TYPES),
            "unlock_card_id": _TEXT,
            "open_illegally": _FLAG,
            "change_time": _TIME,
        }.items()
    },
    "lightning_count": _COUNT,
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a group: our name, the document's key, and its kind."""

    name: str
    key: str
    kind: Kind

    def write(self, value: Value) -> str:
        """Return a value as the document's text, `GetFailed` for one that the field cannot have."""
        try:
            return self.kind.write(value)
        except (TypeError, KeyError, ValueError):
            return Sentinel.GET_FAILED.value


@dataclass(frozen=True, slots=True)
class GroupShape:
    """A group of the report: our name, the document's key, and its message. An array has rows, each
    with an `id`, which is not among `fields`.
    """

    name: str
    key: str
    message: type[reports.Group]
    is_array: bool
    fields: tuple[Field, ...]


def _shape(group: msgspec.structs.FieldInfo) -> GroupShape:
    is_array = get_origin(group.type) is tuple
    message = get_args(group.type)[0] if is_array else group.type
    fields = tuple(
        Field(each.name, each.encode_name, _KINDS[each.name])
        for each in msgspec.structs.fields(message)
        if each.name != "id"
    )
    return GroupShape(group.name, group.encode_name, message, is_array, fields)


GROUPS: Mapping[str, GroupShape] = {
    each.name: _shape(each) for each in msgspec.structs.fields(reports.Cabinet) if each.name != "id"
}
"""The groups by our names, in the document's order."""

# Cabinets built to 0.36 or older send no `thunderSpd`, under the same version.
_OPTIONAL = frozenset({"thunder_spd"})


@dataclass(frozen=True, slots=True)
class GroupUpload:
    """An uploaded group: its rows by id; an object is one row with an empty id. `untold` says why a
    group has no rows; None if the rows are all that the cabinet has.
    """

    rows: Mapping[str, Readings]
    untold: Quality | None = None


@dataclass(frozen=True, slots=True)
class CabinetUpload:
    """An upload. `odd` counts the faults that were skipped."""

    id: str
    groups: Mapping[str, GroupUpload]
    odd: Counter[str] = field(default_factory=Counter)


def upload_id(fields: Any) -> str:
    """Return the `id` of the cabinet that uploads. Raises BadMessage."""
    given = fields.get("id") if isinstance(fields, dict) else None
    if not isinstance(given, str) or not 0 < len(given.strip()) <= LONGEST_ID:
        raise BadMessage("cabinetStatus is no object with an id")
    return given.strip()


def decode_upload(fields: Any) -> CabinetUpload:
    """Read a `cabinetStatus`, numbers as text. Raises BadMessage only if it lacks an id."""
    odd: Counter[str] = Counter()
    which = upload_id(fields)
    groups = {name: _group(fields, shape, odd) for name, shape in GROUPS.items()}
    return CabinetUpload(which, groups, +odd)


_QUALITIES = {sentinel.value: quality for quality, sentinel in SENTINELS.items()}


def _group(fields: Mapping[str, Any], shape: GroupShape, odd: Counter[str]) -> GroupUpload:
    given = fields.get(shape.key)
    if given is None:
        if shape.name not in _OPTIONAL:
            odd["missing-group"] += 1
        return _untold(shape, Quality.NO_DATA)
    if isinstance(given, str) and given.strip() in _QUALITIES:
        return _untold(shape, _QUALITIES[given.strip()])
    if isinstance(given, dict):  # `elec` and `rectifier` were objects before 0.35
        given = [given]
    if not isinstance(given, list):
        odd["odd-group"] += 1
        return _untold(shape, Quality.GET_FAILED)
    return _array(given, shape, odd) if shape.is_array else _object(given, shape, odd)


def _untold(shape: GroupShape, quality: Quality) -> GroupUpload:
    if shape.is_array:
        return GroupUpload({}, quality)
    readings = {each.name: missing(each.kind.unit, quality) for each in shape.fields}
    return GroupUpload({"": readings}, quality)


def _object(given: list[Any], shape: GroupShape, odd: Counter[str]) -> GroupUpload:
    if not given:  # an empty array: the device is missing
        return _untold(shape, Quality.NOT_SUPPORTED)
    if len(given) > 1:
        odd["too-many-rows"] += 1
    if not isinstance(given[0], dict):
        odd["odd-row"] += 1
        return _untold(shape, Quality.GET_FAILED)
    return GroupUpload({"": _row(given[0], shape, odd)})


def _array(given: list[Any], shape: GroupShape, odd: Counter[str]) -> GroupUpload:
    if len(given) > MAX_ROWS:
        odd["too-many-rows"] += 1
    rows: dict[str, Readings] = {}
    for place, row in enumerate(given[:MAX_ROWS], 1):
        if not isinstance(row, dict):
            odd["odd-row"] += 1
            continue
        which = _row_id(row.get("id"), place, odd)
        odd["equal-ids"] += which in rows
        while which in rows:
            which = f"{which}-{place}"
        rows[which] = _row(row, shape, odd)
    if given and not rows:
        return _untold(shape, Quality.GET_FAILED)
    return GroupUpload(rows)


def _row_id(given: Any, place: int, odd: Counter[str]) -> str:
    """Return an id fit for the name of a point; the place of the row if the id is missing."""
    text = given.strip() if isinstance(given, str) else ""
    if not text or text in _QUALITIES:
        odd["missing-field"] += 1
        return str(place)
    return re.sub(r"[^A-Za-z0-9_-]", "_", text[:_LONGEST_ROW_ID])


def _row(given: Mapping[str, Any], shape: GroupShape, odd: Counter[str]) -> Readings:
    return {each.name: _reading(given.get(each.key), each.kind, odd) for each in shape.fields}


def _reading(given: Any, kind: Kind, odd: Counter[str]) -> Reading:
    if given is None:
        odd["missing-field"] += 1
        return missing(kind.unit, Quality.NO_DATA)
    if isinstance(given, bool) and kind in (_FLAG, _ABNORMAL):
        given = flag(given)  # the meaning is clear, and the value may be a smoke alarm
    if isinstance(given, str):
        text = given.strip()
        if text in _QUALITIES:
            return missing(kind.unit, _QUALITIES[text])
        value = kind.read(text)
        if value is not None:
            return Reading(value, kind.unit)
    odd["impossible-value"] += 1
    return missing(kind.unit, Quality.GET_FAILED)
