"""twistd starts whatever is in `twistd.pid`, and writes one only where it is asked to."""

import sys
from pathlib import Path

import pytest
from twisted.scripts._twistd_unix import ServerOptions, UnixApplicationRunner

COMMANDS = [["gantry", "--demo"], ["gantry-twin"]]


def options(*arguments: str) -> ServerOptions:
    made = ServerOptions()
    made.parseOptions(list(arguments))
    return made


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("left", ["", "\0\0\0\0", "1\n", "not a number", "99999999999999999999"])
def test_a_stale_pid_file_stops_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str, command: list[str]
) -> None:
    """An empty, garbled or foreign `twistd.pid`, as a power cut leaves it, is not even read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "twistd.pid").write_text(left)
    chosen = options("-n", *command)
    assert chosen["pidfile"] == ""
    UnixApplicationRunner(chosen).preApplication()


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command[0])
@pytest.mark.parametrize("given", ["--pidfile=run.pid", "--pidfile=twistd.pid"])
def test_a_pid_file_that_was_asked_for_is_kept(
    monkeypatch: pytest.MonkeyPatch, given: str, command: list[str]
) -> None:
    """`--pidfile` on the command line is obeyed, also with the name that twistd would take."""
    monkeypatch.setattr(sys, "argv", ["twistd", "-n", given, *command])
    chosen = options("-n", given, *command)["pidfile"]
    assert Path(chosen).name == given.partition("=")[2]
