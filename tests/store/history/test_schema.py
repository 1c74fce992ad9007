"""The file of the history: made, opened again, put aside when corrupt, refused when newer."""

import sqlite3
from pathlib import Path

import pytest

from twisted_gantry.store.database import Unusable
from twisted_gantry.store.history.schema import FILE, MIGRATIONS, SUSPECT, open_database, suspect


def now() -> float:
    return 1_700_000_000.9


def test_a_new_file(tmp_path: Path) -> None:
    """An empty folder gets a file that only its owner reads, and that a power cut does not harm."""
    db, found = open_database(tmp_path, now)
    assert found == []
    assert (tmp_path / FILE).stat().st_mode & 0o777 == 0o600
    assert db.execute("PRAGMA user_version").fetchone() == (len(MIGRATIONS),)
    assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert db.execute("PRAGMA synchronous").fetchone() == (1,)
    db.execute("INSERT INTO point (name) VALUES ('p')")
    db.close()
    db, found = open_database(tmp_path, now)
    assert db.execute("SELECT id, name FROM point").fetchall() == [(1, "p")]
    db.close()


@pytest.mark.parametrize("content", [b"no database at all, though long enough to be one" * 30])
def test_a_corrupt_file_is_put_aside(tmp_path: Path, content: bytes) -> None:
    """A file that is none does not stop the start; it is kept under another name."""
    (tmp_path / FILE).write_bytes(content)
    db, found = open_database(tmp_path, now)
    db.execute("INSERT INTO point (name) VALUES ('p')")
    db.close()
    [(text, _)] = found
    assert "history.db.corrupt-1700000000" in text
    assert (tmp_path / "history.db.corrupt-1700000000").read_bytes() == content


def test_tables_that_are_not_ours(tmp_path: Path) -> None:
    """A file in which our tables cannot be made is put aside too."""
    with sqlite3.connect(tmp_path / FILE) as db:
        db.execute("CREATE TABLE point (x)")
    db.close()
    db, found = open_database(tmp_path, now)
    assert "corrupt" in found[0].en
    db.close()


def test_a_suspect_is_put_aside_once(tmp_path: Path) -> None:
    """What was found corrupt while it was used is put aside at the next start, and no later one."""
    open_database(tmp_path, now)[0].close()
    error = sqlite3.DatabaseError("malformed")
    error.sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    suspect(tmp_path, error)
    db, found = open_database(tmp_path, now)
    db.close()
    assert len(found) == 1
    db, found = open_database(tmp_path, now)
    db.close()
    assert found == []


@pytest.mark.parametrize("code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, None])
def test_a_failing_disk_is_no_corruption(tmp_path: Path, code: int | None) -> None:
    """A full or failing disk, or an error that is not the database's, makes no file suspect."""
    error: Exception = ValueError("no")
    if code is not None:
        error = sqlite3.OperationalError("no")
        error.sqlite_errorcode = code
    suspect(tmp_path, error)
    assert not (tmp_path / SUSPECT).exists()


def test_a_newer_file_is_refused(tmp_path: Path) -> None:
    """The file of a newer version is not touched."""
    db, _ = open_database(tmp_path, now)
    db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    db.close()
    with pytest.raises(Unusable, match="newer version"):
        open_database(tmp_path, now)
    assert [path.name for path in tmp_path.iterdir()] == [FILE]


def test_a_file_that_cannot_be_opened(tmp_path: Path) -> None:
    """What is in the way is named."""
    (tmp_path / FILE).mkdir()
    with pytest.raises(Unusable, match=FILE):
        open_database(tmp_path, now)
