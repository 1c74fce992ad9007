"""Settings accepted at run time and the white list, as jobs for the writer."""

import json
from collections.abc import Sequence
from sqlite3 import Connection
from typing import Any

from twisted_gantry.core.stored import StoredCard

_VERSION = "cards.version"


def encoded(value: Any) -> str:
    """Return the text of a value, as the database holds it."""
    return json.dumps(value, ensure_ascii=False)


def put(db: Connection, name: str, text: str | None) -> None:
    """Keep an `encoded` value; None removes the setting."""
    if text is None:
        db.execute("DELETE FROM setting WHERE name = ?", (name,))
    else:
        db.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?,?)", (name, text))


def read(db: Connection) -> dict[str, Any]:
    """Return all settings but the store's own, whose names begin with `store.`."""
    rows = db.execute("SELECT name, value FROM setting WHERE name NOT GLOB 'store.*'")
    return {name: json.loads(text) for name, text in rows}


def replace_cards(db: Connection, version: str, cards: Sequence[StoredCard]) -> None:
    db.execute("DELETE FROM card")
    db.executemany(
        "INSERT OR REPLACE INTO card (card_id, valid_time, invalid_time) VALUES (?,?,?)",
        [(card.card_id, card.valid_time, card.invalid_time) for card in cards],
    )
    put(db, _VERSION, encoded(version))


def cards(db: Connection) -> tuple[str, Sequence[StoredCard]]:
    """Return the version of the white list, `0` without any, and its cards."""
    row = db.execute("SELECT value FROM setting WHERE name = ?", (_VERSION,)).fetchone()
    version = json.loads(row[0]) if row is not None else "0"
    rows = db.execute("SELECT card_id, valid_time, invalid_time FROM card ORDER BY card_id")
    return version, [StoredCard(*each) for each in rows]
