"""The file: made, migrated, moved aside when it is corrupt, and used by one process."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.store.material import PLENTY, Calls, result_of
from tests.support import moment_at, moments
from twisted_gantry.store import outbox
from twisted_gantry.store.database import Unusable
from twisted_gantry.store.opening import open_store
from twisted_gantry.store.schema import FILE, LOCK, MIGRATIONS, lock, open_database
from twisted_gantry.store.sqlite import SqliteStore

# A database as the first version of the program wrote it, with a row in each table.
VERSION_1 = """
    INSERT INTO outbox (uplink, kind, subject, body, created, urgent)
        VALUES ('etc', 'cabinetStatusUpdate', 'cabinet 1', x'7b7d', 1000.0, 1);
    INSERT INTO outbox (uplink, kind, subject, body, created, urgent, state, reason, tries) VALUES
        ('fogslink', 'req200', '7', x'7b7d', 1000.0, 0, 'queued', 'queued again', 3),
        ('fogslink', 'req200', '8', x'7b7d', 1000.0, 0, 'queued', '9', 1),
        ('fogslink', 'req200', '9', x'7b7d', 1000.0, 0, 'set-aside', 'queued again', 0);
    INSERT INTO ledger (uplink, created, delivered, queued, size) VALUES ('etc', 3, 2, 1, 2);
    INSERT INTO setting (name, value) VALUES ('etc.period', '60.0'), ('cards.version', '"7"');
    INSERT INTO card (card_id, valid_time, invalid_time) VALUES ('c1', 'from', 'to');
    INSERT INTO audit (id, at, who, target, command, args, result)
        VALUES ('a1', 5.0, 'web', 'ups1', 'BZOFF', '{}', 'done');
    """


def _clock() -> float:
    return 1_700_000_000.5


def _version(db: sqlite3.Connection) -> int:
    [(version,)] = db.execute("PRAGMA user_version").fetchall()
    return int(version)


@pytest.fixture
def opened() -> Iterator[Callable[[Path], tuple[SqliteStore, Calls]]]:
    """Return a function that opens a store with its thread; those not closed are at the end."""
    stores: list[tuple[SqliteStore, Calls]] = []

    def open_it(folder: Path) -> tuple[SqliteStore, Calls]:
        calls = Calls()
        store = open_store(folder, calls, moments(_clock))
        stores.append((store, calls))
        return store, calls

    yield open_it
    for store, calls in stores:
        calls.run(store.close())


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a good file of many pages."""
    folder = tmp_path_factory.mktemp("whole")
    db, _ = open_database(folder, _clock)
    for number in range(200):
        outbox.add(db, "etc", "kind", "subject", b"x" * 200, moment_at(number), False, PLENTY)
    db.close()
    return (folder / FILE).read_bytes()


# -- a new file, and an old one


def test_a_new_file_is_up_to_date_and_private(tmp_path: Path) -> None:
    """A fresh folder is made for its owner alone, its file is of the newest version."""
    folder = tmp_path / "deep" / "data"
    with closing(lock(folder)):
        db, found = open_database(folder, _clock)
        with closing(db):
            assert found == []
            assert _version(db) == len(MIGRATIONS)
            files = {each.name: each.stat().st_mode & 0o777 for each in folder.iterdir()}
        assert {FILE, f"{FILE}-wal", f"{FILE}-shm"} <= set(files)
        assert {mode for name, mode in files.items() if name.startswith(FILE)} == {0o600}
        assert folder.stat().st_mode & 0o777 == 0o700


def test_every_commit_is_synced(tmp_path: Path) -> None:
    """The file is in WAL mode and synchronous FULL, so that a commit outlives a power cut."""
    db, _ = open_database(tmp_path, _clock)
    with closing(db):
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)


def test_a_file_opens_again_as_it_was_left(tmp_path: Path) -> None:
    """What was committed is there at the next start, and nothing is reported as found."""
    db, _ = open_database(tmp_path, _clock)
    with closing(db):
        outbox.add(db, "etc", "kind", "subject", b"body", moment_at(1.0), False, PLENTY)
    db, found = open_database(tmp_path, _clock)
    with closing(db):
        assert found == []
        assert len(outbox.reports(db, "etc", None, 10)) == 1


