"""Doors that were opened illegally, by the change times in the reports that tell of them."""

import zlib
from collections.abc import Iterator, Sequence
from datetime import tzinfo

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.store import days
from twisted_gantry.centre.store.days import day_of, table_of
from twisted_gantry.centre.store.packing import unpacked
from twisted_gantry.centre.store.pictures import Opening
from twisted_gantry.wire.errors import BadMessage, WireError
from twisted_gantry.wire.etc.commands import parse_local_time
from twisted_gantry.wire.etc.envelope import FIELDS_KEY, Method, report_of
from twisted_gantry.wire.etc.uploads import Readings, decode_upload, reports_of

SIDES = ("front", "back")
MOST = 10
"""Reports that are looked at for one alarm at a time."""
OVERLAP = 1000
"""Alarms that are looked at once more."""
FUTURE = 60.0
"""Seconds after which a time of reception is not waited for: the clock of a front is wrong."""

Illegal = tuple[int, str, float]
"""An alarm of a door: its id, the gantry, and when its first report was received, Unix seconds."""


def last_before(session: Session, at: float) -> int:
    """Return the id after which the alarms come that began at a time or later, Unix seconds."""
    [(first,)] = session.rows("SELECT min(id) FROM alarms WHERE began >= ?", at)
    [(last,)] = session.rows("SELECT max(id) FROM alarms")
    return int(first) - 1 if first is not None else int(last or 0)


def begun(session: Session, after: int, before: float) -> tuple[int, list[Illegal]]:
    """Return the alarms of doors behind the id `after`, and the id from which to go on. The first
    that a report received at `before` (Unix seconds) or later began ends them. Alarms before that
    id come once more for a while: a transaction may be committed behind one with later ids.
    """
    rows = session.rows(
        "SELECT id, gantry, began_received, name LIKE ? FROM alarms WHERE id > ? ORDER BY id",
        *("cabinet-%-door-illegal", after - OVERLAP),
    )
    last, found = after, []
    for id_, gantry, received, illegal in rows:
        if before <= received < before + FUTURE:
            break
        last = max(last, int(id_))
        if illegal:
            found.append((int(id_), gantry, received))
    return last, found


def lasting(session: Session) -> list[Illegal]:
    """Return the alarms of doors that are open."""
    rows = session.rows(
        "SELECT id, gantry, began_received FROM alarms WHERE ended IS NULL"
        " AND name LIKE 'cabinet-%-door-illegal'"
    )
    return [(int(row[0]), row[1], row[2]) for row in rows]


def openings(session: Session, gantry: str, since: float, zone: tzinfo) -> list[Opening]:
    """Return the illegal openings that reports of a gantry tell which were received at `since` or
    later, Unix seconds. Times of reports are in `zone`.
    """
    found: dict[tuple[str, str, int], Opening] = {}
    known = set(days.existing(session))
    for day in sorted({day_of(since), day_of(session.now())} & known):
        rows = session.rows(
            f"SELECT stamp, body FROM {table_of(day)} WHERE gantry = ? AND method = ?"  # noqa: S608
            " AND received_at >= ? AND told LIKE '%-door-illegal%' ORDER BY stamp DESC LIMIT ?",
            *(gantry, Method.CABINET_STATUS.value, since, MOST),
        )
        for stamp, body in rows:
            for cabinet, at in told(bytes(body), stamp, zone):
                opening = Opening(gantry, cabinet, at)
                found[opening.key] = opening
    return sorted(found.values(), key=lambda each: each.opened_at)


def told(column: bytes, stamp: float, zone: tzinfo) -> Iterator[tuple[str, float]]:
    """Yield the cabinet and the time of each illegal opening in a report as it is stored; where the
    change time cannot be read, it is the `stamp` of the report.
    """
    try:
        fields, _ = report_of(unpacked(column))
    except (WireError, zlib.error):
        return
    given = fields.get(FIELDS_KEY[Method.CABINET_STATUS]) if isinstance(fields, dict) else None
    for each in reports_of(given):
        try:
            upload = decode_upload(each)
        except BadMessage:
            continue
        readings = upload.groups["doors"].rows.get("", {})
        for at in _opened(readings, stamp, zone):
            yield upload.id, at


def _opened(readings: Readings, stamp: float, zone: tzinfo) -> Sequence[float]:
    times = []
    for side in SIDES:
        illegal = readings.get(f"{side}_door_open_illegally")
        if illegal is None or illegal.value is not True:
            continue
        changed = readings.get(f"{side}_door_change_time")
        text = changed.value if changed is not None else None
        try:
            times.append(parse_local_time(text if isinstance(text, str) else "", zone))
        except BadMessage:
            times.append(stamp)
    return times
