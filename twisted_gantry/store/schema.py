"""The file: opened, migrated, and put aside when it is corrupt."""

import fcntl
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from sqlite3 import Connection
from typing import IO

from twisted_gantry.store.counter import identify
from twisted_gantry.store.database import Found, Unusable, move_aside, opened, was_corrupt
from twisted_gantry.store.outbox import DAMAGED, checksum
from twisted_gantry.store.salvage import salvage
from twisted_gantry.store.trouble import trouble_of

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
    # The check sums of older reports are made when the file is opened.
    """
    ALTER TABLE outbox ADD COLUMN checksum INTEGER;
    """,
    # Reports that keep their order among themselves are found without a look at the others.
    """
    CREATE INDEX outbox_in_order ON outbox (uplink, id) WHERE urgent = 2 AND state = 'queued';
    """,
    # The replay guard needs an entry until then, Unix seconds.
    """
    ALTER TABLE audit ADD COLUMN kept_until REAL NOT NULL DEFAULT 0;
    """,
    # Until here alarms ended with the process.
    """
    CREATE TABLE alarms (
        number INTEGER PRIMARY KEY AUTOINCREMENT,
        id TEXT NOT NULL UNIQUE,
        name TEXT NOT NULL,
        severity TEXT NOT NULL,
        en TEXT NOT NULL,
        zh TEXT NOT NULL,
        report_group TEXT NOT NULL,
        subject TEXT NOT NULL DEFAULT '',
        raised_at REAL NOT NULL,
        cleared_at REAL,
        value TEXT NOT NULL DEFAULT 'null',
        count INTEGER NOT NULL DEFAULT 1,
        flapping INTEGER NOT NULL DEFAULT 0,
        acked_at REAL,
        acked_by TEXT NOT NULL DEFAULT '',
        note TEXT NOT NULL DEFAULT '',
        shelved_until REAL,
        in_maintenance INTEGER NOT NULL DEFAULT 0,
        ended_by TEXT NOT NULL DEFAULT '',
        made TEXT NOT NULL DEFAULT '',
        raises TEXT NOT NULL DEFAULT ''
    ) STRICT;
    CREATE INDEX alarms_active ON alarms (name) WHERE cleared_at IS NULL;
    CREATE INDEX alarms_raised ON alarms (raised_at);
    CREATE TABLE alarm_ledger (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        raised INTEGER NOT NULL,
        cleared INTEGER NOT NULL,
        active INTEGER NOT NULL
    ) STRICT;
    """,
    # Whom a message about an alarm has reached.
    """
    ALTER TABLE alarms ADD COLUMN called TEXT NOT NULL DEFAULT '[]';
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
        file = _lock_file(folder / LOCK)
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
    with suppress(OSError):  # a disk that is full or read-only: the lock holds all the same
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
    return file


def _lock_file(path: Path) -> IO[str]:
    try:
        return open(os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600), "a+")  # noqa: PTH123
    except OSError:
        if not path.exists():
            raise
        return path.open("r")


def open_database(folder: Path, now: Callable[[], float]) -> tuple[Connection, list[Found]]:
    """Open the file in `folder`, which must be locked, and bring it up to date. Returns the
    connection, and messages for the operator: a corrupt file is moved aside, and what can be read
    of it is copied into a new one, so that it never prevents a start. Raises Unusable when a newer
    version of the program wrote the file, or the disk fails.
    """
    path = folder / FILE
    try:
        return open_file(path), []
    except sqlite3.OperationalError as error:
        of_the_disk = trouble_of(error) is not None and not path.is_dir()
        kind = CannotOpen if of_the_disk else Unusable
        raise kind(f"{path} cannot be opened: {error}") from None
    except sqlite3.DatabaseError as error:
        return saved(path, now(), error)


def saved(path: Path, now: float, reason: object) -> tuple[Connection, list[Found]]:
    """Move a corrupt file aside; returns a new one with what can be read of it, and the message."""
    aside = move_aside(path, now)
    db = open_file(path)
    try:
        with closing(db.cursor()) as cursor:
            cursor.execute("BEGIN IMMEDIATE")
            copied = salvage(aside, db)
            cursor.execute("COMMIT")
    except sqlite3.Error:
        if db.in_transaction:
            db.execute("ROLLBACK")
        copied = {}
    if not any(copied.values()):
        return db, [was_corrupt(path, aside, reason)]
    reports, entries, alarms = copied["outbox"], copied["audit"], copied["alarms"]
    return db, [
        Found(
            f"{path.name} was corrupt ({reason}); it is kept as {aside.name}, and {reports} reports"
            f", {entries} entries of the audit and {alarms} alarms were copied from it into a new "
            "one",
            f"{path.name}已损坏（{reason}），原文件保留为{aside.name}，"
            f"已从中恢复{reports}条上报、{entries}条审计记录和{alarms}条告警到新库",
        )
    ]


class CannotOpen(Unusable):
    """The disk does not let the database be opened now."""


def open_file(path: Path) -> Connection:
    """Open the file, and bring it up to date. Raises sqlite3.Error, Unusable."""
    db = opened(path, _check, MIGRATIONS, "begin an empty folder with --data")
    try:
        db.create_function("report_checksum", 4, checksum, deterministic=True)
        db.execute(
            "UPDATE outbox SET checksum = report_checksum(uplink, kind, subject, body)"
            " WHERE checksum IS NULL AND reason != ?",
            (DAMAGED,),
        )
        identify(db)
    except BaseException:
        db.close()
        raise
    return db


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