def test_a_file_of_version_1_opens(
    tmp_path: Path, opened: Callable[[Path], tuple[SqliteStore, Calls]]
) -> None:
    """A file that the first version wrote is brought up to date with all that is in it."""
    with closing(sqlite3.connect(tmp_path / FILE)) as old:
        old.executescript(f"{MIGRATIONS[0]}; PRAGMA user_version = 1; {VERSION_1}")
    store, calls = opened(tmp_path)
    assert store.found == ()
    report, ledger = store.next_report("etc", 0.0), store.ledger("etc")
    kept, cards, audit = store.settings(), store.cards(), store.audit(10)
    calls.run(report, ledger, kept, cards, audit)
    first = result_of(report)
    assert first is not None
    assert (first.body, first.made.wall, first.urgent) == (b"{}", 1000.0, True)
    assert (result_of(ledger).created, result_of(ledger).queued) == (3, 1)
    assert result_of(kept)["etc.period"] == 60.0
    assert result_of(cards)[0] == "7"
    assert [each.card_id for each in result_of(cards)[1]] == ["c1"]
    assert [(each.id, each.result) for each in result_of(audit)] == [("a1", "done")]


def test_reports_that_a_person_requeued_are_marked_by_the_migration(
    tmp_path: Path, opened: Callable[[Path], tuple[SqliteStore, Calls]]
) -> None:
    """Version 1 told a requeued report by its reason; only those that are queued get the mark."""
    with closing(sqlite3.connect(tmp_path / FILE)) as old:
        old.executescript(f"{MIGRATIONS[0]}; PRAGMA user_version = 1; {VERSION_1}")
    store, calls = opened(tmp_path)
    reports = store.reports("fogslink", None, 10)
    calls.run(reports)
    assert [(each.subject, each.requeued, each.tries) for each in result_of(reports)] == [
        ("7", True, 3),
        ("8", False, 1),
        ("9", False, 0),
    ]


def test_an_empty_file_becomes_a_new_one(tmp_path: Path) -> None:
    """A file of no bytes, as a power cut may leave it, is filled without a complaint."""
    (tmp_path / FILE).touch()
    db, found = open_database(tmp_path, _clock)
    with closing(db):
        assert found == []
        assert _version(db) == len(MIGRATIONS)


