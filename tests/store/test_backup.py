"""The copy that is made of a store which is written all the while."""

import os
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from tests.store.material import PLENTY, Calls, failure_of, result_of
from tests.support import memory_store, moments
from twisted_gantry.core.interfaces import CannotBackUp
from twisted_gantry.store import backup
from twisted_gantry.store.backup import COPY
from twisted_gantry.store.history import schema as history_schema
from twisted_gantry.store.opening import open_store
from twisted_gantry.store.schema import FILE
from twisted_gantry.store.sqlite import SqliteStore


@pytest.fixture
def calls() -> Calls:
    return Calls()


@pytest.fixture
def store(calls: Calls, tmp_path: Path) -> Iterator[SqliteStore]:
    store = open_store(tmp_path, calls, moments(lambda: 0.0))
    with calls.closing(store):
        yield store


def _fill(calls: Calls, store: SqliteStore, count: int, size: int = 1000) -> None:
    added = [store.add_report("etc", "k", "", b"x" * size, False, PLENTY) for _ in range(count)]
    calls.run(*added)


@contextmanager
def _opened(file: IO[bytes], folder: Path) -> Iterator[sqlite3.Connection]:
    """Open what a backup returned as an operator does: from a file of its own."""
    path = folder / "restored.db"
    with file:
        assert file.tell() == 0
        path.write_bytes(file.read())
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as db:
        yield db


