"""`init`: the answers become a correct configuration, with its secrets in files beside it."""

import json
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.ctl.conftest import Ctl
from twisted_gantry.config.load import check_file, load_file
from twisted_gantry.ctl.draft import Draft, Table
from twisted_gantry.wire.secret import Secret

SECRET = "hunter2-secret"


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the current folder of the command."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def _toml(path: Path) -> Any:
    return tomllib.loads(path.read_text())


def _answers(*lines: str) -> str:
    return "".join(f"{line}\n" for line in lines)


def test_yes(ctl: Ctl, here: Path) -> None:
    """`--yes` asks nothing and writes a small, correct configuration."""
    result = ctl("init", "--yes")
    assert result.exit_code == 0
    assert "twistd -n gantry --config site.toml" in result.stdout
    assert "give --id" in result.stdout
    assert "--id" not in ctl("init", "other.toml", "--yes", "--id", "G1").stdout
    (here / "other.toml").unlink()
    assert [each.name for each in here.iterdir()] == ["site.toml"]
    assert check_file(here / "site.toml") == []
    assert ctl("check", "site.toml").exit_code == 0


def test_options(ctl: Ctl, here: Path) -> None:
    """Number and name may be given; the name may hold any characters."""
    name = 'nord "門" \\ \x7f'
    result = ctl("init", "x.toml", "--yes", "--id", "G1", "--name", name, "--json")
    assert json.loads(result.stdout) == {"file": "x.toml", "secrets": []}
    assert load_file(here / "x.toml").gantry.name == name
    result = ctl("init", "y.toml", "--yes", "--id", "x" * 21)
    assert (result.exit_code, "gantry.id" in result.stderr) == (1, True)
    assert not (here / "y.toml").exists()


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize("lang", ["en", "zh"])
def test_every_default(ctl: Ctl, here: Path, lang: str) -> None:
    """Enter at every question gives a correct configuration."""
    result = ctl("init", typed=_answers(*[""] * 8), lang=lang)
    assert result.exit_code == 0, result.stderr
    assert _toml(here / "site.toml") == {
        "gantry": {"id": "G000000000000000000"},
        "device": [{"name": "pc1", "kind": "computer"}],
    }


@pytest.mark.usefixtures("person")
def test_a_whole_site(ctl: Ctl, here: Path) -> None:
    """The file has the devices, uplinks and servers; every secret has a file of its own."""
    answers = _answers(
        *("G000211001002110010", "North", "y"),
        *("ups-card", "", "tcp:192.168.1.20:2390", SECRET, SECRET),
        *("ups-card-http", "", "http://192.168.1.21/", "http://192.168.1.5:9000/post", ""),
        *("cabinet", "", "http://192.168.1.40:3700/remotecontrol.do", "cab-code", "cab-code"),
        *("bms", "bat", "https://ems.example/v1/api", "bms-0001"),
        "",
        *("https://platform.example/monitor.do", "etc-code", "etc-code", ""),
        *("tcp:www.fogslink.com:63321", "12345678", "P0-C1=ups1.input_voltage_r", ""),
        *("1234567890123456", "1234567890123456"),
        *("y", "tcp:3699"),
        *("nonsense", "tcp:8082", "below", "below"),
    )
    result = ctl("init", "site.toml", typed=answers)
    assert result.exit_code == 0, result.stderr
    assert check_file(here / "site.toml") == []
    made = load_file(here / "site.toml")
    assert [entry.name for entry in made.devices] == ["pc1", "ups1", "ups2", "cab1", "bat"]
    assert made.cabinets[0].sources["ups"] == ("ups1", "ups2")
    assert made.cabinets[0].sources["doors"] == ("cab1",)
    [fogslink] = made.fogslink
    assert fogslink.channels == {"P0-C1": "ups1.input_voltage_r"}
    assert made.remotecontrol is not None
    assert made.remotecontrol.auth == Secret("etc-code")
    secrets = {each.name: each.read_text() for each in here.iterdir() if each.suffix != ".toml"}
    assert secrets == {
        "ups1-password": f"{SECRET}\n",
        "cab1-auth": "cab-code\n",
        "etc-auth": "etc-code\n",
        "fogslink-api-key": "1234567890123456\n",
        "monitor-auth": "below\n",
    }
    assert {(here / name).stat().st_mode & 0o777 for name in secrets} == {0o600}
    text = (here / "site.toml").read_text()
    for secret in secrets.values():
        assert secret.strip() not in text.replace("etc-auth", "").replace("cab1-auth", "")
        assert secret.strip() not in result.output
    assert all(name in result.stdout for name in secrets)


