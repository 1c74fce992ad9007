"""`hash-password`: prints a fitting hash, and no other text."""

import json

from tests.ctl.conftest import Ctl, FakeGantry
from tests.ctl.test_main import _on_terminal
from twisted_gantry.access.passwords import read_hash

SECRET = "hunter2-secret 门架"


def test_from_the_input(ctl: Ctl, gantry: FakeGantry) -> None:
    """The first line of the input is the password; only its hash is printed."""
    result = ctl("hash-password", typed=f"{SECRET}\nmore\n")
    assert result.exit_code == 0
    [line] = result.stdout.splitlines()
    assert read_hash(line).fits(SECRET.encode())
    assert result.stderr == ""
    hashed = json.loads(ctl("hash-password", "--json", typed=SECRET).stdout)["hash"]
    assert read_hash(hashed).fits(SECRET.encode())
    assert not gantry.seen


def test_empty(ctl: Ctl) -> None:
    """An empty password is refused, in both languages."""
    for typed in ("", "\n"):
        result = ctl("hash-password", typed=typed)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr == "gantryctl: password: nothing was entered.\n"
    assert "没有输入" in ctl("hash-password", typed="", lang="zh").stderr


def test_on_a_terminal(gantry: FakeGantry) -> None:
    """A person types the password twice; it is not shown."""
    with _on_terminal(gantry, "hash-password") as (terminal, process):
        terminal.until("password (not shown): ")
        terminal.type("geheim-1\n")
        terminal.until("password once more: ")
        terminal.type("geheim-1\n")
        shown = terminal.rest()
    assert process.returncode == 0
    assert "geheim-1" not in shown
    assert read_hash(shown.split()[-1]).fits(b"geheim-1")
