"""Texts in the history, such as the state of a UPS: each is a number that no reading has.

So samples, blocks and tiers are the same for texts and for numbers; only the roll-up differs, which
takes the longest state in place of a mean. A point has a bounded number of texts: one whose texts
never repeat, such as a time, is no state.
"""

from collections.abc import Iterable
from sqlite3 import Connection

MOST_OF_POINT = 256
"""Texts of a point; a further one is recorded as OTHER."""
OTHER = "…"
LONGEST = 200  # characters of a text that are kept

_UNIT = 2.0**700
"""A text is its number times this: exact, and far above the largest reading."""
LEAST = _UNIT / 2


def is_text(value: float) -> bool:
    """Tell whether a value of the history stands for a text."""
    return value > LEAST


def code_of(db: Connection, name: str, text: str) -> float | None:
    """Return the value that stands for a text of a point; None if the point has no number."""
    row = db.execute("SELECT id FROM point WHERE name = ?", (name,)).fetchone()
    if row is None:
        return None
    found = _number(db, row[0], text[:LONGEST])
    return None if found is None else found * _UNIT


def _number(db: Connection, point: int, text: str) -> int | None:
    known = db.execute("SELECT id FROM word WHERE point = ? AND text = ?", (point, text)).fetchone()
    if known is not None:
        return int(known[0])
    [(count,)] = db.execute("SELECT count(*) FROM word WHERE point = ?", (point,)).fetchall()
    if count >= MOST_OF_POINT:
        if text == OTHER:
            return None
        return _number(db, point, OTHER)
    if count == MOST_OF_POINT - 1:
        text = OTHER  # the last place is for all further ones
    added = db.execute("INSERT INTO word (point, text) VALUES (?, ?)", (point, text))
    return added.lastrowid


def texts_of(db: Connection, codes: Iterable[float]) -> dict[float, str]:
    """Return the texts for which values stand; OTHER for those that are not known any more."""
    found = {}
    for code in set(codes):
        row = db.execute("SELECT text FROM word WHERE id = ?", (round(code / _UNIT),)).fetchone()
        found[code] = OTHER if row is None else str(row[0])
    return found


def forget(db: Connection, point: int) -> None:
    """Remove the texts of a point whose number is given to another name."""
    db.execute("DELETE FROM word WHERE point = ?", (point,))
