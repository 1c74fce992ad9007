"""Reports of a cabinet in which nothing is wrong, recognised while they are decoded.

Most reports are such. The types of the message allow only spellings by which nothing is wrong. So
the decoder itself does the checks of `centre/reading.py`, in a fifth of the time. A message of any
other kind is None here, and read by the general path.
"""

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import msgspec

from twisted_gantry.centre.model import Told
from twisted_gantry.centre.reading import (
    DEAD_V,
    NOT_SUPPORTED,
    PLAIN_ID,
    UNTOLD_SPD,
    clean_checks,
    strikes_of,
)
from twisted_gantry.wire.etc.envelope import FIELDS_KEY, VERSION, Method
from twisted_gantry.wire.etc.uploads import GROUPS, MAX_ROWS, GroupShape

_FIELDS = FIELDS_KEY[Method.CABINET_STATUS]
_PLAIN_STAMP = re.compile(r"[0-9]{1,11}")
_LONGEST_COUNTS = 200  # characters: what a report told is remembered by them
_QUOTES = 4  # around a key and its text


def _row(shape: GroupShape) -> Any:
    clean = {each.key: each.clean for each in clean_checks(shape.name)}
    keys = ["id"] * shape.is_array + [each.key for each in shape.fields]
    fields: list[Any] = []
    for key in keys:
        texts = sorted(str(each) for each in clean.get(key, ()) if isinstance(each, str))
        fields.append((key, Literal[tuple(texts)] if texts else str))
    return msgspec.defstruct(f"Clean{shape.key}", fields, forbid_unknown_fields=True, gc=False)


_ARRAY: Any = list
_ROWS = {shape.key: _row(shape) for shape in GROUPS.values()}
_ARRAYS = tuple(
    (shape.key, _QUOTES * len(_ROWS[shape.key].__struct_fields__))
    for shape in GROUPS.values()
    if shape.is_array
)
_MAINS, _SPD = GROUPS["elec"].key, GROUPS["thunder_spd"].key


def _group(shape: GroupShape) -> tuple[Any, ...]:
    row, array = _ROWS[shape.key], _ARRAY
    if shape.key == _SPD:  # cabinets built to 0.36 or older have none
        return (shape.key, array[row] | msgspec.UnsetType, msgspec.UNSET)
    return (shape.key, array[row] if shape.is_array else row)


_Cabinet: Any = msgspec.defstruct(
    "CleanCabinet",
    [("id", str), *map(_group, GROUPS.values())],
    forbid_unknown_fields=True,
    gc=False,
)
_Envelope: Any = msgspec.defstruct(
    "CleanEnvelope",
    [
        ("gantryId", str),
        ("method", Literal[Method.CABINET_STATUS.value]),
        ("timeStamp", str),
        ("version", Literal[VERSION]),
        (_FIELDS, _Cabinet),
    ],
    forbid_unknown_fields=True,
    gc=False,
)
_decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(_Envelope)


def _quotes() -> int:
    """Return the number of quotes of a report without rows and without `thunderSpd`."""
    objects = [shape.key for shape in GROUPS.values() if not shape.is_array]
    in_objects = sum(_QUOTES * len(_ROWS[key].__struct_fields__) for key in objects)
    # The envelope has four texts and a key; the cabinet an id, and a key for each group.
    return 4 * _QUOTES + 2 + _QUOTES + 2 * (len(GROUPS) - 1) + in_objects


_LEAST_QUOTES = _quotes()
_NOTHING: frozenset[str] = frozenset()


class CleanReport(NamedTuple):
    """A report of a cabinet without any fault. `time_stamp` is Unix seconds."""

    gantry_id: str
    time_stamp: float
    told: tuple[Told, ...]


def read_clean(body: bytes) -> CleanReport | None:
    """Return what a report tells, None for one that must be looked at. Never raises."""
    if b"\\" in body:
        return None
    try:
        report = _decoder.decode(body)
        cabinet = getattr(report, _FIELDS)
        stamp, which = report.timeStamp, cabinet.id
        if not (_PLAIN_STAMP.fullmatch(stamp) and PLAIN_ID.fullmatch(which)):
            return None
        for row in cabinet.elec:
            if row.voltage != NOT_SUPPORTED and not float(row.voltage) >= DEAD_V:
                return None
    except (ValueError, RecursionError):  # a message of another kind
        return None
    quotes = _LEAST_QUOTES
    has_spd = cabinet.thunderSpd is not msgspec.UNSET
    for key, each in _ARRAYS:
        rows = getattr(cabinet, key)
        if rows is not msgspec.UNSET:
            if len(rows) > MAX_ROWS:
                return None
            quotes += each * len(rows)
    if body.count(b'"') != quotes + 2 * has_spd:
        return None  # a key comes twice
    counts = tuple([row.lightningCount for row in cabinet.thunderSpd]) if has_spd else ()
    if len(which) + sum(map(len, counts)) > _LONGEST_COUNTS:
        return None
    told = _told(which, has_spd, bool(cabinet.ups), counts)
    return CleanReport(report.gantryId, float(stamp), told)


@lru_cache(maxsize=4096)
def _told(which: str, has_spd: bool, has_ups: bool, counts: tuple[str, ...]) -> tuple[Told, ...]:
    """Return what a clean report tells; most reports tell what the last one of the gantry told."""
    unknown = _NOTHING if has_spd else UNTOLD_SPD
    told = Told(f"cabinet-{which}", _NOTHING, unknown, None, False if has_ups else None)
    return (replace(told, strikes=strikes_of(counts)),)
