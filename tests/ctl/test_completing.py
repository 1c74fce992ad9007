"""Shell completion."""

import os
import socket
import subprocess
import threading
import time
from pathlib import Path

import pytest
from click.shell_completion import BashComplete

from tests.ctl.conftest import Ctl, FakeGantry
from tests.ctl.raw import raw_server
from tests.ctl.test_main import PROGRAM, _environment
from twisted_gantry.ctl import completing
from twisted_gantry.ctl.main import cli


@pytest.fixture(autouse=True)
def environment(gantry: FakeGantry, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the fake gantry, and no password."""
    monkeypatch.setenv("GANTRY_URL", gantry.url)
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    for name in ("GANTRY_PASSWORD", "GANTRY_TOKEN", "LC_ALL", "LC_MESSAGES"):
        monkeypatch.delenv(name, raising=False)


def _complete(words: str) -> list[str]:
    """Return the completions of the last word."""
    *before, last = words.split(" ")
    shell = BashComplete(cli, {}, "gantryctl", "_GANTRYCTL_COMPLETE")
    return [item.value for item in shell.get_completions(before, last)]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("wa", ["watch"]),
        ("points ups1.r", ["ups1.rated_battery_voltage"]),
        ("watch points --prefix pc", ["pc1.memory_total"]),
        ("command ", ["ups1", "ups2", "cfos"]),
        ("command ups1 ", ["BZOFF", "SOFF", "query", "set-password"]),
        ("command ups1 q", ["query"]),
        ("command ups1 query x", []),
        ("command nowhere ", []),
        ("command cfos override --f", ["--force", "--flags"]),
        ("outbox drop --uplink ", ["etc"]),
        ("completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_names(words: str, found: list[str]) -> None:
    """Commands, points, devices, their commands and arguments, uplinks are completed."""
    assert _complete(words) == found


def test_what_a_name_is(gantry: FakeGantry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A completion carries the label in the language of the environment."""
    monkeypatch.setenv("LANG", "zh_CN.UTF-8")
    shell = BashComplete(cli, {}, "gantryctl", "_GANTRYCTL_COMPLETE")
    [item] = shell.get_completions(["points"], "ups1.in")
    assert (item.value, item.help) == ("ups1.input_voltage_r", "输入电压R")


def test_the_options_on_the_line(
    gantry: FakeGantry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The options on the line give the gantry and the password."""
    password = tmp_path / "password"
    password.write_text("x\n")
    monkeypatch.setenv("GANTRY_URL", "http://127.0.0.1:1")
    words = f"--url {gantry.url} --password-file {password} outbox --uplink "
    assert _complete(words) == ["etc"]
    assert gantry.seen[0].headers["Authorization"].startswith("Basic ")
    assert _complete(f"--password-file {tmp_path}/none points ") == []


def test_troubles_are_silent(gantry: FakeGantry, capsys: pytest.CaptureFixture[str]) -> None:
    """Without a gantry, a permission or a valid answer nothing is completed or written."""
    assert _complete("--url http://127.0.0.1:1 command ") == []
    assert _complete("--url nonsense points ") == []
    gantry.refuses("GET", "/api/v1/points", 401)
    assert _complete("points ") == []
    gantry.says("GET", "/api/v1/commands", {"devices": 7})
    assert _complete("command ") == []
    assert "--arg" in _complete("command ups1 query --")
    assert capsys.readouterr() == ("", "")


def test_a_gantry_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent gantry is given up after `PATIENCE`."""
    monkeypatch.setattr(completing, "PATIENCE", 0.2)

    def silent(_: socket.socket, over: threading.Event) -> None:
        over.wait(20)

    with raw_server(silent) as port:
        begun = time.monotonic()
        assert _complete(f"--url http://127.0.0.1:{port} points ") == []
        assert time.monotonic() - begun < 5


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script(ctl: Ctl, gantry: FakeGantry, shell: str) -> None:
    """The script of each shell calls gantryctl; no gantry is asked for it."""
    result = ctl("completion", shell)
    assert result.exit_code == 0
    assert f"_GANTRYCTL_COMPLETE={shell}_complete" in result.stdout
    assert not gantry.seen
    assert ctl("completion", "tcsh").exit_code == 64


def test_in_a_real_bash(ctl: Ctl, gantry: FakeGantry, tmp_path: Path) -> None:
    """In a bash with the script, completion finds the names of the gantry."""
    program = tmp_path / "gantryctl"
    code = f"import sys; sys.argv[0] = 'gantryctl'; {PROGRAM[2]}"
    program.write_text(f'#!/bin/sh\nexec {PROGRAM[0]} -c "{code}" "$@"\n')
    program.chmod(0o755)
    script = ctl("completion", "bash").stdout + (
        "COMP_WORDS=(gantryctl command ups1 BZ); COMP_CWORD=3\n"
        '_gantryctl_completion gantryctl; echo "${COMPREPLY[@]}"\n'
    )
    environment = {**_environment(gantry), "PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-c", script], env=environment, capture_output=True, timeout=20, text=True
    )
    assert (done.stdout, done.stderr) == ("BZOFF\n", "")