def test_a_migration_is_all_or_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A step that fails leaves the file as it was before it, in the version before it."""
    good = "CREATE TABLE extra (a INTEGER) STRICT; INSERT INTO extra VALUES (1)"
    bad = "DROP TABLE extra; CREATE TABLE more (a INTEGER); SELECT * FROM nowhere"
    db, _ = open_database(tmp_path, _clock)
    db.close()
    path = "twisted_gantry.store.schema.MIGRATIONS"
    monkeypatch.setattr(path, (*MIGRATIONS, good, bad))
    with pytest.raises(Unusable, match="nowhere"):
        open_database(tmp_path, _clock)
    monkeypatch.setattr(path, (*MIGRATIONS, good))
    db, found = open_database(tmp_path, _clock)
    with closing(db):
        assert found == []
        assert _version(db) == len(MIGRATIONS) + 1
        assert db.execute("SELECT a FROM extra").fetchall() == [(1,)]
        assert db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'more'").fetchall() == []


def test_a_newer_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    """A file of a newer version is left untouched; the text says what to do."""
    db, _ = open_database(tmp_path, _clock)
    with closing(db):
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 7}")
    before = (tmp_path / FILE).read_bytes()
    with pytest.raises(Unusable, match=f"newer version .schema {len(MIGRATIONS) + 7}.*--data"):
        open_store(tmp_path, Calls(), moments(_clock))
    assert (tmp_path / FILE).read_bytes() == before
    lock(tmp_path).close()  # and the folder is free again


# -- a corrupt file


def _page(whole: bytes) -> int:
    """Return the size of a page, from the header of the file."""
    return int.from_bytes(whole[16:18], "big")


def _overwritten(at: int, data: bytes, pages: int = 0) -> Callable[[bytes], bytes]:
    """Return what writes `data` at a place in the file, `at` bytes behind so many pages."""

    def damage(whole: bytes) -> bytes:
        start = at + pages * _page(whole)
        return whole[:start] + data + whole[start + len(data) :]

    return damage


CORRUPTIONS: dict[str, Callable[[bytes], bytes]] = {
    "garbage": lambda whole: b"this is no database" * 1000,
    "a zeroed header": _overwritten(0, bytes(100)),
    "all zero": lambda whole: bytes(len(whole)),
    "a page cut in two": lambda whole: whole[:-2000],
    "half of it": lambda whole: whole[: len(whole) // 2],
    "the first page alone": lambda whole: whole[: _page(whole)],
    "zeroed pages": _overwritten(0, bytes(20_000), pages=2),
    "another program's page": _overwritten(0, b"\x0d\x7f" * 2048, pages=3),
    "an unknown file format": _overwritten(44, b"\x00\x00\x00\x63"),
    "a schema that is no text": _overwritten(100, bytes(range(256)) * 15),
}


@pytest.mark.parametrize("damage", CORRUPTIONS.values(), ids=CORRUPTIONS)
def test_a_corrupt_file_never_stops_the_start(
    tmp_path: Path,
    whole: bytes,
    damage: Callable[[bytes], bytes],
    opened: Callable[[Path], tuple[SqliteStore, Calls]],
) -> None:
    """A corrupt file is kept aside as it is, reported, and replaced by one that works, with the
    reports that could be read, if any.
    """
    corrupt = damage(whole)
    (tmp_path / FILE).write_bytes(corrupt)
    store, calls = opened(tmp_path)
    aside = tmp_path / f"{FILE}.corrupt-1700000000"
    assert aside.read_bytes() == corrupt
    [(found, _)] = store.found
    assert FILE in found
    assert "was corrupt" in found
    assert aside.name in found
    added, reports = (
        store.add_report("etc", "kind", "subject", b"new", False, PLENTY),
        store.reports(None, None, 999),
    )
    calls.run(added, reports)
    result_of(added)
    *saved, new = result_of(reports)
    assert new.body == b"new"
    assert {each.body for each in saved} <= {b"x" * 200}
    assert bool(saved) is ("were copied" in found)


def test_the_log_of_a_corrupt_file_is_kept_with_it(tmp_path: Path, whole: bytes) -> None:
    """What was only in the -wal of a file that is corrupt is aside, too, and copied from there."""
    crashed, marker = tmp_path / "crashed", b"only in the log " * 20
    crashed.mkdir()
    (tmp_path / FILE).write_bytes(whole)
    db, _ = open_database(tmp_path, _clock)
    with closing(db):
        outbox.add(db, "etc", "kind", "subject", marker, moment_at(1.0), False, PLENTY)
        for suffix in ("", "-wal", "-shm"):
            shutil.copy(tmp_path / (FILE + suffix), crashed / (FILE + suffix))
    assert marker not in whole
    (crashed / FILE).write_bytes(CORRUPTIONS["zeroed pages"](whole))
    db, found = open_database(crashed, _clock)
    with closing(db):
        assert len(found) == 1
        assert marker in [each.body for each in outbox.reports(db, None, None, 999)]
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    aside = b"".join(p.read_bytes() for p in crashed.glob(f"{FILE}.corrupt-1700000000*"))
    assert marker in aside


def test_side_files_that_are_left_are_moved_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A -wal and -shm that SQLite left beside a corrupt file go with it: they fit no other."""
    results: list[BaseException | sqlite3.Connection] = [
        sqlite3.DatabaseError("damaged"),
        sqlite3.connect(":memory:"),
    ]

    def opened(path: Path) -> sqlite3.Connection:
        result = results.pop(0)
        if isinstance(result, BaseException):
            raise result
        return result

    monkeypatch.setattr("twisted_gantry.store.schema.open_file", opened)
    for suffix in ("", "-wal", "-shm"):
        (tmp_path / (FILE + suffix)).write_text(f"garbage{suffix}")
    db, found = open_database(tmp_path, _clock)
    db.close()
    assert "damaged" in found[0].en
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        f"{FILE}.corrupt-1700000000{suffix}": f"garbage{suffix}" for suffix in ("", "-wal", "-shm")
    }


def test_a_garbled_log_costs_no_more_than_itself(tmp_path: Path) -> None:
    """A -wal and -shm of garbage beside a good file lose nothing that is in the file."""
    db, _ = open_database(tmp_path, _clock)
    with closing(db):
        outbox.add(db, "etc", "kind", "subject", b"body", moment_at(1.0), False, PLENTY)
    (tmp_path / f"{FILE}-wal").write_bytes(b"\x00garbage" * 1000)
    (tmp_path / f"{FILE}-shm").write_bytes(b"\x00garbage" * 4096)
    db, found = open_database(tmp_path, _clock)
    with closing(db):
        assert found == []
        assert [each.body for each in outbox.reports(db, None, None, 9)] == [b"body"]


