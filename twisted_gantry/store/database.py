"""What both files of the store have in common: opened, migrated, moved aside when corrupt."""

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path


class Unusable(Exception):
    """The data folder cannot be used; the text says why, and what to do."""


def opened(
    path: Path,
    prepare: Callable[[sqlite3.Connection], None],
    migrations: Sequence[str],
    otherwise: str,
) -> sqlite3.Connection:
    """Open a file, `prepare` the connection, and bring the file up to date.

    A landed migration is never changed, the next is appended. `otherwise` is what to do instead of
    installing the newer version that wrote the file. Raises Unusable, and what `prepare` does.
    """
    # The one thread that uses the connection is not the one that opens it.
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5.0)
    try:
        prepare(db)
        _migrate(db, path, migrations, otherwise)
    except BaseException:
        db.close()
        raise
    path.chmod(0o600)
    return db


def _migrate(db: sqlite3.Connection, path: Path, migrations: Sequence[str], otherwise: str) -> None:
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


def moved_aside(path: Path, now: float, reason: object) -> str:
    """Move a corrupt file away, with what SQLite keeps beside it; returns what to tell of it."""
    aside = f"{path.name}.corrupt-{int(now)}"
    for suffix in ("", "-wal", "-shm"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            part.rename(path.with_name(aside + suffix))
    return f"{path.name} was corrupt ({reason}); it is kept as {aside}, and an empty one was begun"
