"""The file: opened, migrated, and put aside when it is corrupt."""

import fcntl
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from sqlite3 import Connection
from typing import IO

from twisted_gantry.store.database import Found, Unusable, moved_aside, opened

FILE = "gantry.db"
LOCK = "gantry.lock"

# One script a version; a landed one is never changed, the next is appended.
MIGRATIONS = (
    """
    CREATE TABLE outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        uplink TEXT NOT NULL,
        kind TEXT NOT NULL,
        subject TEXT NOT NULL,
        body BLOB NOT NULL,
        created REAL NOT NULL,
        urgent INTEGER NOT NULL,
        state TEXT NOT NULL DEFAULT 'queued' CHECK (state IN ('queued', 'set-aside')),
        reason TEXT NOT NULL DEFAULT '',
        tries INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX outbox_order ON outbox (uplink, state, id);
    CREATE INDEX outbox_urgent ON outbox (uplink, created) WHERE urgent = 1 AND state = 'queued';
    CREATE TABLE ledger (
        uplink TEXT PRIMARY KEY,
        created INTEGER NOT NULL DEFAULT 0,
        delivered INTEGER NOT NULL DEFAULT 0,
        queued INTEGER NOT NULL DEFAULT 0,
        set_aside INTEGER NOT NULL DEFAULT 0,
        dropped INTEGER NOT NULL DEFAULT 0,
        size INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
    CREATE TABLE card (
        card_id TEXT PRIMARY KEY, valid_time TEXT NOT NULL, invalid_time TEXT NOT NULL
    ) STRICT;
    CREATE TABLE audit (
        id TEXT PRIMARY KEY,
        at REAL NOT NULL,
        who TEXT NOT NULL,
        target TEXT NOT NULL,
        command TEXT NOT NULL,
        args TEXT NOT NULL,
        result TEXT NOT NULL DEFAULT '',
        detail TEXT NOT NULL DEFAULT '',
        value TEXT NOT NULL DEFAULT 'null'
    ) STRICT;
    CREATE INDEX audit_at ON audit (at);
    """,
    # Until here the text of `reason` said that a person had queued a report again.
    """
    ALTER TABLE outbox ADD COLUMN requeued INTEGER NOT NULL DEFAULT 0;
    UPDATE outbox SET requeued = 1 WHERE state = 'queued' AND reason = 'queued again';
    """,
    # Until here `created`, the time of day, was also the age of a report. Reports from before are
    # at least as old as the boot of the computer.
    """
    ALTER TABLE outbox ADD COLUMN boot TEXT NOT NULL DEFAULT '';
    ALTER TABLE outbox ADD COLUMN mono REAL NOT NULL DEFAULT 0;
    ALTER TABLE outbox ADD COLUMN trusted INTEGER NOT NULL DEFAULT 0;
    DROP INDEX outbox_urgent;
    CREATE INDEX outbox_urgent ON outbox (uplink, boot, mono) WHERE urgent = 1 AND state = 'queued';
    DROP INDEX audit_at;
    """,
    # The beginning of the answer for which a report was set aside.
    """
    ALTER TABLE outbox ADD COLUMN answer BLOB NOT NULL DEFAULT x'';
    """,
)


def ended_unclean(folder: Path) -> str:
    """Return the process id of a last user that ended without releasing the folder, or "". To be
    called before `lock`, which fails if that process still runs.
    """
    try:
        return (folder / LOCK).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""


def lock(folder: Path) -> IO[str]:
    """Make the folder if it is missing, and lock it for this process until the file is closed.
    Raises Unusable.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = (folder / LOCK).open("a+")
    except OSError as error:
        raise Unusable(f"the data folder {folder} cannot be used: {error.strerror}") from None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        owner = file.read().strip() or "unknown"
        file.close()
        raise Unusable(
            f"another gantry (process {owner}) uses the data folder {folder}: "
            "stop it, or give this one a folder of its own with --data"
        ) from None
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def open_database(folder: Path, now: Callable[[], float]) -> tuple[Connection, list[Found]]:
    """Open the file in `folder`, which must be locked, and bring it up to date. Returns the
    connection, and messages for the operator: a corrupt file is moved aside and replaced, so that
    it never prevents a start. Raises Unusable when a newer version of the program wrote the file,
    or the disk fails.
    """
    path = folder / FILE
    try:
        return _opened(path), []
    except sqlite3.OperationalError as error:
        raise Unusable(f"{path} cannot be opened: {error}") from None
    except sqlite3.DatabaseError as error:
        found = moved_aside(path, now(), error)
        return _opened(path), [found]


def _opened(path: Path) -> Connection:
    return opened(path, _check, MIGRATIONS, "begin an empty folder with --data")


def _check(db: Connection) -> None:
    """Raise OperationalError when the disk fails, and DatabaseError when the file is corrupt."""
    try:
        # Of a new file: several reports a page instead of one, a quarter faster in groups.
        db.execute("PRAGMA page_size = 8192")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        [(verdict,)] = db.execute("PRAGMA quick_check(1)").fetchall()
    except UnicodeDecodeError:
        raise sqlite3.DatabaseError("its names are no UTF-8") from None
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_ERROR:  # of the file, not of the disk
            raise sqlite3.DatabaseError(str(error)) from None
        raise
    if verdict != "ok":
        raise sqlite3.DatabaseError(str(verdict))