@pytest.mark.usefixtures("person")
def test_what_is_wrong_is_asked_again(ctl: Ctl, here: Path) -> None:
    """A wrong answer is reported before the secrets are asked for, and is not in the file."""
    answers = _answers(
        *("x" * 21, "", "G1", "", "n"),
        *("toaster", "ups-card", "1ups", "tcp:h:1"),
        *("ups-card", "ups1", "nonsense"),
        *("ups-card", "ups1", "tcp:h:1", "one", "other", "", "cfos", "ups1", "http://h"),
        "",
        *("gopher://x", "https://platform.example/", "123456", "123456"),
        *("https://platform.example/", "code", "code", ""),
        *("tcp:h:1", "1", "P0-C1=ups1.nothing", "", ""),
        *("n", "n"),
    )
    result = ctl("init", typed=answers)
    assert result.exit_code == 0, result.stderr
    for said in (
        "gantry.id: expected",
        "no kind 'toaster'",
        "device[1].name: letters",
        "device[1].address: no client endpoint",
        "ups1 password: the two entries differ",
        "a second device is named 'ups1'",
        "must be http(s)://host",
        "is the code of the test period",
        "ups1 has no point 'nothing'",
    ):
        assert said in result.stderr
    assert _toml(here / "site.toml") == {
        "gantry": {"id": "G1"},
        "device": [{"name": "ups1", "kind": "ups-card", "address": "tcp:h:1"}],
        "uplink": {"etc": {"url": "https://platform.example/", "auth": {"file": "etc-auth"}}},
        "cabinet": [{"id": "1", "elec": ["ups1"], "ups": ["ups1"]}],
    }


@pytest.mark.usefixtures("person")
def test_a_server_without_an_uplink(ctl: Ctl, here: Path) -> None:
    """Without a platform, remotecontrol asks for a code of its own."""
    answers = _answers("G1", "", "", "", "", "", "y", "", "own-code", "own-code", "n")
    result = ctl("init", typed=answers)
    assert result.exit_code == 0, result.stderr
    remote = {"listen": "tcp:3699", "auth": {"file": "remotecontrol-auth"}}
    assert _toml(here / "site.toml")["remotecontrol"] == remote


@pytest.mark.usefixtures("person")
@pytest.mark.parametrize("kept", ["site.toml", "etc-auth"])
def test_nothing_is_replaced(ctl: Ctl, here: Path, kept: str) -> None:
    """An existing configuration or secret stays, and no file is written."""
    (here / kept).write_text("older")
    answers = _answers("G1", "", "", "", "https://h/", "code", "code", "", "n", "n")
    result = ctl("init", typed=answers)
    assert (result.exit_code, kept in result.stderr) == (1, True)
    assert {each.name: each.read_text() for each in here.iterdir()} == {kept: "older"}
    result = ctl("init", "--force", typed=answers)
    assert result.exit_code == 0, result.stderr
    assert (here / "etc-auth").read_text() == "code\n"
    assert check_file(here / "site.toml") == []


@pytest.mark.usefixtures("person")
def test_given_up(ctl: Ctl, here: Path) -> None:
    """An early end writes no file."""
    result = ctl("init", typed=_answers("G1", "", "", "ups-card", "", "tcp:h:1", SECRET, SECRET))
    assert result.exit_code == 130
    assert list(here.iterdir()) == []


def test_nobody_to_ask(ctl: Ctl, here: Path) -> None:
    """Without a terminal --yes is needed."""
    result = ctl("init")
    assert (result.exit_code, "--yes" in result.stderr) == (64, True)
    assert list(here.iterdir()) == []


# -- the draft

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@settings(deadline=None, max_examples=60)
@given(st.dictionaries(TEXTS, TEXTS | st.lists(TEXTS) | st.booleans() | st.integers(0, 10**9)))
def test_any_value_comes_back(values: dict[str, Any]) -> None:
    """Any value that is written as TOML is read back equal."""
    draft = Draft([Table("gantry", {"a": values, "b": 2.5})])
    assert tomllib.loads(draft.toml()) == {"gantry": {"a": values, "b": 2.5}}


def test_what_is_no_text() -> None:
    """A byte that the terminal could not decode is replaced."""
    draft = Draft([Table("gantry", {"name": "a\udcffb"})])
    assert tomllib.loads(draft.toml()) == {"gantry": {"name": "a?b"}}


def test_a_check_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """If the check refuses the file, the files of its secrets are deleted, too."""
    draft = Draft([Table("uplink.etc", {"auth": Secret("code")}, "etc")])
    seen: list[Sequence[str]] = []

    def refuse(path: Path) -> None:
        seen.append(sorted(each.name for each in path.parent.iterdir()))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        draft.write(tmp_path / "site.toml", refuse, force=False)
    assert "etc-auth" in seen[0]
    assert list(tmp_path.iterdir()) == []
