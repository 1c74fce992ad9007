"""Common to both database files: open, migrate, move aside when corrupt."""

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from sqlite3 import Connection
from typing import NamedTuple


class Found(NamedTuple):
    """A message about the last run, for the operator."""

    en: str
    zh: str


class Unusable(Exception):
    """The data folder cannot be used; the text tells the reason and a remedy."""


def opened(
    path: Path, prepare: Callable[[Connection], None], migrations: Sequence[str], otherwise: str
) -> Connection:
    """Open a file, `prepare` the connection, and bring the file up to date. A released migration is
    never changed; the next one is appended. `otherwise` names the alternative to installing the
    newer version that wrote the file. Raises Unusable, and the errors of `prepare`.
    """
    _make_private(path)
    # The one thread that uses the connection is not the one that opens it.
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        prepare(db)
        _migrate(db, path, migrations, otherwise)
        empty_log(db)
    except BaseException:
        db.close()
        raise
    return db


def empty_log(db: Connection) -> None:
    """Empty the write-ahead log, which frees room on the disk. A disk that fails shows itself in
    the next write.
    """
    with suppress(sqlite3.Error):
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def _make_private(path: Path) -> None:
    """Make the file private; SQLite gives the files beside it the same mode. An error here is left
    to SQLite, which reports it with more detail.
    """
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.fchmod(descriptor, 0o600)
        finally:
            os.close(descriptor)


def _migrate(db: Connection, path: Path, migrations: Sequence[str], otherwise: str) -> None:
    [(version,)] = db.execute("PRAGMA user_version").fetchall()
    if version > len(migrations):
        raise Unusable(
            f"{path} was written by a newer version (schema {version}, this one knows "
            f"{len(migrations)}): install that version, or {otherwise}"
        )
    with closing(db.cursor()) as cursor:
        for number, script in enumerate(migrations[version:], version + 1):
            # executescript commits first; BEGIN ... COMMIT within makes each step all or nothing.
            cursor.executescript(
                f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;"
            )


def move_aside(path: Path, now: float, why: str = "corrupt") -> Path:
    """Move a file and its companions away; returns where it is kept."""
    aside = path.with_name(f"{path.name}.{why}-{int(now)}")
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(aside.with_name(aside.name + suffix))
    return aside


def was_corrupt(path: Path, aside: Path, reason: object) -> Found:
    return Found(
        f"{path.name} was corrupt ({reason}); it is kept as {aside.name}, and an empty one was "
        "begun",
        f"{path.name}已损坏（{reason}），原文件保留为{aside.name}，已新建空库",
    )
