"""The files of the store: damaged, removed, replaced, deleted, older; and their check sums."""

import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.store.material import PLENTY, Calls, database, result_of
from tests.support import moment_at, moments
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.store import audit, outbox
from twisted_gantry.store.counter import FILE as COUNT
from twisted_gantry.store.counter import Counter
from twisted_gantry.store.opening import open_store
from twisted_gantry.store.rebuild import REMOVED, REPLACED, DataFile
from twisted_gantry.store.schema import FILE, open_database
from twisted_gantry.store.sqlite import SqliteStore


def now() -> float:
    return 1_700_000_000.0


def start(folder: Path) -> tuple[SqliteStore, Calls]:
    calls = Calls()
    return open_store(folder, calls, moments(now)), calls


def add(store: SqliteStore, calls: Calls, many: int, body: bytes = b"body") -> list[int]:
    added = [store.add_report("etc", "k", "s", body, False, PLENTY) for _ in range(many)]
    calls.run(*added)
    return [result_of(each)[0] for each in added]


def stop(store: SqliteStore, calls: Calls) -> None:
    calls.run(store.close())


def killed(folder: Path, many: int = 3) -> Path:
    """Return a folder as a process leaves it that was killed with so many reports waiting."""
    store, calls = start(folder / "live")
    sent, *_ = add(store, calls, many + 1)
    calls.run(store.delivered([sent]))
    left = folder / "left"
    shutil.copytree(folder / "live", left)
    stop(store, calls)
    return left


def found(folder: Path) -> str:
    """Start on a folder, and return what the start found."""
    store, calls = start(folder)
    texts = [each.en for each in store.found]
    assert all(any(ord(letter) > 255 for letter in each.zh) for each in store.found)
    stop(store, calls)
    return "; ".join(texts)


# -- what a start finds


def test_a_killed_process_left_all(tmp_path: Path) -> None:
    """Nothing is missing after a kill, and the start says so."""
    assert "its data is whole, 3 reports waited" in found(killed(tmp_path))


def _delete(folder: Path) -> None:
    for path in folder.glob(f"{FILE}*"):
        path.unlink()


def _empty(folder: Path) -> None:
    _delete(folder)
    (folder / FILE).touch()


def _swap(folder: Path) -> None:
    other, calls = start(folder / "other")
    stop(other, calls)
    _delete(folder)
    shutil.copy(folder / "other" / FILE, folder / FILE)


def _lose_log(folder: Path) -> None:
    for suffix in ("-wal", "-shm"):
        (folder / f"{FILE}{suffix}").unlink()


