"""A file is written whole or not at all, and replaces another only by `force`."""

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from twisted_gantry.ctl.errors import Trouble
from twisted_gantry.ctl.files import whole_file


def _write(
    path: Path,
    *,
    force: bool = False,
    private: bool = True,
    meanwhile: Callable[[], object] = lambda: None,
) -> None:
    with whole_file(path, force=force, private=private) as file:
        file.write(b"new")
        meanwhile()


def _names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


def test_written(tmp_path: Path) -> None:
    """A private file is for its owner alone, others follow the umask; no other file is left."""
    mask = os.umask(0o027)
    try:
        _write(tmp_path / "private")
        _write(tmp_path / "public", private=False)
    finally:
        assert os.umask(mask) == 0o027
    assert (tmp_path / "private").read_bytes() == b"new"
    modes = {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()}
    assert modes == {"private": 0o600, "public": 0o640}


def test_nothing_is_replaced(tmp_path: Path) -> None:
    """An existing file stays, even a broken link; with force it is replaced."""
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_bytes(b"old")
    link.symlink_to(tmp_path / "nowhere")
    for each in (path, link):
        with pytest.raises(Trouble) as caught:
            _write(each)
        assert caught.value.key == "file-exists"
    assert path.read_bytes() == b"old"
    _write(path, force=True)
    _write(link, force=True)
    assert (path.read_bytes(), link.is_symlink()) == (b"new", False)
    assert _names(tmp_path) == ["file", "link"]


def test_nothing_is_replaced_that_came_meanwhile(tmp_path: Path) -> None:
    """A file that appears during the writing stays."""
    path = tmp_path / "file"
    with pytest.raises(Trouble) as caught:
        _write(path, meanwhile=lambda: path.write_bytes(b"other"))
    assert caught.value.key == "file-exists"
    assert path.read_bytes() == b"other"
    assert _names(tmp_path) == ["file"]


def test_not_at_all(tmp_path: Path) -> None:
    """If the block fails, there is no new file, and an old one stays."""
    old = tmp_path / "old"
    old.write_bytes(b"old")
    for path in (old, tmp_path / "new"):
        with pytest.raises(ZeroDivisionError):
            _write(path, force=True, meanwhile=lambda: 1 // 0)
    assert _names(tmp_path) == ["old"]
    assert old.read_bytes() == b"old"


def test_a_file_system_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without hard links the file is renamed, and an existing one is not replaced."""

    def no_links(*_: Any) -> None:
        raise OSError(errno.EPERM, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", no_links)
    _write(tmp_path / "file")
    late = tmp_path / "late"
    with pytest.raises(Trouble) as caught:
        _write(late, meanwhile=lambda: late.write_bytes(b"other"))
    assert caught.value.key == "file-exists"
    assert _names(tmp_path) == ["file", "late"]


def test_what_the_disk_refuses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing folder and a full disk are errors that name the file."""
    for path in (tmp_path / "none" / "file", tmp_path / "file"):
        with pytest.raises(Trouble) as caught:
            _write(path)
        assert caught.value.key == "cannot-write"
        assert caught.value.fields["file"] == path

        def full(_: int) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(os, "fsync", full)
    assert _names(tmp_path) == []