_places = st.integers(0, 2**20) | st.integers(0, 99)


@settings(derandomize=True)
@given(at=_places, junk=st.binary(min_size=1, max_size=600), cut=st.none() | _places)
def test_damage_anywhere_is_survived(
    whole: bytes, tmp_path_factory: pytest.TempPathFactory, at: int, junk: bytes, cut: int | None
) -> None:
    """Whatever bytes a disk changes, the store opens; the text of a refusal is the operator's."""
    at %= len(whole)
    cut = None if cut is None else cut % len(whole)
    folder = tmp_path_factory.mktemp("damaged")
    (folder / FILE).write_bytes(_overwritten(at, junk)(whole)[:cut])
    calls = Calls()
    try:
        store = open_store(folder, calls, moments(_clock))
    except Unusable:
        assert at < 100, "only a header can seem to be that of a newer version"
    else:
        with calls.closing(store):
            assert len(store.found) <= 1
    lock(folder).close()


def test_a_file_with_other_tables_is_refused_in_words(tmp_path: Path) -> None:
    """A database that says it is ours and is not ends in a text for the operator."""
    with closing(sqlite3.connect(tmp_path / FILE)) as other:
        other.executescript(f"CREATE TABLE t (a); PRAGMA user_version = {len(MIGRATIONS)}")
    with pytest.raises(Unusable, match="no such table"):
        open_store(tmp_path, Calls(), moments(_clock))
    lock(tmp_path).close()


def test_a_folder_in_place_of_the_file_is_refused_in_words(tmp_path: Path) -> None:
    """What is no file at all is not moved aside: the operator is told."""
    (tmp_path / FILE).mkdir()
    with pytest.raises(Unusable, match=r"cannot be opened"):
        open_store(tmp_path, Calls(), moments(_clock))
    assert (tmp_path / FILE).is_dir()


# -- the lock


def test_a_second_open_is_refused_with_the_process(tmp_path: Path) -> None:
    """While one has the folder, another is told which process has it, and what to do."""
    with (
        closing(lock(tmp_path)),
        pytest.raises(Unusable, match=rf"process {os.getpid()}\).*--data"),
    ):
        lock(tmp_path)


def test_a_refused_open_does_not_harm_the_lock(tmp_path: Path) -> None:
    """Being refused neither frees the folder nor forgets whose it is."""
    with closing(lock(tmp_path)):
        for _ in range(2):
            with pytest.raises(Unusable, match=str(os.getpid())):
                open_store(tmp_path, Calls(), moments(_clock))
    lock(tmp_path).close()


def test_another_process_is_refused(tmp_path: Path) -> None:
    """The lock holds between processes, not only within one."""
    code = (
        "import sys, pathlib; from twisted_gantry.store.schema import lock\n"
        "try: lock(pathlib.Path(sys.argv[1]))\n"
        "except Exception as error: print(error)"
    )
    with closing(lock(tmp_path)):
        done = subprocess.run(
            [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True
        )
    assert f"another gantry (process {os.getpid()})" in done.stdout


def test_a_lock_without_an_owner_is_taken(tmp_path: Path) -> None:
    """What a process that is gone left in the lock file does not matter."""
    (tmp_path / LOCK).write_text("999999\nand something longer than a number\n")
    with closing(lock(tmp_path)):
        assert (tmp_path / LOCK).read_text() == f"{os.getpid()}\n"


def test_closing_the_store_frees_the_folder(tmp_path: Path) -> None:
    """Once a store is closed, the folder is free for the next."""
    for _ in range(2):
        calls = Calls()
        store = open_store(tmp_path, calls, moments(_clock))
        calls.run(store.close())


def test_a_folder_that_cannot_be_made_is_refused_in_words(tmp_path: Path) -> None:
    """A data folder beneath a file is no folder: the text says so."""
    (tmp_path / "file").write_text("")
    with pytest.raises(Unusable, match=r"data folder .* cannot be used"):
        open_store(tmp_path / "file" / "data", Calls(), moments(_clock))
