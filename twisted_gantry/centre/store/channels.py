"""Values of Fogslink channels: one row a gantry, merged in the transaction of the pack itself.

A pack has no time of its own, so that a value is as old as its reception. Channels that a pack does
not name keep their values.
"""

import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import msgspec

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Received
from twisted_gantry.wire.fogslink import messages
from twisted_gantry.wire.fogslink.messages import State

METHODS = frozenset({"req200", "req201"})
"""The methods of reports that come from the Fogslink front; their bodies are lines of `encode`."""

MOST_CHANNELS = 2000
"""Channels of a gantry that are kept; values of further ones stand in the reports alone."""
_LEVEL = 1  # of zlib: a row is written with each pack

TABLES: tuple[str, ...] = (
    "CREATE TABLE channels (gantry TEXT PRIMARY KEY, stamp {real} NOT NULL, body {bytes} NOT NULL)",
)


@dataclass(frozen=True, slots=True)
class Channel:
    """The last value of a channel. `state` is 1 for a normal one; an abnormal one has no `value`,
    which is display text. `stamp` is the reception, Unix seconds.
    """

    name: str
    state: str
    value: str | None
    stamp: float


# The row: each channel with its state, its value and its stamp.
_Values = dict[str, tuple[str, str | None, float]]
_decoder = msgspec.json.Decoder(_Values)
_encode = msgspec.json.Encoder().encode


# Of a body only what is kept; no garbage collection looks at some ten thousand items a second.
class _Item(msgspec.Struct, frozen=True, gc=False, rename="camel"):
    e_chan: str
    e_chan_sta: str = State.NORMAL.value
    e_val: str | None = None


class _Pack(msgspec.Struct, frozen=True, rename="camel"):
    eq_data: tuple[_Item, ...]


class _Line(msgspec.Struct, frozen=True):
    req200: _Pack | None = None
    req201: _Item | None = None


_lines = msgspec.json.Decoder(_Line)


def _items_of(report: Received) -> Sequence[_Item]:
    try:
        line = _lines.decode(report.body)
    except ValueError:  # a body that the store keeps as bytes alone
        return ()
    if line.req200 is not None:
        return line.req200.eq_data
    return () if line.req201 is None else (line.req201,)


def merge(session: Session, reports: Iterable[Received]) -> None:
    """Note the values of packs and single values that were stored as new, in the order of their
    arrival; other reports are passed over. Each gantry's row is locked, in the order of the ids,
    and written once. To be run in the transaction that stores the reports.
    """
    came: dict[str, list[Received]] = {}
    for report in reports:
        if report.method in METHODS:
            came.setdefault(report.gantry, []).append(report)
    gantries = sorted(came)
    if not gantries:
        return
    before = _locked(session, gantries)
    rows = []
    for gantry in gantries:
        stamp, body = before[gantry]
        values = _read(body)
        for report in _unreplaced(came[gantry]):
            _take(values, stamp, report)
            stamp = max(stamp, report.received_at)
        rows.append((gantry, stamp, _written(values)))
    session.many(
        "INSERT INTO channels (gantry, stamp, body) {rows:text,real,bytes} ON CONFLICT (gantry)"
        " DO UPDATE SET stamp = excluded.stamp, body = excluded.body",
        rows,
    )


def _unreplaced(reports: Sequence[Received]) -> list[Received]:
    """Leave out each pack that a later one replaces as a whole, without reading either."""
    if len(reports) == 1:
        return list(reports)
    kept: list[Received] = []
    later: dict[frozenset[str], float] = {}
    for report in reversed(reports):
        names = _channels_told(report)
        if names is not None:
            if later.get(names, float("-inf")) >= report.received_at:
                continue
            later[names] = report.received_at
        kept.append(report)
    kept.reverse()
    return kept


def _channels_told(report: Received) -> frozenset[str] | None:
    """Return the conditions of all channels of a pack, normal or not; None if there may be channels
    without a condition, or a channel twice.
    """
    if not report.told or report.told[0].ended is None:
        return None
    normal, abnormal = report.told[0].ended, report.told[0].raised
    names = normal | abnormal if abnormal else normal
    # An item is an object; a brace within a text leaves the pack to be read.
    return names if report.body.count(b"{") == len(names) + 2 else None


def _locked(session: Session, gantries: Sequence[str]) -> dict[str, tuple[float, bytes]]:
    """Return the stamps and bodies of the rows, which exist now and are locked to the end."""
    found = _rows(session, gantries)
    missing = [(each, 0.0, b"") for each in gantries if each not in found]
    if missing:
        session.many(
            "INSERT INTO channels (gantry, stamp, body) {rows:text,real,bytes}"
            " ON CONFLICT (gantry) DO NOTHING",
            missing,
        )
        found = _rows(session, gantries)
    return found


def _rows(session: Session, gantries: Sequence[str]) -> dict[str, tuple[float, bytes]]:
    found = session.rows(
        "SELECT gantry, stamp, body FROM channels WHERE gantry {in} ORDER BY gantry FOR UPDATE",
        list(gantries),
    )
    return {gantry: (stamp, bytes(body)) for gantry, stamp, body in found}


def _take(values: _Values, newest: float, report: Received) -> None:
    """Put the items of a report into the values, of which the last one came at `newest`."""
    at, items = report.received_at, _items_of(report)
    if newest <= at and len(values) + len(items) <= MOST_CHANNELS:
        values.update({each.e_chan: (each.e_chan_sta, each.e_val, at) for each in items})
        return
    for item in items:
        known = values.get(item.e_chan)
        if known is None:
            if len(values) >= MOST_CHANNELS:
                continue
        elif known[2] > at:
            continue  # another front received it, and wrote it first
        values[item.e_chan] = (item.e_chan_sta, item.e_val, at)


def _read(body: bytes) -> _Values:
    return _decoder.decode(zlib.decompress(body)) if body else {}


def _written(values: _Values) -> bytes:
    return zlib.compress(_encode(values), _LEVEL)


def channels_of(session: Session, gantry: str) -> list[Channel]:
    """Return the last values of a gantry's channels, by group and member."""
    found = session.rows("SELECT body FROM channels WHERE gantry = ?", gantry)
    return _shown(bytes(found[0][0])) if found else []


def channels_of_each(session: Session, gantries: Sequence[str]) -> dict[str, list[Channel]]:
    """Return the channels of several gantries; one without values is missing."""
    found = session.rows("SELECT gantry, body FROM channels WHERE gantry {in}", list(gantries))
    return {gantry: _shown(bytes(body)) for gantry, body in found}


def _shown(body: bytes) -> list[Channel]:
    values = _read(body)
    return [Channel(name, *values[name]) for name in sorted(values, key=_place)]


def _place(name: str) -> tuple[int, int, str]:
    """Return what orders channels: `P2-C1` before `P10-C1`, and other names behind them all."""
    if not messages.is_channel(name):
        return (10**7, 0, name)
    group, _, member = name[1:].partition("-C")
    return (int(group), int(member), name)


def forget(session: Session, gantry: str) -> None:
    """Remove the values of a gantry that left the registry."""
    session.run("DELETE FROM channels WHERE gantry = ?", gantry)
