"""What a start finds when the file is not the one that the counter beside it tells of."""

import errno
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.store.material import PLENTY, Calls, result_of
from tests.support import moments
from twisted_gantry.store.database import empty_log
from twisted_gantry.store.opening import open_store
from twisted_gantry.store.rebuild import ROOM, DataFile
from twisted_gantry.store.schema import FILE, open_database
from twisted_gantry.store.sqlite import SqliteStore


def _now() -> float:
    return 1_700_000_000.5


def _opened(folder: Path) -> tuple[SqliteStore, Calls]:
    calls = Calls()
    return open_store(folder, calls, moments(_now)), calls


def _add(folder: Path, number: int) -> None:
    """Run the store with `number` reports more, and end it in order."""
    store, calls = _opened(folder)
    added = [store.add_report("etc", "kind", "s", b"{}", False, PLENTY) for _ in range(number)]
    calls.run(*added)
    for each in added:
        result_of(each)
    calls.run(store.close())


def _zeroed(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


def _older(path: Path) -> None:
    shutil.copy(path.with_name("before"), path)


DAMAGES: dict[str, tuple[Callable[[Path], object], str, str]] = {
    "deleted": (Path.unlink, "was deleted", "3 reports that waited to be sent are missing"),
    "emptied": (lambda path: path.write_bytes(b""), "was emptied", "3 reports that waited"),
    "corrupt": (_zeroed, "was corrupt", "3 reports that waited to be sent are missing"),
    "older": (_older, "is older", "2 newer reports are missing"),
}


@pytest.mark.parametrize(("damage", "what", "missing"), DAMAGES.values(), ids=DAMAGES)
def test_what_is_known_to_be_missing_is_told(
    tmp_path: Path, damage: Callable[[Path], object], what: str, missing: str
) -> None:
    """A file that lost its reports is never called whole: the start tells how many are missing."""
    path = tmp_path / FILE
    _add(tmp_path, 1)
    shutil.copy(path, tmp_path / "before")
    _add(tmp_path, 2)
    damage(path)
    store, calls = _opened(tmp_path)
    told = "; ".join(each.en for each in store.found)
    calls.run(store.close())
    assert what in told
    assert missing in told
    assert "whole" not in told


def test_an_undamaged_file_is_no_finding(tmp_path: Path) -> None:
    """A start after an end in order finds nothing."""
    _add(tmp_path, 2)
    store, calls = _opened(tmp_path)
    calls.run(store.close())
    assert store.found == ()


def test_the_log_of_a_file_just_made_is_empty(tmp_path: Path) -> None:
    """The room that the migrations took in the log is free before the first report needs it."""
    db, _ = open_database(tmp_path, _now)
    log = tmp_path / f"{FILE}-wal"
    assert log.stat().st_size < (tmp_path / FILE).stat().st_size
    empty_log(db)
    assert log.stat().st_size == 0
    db.close()
    empty_log(db)  # a connection that fails is left to the next write


def test_a_disk_without_room_does_not_work_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk works again when it has room; another error of the file is SQLite's to tell."""
    db, _ = open_database(tmp_path, _now)
    file = DataFile(tmp_path, _now)

    def failing(code: int) -> None:
        def write(path: Path, data: bytes) -> int:
            assert len(data) == ROOM
            raise OSError(code, "")

        monkeypatch.setattr(Path, "write_bytes", write)

    failing(errno.ENOSPC)
    with pytest.raises(OSError, match="28"):
        file.checkpointed(db)
    failing(errno.EACCES)
    assert file.checkpointed(db) is db
    monkeypatch.undo()
    assert file.checkpointed(db) is db
    assert not list(tmp_path.glob("*.room"))
    db.close()
