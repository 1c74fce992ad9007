"""A consistent copy of a database that is in use.

A thread of its own makes the copy within one reading transaction of a second connection. A reader
of a write-ahead log holds no writer up; without the transaction SQLite would begin anew after each
commit of another connection.
"""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from sqlite3 import Connection
from threading import Event, Thread
from typing import IO

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from twisted_gantry.core.interfaces import CannotBackUp
from twisted_gantry.store.schema import FILE

COPY = "backup.tmp"  # the name of an unfinished copy; one that is found at a start is removed

NOT_COPIED = (("fogslink.last-pack",),)
"""Settings that a copy must not have: a restored store would give the same numbers again.
"""

# Pages of one step; a stop is noticed between two steps.
_STEP = 256
_RESERVE = 64 * 1024 * 1024  # bytes that the disk keeps for the outbox and the history


class Backups:
    """Makes copies of the databases in `folder`, one at a time."""

    def __init__(self, folder: Path, reactor: IReactorFromThreads) -> None:
        self._folder, self._reactor = folder, reactor
        self._stopped = Event()
        self._thread: Thread | None = None
        with suppress(OSError):  # a disk that is read-only
            (folder / COPY).unlink(missing_ok=True)

    def copy(self, name: str) -> Deferred[IO[bytes]]:
        if self._thread is not None:
            return fail(CannotBackUp("backup-runs", "another backup is being made"))
        stopped = self._stopped = Event()
        copied: Deferred[IO[bytes]] = Deferred(lambda _: stopped.set())

        def work() -> None:
            try:
                result: IO[bytes] | Failure = _copy(self._folder, name, stopped.is_set)
            except (sqlite3.Error, OSError) as error:
                result = Failure(CannotBackUp("backup-failed", f"the copy failed: {error}"))
            except Exception:
                result = Failure()
            self._reactor.callFromThread(self._done, copied, result)

        self._thread = Thread(target=work, name="gantry-backup")
        self._thread.start()
        return copied

    def _done(self, copied: "Deferred[IO[bytes]]", result: IO[bytes] | Failure) -> None:
        self._join()
        if not copied.called:
            copied.callback(result)  # a Failure goes to the errbacks
        elif not isinstance(result, Failure):
            result.close()  # the copy was cancelled

    def stop(self) -> None:
        self._stopped.set()
        self._join()

    def _join(self) -> None:
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()


def _copy(folder: Path, name: str, stopped: Callable[[], bool]) -> IO[bytes]:
    """Return an open file without a name that holds a copy of `name`, in one file."""
    path, copy = folder / name, folder / COPY
    if not path.exists():
        raise CannotBackUp("no-history", f"there is no {name}")
    copy.unlink(missing_ok=True)
    # Made here and not by SQLite: the file must be private from its beginning.
    os.close(os.open(copy, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        with closing(_connect(path)) as source, closing(_connect(copy)) as target:
            _copy_pages(source, target, folder, stopped)
            if name == FILE:
                target.executemany("DELETE FROM setting WHERE name = ?", NOT_COPIED)
        return copy.open("rb")
    finally:
        copy.unlink()


def _connect(path: Path) -> Connection:
    return sqlite3.connect(path, isolation_level=None, timeout=5.0)


def _copy_pages(
    source: Connection, target: Connection, folder: Path, stopped: Callable[[], bool]
) -> None:
    def step(_status: int, left: int, _total: int) -> None:
        if stopped():
            raise CancelledError
        if shutil.disk_usage(folder).free < left * size + _RESERVE:
            raise CannotBackUp("no-room", "the disk of the data folder has no room for a copy")

    target.execute("PRAGMA synchronous = OFF")  # the copy need not outlive a power cut
    target.execute("PRAGMA journal_mode = OFF")
    source.execute("BEGIN")
    source.execute("SELECT count(*) FROM sqlite_schema").fetchall()  # the reading begins here
    [(pages,)] = source.execute("PRAGMA page_count").fetchall()
    [(size,)] = source.execute("PRAGMA page_size").fetchall()
    step(0, pages, pages)
    source.backup(target, pages=_STEP, progress=step)
    source.execute("ROLLBACK")
    # One file, which can be opened in a folder without write permission.
    target.execute("PRAGMA journal_mode = DELETE")
