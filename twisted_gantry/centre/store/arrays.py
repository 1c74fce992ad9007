"""Columns of many rows as binary arrays of PostgreSQL: a join in place of a loop with quotes."""

import struct
from collections.abc import Iterable, Sequence
from itertools import chain, repeat
from typing import Any

import psycopg
from psycopg.adapt import Dumper
from psycopg.pq import Format

_HEADER = struct.Struct("!iiiii")  # dimensions, whether NULLs, element type, length, lower bound
_LENGTH = struct.Struct("!i").pack
_NULL = _LENGTH(-1)


class Array:
    """A column of values; a None is NULL."""

    element = 0  # the type of PostgreSQL

    def __init__(self, values: Sequence[Any]) -> None:
        self.values = values

    def encoded(self) -> bytes:
        """Return the values, each with its length before it."""
        raise NotImplementedError

    def dump(self) -> bytes:
        values = self.values
        nulls = None in values
        body = self._with_nulls() if nulls else self.encoded()
        return _HEADER.pack(1, nulls, self.element, len(values), 1) + body

    def _with_nulls(self) -> bytes:
        kind = type(self)
        return b"".join(_NULL if each is None else kind([each]).encoded() for each in self.values)


def _joined(parts: Sequence[bytes]) -> bytes:
    return b"".join(chain.from_iterable(zip(map(_LENGTH, map(len, parts)), parts, strict=True)))


def _packed(code: str, values: Sequence[Any]) -> bytes:
    pairs = chain.from_iterable(zip(repeat(8, len(values)), values, strict=True))
    return struct.pack(f"!{f'i{code}' * len(values)}", *pairs)


class TextArray(Array):
    element = 25

    def encoded(self) -> bytes:
        return _joined([text.encode() for text in self.values])


class BytesArray(Array):
    element = 17

    def encoded(self) -> bytes:
        return _joined(self.values)


class IntArray(Array):
    element = 20

    def encoded(self) -> bytes:
        return _packed("q", self.values)


class RealArray(Array):
    element = 701

    def encoded(self) -> bytes:
        return _packed("d", self.values)


ARRAYS = {"text": TextArray, "bytes": BytesArray, "int": IntArray, "real": RealArray}
"""By the types of the macro `{rows:…}`."""
_OIDS = {TextArray: 1009, BytesArray: 1001, IntArray: 1016, RealArray: 1022}


def register(db: psycopg.Connection[Any]) -> None:
    """Let a connection take arrays as parameters."""
    for kind, number in _OIDS.items():
        dumper = type(f"{kind.__name__}Dumper", (_Dumper,), {"oid": number})
        db.adapters.register_dumper(kind, dumper)


class _Dumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Array) -> bytes:
        return obj.dump()


def columns(kinds: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[Array]:
    """Return the columns of rows; an empty list for no rows."""
    values = list(zip(*rows, strict=True))
    return [ARRAYS[kind](column) for kind, column in zip(kinds, values, strict=bool(values))]


def of_texts(values: Sequence[Any]) -> Any:
    """Return a list for the macro `{in}`: an array if it has texts, which are the many."""
    if values and all(type(value) is str for value in values):
        return TextArray(values)
    return list(values)
