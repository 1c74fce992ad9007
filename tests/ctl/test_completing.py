"""What a shell completes, asked as a shell asks: through the environment of a process."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.ctl.conftest import Ctl, FakeGantry
from tests.ctl.raw import raw_server
from tests.ctl.test_main import PROGRAM, _environment
from twisted_gantry.ctl import completing


def _complete(gantry: FakeGantry, words: str, **more: str) -> list[str]:
    """Return what may stand at the end of `words`."""
    environment = {
        **_environment(gantry),
        "_GANTRYCTL_COMPLETE": "bash_complete",
        "COMP_WORDS": f"gantryctl {words}",
        "COMP_CWORD": str(len(words.split(" "))),
        **more,
    }
    code = f"import sys; sys.argv[0] = 'gantryctl'; {PROGRAM[2]}"
    done = subprocess.run(
        [PROGRAM[0], "-c", code], env=environment, capture_output=True, timeout=20, check=True
    )
    assert done.stderr == b""
    return [line.partition(",")[2] for line in done.stdout.decode().splitlines() if line]


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
def test_names(gantry: FakeGantry, words: str, found: list[str]) -> None:
    """Commands, points, devices, what they do, its arguments, uplinks."""
    assert _complete(gantry, words) == found


def test_the_options_on_the_line(gantry: FakeGantry, tmp_path: Path) -> None:
    """The gantry that is asked is that of the line, with the password that it names."""
    password = tmp_path / "password"
    password.write_text("x\n")
    words = f"--url {gantry.url} --password-file {password} outbox --uplink "
    assert _complete(gantry, words, GANTRY_URL="http://127.0.0.1:1") == ["etc"]
    assert gantry.seen[0].headers["Authorization"].startswith("Basic ")
    assert _complete(gantry, f"--password-file {tmp_path}/none points ") == []


def test_troubles_are_silent(gantry: FakeGantry) -> None:
    """No gantry, a refusal, an answer of another program: nothing is completed, nothing said."""
    assert _complete(gantry, "command ", GANTRY_URL="http://127.0.0.1:1") == []
    assert _complete(gantry, "points ", GANTRY_URL="nonsense") == []
    gantry.says("GET", "/api/v1/points", {"error": {"code": "no", "message": "no"}}, 401)
    assert _complete(gantry, "points ") == []
    gantry.says("GET", "/api/v1/commands", {"devices": 7})
    assert _complete(gantry, "command ") == []
    assert "--arg" in _complete(gantry, "command ups1 query --")


def test_a_gantry_that_does_not_answer(gantry: FakeGantry) -> None:
    """Whoever pressed Tab does not wait for long."""
    with raw_server(lambda _, over: over.wait(20) and None) as port:
        begun = time.monotonic()
        assert _complete(gantry, "points ", GANTRY_URL=f"http://127.0.0.1:{port}") == []
        assert time.monotonic() - begun < completing.PATIENCE + 5


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_script(ctl: Ctl, gantry: FakeGantry, shell: str) -> None:
    """The script of each shell asks gantryctl; the program needs no gantry for it."""
    result = ctl("completion", shell)
    assert result.exit_code == 0
    assert f"_GANTRYCTL_COMPLETE={shell}_complete" in result.stdout
    assert not gantry.seen
    assert ctl("completion", "tcsh").exit_code == 64


def test_in_a_real_bash(ctl: Ctl, gantry: FakeGantry, tmp_path: Path) -> None:
    """In a bash that has taken the script, Tab finds the names of the gantry."""
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
