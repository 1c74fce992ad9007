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
from twisted_gantry.wire.fogslink.messages import Item, State

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


class _Line(msgspec.Struct, frozen=True):
    """The body of a report, a pack or a single value."""

    req200: messages.Pack | None = None
    req201: messages.Single | None = None


_lines = msgspec.json.Decoder(_Line)


def items_of(report: Received) -> Sequence[Item | messages.Single]:
    """Return the items of a pack, or a single value; none for a body that is neither."""
    try:
        line = _lines.decode(report.body)
    except ValueError:  # a row that the store keeps as bytes alone
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
        values = _read(before[gantry])
        for report in came[gantry]:
            _take(values, report)
        rows.append((gantry, came[gantry][-1].received_at, _written(values)))
    session.many(
        "INSERT INTO channels (gantry, stamp, body) {rows:text,real,bytes} ON CONFLICT (gantry)"
        " DO UPDATE SET stamp = excluded.stamp, body = excluded.body",
        rows,
    )


def _locked(session: Session, gantries: Sequence[str]) -> dict[str, bytes]:
    """Return the bodies of the rows, which exist and are locked until the transaction ends."""
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


def _rows(session: Session, gantries: Sequence[str]) -> dict[str, bytes]:
    found = session.rows(
        "SELECT gantry, body FROM channels WHERE gantry {in} ORDER BY gantry FOR UPDATE",
        list(gantries),
    )
    return {gantry: bytes(body) for gantry, body in found}


def _take(values: _Values, report: Received) -> None:
    at = report.received_at
    for item in items_of(report):
        known = values.get(item.e_chan)
        if known is None:
            if len(values) >= MOST_CHANNELS:
                continue
        elif known[2] > at:
            continue  # another front received it, and wrote it first
        value = item.e_val if isinstance(item.e_val, str) else None
        values[item.e_chan] = (item.e_chan_sta, value, at)


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


def is_abnormal(item: Item | messages.Single) -> bool:
    """Tell whether the state of an item is abnormal: all but 1 is (the Fogslink document)."""
    return item.e_chan_sta != State.NORMAL


def forget(session: Session, gantry: str) -> None:
    """Remove the values of a gantry that left the registry."""
    session.run("DELETE FROM channels WHERE gantry = ?", gantry)
