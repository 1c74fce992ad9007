"""`backup`: an intact copy, or no file."""

import io
import json
import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

import pytest

from tests.ctl.conftest import Ctl, FakeGantry
from tests.ctl.raw import raw_server, saying
from twisted_gantry.ctl import client
from twisted_gantry.ctl.client import Api, ApiError

PATH = "/api/v1/backup"


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """Return the bytes of a database of some 300 KiB."""
    path = tmp_path_factory.mktemp("made") / "made.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE outbox (body BLOB)")
        db.executemany("INSERT INTO outbox VALUES (?)", [(bytes(3000),)] * 100)
        db.execute("CREATE INDEX bodies ON outbox (length(body))")
        db.commit()
    return path.read_bytes()


@pytest.fixture
def full(gantry: FakeGantry, database: bytes) -> FakeGantry:
    """Return a gantry that sends the database."""
    gantry.says("POST", PATH, database)
    return gantry


def test_written(ctl: Ctl, full: FakeGantry, database: bytes, tmp_path: Path) -> None:
    """The copy is equal, readable by its owner alone, and no other file is left."""
    path = tmp_path / "copy.db"
    result = ctl("backup", str(path))
    assert result.exit_code == 0
    assert result.stdout == f"{path}: {len(database)} bytes, checked.\n"
    assert path.read_bytes() == database
    assert path.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["copy.db"]
    assert full.seen[0].body == {"history": False}


def test_history(ctl: Ctl, full: FakeGantry, tmp_path: Path) -> None:
    """`--history` asks for the history; the result is also shown as JSON and in Chinese."""
    path = tmp_path / "h"
    result = ctl("backup", "--history", str(path), "--json")
    assert json.loads(result.stdout) == {"file": str(path), "bytes": path.stat().st_size}
    assert full.seen[0].body == {"history": True}
    assert "已校验" in ctl("backup", "--force", str(path), lang="zh").stdout


def test_nothing_is_replaced(ctl: Ctl, full: FakeGantry, database: bytes, tmp_path: Path) -> None:
    """An existing file stays, and the gantry is not asked; --force replaces the file."""
    path = tmp_path / "copy.db"
    path.write_bytes(b"older")
    result = ctl("backup", str(path))
    assert (result.exit_code, "--force" in result.stderr) == (1, True)
    assert not full.seen
    assert path.read_bytes() == b"older"
    assert ctl("backup", str(path), "--force").exit_code == 0
    assert path.read_bytes() == database


def test_damaged(ctl: Ctl, gantry: FakeGantry, database: bytes, tmp_path: Path) -> None:
    """A damaged database is not kept, whatever the damage."""
    page = 4096
    torn = database[: 20 * page] + b"\xff" * page + database[21 * page :]
    for content in (b"", b"SQLite format 3\0", b"<html>" * 1000, torn, database[: 30 * page]):
        gantry.says("POST", PATH, content)
        result = ctl("backup", str(tmp_path / "copy.db"))
        assert result.exit_code == 1
        assert "database is damaged" in result.stderr
        assert list(tmp_path.iterdir()) == []


def test_an_old_copy_outlives_a_failure(ctl: Ctl, gantry: FakeGantry, tmp_path: Path) -> None:
    """With --force the old copy stays until the new one is intact."""
    path = tmp_path / "copy.db"
    path.write_bytes(b"older")
    gantry.says("POST", PATH, b"garbage")
    assert ctl("backup", str(path), "--force").exit_code == 1
    assert path.read_bytes() == b"older"


def test_refused(ctl: Ctl, gantry: FakeGantry, tmp_path: Path) -> None:
    """A refusal of the gantry is shown with its reason."""
    gantry.refuses("POST", PATH, 409, "backup-runs", "another backup is being made")
    result = ctl("backup", str(tmp_path / "x"), "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["error"]["code"] == "backup-runs"
    assert list(tmp_path.iterdir()) == []


def _download(answer: bytes, timeout: float = 5.0) -> ApiError:
    with raw_server(saying(answer)) as port, pytest.raises(ApiError) as caught:
        Api(f"http://127.0.0.1:{port}", timeout=timeout).download(PATH, {}, io.BytesIO())
    return caught.value


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nSQLite", "broke-off"),
        (b"HTTP/1.1 200 OK\r\n\r\nSQLite format 3", "broke-off"),
        (b"HTTP/1.1 204 No Content\r\n\r\n", "not-json"),
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\n{}", "not-json"),
        (b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n", "no-password"),
        (b"HTTP/1.1 302 Found\r\nLocation: http://x/\r\nContent-Length: 0\r\n\r\n", "redirected"),
        (b"HTTP/1.1 404 No\r\nContent-Length: 99999999\r\n\r\n", "too-long"),
        (b"nonsense\r\n\r\n", "broke-off"),
    ],
)
def test_an_answer_that_is_no_copy(answer: bytes, key: str) -> None:
    """An early end, a missing length and other answers are each their own error."""
    assert _download(answer).key == key


def test_an_answer_that_stalls(monkeypatch: pytest.MonkeyPatch) -> None:
    """The copying and the whole answer may take long; a stall between two pieces ends it."""
    silent = threading.Event()

    def stall(peer: socket.socket, over: threading.Event) -> None:
        peer.recv(4096)
        if not silent.is_set():
            over.wait(0.4)  # longer than the time for one piece
            peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nSQLite")
        while peer.recv(4096):
            pass  # until the other end has enough

    with raw_server(stall) as port:
        api = Api(f"http://127.0.0.1:{port}", timeout=0.2)
        with pytest.raises(ApiError) as caught:
            api.download(PATH, {}, io.BytesIO())
        assert (caught.value.key, caught.value.fields["seconds"]) == ("no-answer", "0.2")
        silent.set()
        monkeypatch.setattr(client, "COPYING", 0.1)
        with pytest.raises(ApiError) as caught:
            api.download(PATH, {}, io.BytesIO())
        assert (caught.value.key, caught.value.fields["seconds"]) == ("no-answer", "0.1")