def _cut_log(folder: Path) -> None:
    log = folder / f"{FILE}-wal"
    os.truncate(log, log.stat().st_size // 2)


@pytest.mark.parametrize(
    ("harm", "text"),
    [
        (_delete, "was deleted, and made anew: 3 reports that waited"),
        (_empty, "was emptied, and made anew: 3 reports that waited"),
        (_swap, "is another one than before: 3 reports that waited"),
        (_lose_log, "is older than when it was last used"),
        (_cut_log, "is older than when it was last used"),
    ],
)
def test_what_is_missing_is_told(tmp_path: Path, harm: Callable[[Path], None], text: str) -> None:
    """A store that is deleted, emptied, exchanged or cut is never called whole."""
    folder = killed(tmp_path)
    harm(folder)
    said = found(folder)
    assert text in said
    assert "whole" not in said
    assert "deleted" not in found(folder)  # told once


def test_an_older_copy_is_told(tmp_path: Path) -> None:
    """A database that is put back to an older state says what is missing, and what comes twice."""
    store, calls = start(tmp_path)
    first = add(store, calls, 2)
    stop(store, calls)
    shutil.copy(tmp_path / FILE, tmp_path / "older")
    store, calls = start(tmp_path)
    assert store.found == ()
    add(store, calls, 4)
    calls.run(store.delivered(first))
    stop(store, calls)
    shutil.copy(tmp_path / "older", tmp_path / FILE)
    said = found(tmp_path)
    assert "4 newer reports are missing, and 2 that were delivered may be sent again" in said
    store, calls = start(tmp_path)
    assert add(store, calls, 1) == [7]  # numbers go on behind those that were lost
    stop(store, calls)


@pytest.mark.parametrize("content", [None, b"", b"1 {}", b"garbage", b"\0" * 4096])
def test_a_counter_that_cannot_be_read_claims_nothing(
    tmp_path: Path, content: bytes | None
) -> None:
    """Without a counter nothing is called whole, and nothing missing."""
    folder = killed(tmp_path)
    (folder / COUNT).unlink()
    if content is not None:
        (folder / COUNT).write_bytes(content)
    assert Counter(folder).read() is None
    said = found(folder)
    assert "3 reports waited" in said
    assert "whole" not in said
    assert "missing" not in said


def test_a_first_start_finds_nothing(tmp_path: Path) -> None:
    """A new folder has no findings, and its counter is there."""
    assert found(tmp_path) == ""
    assert Counter(tmp_path).read() is not None
    assert (tmp_path / COUNT).stat().st_mode & 0o777 == 0o600


# -- the file under the running program


@pytest.mark.parametrize("part", ["", "-wal"])
@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_a_file_is_made_anew_from_the_open_one(tmp_path: Path, part: str, how: str) -> None:
    """A file or log that is removed or replaced is noticed, and all that was in it is in a new one;
    a foreign file is kept aside.
    """
    store, calls = start(tmp_path)
    numbers = add(store, calls, 3)
    file = DataFile(tmp_path, now)
    assert file.look() is None
    path = tmp_path / f"{FILE}{part}"
    path.unlink()
    if how == "replaced":
        path.write_bytes(b"foreign")
    assert file.look() is (REMOVED if how == "removed" else REPLACED)
    calls.run(store.writer.replace(file.made_anew))
    assert file.look() is None
    [told] = file.found
    assert "3 waiting reports" in told.en
    numbers += add(store, calls, 2)
    stop(store, calls)
    if (part, how) == ("", "replaced"):
        assert (tmp_path / f"{FILE}.replaced-1700000000").read_bytes() == b"foreign"
    store, calls = start(tmp_path)
    reports = store.reports(None, None, 99)
    calls.run(reports)
    assert [each.id for each in result_of(reports)] == numbers
    assert store.found == ()
    stop(store, calls)
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_made_anew_leaves_the_open_one(tmp_path: Path) -> None:
    """Without room for a new file the open one stays in use."""
    store, calls = start(tmp_path)
    add(store, calls, 1)
    file = DataFile(tmp_path, now)
    (tmp_path / FILE).unlink()
    (tmp_path / f"{FILE}.new").mkdir()
    failed: list[object] = []
    tried = store.writer.replace(file.made_anew).addErrback(failed.append)
    calls.run(tried)
    assert failed
    add(store, calls, 1)
    (tmp_path / f"{FILE}.new").rmdir()
    calls.run(store.writer.replace(file.made_anew))
    stop(store, calls)
    with closing(sqlite3.connect(tmp_path / FILE)) as db:
        assert db.execute("SELECT count(*) FROM outbox").fetchone() == (2,)


# -- damage


def _made(folder: Path) -> None:
    db, _ = open_database(folder, now)
    with closing(db):
        db.execute("BEGIN")
        for number in range(300):
            outbox.add(db, "etc", "k", "s", b"%05d" % number * 40, moment_at(1), False, PLENTY)
            audit.begin(db, AuditEntry(f"c{number}", 1.0, "web", "ups1", "BZOFF", {"n": "x" * 200}))
        db.execute("COMMIT")


def _root_pages(folder: Path) -> dict[str, int]:
    with closing(sqlite3.connect(folder / FILE)) as db:
        return dict(db.execute("SELECT name, rootpage FROM sqlite_schema WHERE type = 'table'"))


@pytest.mark.long
def test_a_damaged_audit_never_takes_the_outbox_along(tmp_path: Path) -> None:
    """A damaged page of the audit costs entries of the audit; each report is there."""
    _made(tmp_path)
    page = _root_pages(tmp_path)["audit"]
    with (tmp_path / FILE).open("r+b") as file:
        file.seek((page - 1) * 8192)
        file.write(b"\xff" * 8192)
    store, calls = start(tmp_path)
    [told] = store.found
    assert "300 reports" in told.en
    reports, ledger = store.reports(None, "queued", 999), store.ledger("etc")
    calls.run(reports, ledger)
    assert [each.id for each in result_of(reports)] == list(range(1, 301))
    assert result_of(ledger).created == result_of(ledger).queued == 300
    assert add(store, calls, 1) == [301]
    stop(store, calls)


@pytest.mark.parametrize(
    ("column", "harm"),
    [
        ("body", b"\x00odd"),
        ("kind", "K"),
        ("subject", "\x01"),
        ("body", b""),
        ("kind", b"\xff\xfe"),
    ],
)
def test_one_bad_row_costs_one_row(column: str, harm: object) -> None:
    """A report that is not what was stored is set aside with its bytes; the next one goes out."""
    db = database()
    numbers = [
        outbox.add(db, "etc", "k", "s", b"%d" % n, moment_at(n), True, PLENTY)[0] for n in range(3)
    ]
    if isinstance(harm, bytes) and column == "kind":
        db.execute("UPDATE outbox SET kind = CAST(? AS TEXT) WHERE id = ?", (harm, numbers[0]))
    else:
        db.execute(f"UPDATE outbox SET {column} = ? WHERE id = ?", (harm, numbers[0]))
    report = outbox.following(db, "etc", moment_at(5), 60.0)
    assert report is not None
    assert report.id == numbers[1]
    assert [each.id for each in outbox.queued(db, "etc", 10, 999)] == numbers[1:]
    [aside] = outbox.reports(db, "etc", "set-aside", 10)
    assert (aside.id, aside.reason) == (numbers[0], outbox.DAMAGED)
    if column == "body":
        assert aside.body == harm
    ledger = outbox.ledger(db, "etc")
    assert (ledger.created, ledger.queued, ledger.set_aside) == (3, 2, 1)
