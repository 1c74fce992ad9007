"""The names of points in the history: how many there may be, and which one gives way to a new one.

A device may have points with changing names, such as rows of a cabinet with ever new ids. The
names of a device are bounded; past the bound a new name takes the number of the name that was
recorded least recently. The number's older data belong to nobody then, and go with their slots.
Times are whole milliseconds.
"""

from collections.abc import Iterable
from sqlite3 import Connection

from twisted_gantry.store.history import tiers, words
from twisted_gantry.store.history.schema import MAX_POINTS

MOST_OF_DEVICE = 4_096
# A name that was recorded within this time does not give way.
IN_USE = 2 * tiers.HOUR
NOTED = tiers.HOUR
"""How often the last use of a name has to be noted."""


def note(db: Connection, names: Iterable[str], at: int) -> int:
    """Note that points are recorded at `at`, and give numbers to new ones; returns how many found
    none.
    """
    refused = 0
    for name in names:
        known = db.execute("UPDATE point SET last = ? WHERE name = ?", (at, name))
        if not known.rowcount and not _add(db, name, at):
            refused += 1
    return refused


def _add(db: Connection, name: str, at: int) -> bool:
    device = name.partition(".")[0]
    # "." and "/" follow each other in the order of characters.
    within = (f"{device}.", f"{device}/")
    [(count,)] = db.execute(
        "SELECT count(*) FROM point WHERE name >= ? AND name < ?", within
    ).fetchall()
    if count < MOST_OF_DEVICE:
        number = _free_number(db)
        if number is not None:
            db.execute("INSERT INTO point (id, name, last) VALUES (?, ?, ?)", (number, name, at))
            return True
        within = ("", "\U0010ffff")  # the numbers are used up: any device gives one
    taken = db.execute(
        "UPDATE point SET name = ?, since = ?, last = ? WHERE id = ("
        "SELECT id FROM point WHERE name >= ? AND name < ? AND last < ? ORDER BY last LIMIT 1)"
        " RETURNING id",
        (name, at, at, *within, at - IN_USE),
    ).fetchall()
    for (number,) in taken:
        words.forget(db, number)
    return bool(taken)


def _free_number(db: Connection) -> int | None:
    """Return a number without a name: behind the last one, else the least of all."""
    [(last,)] = db.execute("SELECT coalesce(max(id), 0) FROM point").fetchall()
    if last < MAX_POINTS:
        return int(last) + 1
    row = db.execute(
        "SELECT id - 1 FROM point AS one WHERE id > 1 AND NOT EXISTS ("
        "SELECT 1 FROM point WHERE id = one.id - 1) ORDER BY id LIMIT 1"
    ).fetchone()
    return None if row is None else row[0]


def free(db: Connection) -> None:
    """Remove the names whose data are all gone."""
    begins = [
        oldest * tier.span
        for tier in tiers.TIERS
        if (oldest := tiers.extent(db, tier)[1]) is not None
    ]
    if begins:
        gone = db.execute(
            "DELETE FROM point WHERE last + ? < ? RETURNING id", (IN_USE, min(begins))
        ).fetchall()
        for (number,) in gone:
            words.forget(db, number)
