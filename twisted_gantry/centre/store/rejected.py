"""Reports that the database does not take as they are: made harmless, or else kept as bytes."""

from dataclasses import replace
from math import isfinite

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Received

TABLES = (
    """CREATE TABLE rejected (
        gantry {bytes} NOT NULL, method {bytes} NOT NULL, key {bytes} NOT NULL,
        digest {bytes} NOT NULL, stamp TEXT NOT NULL, received_at {real} NOT NULL,
        why TEXT NOT NULL, body {bytes} NOT NULL, PRIMARY KEY (gantry, method, key, digest))""",
    "CREATE INDEX rejected_at ON rejected (received_at)",
)

_LONGEST = 1_000_000.0  # minutes that a battery may be said to last
_LATEST = 1e11  # Unix seconds


def harmless(report: Received) -> Received:
    """Return a report without what a database rejects: NULs, surrogates, numbers out of range."""
    stamp = report.stamp
    if stamp is not None and not (isfinite(stamp) and 0 <= stamp < _LATEST):
        stamp = None
    told = tuple(
        replace(
            each,
            subject=_text(each.subject),
            raised=frozenset(map(_text, each.raised)),
            unknown=frozenset(map(_text, each.unknown)),
            ended=None if each.ended is None else frozenset(map(_text, each.ended)),
            battery_minutes=_minutes(each.battery_minutes),
        )
        for each in report.told
    )
    return replace(
        report,
        gantry=_text(report.gantry),
        method=_text(report.method),
        key=_text(report.key),
        stamp=stamp,
        told=told,
    )


def _text(text: str) -> str:
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _minutes(minutes: float | None) -> float | None:
    return minutes if minutes is not None and 0 <= minutes < _LONGEST else None


def keep(session: Session, report: Received, why: str) -> bool:
    """Keep a report as bytes alone; False if it was kept before. `why` is for a person."""
    return bool(
        session.run(
            "INSERT INTO rejected (gantry, method, key, digest, stamp, received_at, why, body) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            *(_bytes(text) for text in (report.gantry, report.method, report.key)),
            report.digest,
            str(report.stamp),
            report.received_at,
            _text(why)[:500],
            report.body,
        )
    )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
