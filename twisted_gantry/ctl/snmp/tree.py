"""Objects in the order of their identifiers, as an SNMP agent walks them."""

import math
from bisect import bisect_right
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

Oid = tuple[int, ...]

_INTEGER = 2**31 - 1
_UNSIGNED = 2**32 - 1
LONGEST_OID = 128  # arcs
LONGEST_TEXT = 255  # bytes


class SnmpType(StrEnum):
    """The types by the words of `pass_persist`."""

    INTEGER = "integer"
    GAUGE = "gauge"
    TICKS = "timeticks"
    OID = "objectid"
    TEXT = "string"


@dataclass(frozen=True)
class SnmpValue:
    """A value as `pass_persist` writes it: one line."""

    type: SnmpType
    text: str


def show_oid(oid: Oid) -> str:
    return "".join(f".{arc}" for arc in oid)


def read_oid(text: str) -> Oid:
    """Parse an identifier. Raises ValueError."""
    return tuple(int(arc) for arc in text.strip().strip(".").split("."))


def index_of(name: str) -> Oid:
    """Return a name as the last index of a row (IMPLIED)."""
    return tuple(name.encode())


def integer(value: float) -> SnmpValue | None:
    """Return a whole number, rounded; None beyond the range, and for no number at all."""
    if not math.isfinite(value) or abs(round(value)) > _INTEGER:
        return None
    return SnmpValue(SnmpType.INTEGER, str(round(value)))


def unsigned(value: float, type_: SnmpType = SnmpType.GAUGE) -> SnmpValue:
    """Return a number from 0, held within its range."""
    return SnmpValue(type_, str(round(min(max(value, 0), _UNSIGNED))))


def text(value: object, most: int = LONGEST_TEXT) -> SnmpValue:
    """Return a text of at most `most` bytes in UTF-8, on one line."""
    line = "".join(letter if letter.isprintable() else " " for letter in str(value))
    cut = line.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")
    return SnmpValue(SnmpType.TEXT, cut)


def ascii_text(value: object, most: int) -> SnmpValue:
    """Return a text for a DisplayString, which has no other letters than those of ASCII."""
    return text(str(value).encode("ascii", "replace").decode(), most)


def oid_value(oid: Oid) -> SnmpValue:
    return SnmpValue(SnmpType.OID, show_oid(oid))


class SnmpTree:
    """Objects by their identifiers; those that no message can name are left out."""

    def __init__(self, objects: Mapping[Oid, SnmpValue] | Iterable[tuple[Oid, SnmpValue]]) -> None:
        given = dict(objects)
        self._objects = {oid: each for oid, each in given.items() if len(oid) <= LONGEST_OID}
        self._order = sorted(self._objects)

    def __len__(self) -> int:
        return len(self._order)

    def get(self, oid: Oid) -> SnmpValue | None:
        return self._objects.get(oid)

    def after(self, oid: Oid, below: Oid = ()) -> tuple[Oid, SnmpValue] | None:
        """Return the first object behind `oid`, which need not exist; None behind the last one
        `below` a node.
        """
        at = bisect_right(self._order, oid)
        if at == len(self._order) or self._order[at][: len(below)] != below:
            return None
        found = self._order[at]
        return found, self._objects[found]
