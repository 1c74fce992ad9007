"""A program: JSON on its input, bounded time and output, no shell, few variables."""

import json
import os
import sys
from pathlib import Path

import pytest
from twisted.internet import reactor
from twisted.internet.task import deferLater

from tests.notify.kinds.servers import message, sender
from tests.notify.kinds.test_posting import failure_of
from twisted_gantry.notify.kinds.program import wrong_command


def script(folder: Path, text: str) -> list[str]:
    path = folder / "call.py"
    path.write_text(text, encoding="utf-8")
    return [sys.executable, "-I", "-S", str(path)]


async def test_the_input(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The program gets the message, its arguments as they are, and no secret of ours."""
    monkeypatch.setenv("GANTRY_PASSWORD", "hunter2")
    command = script(
        tmp_path,
        "import json, os, sys\n"
        "told = json.load(sys.stdin)\n"
        "found = [told, sys.argv[2:], sorted(os.environ)]\n"
        "json.dump(found, open(sys.argv[1], 'w'))\n",
    )
    seen = tmp_path / "seen"
    made = sender("exec", command=[*command, str(seen), "$(id)", "a b"])
    await made.send(message())
    told, arguments, variables = json.loads(seen.read_text(encoding="utf-8"))
    assert told == json.loads(message())
    assert arguments == ["$(id)", "a b"]
    assert not [each for each in variables if "GANTRY" in each]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import sys; print('no such number'); sys.exit(3)", "exits with 3: no such number"),
        ("import os; os.kill(os.getpid(), 15)", "was ended by signal 15"),
        ("while True: print('x' * 1000)", "did not end within 0.3 s"),
        ("import time; time.sleep(60)", "did not end within 0.3 s"),
    ],
)
async def test_failures(tmp_path: Path, text: str, says: str) -> None:
    """A wrong exit code and a program that does not end are failures, with their output."""
    seconds = 0.3 if "within" in says else 30
    error = await failure_of(sender("exec", command=script(tmp_path, text), timeout=seconds))
    assert says in str(error)
    assert "程序" in error.outage.zh
    assert len(str(error)) < 400


async def test_a_child_that_keeps_the_output_open(tmp_path: Path) -> None:
    """The exit code counts: a child in the background does not hold the message back."""
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    held = os.open(fifo, os.O_RDWR)
    text = "import os, sys\nif os.fork() == 0:\n    open(sys.argv[1]).read()\n"
    try:
        command = [*script(tmp_path, text), str(fifo)]
        await sender("exec", command=command, timeout=30).send(message())
    finally:
        os.close(held)  # the child ends
    await deferLater(reactor, 0.01)  # what the process leaves is gone


async def test_no_such_program() -> None:
    """A program that is not there is told."""
    error = await failure_of(sender("exec", command=["/nowhere/call"]))
    assert "/nowhere/call" in str(error) or "exits with" in str(error)


def test_commands() -> None:
    """A command begins with the path of a program."""
    assert "call" in wrong_command(["call", "/a"])
    assert "zero byte" in wrong_command(["/a\0b"])
    assert wrong_command(["/a", "b"]) == ""
