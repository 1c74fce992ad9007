"""`check`: a configuration file, without a gantry."""

import json
from pathlib import Path

import pytest

from tests.ctl.conftest import Ctl, FakeGantry

SECRET = "hunter2-secret"

GOOD = """
[gantry]
id = "G000211001002110010"

[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:192.168.1.20:2390"
"""
BAD = f"""
[gantry]
id = "G000211001002110010"
nonsense = 1

[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:192.168.1.20:2390"
poll = "often"
password = {{ secret = "{SECRET}" }}
"""


@pytest.fixture
def good(tmp_path: Path) -> str:
    return _written(tmp_path / "good.toml", GOOD)


@pytest.fixture
def bad(tmp_path: Path) -> str:
    return _written(tmp_path / "bad.toml", BAD)


def _written(path: Path, text: str) -> str:
    path.write_text(text)
    return str(path)


def test_good(ctl: Ctl, gantry: FakeGantry, good: str) -> None:
    """A correct file is exit code 0; no gantry is asked."""
    result = ctl("check", good)
    assert (result.exit_code, result.stdout) == (0, f"{good}: nothing is wrong.\n")
    assert ctl("check", good, lang="zh").stdout == f"{good}：没有发现问题。\n"
    assert not gantry.seen
    assert json.loads(ctl("check", "--json", good).stdout) == {
        "ok": True,
        "problems": [],
        "later": [],
        "warnings": [],
    }


def test_what_may_not_be_meant(ctl: Ctl, tmp_path: Path) -> None:
    """A command that asks, in an interlock, is a warning and no problem."""
    lock = '[[interlock]]\nwhen = "ups1.mains_abnormal"\ndo = "ups1.T"\n'
    here = _written(tmp_path / "site.toml", GOOD + lock)
    result = ctl("check", here)
    assert result.exit_code == 0
    assert result.stdout.startswith(f"Warning: {here}:11: interlock[1].do: T on ups1 puts the load")
    assert ctl("check", here, lang="zh").stdout.startswith("警告：")
    [warning] = json.loads(ctl("check", "--json", here).stdout)["warnings"]
    assert (warning["line"], warning["key"]) == (11, "interlock[1].do")


def test_what_only_the_service_can_read(ctl: Ctl, tmp_path: Path) -> None:
    """A credential of systemd is not there before the first start: no problem, but named."""
    path = '"/run/credentials/gantry.service/ups1"'
    here = _written(tmp_path / "site.toml", f"{GOOD}password = {{ file = {path} }}\n")
    result = ctl("check", here)
    assert result.exit_code == 0
    assert result.stdout == (
        f"{here}:9: device[1].password: the file /run/credentials/gantry.service/ups1 cannot be "
        "read: systemd makes it when the service starts\n"
        "Files that only the service can read: 1. They are checked when it starts.\n"
        f"{here}: nothing is wrong.\n"
    )
    assert "将在启动时检查" in ctl("check", here, lang="zh").stdout
    [later] = json.loads(ctl("check", "--json", here).stdout)["later"]
    assert (later["line"], later["key"]) == (9, "device[1].password")
    wrong = _written(tmp_path / "wrong.toml", f"{GOOD}password = {{ file = {path} }}\nx = 1\n")
    assert ctl("check", wrong).exit_code == 1


def test_bad(ctl: Ctl, bad: str) -> None:
    """Every problem is a line with its place; exit code 1; no secret is shown."""
    result = ctl("check", bad)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert any(line.startswith(f"{bad}:4: gantry.nonsense: ") for line in lines)
    assert any(line.startswith(f"{bad}:10: device[1].poll: ") for line in lines)
    assert any(line.startswith(f"{bad}:11: device[1].password: ") for line in lines)
    assert result.stderr == "Problems: 3.\n"
    assert ctl("check", bad, lang="zh").stderr == "问题：3 个。\n"
    assert SECRET not in result.output
    result = ctl("--json", "check", bad)
    assert result.exit_code == 1
    found = json.loads(result.stdout)
    assert found["ok"] is False
    assert {"line", "key", "message"} == set(found["problems"][0])
    assert (4, "gantry.nonsense") in [(p["line"], p["key"]) for p in found["problems"]]


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_no_file(ctl: Ctl, tmp_path: Path, lang: str) -> None:
    """A missing file is exit code 1, and named."""
    missing = str(tmp_path / "missing.toml")
    result = ctl("check", missing, lang=lang)
    assert result.exit_code == 1
    assert missing in result.output


def test_bad_options_do_not_matter(ctl: Ctl, good: str) -> None:
    """A check needs no gantry, so URL and password are not looked at."""
    result = ctl("--url", "nonsense", "--password-file", "/nonexistent", "check", good)
    assert result.exit_code == 0
