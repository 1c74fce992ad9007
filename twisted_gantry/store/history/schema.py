"""The file of the history: what is in it, opened, and put aside when it is corrupt.

The history has a file of its own, so that neither its size nor its loss can harm the outbox.

A tier keeps a block for each point and slot (`blocks.py`): `raw` an hour's samples, `minute` an
hour's minutes, `quarter` a day's quarters of an hour. A block's key is slot · 65,536 + point: new
blocks are appended, and old ones free whole pages, which are used again. Samples of the last hours
wait in `sample`, in the order of their arrival. `slot` lists the existing slots, and `due` the days
whose quarters are to be made, each with the last point that is done.
"""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection

from twisted_gantry.store.database import Found, Unusable, move_aside, opened, was_corrupt

FILE = "history.db"
SUSPECT = "history.db.suspect"
"""An empty file: SQLite found `history.db` corrupt while it was used.

A check at each start would have to read the whole file.
"""

MAX_POINTS = 65_535

# One script a version; a landed one is never changed, the next is appended.
MIGRATIONS = (
    """
    CREATE TABLE point (
        id INTEGER PRIMARY KEY CHECK (id BETWEEN 1 AND 65535), name TEXT NOT NULL UNIQUE
    ) STRICT;
    CREATE TABLE sample (point INTEGER NOT NULL, at INTEGER NOT NULL, value REAL) STRICT;
    CREATE TABLE raw (key INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE minute (key INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE quarter (key INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT;
    CREATE TABLE slot (
        tier TEXT NOT NULL, number INTEGER NOT NULL, PRIMARY KEY (tier, number)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE due (day INTEGER PRIMARY KEY, after INTEGER NOT NULL DEFAULT 0) STRICT;
    """,
    # Names give way to new ones: `since` when the number got this name, `last` its last use.
    """
    ALTER TABLE point ADD COLUMN since INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE point ADD COLUMN last INTEGER NOT NULL DEFAULT 0;
    UPDATE point SET last = CAST(strftime('%s', 'now') AS INTEGER) * 1000;
    """,
    # The texts of points, each with the number that stands for it.
    """
    CREATE TABLE word (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        point INTEGER NOT NULL,
        text TEXT NOT NULL,
        UNIQUE (point, text)
    ) STRICT;
    """,
)


def open_database(folder: Path, now: Callable[[], float]) -> tuple[Connection, list[Found]]:
    """Open the file in `folder`, which must be locked, and bring it up to date. Returns the
    connection, and messages for the operator: a corrupt file is moved aside and replaced. Raises
    Unusable when a newer version of the program wrote the file, or the disk fails.
    """
    path = folder / FILE
    reason = "as it turned out while it was used" if (folder / SUSPECT).exists() else ""
    try:
        if not reason:
            try:
                return _opened(path), []
            except sqlite3.DatabaseError as error:
                if _of_the_disk(error):
                    raise
                reason = str(error)
        found = was_corrupt(path, move_aside(path, now()), reason)
        (folder / SUSPECT).unlink(missing_ok=True)
        return _opened(path), [found]
    except (sqlite3.Error, OSError) as error:
        raise Unusable(f"{path} cannot be opened: {error}") from None


def suspect(folder: Path, error: BaseException) -> None:
    """Have the next start move the file aside, if the error says that it is corrupt."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (
        sqlite3.SQLITE_CORRUPT,
        sqlite3.SQLITE_NOTADB,
    ):
        (folder / SUSPECT).touch()


def _of_the_disk(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT)
    return isinstance(error, sqlite3.OperationalError) and code != sqlite3.SQLITE_ERROR


def _opened(path: Path) -> Connection:
    return opened(path, prepare, MIGRATIONS, "move the file away")


def prepare(db: Connection) -> None:
    """Set how the file is written: a power cut may cost the last second only."""
    db.execute("PRAGMA page_size = 8192")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA journal_size_limit = 16777216")
