"""Reports of uplinks that the configuration does not name any more, given to one that it names.

An outbox from before uplinks had names, and one whose uplink was renamed or removed, is sent by the
uplink with the same URL, else by the first of the same kind: no report is left behind.
"""

from collections.abc import Mapping, Sequence
from sqlite3 import Connection
from typing import Any

from twisted_gantry.core.stored import Destination
from twisted_gantry.store import settings
from twisted_gantry.store.outbox import checksum

SETTING = "uplinks"
"""The setting with `{name: [kind, place]}` of the uplinks of the last start."""

_OF_THE_PEER = (".steering", ".channels")
"""Settings that a platform or a cloud made for itself: they are not for another one."""

_COUNTS = ("created", "delivered", "queued", "set_aside", "dropped", "size")


def adopt(db: Connection, uplinks: Sequence[Destination]) -> dict[str, str]:
    """Give each of `uplinks` what belongs to it now; returns the new name of each old one."""
    before = settings.read(db).get(SETTING)
    known = before if isinstance(before, dict) else {}
    names = {each.name for each in uplinks}
    db.create_function("report_checksum", 4, checksum, deterministic=True)
    moved: dict[str, str] = {}
    for (name,) in db.execute("SELECT uplink FROM ledger ORDER BY uplink").fetchall():
        heir = None if name in names else _heir(name, known, uplinks)
        if heir is not None and _hand_over(db, name, heir.name, _is_same(known.get(name), heir)):
            moved[name] = heir.name
    settings.put(db, SETTING, settings.encoded(remembered(uplinks)))
    return moved


def remembered(uplinks: Sequence[Destination]) -> dict[str, list[str]]:
    """Return the value of the setting."""
    return {each.name: [each.kind, each.place] for each in uplinks}


def _heir(
    name: str, known: Mapping[str, Any], uplinks: Sequence[Destination]
) -> Destination | None:
    kind, place = known.get(name, (name, ""))  # until there were names, a name was the kind
    able = [each for each in uplinks if each.kind == kind]
    return next((each for each in able if each.place == place), able[0] if able else None)


def _is_same(before: Any, heir: Destination) -> bool:
    """Tell whether the peer is the same under another name; without a place of before it is."""
    return before is None or before[1] == heir.place


def _hand_over(db: Connection, old: str, new: str, is_same: bool) -> bool:
    """Rename reports, the ledger and settings. An uplink that has nothing left is forgotten once
    the new one has counts of its own: False.
    """
    columns = ", ".join(_COUNTS)
    counts = db.execute(f"SELECT {columns} FROM ledger WHERE uplink = ?", (old,)).fetchone()  # noqa: S608
    of_heir = db.execute("SELECT 1 FROM ledger WHERE uplink = ?", (new,)).fetchone()
    left = counts[_COUNTS.index("queued")] + counts[_COUNTS.index("set_aside")]
    if of_heir is not None and not left:
        return False
    db.execute(
        "UPDATE outbox SET uplink = ?2, checksum = CASE"
        " WHEN checksum = report_checksum(uplink, kind, subject, body)"
        " THEN report_checksum(?2, kind, subject, body) ELSE checksum END WHERE uplink = ?1",
        (old, new),
    )
    sums = ", ".join(f"{each} = {each} + excluded.{each}" for each in _COUNTS)
    db.execute("DELETE FROM ledger WHERE uplink = ?", (old,))
    marks = ", ".join("?" * (len(_COUNTS) + 1))
    db.execute(
        f"INSERT INTO ledger (uplink, {columns}) VALUES ({marks})"  # noqa: S608 - own names
        f" ON CONFLICT (uplink) DO UPDATE SET {sums}",
        (new, *counts),
    )
    for name, value in settings.read(db).items():
        if name.startswith(f"{old}."):
            renamed = new + name.removeprefix(old)
            follows = is_same or not name.endswith(_OF_THE_PEER)
            there = "SELECT 1 FROM setting WHERE name = ?"
            if follows and db.execute(there, (renamed,)).fetchone() is None:
                settings.put(db, renamed, settings.encoded(value))
            settings.put(db, name, None)
    return True
