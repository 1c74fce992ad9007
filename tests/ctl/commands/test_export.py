"""`export`: a whole file, or none."""

import json
from pathlib import Path

import pytest

from tests.ctl.conftest import Ctl, FakeGantry
from tests.ctl.raw import raw_server, saying

CONTENT = "\ufeff时间,值\r\n".encode() * 5000
POINTS = "/api/v1/export/points"


@pytest.mark.parametrize(("name", "kind"), [("a.csv", "csv"), ("a.XLSX", "xlsx"), ("a", "csv")])
def test_the_name_decides(
    ctl: Ctl, gantry: FakeGantry, tmp_path: Path, name: str, kind: str
) -> None:
    """A workbook is what ends in .xlsx; the options go along."""
    gantry.says("GET", POINTS, CONTENT)
    path = tmp_path / name
    result = ctl("export", "points", str(path), "--since", "30d", "--prefix", "ups1.", lang="zh")
    assert result.exit_code == 0, result.stderr
    assert path.read_bytes() == CONTENT
    assert result.stdout == f"{path}：{len(CONTENT)} 字节。\n"
    asked = gantry.seen[0]
    assert asked.query == {"format": kind, "lang": "zh", "since": "30d", "prefix": "ups1."}


def test_json(ctl: Ctl, gantry: FakeGantry, tmp_path: Path) -> None:
    """For scripts: the file and its size."""
    gantry.says("GET", "/api/v1/export/alarms", b"x")
    path = tmp_path / "alarms.csv"
    result = ctl("export", "alarms", str(path), "--json")
    assert json.loads(result.stdout) == {"file": str(path), "bytes": 1}


def test_nothing_is_replaced_unasked(ctl: Ctl, gantry: FakeGantry, tmp_path: Path) -> None:
    """A file that exists stays, unless --force."""
    path = tmp_path / "a.csv"
    path.write_text("mine")
    assert ctl("export", "audit", str(path)).exit_code != 0
    assert path.read_text() == "mine"


@pytest.mark.parametrize("end", [b"", b"5\r\nab"])
def test_a_table_that_breaks_off_is_no_file(tmp_path: Path, end: bytes) -> None:
    """Half a table would be taken for a whole one."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    with raw_server(saying(head + end)) as port:
        broken = Ctl(f"http://127.0.0.1:{port}")
        result = broken("export", "points", str(tmp_path / "a.csv"))
    assert result.exit_code != 0
    assert list(tmp_path.iterdir()) == []


def test_an_error_is_told(ctl: Ctl, tmp_path: Path) -> None:
    """The real API's own words."""
    result = ctl("export", "points", str(tmp_path / "a.csv"), "--step", "fast")
    assert result.exit_code != 0
    assert "step" in result.stderr
    assert list(tmp_path.iterdir()) == []