def test_a_copy_holds_what_was_kept(
    calls: Calls, store: SqliteStore, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The copy is one whole database, also of what is still in the log; nothing is left behind."""
    before = sorted(each.name for each in tmp_path.iterdir())
    _fill(calls, store, 30)
    calls.run(store.put_setting("name", "门架"))
    copied = store.backup(False)
    calls.run(copied)
    file = result_of(copied)
    assert os.fstat(file.fileno()).st_nlink == 0
    assert sorted(each.name for each in tmp_path.iterdir()) == before
    with _opened(file, tmp_path_factory.mktemp("away")) as db:
        assert db.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        assert db.execute("PRAGMA journal_mode").fetchall() == [("delete",)]
        assert db.execute("SELECT count(*) FROM outbox").fetchone() == (30,)
        assert db.execute("SELECT value FROM setting WHERE name = 'name'").fetchone() == ('"门架"',)


def test_a_number_that_was_given_is_not_in_the_copy(
    calls: Calls, store: SqliteStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A gantry that is restored begins with numbers that nobody has seen, as at its first start."""
    calls.run(store.put_setting("fogslink.last-pack", 7), store.put_setting("etc.steering", {}))
    copied = store.backup(False)
    calls.run(copied)
    with _opened(result_of(copied), tmp_path_factory.mktemp("away")) as db:
        assert db.execute("SELECT name FROM setting WHERE name NOT GLOB 'store.*'").fetchall() == [
            ("etc.steering",)
        ]
    kept = store.settings()
    calls.run(kept)
    assert result_of(kept)["fogslink.last-pack"] == 7


def test_a_copy_opens_as_a_store(
    calls: Calls, store: SqliteStore, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Put into an empty data folder, the copy is the store that it was made of."""
    _fill(calls, store, 3)
    copied = store.backup(False)
    calls.run(copied)
    away = tmp_path_factory.mktemp("away")
    with result_of(copied) as file:
        (away / FILE).write_bytes(file.read())
    restored = open_store(away, calls, moments(lambda: 0.0))
    with calls.closing(restored):
        assert restored.found == ()
        reports, ledger = restored.reports("etc", None, 10), restored.ledger("etc")
        calls.run(reports, ledger)
        assert len(result_of(reports)) == result_of(ledger).queued == 3


def test_a_writer_goes_on_and_the_copy_does_not_begin_anew(
    calls: Calls,
    store: SqliteStore,
    tmp_path: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each commit during the copy succeeds and is not in it: it is of one moment, and ends."""
    _fill(calls, store, 300)
    steps: list[Path] = []
    usage = shutil.disk_usage

    def write(path: Path) -> Any:
        with closing(sqlite3.connect(tmp_path / FILE, timeout=0)) as other, other:
            other.execute("UPDATE ledger SET created = created + 1")
            other.execute("UPDATE outbox SET body = zeroblob(20) WHERE id = ?", (len(steps) + 1,))
        steps.append(path)
        assert len(steps) < 1000, "it begins anew after each commit"
        return usage(path)

    monkeypatch.setattr(backup, "_STEP", 4)
    monkeypatch.setattr(shutil, "disk_usage", write)
    copied = store.backup(False)
    calls.run(copied)
    assert len(steps) > 5
    with _opened(result_of(copied), tmp_path_factory.mktemp("away")) as db:
        assert db.execute("PRAGMA quick_check").fetchall() == [("ok",)]
        found = db.execute("SELECT count(*), sum(length(body)) FROM outbox").fetchone()
        assert found == (300, 300_000)
        assert db.execute("SELECT created FROM ledger").fetchone() == (300,)
    ledger = store.ledger("etc")
    calls.run(ledger)
    assert result_of(ledger).created == 300 + len(steps)


def test_one_at_a_time(calls: Calls, store: SqliteStore) -> None:
    """While a copy is made, another is refused; after it, not."""
    first = store.backup(False)
    error = failure_of(store.backup(False))
    assert isinstance(error, CannotBackUp)
    assert error.code == "backup-runs"
    calls.run(first)
    second = store.backup(False)
    calls.run(second)
    for copied in (first, second):
        result_of(copied).close()


def test_cancelled(
    calls: Calls, store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that nobody wants any more ends early, and leaves nothing."""
    _fill(calls, store, 100)
    monkeypatch.setattr(backup, "_STEP", 1)
    copied = store.backup(False)
    copied.cancel()
    assert isinstance(failure_of(copied), CancelledError)
    again: list[Deferred[IO[bytes]]] = []
    while not again or isinstance(_code(again[-1]), str):
        settled = store.ledger("etc")
        calls.run(settled)
        again.append(store.backup(False))
    calls.run(again[-1])
    result_of(again[-1]).close()
    assert not (tmp_path / COPY).exists()


def _code(copied: Deferred[IO[bytes]]) -> str | None:
    """Return the code of a refusal; None of a copy that is being made."""
    if not copied.called:
        return None
    error = failure_of(copied)
    assert isinstance(error, CannotBackUp)
    return error.code


def test_the_store_closes_during_a_copy(
    calls: Calls, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing waits for no copy: it is broken off, and fails."""
    store = open_store(tmp_path, calls, moments(lambda: 0.0))
    _fill(calls, store, 100)
    monkeypatch.setattr(backup, "_STEP", 1)
    held = threading.Event()
    usage = shutil.disk_usage

    def waits(path: Path) -> Any:
        held.wait(0.001)
        return usage(path)

    monkeypatch.setattr(shutil, "disk_usage", waits)
    copied = store.backup(False)
    closed = store.close()
    calls.run(closed, copied)
    assert isinstance(failure_of(copied), CancelledError)
    assert not (tmp_path / COPY).exists()
    assert not any(each.name == "gantry-backup" for each in threading.enumerate())


def test_no_room(
    calls: Calls, store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A copy that would take the last of the disk from the outbox is refused."""
    real = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: real._replace(free=64 * 1024 * 1024 + 100))
    copied = store.backup(False)
    calls.run(copied)
    error = failure_of(copied)
    assert isinstance(error, CannotBackUp)
    assert error.code == "no-room"
    assert not (tmp_path / COPY).exists()


def test_the_history(
    calls: Calls, store: SqliteStore, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The history is copied from its own file; where there is none, that is said."""
    copied = store.backup(True)
    calls.run(copied)
    error = failure_of(copied)
    assert isinstance(error, CannotBackUp)
    assert error.code == "no-history"
    db, _ = history_schema.open_database(tmp_path, lambda: 0.0)
    with closing(db):
        db.execute("INSERT INTO point (name) VALUES ('ups1.x')")
        copied = store.backup(True)
        calls.run(copied)
        with _opened(result_of(copied), tmp_path_factory.mktemp("away")) as copy:
            assert copy.execute("SELECT name FROM point").fetchall() == [("ups1.x",)]


def test_a_broken_database(calls: Calls, store: SqliteStore, tmp_path: Path) -> None:
    """What SQLite cannot copy is told, not logged."""
    (tmp_path / history_schema.FILE).write_bytes(b"no database at all" * 100)
    copied = store.backup(True)
    calls.run(copied)
    error = failure_of(copied)
    assert isinstance(error, CannotBackUp)
    assert error.code == "backup-failed"
    assert not (tmp_path / COPY).exists()


def test_what_a_killed_process_left(calls: Calls, tmp_path: Path) -> None:
    """Half a copy, left by a process that was killed, is removed at the next start."""
    (tmp_path / COPY).write_bytes(b"half a copy")
    with calls.closing(open_store(tmp_path, calls, moments(lambda: 0.0))):
        assert not (tmp_path / COPY).exists()


def test_nobody_else_may_read_it(
    calls: Calls, store: SqliteStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is made the copy is for its owner alone: codes and answers are in it."""
    modes: list[int] = []
    usage = shutil.disk_usage

    def look(path: Path) -> Any:
        modes.append((tmp_path / COPY).stat().st_mode & 0o777)
        return usage(path)

    monkeypatch.setattr(shutil, "disk_usage", look)
    copied = store.backup(False)
    calls.run(copied)
    result_of(copied).close()
    assert set(modes) == {0o600}


def test_a_store_in_memory() -> None:
    """What is in no file cannot be copied."""
    store = memory_store(moments(lambda: 0.0))
    error = failure_of(store.backup(False))
    assert isinstance(error, CannotBackUp)
    assert error.code == "no-file"
    result_of(store.close())
