"""The file made anew under the running program: it was removed, replaced or damaged.

The open connection still has all that was in a file that was removed or replaced; a damaged one is
copied as far as it can be read.
"""

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection

from twisted_gantry.core.interfaces import StoreFailed
from twisted_gantry.store.database import Found, empty_log, move_aside
from twisted_gantry.store.schema import FILE, LOCK, open_database, open_file, saved

_PARTS = ("", "-wal")
_NEW = f"{FILE}.new"
_ROOM = f"{FILE}.room"
ROOM = 131_072
"""Bytes that must be free before a disk that failed counts as working."""

REMOVED = StoreFailed(f"{FILE} was removed under the running program", f"{FILE}在运行中被删除")
REPLACED = StoreFailed(f"{FILE} was replaced under the running program", f"{FILE}在运行中被替换")


class DataFile:
    """The files of the store in `folder`, as they were when they were opened. Its methods block,
    but for `found`. `now` returns Unix seconds.
    """

    def __init__(self, folder: Path, now: Callable[[], float]) -> None:
        self.found: list[Found] = []
        self._folder, self._now = folder, now
        self._known = self._seen()

    def _seen(self) -> dict[str, tuple[int, int]]:
        seen: dict[str, tuple[int, int]] = {}
        for part in _PARTS:
            with suppress(FileNotFoundError):
                stat = (self._folder / f"{FILE}{part}").stat()
                seen[part] = stat.st_dev, stat.st_ino
        return seen

    def look(self) -> StoreFailed | None:
        """Return what became of the files. Waits while the disk hangs; raises OSError."""
        with suppress(FileNotFoundError):
            os.utime(self._folder / LOCK)
        seen = self._seen()
        for part, known in self._known.items():
            if part not in seen:
                return REMOVED
            if seen[part] != known:
                return REPLACED
        return None

    def opened(self, old: Connection | None) -> Connection:
        """Return a connection to the file that could not be opened before."""
        if old is not None:
            return old
        db, found = open_database(self._folder, self._now)
        self.found += found
        self._known = self._seen()
        return db

    def checkpointed(self, db: Connection | None) -> Connection:
        """Return the connection; its write-ahead log was emptied, which frees room on the disk.
        Raises OSError while that is less than ROOM: it would soon be used up, and the alarm would
        come and go.
        """
        if db is None:
            return self.opened(None)
        empty_log(db)
        self._need_room()
        return db

    def _need_room(self) -> None:
        path = self._folder / _ROOM
        try:
            path.write_bytes(os.urandom(ROOM))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise
        finally:
            with suppress(OSError):
                path.unlink(missing_ok=True)

    def made_anew(self, old: Connection | None) -> Connection | None:
        """Return a connection to a new file with all that the old one has. Raises sqlite3.Error and
        OSError; after None there is no connection any more.
        """
        if old is None:
            return self.opened(None)
        path, new = self._folder / FILE, self._folder / _NEW
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        new.unlink(missing_ok=True)
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            old.execute("VACUUM INTO ?", (str(new),))
            descriptor = os.open(new, os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            replaced = path.exists()
            aside = move_aside(path, self._now(), "replaced")
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        # Closed before the new file has the name: SQLite removes the log by the name of the file.
        with suppress(sqlite3.Error):
            old.close()
        try:
            new.rename(path)
            db = open_file(path)
        except (OSError, sqlite3.Error):
            return None
        self._known = self._seen()
        [(waiting,)] = db.execute("SELECT count(*) FROM outbox WHERE state = 'queued'").fetchall()
        trouble = REPLACED if replaced else REMOVED
        kept = f"; the other is kept as {aside.name}" if replaced else ""
        zh_kept = f"，外来文件保留为{aside.name}" if replaced else ""
        self.found.append(
            Found(
                f"{trouble.en}; it was made anew with all that was in it, {waiting} waiting "
                f"reports among it{kept}",
                f"{trouble.zh}，已用内存中打开的数据重建，含{waiting}条待发送上报{zh_kept}",
            )
        )
        return db

    def repaired(self, old: Connection | None) -> Connection | None:
        """Return a connection to a new file with what can be read of a damaged one."""
        if old is not None:
            with suppress(sqlite3.Error):
                old.close()
        try:
            db, found = saved(self._folder / FILE, self._now(), "as it turned out in use")
        except (OSError, sqlite3.Error):
            return None
        self.found += found
        self._known = self._seen()
        return db
