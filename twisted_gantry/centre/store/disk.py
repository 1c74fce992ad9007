"""Refuses reports before the disk is full: a database that runs out of room fails in worse ways."""

import os
from collections.abc import Callable
from pathlib import Path

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.store.engine import Connection

FULL = 0.9
"""The share of the disk from which on reports are refused."""
LOOK = 2.0
"""Seconds between two looks. A database that said that its disk is full, and whose usage is not
known, is tried again after this time.
"""

Usage = Callable[[Session], float]
"""Returns which share of the room is used, 0–1."""


class DiskGuard:
    """`trouble` is None while reports may come. `look` is called often, by the writer alone."""

    def __init__(self, usage: Usage | None, seconds: Callable[[], float]) -> None:
        self.trouble: str | None = None
        self._usage, self._seconds = usage, seconds
        self._next = 0.0

    def look(self, connection: Connection | None) -> None:
        """Look how full the disk is, if it is time. What fails is left to the next transaction."""
        if self._seconds() < self._next or connection is None:
            return
        self._next = self._seconds() + LOOK
        if self._usage is None:
            self.trouble = None
            return
        try:
            used = connection.transaction(self._usage)
        except Exception:
            return
        percent = int(used * 100)
        self.trouble = f"the disk of the database is {percent} % full" if used >= FULL else None

    def found_full(self) -> None:
        """The database said that its disk is full."""
        self.trouble = "the disk of the database is full"
        self._next = self._seconds() + LOOK


def sqlite_usage(path: Path, statvfs: Callable[[Path], os.statvfs_result] = os.statvfs) -> Usage:
    """Return the usage of the file system of a SQLite file. Free pages of the file count as room:
    a file does not shrink when days are dropped.
    """

    def usage(session: Session) -> float:
        found = statvfs(path.parent)
        whole = found.f_blocks * found.f_frsize
        [(pages,)] = session.rows("SELECT freelist_count FROM pragma_freelist_count()")
        [(size,)] = session.rows("SELECT page_size FROM pragma_page_size()")
        free = found.f_bavail * found.f_frsize + pages * size
        return 1.0 - free / whole if whole else 1.0

    return usage


def postgresql_usage(most: float) -> Usage:
    """Return the usage of a PostgreSQL database that may have `most` bytes."""

    def usage(session: Session) -> float:
        [(size,)] = session.rows("SELECT pg_database_size(current_database())")
        return float(size) / most

    return usage
