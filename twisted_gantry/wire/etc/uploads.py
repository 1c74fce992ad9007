"""The upload of a smart cabinet below us, read leniently: a bad value costs that value alone.

Source: the ETC document, sections 1.8 and 3.1; decisions: `docs/protocols/etc-gantry.md`,
"Receiving from cabinets below us". Each value becomes a Reading: numbers in the units of the
catalogue (kW become W, kWh become Wh, minutes become s), flags true or false, enumerations words.
`Field.write` turns a value back into the document's text.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, get_args, get_origin

import msgspec

from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc import reports
from twisted_gantry.wire.etc.envelope import SENTINELS, Sentinel, flag, number, percent, same_id
from twisted_gantry.wire.etc.times import local_text
from twisted_gantry.wire.numbers import flag as flag_of
from twisted_gantry.wire.numbers import number as number_of
from twisted_gantry.wire.numbers import unpadded, whole
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

    @property
    def is_flag(self) -> bool:
        return isinstance(self.read("1"), bool)


def _measure(unit: str, factor: float = 1, low: float = -1e9, high: float = 1e9) -> Kind:
    """Return the kind of a number that counts `factor` units, within `low` and `high` as sent.
    Volts, amperes and power may be negative: a telecom supply has -48 V.
    """

    def read(text: str) -> Value:
        value = number_of(text)
        # Rounded, so that 2.3 kW is 2300 W.
        return None if value is None or not low <= value <= high else round(value * factor, 6)

    write = percent if unit in {"%", "°C"} else number
    return Kind(unit, read, lambda value: write(value / factor))


def _count(text: str) -> Value:
    value = whole(text)
    return value if value is not None and 0 <= value < 10**9 else None


def _text(text: str) -> Value:
    return "".join(c if c.isprintable() else " " for c in text[:LONGEST_TEXT])


# What cabinets write where nothing warns; the document asks for an empty text.
_NO_WARNING = frozenset(
    ("", "0", "-", "--", "无", "无告警", "无报警", "正常", "null", "none", "normal", "ok")
)


def _warnings(text: str) -> Value:
    items = (item.strip() for item in str(_text(text)).split(","))
    return ",".join(item for item in items if item.lower() not in _NO_WARNING)


def _choice(words: Mapping[str, str]) -> Kind:
    codes = {word: code for code, word in words.items()}
    return Kind("", lambda text: words.get(str(whole(text))), codes.__getitem__)


def _abnormal(text: str) -> Value:
    value = flag_of(text)
    return None if value is None else not value


def _written_time(value: Any) -> str:
    text = local_text(value)
    if text is None:
        raise ValueError(value)
    return text


_FLAG = Kind("", flag_of, flag)
_ABNORMAL = Kind("", _abnormal, lambda value: flag(not value))
_COUNT = Kind("", _count, str)
_TEXT = Kind("", _text, str)
_WARNINGS = Kind("", _warnings, str)
_TIME = Kind("", local_text, _written_time)
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


# The value of a flag that counts when a device is told of several times, by the end of the name.
_WORSE: Mapping[str, bool] = {
    "status": False,
    "is_warning": True,
    "system_warning": True,
    "temperature_warning": True,
    "closed": False,
    "locked": False,
    "open_illegally": True,
    "defend_mode": False,
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a group: our name, the document's key, its kind, and of a flag that warns the
    value that is the worse one.
    """

    name: str
    key: str
    kind: Kind
    worse: bool | None = None

    @property
    def side(self) -> str:
        """The door that the field is about, `front_door_`; empty for other fields."""
        return "".join(self.name.partition("_door_")[:2]) if "_door_" in self.name else ""

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
        Field(
            each.name,
            each.encode_name,
            _KINDS[each.name],
            _WORSE.get(each.name.rpartition("_door_")[2]),
        )
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
    group has no rows; None if it has. `whole`: these are all the rows that the cabinet has.
    """

    rows: Mapping[str, Readings]
    untold: Quality | None = None
    whole: bool = True


@dataclass(frozen=True, slots=True)
class CabinetUpload:
    """An upload. `odd` counts the faults that were skipped."""

    id: str
    groups: Mapping[str, GroupUpload]
    odd: Counter[str] = field(default_factory=Counter)


def reports_of(fields: Any, ids: Sequence[str] = ()) -> Sequence[Any]:
    """Return the reports in a `cabinetStatus`: several, if it is an array of cabinets. A single one
    with groups and without an id that can be read is of the only cabinet among `ids`.
    """
    found = fields if isinstance(fields, list) else [fields]
    if len(found) != 1 or len(ids) != 1 or not isinstance(found[0], dict):
        return found
    if not any(shape.key in found[0] for shape in GROUPS.values()):
        return found
    try:
        upload_id(found[0])
    except BadMessage:
        return [{**found[0], "id": ids[0]}]
    return found


def upload_id(fields: Any) -> str:
    """Return the `id` of the cabinet that uploads, as `same_id` spells it. Raises BadMessage."""
    given = same_id(unpadded(fields.get("id"))) if isinstance(fields, dict) else None
    if given is None or len(given) > LONGEST_ID or given in _QUALITIES:
        raise BadMessage("cabinetStatus is no object with an id")
    return given


def decode_upload(fields: Any) -> CabinetUpload:
    """Read a `cabinetStatus`, numbers as text. Raises BadMessage only if it lacks an id."""
    odd: Counter[str] = Counter()
    which = upload_id(fields)
    groups = {name: decode_group(fields, shape, odd) for name, shape in GROUPS.items()}
    return CabinetUpload(which, groups, +odd)


_QUALITIES = {sentinel.value: quality for quality, sentinel in SENTINELS.items()}


def decode_group(fields: Mapping[str, Any], shape: GroupShape, odd: Counter[str]) -> GroupUpload:
    """Read one group of a `cabinetStatus`, numbers as text; faults are counted in `odd`."""
    given = fields.get(shape.key)
    if given is None:
        if shape.name not in _OPTIONAL:
            odd["missing-group"] += 1
        return _untold(shape, Quality.NO_DATA)
    given = unpadded(given)
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
    """Read an object, or an array of such: each field has the worst of what was said of it."""
    if not given:  # an empty array: the device is missing
        return _untold(shape, Quality.NOT_SUPPORTED)
    elements = list(_flat(given))[:MAX_ROWS]
    rows = [each for each in elements if isinstance(each, dict)]
    odd["too-many-rows"] += len(elements) > 1
    if len(rows) < len(elements):
        odd["odd-row"] += 1
    if not rows:
        return _untold(shape, Quality.GET_FAILED)
    return GroupUpload({"": _merged(rows, len(rows) == len(elements), shape, odd)})


def _flat(given: list[Any]) -> Iterator[Any]:
    for each in given:
        if isinstance(each, list):
            yield from _flat(each)
        else:
            yield each


def _merged(
    rows: Sequence[Mapping[str, Any]], whole_group: bool, shape: GroupShape, odd: Counter[str]
) -> Readings:
    told = [
        {each.name: _reading(row[each.key], each, odd) for each in shape.fields if each.key in row}
        for row in rows
    ]
    merged: Readings = {}
    for each in shape.fields:
        found = [row[each.name] for row in _worst_first(told, each, shape) if each.name in row]
        if not found:
            odd["missing-field"] += 1
            found = [missing(each.kind.unit, Quality.NO_DATA)]
        if not whole_group and each.worse is not None:
            found.append(missing(each.kind.unit, Quality.GET_FAILED))
        merged[each.name] = _folded(each, found)
    return merged


def _worst_first(rows: Sequence[Readings], about: Field, shape: GroupShape) -> Sequence[Readings]:
    """Return the rows in the order of what they warn of, so that the card and the time of an
    opening are those of the opening.
    """
    if len(rows) == 1:
        return rows
    flags = [each for each in shape.fields if each.side == about.side and each.worse is not None]

    def warnings(row: Readings) -> int:
        return sum(each.name in row and row[each.name].value is each.worse for each in flags)

    return sorted(rows, key=warnings, reverse=True)


def _folded(about: Field, found: Sequence[Reading]) -> Reading:
    """Return the worst of several readings of one field: what warns before what is not known."""
    if len(found) == 1:
        return found[0]
    good = [each for each in found if each.quality is Quality.GOOD]
    if about.worse is not None:
        unknown = [e for e in found if e.quality in {Quality.GET_FAILED, Quality.NO_DATA}]
        return next((e for e in good if e.value is about.worse), (unknown or good or found)[0])
    measured = [each for each in good if isinstance(each.value, float)]
    if measured:
        return max(measured, key=lambda each: float(each.value or 0))
    return (good or found)[0]


def _array(given: list[Any], shape: GroupShape, odd: Counter[str]) -> GroupUpload:
    elements = list(_flat(given))
    odd["too-many-rows"] += len(elements) > MAX_ROWS
    placed = [(at, e) for at, e in enumerate(elements[:MAX_ROWS], 1) if isinstance(e, dict)]
    is_whole = len(placed) == len(elements)
    odd["odd-row"] += min(len(elements), MAX_ROWS) - len(placed)
    ids = [(place, _row_id(row.get("id"), odd), row) for place, row in placed]
    taken = {which for _, which, _ in ids}
    rows: dict[str, Readings] = {}
    for place, which, row in ids:
        if not which:  # its place, unless that is the id of another row
            which = f"{place}-{place}" if str(place) in taken else str(place)
        odd["equal-ids"] += which in rows
        while which in rows:
            which = f"{which}-{place}"
        rows[which] = _row(row, shape, odd)
    if given and not rows:
        return _untold(shape, Quality.GET_FAILED)
    return GroupUpload(rows, whole=is_whole)


def _row_id(given: Any, odd: Counter[str]) -> str:
    """Return an id fit for the name of a point, empty for a row without one."""
    text = same_id(unpadded(given))
    if text is None or text in _QUALITIES:
        odd["missing-field"] += 1
        return ""
    return re.sub(r"[^A-Za-z0-9_-]", "_", text[:_LONGEST_ROW_ID])


def _row(given: Mapping[str, Any], shape: GroupShape, odd: Counter[str]) -> Readings:
    return {each.name: _reading(given.get(each.key), each, odd) for each in shape.fields}


def _reading(given: Any, about: Field, odd: Counter[str]) -> Reading:
    kind, given = about.kind, unpadded(given)
    if given is None:
        odd["missing-field"] += 1
        return missing(kind.unit, Quality.NO_DATA)
    if isinstance(given, list) and given:
        if about.worse is not None:
            return _folded(about, [_reading(each, about, odd) for each in given[:MAX_ROWS]])
        if kind is _WARNINGS and all(isinstance(each, str) for each in given):
            given = ",".join(given[:MAX_ROWS])
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
