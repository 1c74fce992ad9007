"""The upload of other computers (工控机), read leniently: a bad value costs that value alone.

Source: the ETC document, sections 1.8 and 2.1. Sizes are KiB, usages %, the temperature °C.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from twisted_gantry.wire import numbers
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.envelope import SENTINELS
from twisted_gantry.wire.etc.reports import Computer
from twisted_gantry.wire.reading import Quality, Reading, Value, missing

MAX_ROWS = 64
LONGEST_ID = 16
_LONGEST_TEXT = 64

Readings = dict[str, Reading]

_QUALITIES = {sentinel.value: quality for quality, sentinel in SENTINELS.items()}
_FLAGS = frozenset({"is_monitor_computer", "is_main_computer"})


def _between(low: float, high: float) -> Callable[[Any], Value]:
    def read(node: Any) -> Value:
        value = numbers.number(node)
        return value if value is not None and low <= value <= high else None

    return read


def _size(node: Any) -> Value:
    value = numbers.whole(node)
    return value if value is not None and 0 < value < 10**15 else None


def _text(node: Any) -> Value:
    text = numbers.text(node)
    return text if text and text.isprintable() and len(text) <= _LONGEST_TEXT else None


def _kind(name: str) -> tuple[str, Callable[[Any], Value]]:
    """Return the unit of a field, and how its value is read (None: it has no meaning)."""
    if name in _FLAGS:
        return "", numbers.flag
    if name.endswith("_usage"):
        return "%", _between(0, 100)
    if name.endswith("_size"):
        return "KiB", _size
    if name == "cpu_temperature":
        return "°C", _between(-100, 200)
    return "", _text


_KEYS = dict(zip(Computer.__struct_fields__, Computer.__struct_encode_fields__, strict=True))
_FIELDS = {name: (key, *_kind(name)) for name, key in _KEYS.items() if name != "id"}


def decode_computers(fields: Any) -> tuple[Mapping[str, Readings], Counter[str]]:
    """Read a `computerStatus`: the readings of each computer by its id, and the faults that were
    skipped. Raises BadMessage for anything without a row.
    """
    rows, odd = [fields] if isinstance(fields, dict) else fields, Counter[str]()
    if not isinstance(rows, list):
        raise BadMessage("computerStatus is no array")
    found: dict[str, Readings] = {}
    odd["too-many-rows"] += len(rows) > MAX_ROWS
    for place, row in enumerate(rows[:MAX_ROWS], 1):
        if not isinstance(row, dict):
            odd["odd-row"] += 1
            continue
        which = _id(row.get("id"), place, odd)
        odd["equal-ids"] += which in found
        found.setdefault(which, _row(row, odd))
    if not found:
        raise BadMessage("computerStatus has no computer")
    return found, +odd


def _id(given: Any, place: int, odd: Counter[str]) -> str:
    text = numbers.text(numbers.unpadded(given)) or ""
    if not text or text in _QUALITIES:
        odd["missing-field"] += 1
        return str(place)
    return re.sub(r"[^A-Za-z0-9_-]", "_", text[:LONGEST_ID])


def _row(row: Mapping[str, Any], odd: Counter[str]) -> Readings:
    return {
        name: _reading(row.get(key), unit, read, odd) for name, (key, unit, read) in _FIELDS.items()
    }


def _reading(given: Any, unit: str, read: Callable[[Any], Value], odd: Counter[str]) -> Reading:
    given = numbers.unpadded(given)
    if given is None:
        odd["missing-field"] += 1
        return missing(unit, Quality.NO_DATA)
    quality = _QUALITIES.get(given.strip()) if isinstance(given, str) else None
    if quality is not None:
        return missing(unit, quality)
    value = read(given)
    if value is None:
        odd["impossible-value"] += 1
        return missing(unit, Quality.GET_FAILED)
    return Reading(value, unit)
