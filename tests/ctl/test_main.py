"""The whole command line: help, language, secrets, and exit codes of a real process."""

import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pytest
from rich.cells import cell_len

from tests.ctl.conftest import Ctl, FakeGantry
from twisted_gantry import __version__
from twisted_gantry.ctl.output import short_time

SECRET = "hunter2-secret"
COMMANDS = (
    *("status", "watch", "points", "history", "alarms", "command", "outbox", "audit"),
    *("backup", "init", "check", "hash-password", "probe"),
)
PROGRAM = [sys.executable, "-c", "from twisted_gantry.ctl.main import main; main()"]


# -- help and usage


def test_help(ctl: Ctl) -> None:
    """The help names every command and exit code, in English and Chinese, within the terminal."""
    result = ctl("--help")
    assert result.exit_code == 0
    for shown in (*COMMANDS, "Exit codes · 退出码", "130", "GANTRY_PASSWORD", "门架"):
        assert shown in result.stdout
    for command in ([], *([n] for n in COMMANDS), ["outbox", "retry"], ["outbox", "drop"]):
        text = ctl(*command, "--help", env={"COLUMNS": "80"}).stdout
        assert not text.isascii()
        assert "--json" in text
        for line in text.splitlines():
            assert cell_len(line) <= 80, line


def test_version(ctl: Ctl) -> None:
    """The version is that of the package."""
    assert ctl("--version").stdout == f"gantryctl {__version__}\n"


def test_usage(ctl: Ctl, gantry: FakeGantry) -> None:
    """Wrong usage is exit code 64, and explained in the language of the reader."""
    for args, english, chinese in [
        (["fly"], "no such command: 'fly'", "没有命令 'fly'"),
        (["--fly"], "no such option: --fly", "没有选项 --fly"),
        (["status", "--fly"], "no such option: --fly", "没有选项 --fly"),
        (["check"], "'CONFIG' is missing", "缺少 'CONFIG'"),
        (["audit", "--limit", "x"], "'--limit': ", "'--limit' 无效"),
        (["status", "more"], "wrong usage: ", "用法错误："),
        (["--timeout", "0", "status"], "'--timeout': ", "'--timeout' 无效"),
        (["--password-file", "a", "--token-file", "b", "status"], "exclude", "不能同时使用"),
    ]:
        result = ctl(*args)
        assert (result.exit_code, result.stdout) == (64, "")
        assert english in result.stderr
        assert "--help` shows" in result.stderr
        assert chinese in ctl(*args, lang="zh").stderr
        if args != ["--fly"]:  # it is found before --lang is looked at
            assert chinese in ctl("--lang", "zh", *args).stderr
    assert ctl().exit_code == 64
    assert not gantry.seen


def test_lang_option(ctl: Ctl) -> None:
    """`--lang` wins over the environment, in both directions."""
    assert "门架" in ctl("--lang", "zh", "status", lang="en").stdout
    assert "Gantry" in ctl("--lang", "en", "status", lang="zh").stdout


# -- secrets


def test_password_file(ctl: Ctl, gantry: FakeGantry, tmp_path: Path) -> None:
    """A password or a token comes from a file or the environment; the file wins."""
    password, token = tmp_path / "password", tmp_path / "token"
    password.write_text("of-file\n")
    token.write_text("token-of-file\n")
    env: dict[str, str | None] = {"GANTRY_PASSWORD": "of-env"}
    ctl("points", env=env)
    ctl("--password-file", str(password), "points", env={**env, "GANTRY_TOKEN": "token-of-env"})
    ctl("points", env={"GANTRY_TOKEN": "token-of-env"})
    ctl("--token-file", str(token), "points", env=env)
    assert [seen.headers["Authorization"] for seen in gantry.seen] == [
        "Basic Z2FudHJ5Y3RsOm9mLWVudg==",
        "Basic Z2FudHJ5Y3RsOm9mLWZpbGU=",
        "Bearer token-of-env",
        "Bearer token-of-file",
    ]


def test_bad_secret_files(ctl: Ctl, gantry: FakeGantry, tmp_path: Path) -> None:
    """A file without a secret is refused and named; its content is not shown."""
    for content, said in [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (SECRET.encode() + b"\xff", "cannot be read"),
        (SECRET.encode() * 1000, "cannot be read"),
    ]:
        path = tmp_path / "secret"
        path.write_bytes(content)
        result = ctl("--password-file", str(path), "status")
        assert result.exit_code == 64
        assert said in result.stderr
        assert str(path) in result.stderr
        assert SECRET not in result.output
    assert "无法读取" in ctl("--token-file", str(tmp_path / "none"), "status", lang="zh").stderr
    assert not gantry.seen


def test_secrets_are_never_shown(ctl: Ctl, gantry: FakeGantry) -> None:
    """Neither an answer nor an error shows the password or the token."""
    env: dict[str, str | None] = {"GANTRY_PASSWORD": SECRET}
    for kind in ("GANTRY_PASSWORD", "GANTRY_TOKEN"):
        env = {kind: SECRET}
        for status in (200, 302, 401, 403, 500):
            gantry.says("GET", "/api/v1/points", {"points": []}, status)
            for extra in ([], ["--json"]):
                assert SECRET not in ctl("points", *extra, env=env).output
        assert SECRET not in ctl("--url", "unix:/none", "status", env=env).output
    result = ctl("points", env={"GANTRY_TOKEN": f"{SECRET}\n"})
    assert (result.exit_code, SECRET in result.output) == (64, False)


# -- a real process


def _environment(gantry: FakeGantry, **more: str) -> dict[str, str]:
    kept = {k: v for k, v in os.environ.items() if k in {"PATH", "HOME", "PYTHONPATH"}}
    return {
        **kept,
        "GANTRY_URL": gantry.url,
        "LANG": "C.UTF-8",
        "TERM": "xterm-256color",
        "COLUMNS": "100",
        **more,
    }


def _hears_ctrl_c() -> None:
    """Let a program have Ctrl-C: what runs in the background of a shell ignores SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Terminal:
    """The other end of a pseudo-terminal."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.shown = ""

    def until(self, text: str) -> None:
        """Read until `text` is shown; fails at the end of the output."""
        while text not in self.shown:
            part = self._read()
            assert part, f"{text!r} was not shown: {self.shown!r}"
            self.shown += part

    def rest(self) -> str:
        """Read to the end, and return all that was shown."""
        while part := self._read():
            self.shown += part
        return self.shown

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    def _read(self) -> str:
        try:
            return os.read(self._descriptor, 65536).decode(errors="replace")
        except OSError:  # the other end is closed
            return ""


@contextmanager
def _on_terminal(
    gantry: FakeGantry, *args: str
) -> Iterator[tuple[Terminal, subprocess.Popen[bytes]]]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*PROGRAM, *args],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env=_environment(gantry),
        start_new_session=True,
        preexec_fn=_hears_ctrl_c,
    )
    os.close(theirs)
    try:
        yield Terminal(ours), process
        process.wait(20)
    finally:
        process.kill()
        process.wait()
        os.close(ours)


def test_spinner_on_a_terminal(gantry: FakeGantry) -> None:
    """A person at a terminal sees a spinner, and then the coloured answer."""
    release = threading.Event()
    gantry.real.raise_alarm()

    def later() -> tuple[int, bytes, dict[str, str]]:
        release.wait(20)
        return 200, json.dumps(gantry.document("/api/v1/alarms")).encode(), {}

    gantry.answers["GET", "/api/v1/alarms"] = later
    with _on_terminal(gantry, "alarms") as (terminal, process):
        terminal.until(f"Asking {gantry.url} …")
        release.set()
        shown = terminal.rest()
    assert process.returncode == 0
    assert "\x1b[1;31mcritical\x1b[0m" in shown


def test_no_spinner_in_json_or_pipes(gantry: FakeGantry) -> None:
    """Only the answer is written for a program."""
    with _on_terminal(gantry, "points", "--json") as (terminal, process):
        shown = terminal.rest()
    assert (process.returncode, "\x1b" in shown, "Asking" in shown) == (0, False, False)
    assert json.loads(shown) == gantry.document("/api/v1/points")
    done = subprocess.run(
        [*PROGRAM, "points"], env=_environment(gantry), capture_output=True, timeout=20
    )
    assert done.stderr == b""
    assert b"\x1b" not in done.stdout
    assert b"Asking" not in done.stdout


def test_hidden_input_and_confirmation(gantry: FakeGantry) -> None:
    """On a real terminal a secret is not echoed, and a dangerous command waits for a yes."""
    with _on_terminal(gantry, "command", "ups1", "set-password", "--new", "-") as (terminal, _):
        terminal.until("new (not shown): ")
        terminal.type(SECRET + "\n")
        terminal.until("new once more: ")
        terminal.type(SECRET + "\n")
        shown = terminal.rest()
    assert SECRET not in shown
    assert gantry.seen[1].body["args"] == {"new": SECRET}
    gantry.seen.clear()
    with _on_terminal(gantry, "command", "ups1", "SOFF") as (terminal, process):
        terminal.until("darkens the gantry. Do it? [y/N] ")
        assert len(gantry.seen) == 1
        terminal.type("y\n")
        terminal.until("done")
        terminal.rest()
    assert (process.returncode, gantry.seen[1].body["confirm"]) == (0, True)


def test_interrupted(gantry: FakeGantry) -> None:
    """Ctrl-C ends the command at once with exit code 130 and without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = subprocess.Popen(
            [*PROGRAM, "status"],
            env=_environment(gantry, GANTRY_URL=f"http://127.0.0.1:{listener.getsockname()[1]}"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=_hears_ctrl_c,
        )
        peer, _ = listener.accept()
        with peer:
            peer.recv(65536)  # now it waits for the answer
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=20)
    assert (process.returncode, out, err) == (130, b"", b"\n")


def test_broken_pipe(gantry: FakeGantry) -> None:
    """A closed output, as of `head`, ends the command without a message."""
    points = gantry.document("/api/v1/points")["points"] * 200
    gantry.says("GET", "/api/v1/points", {"points": points})
    for args in (["points"], ["points", "--json"]):
        process = subprocess.Popen(
            [*PROGRAM, *args],
            env=_environment(gantry),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        process.stderr.close()
        assert process.wait(20) == 1


def test_terminal_without_chinese(gantry: FakeGantry) -> None:
    """If the output cannot encode Chinese, the characters are spelled out."""
    done = subprocess.run(
        [*PROGRAM, "--lang", "zh", "status"],
        env=_environment(gantry, PYTHONIOENCODING="latin-1"),
        capture_output=True,
        timeout=20,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u95e8\u67b6 G000211001002110010" in done.stdout


@pytest.mark.parametrize("lang", ["en", "zh"])
def test_json_everywhere(ctl: Ctl, lang: str) -> None:
    """`--json` may stand before and after each command."""
    for command in ("status", "points", "alarms", "audit", "outbox", "command"):
        before, after = ctl("--json", command, lang=lang), ctl(command, "--json", lang=lang)
        assert json.loads(before.stdout) == json.loads(after.stdout)


def test_the_language_on_either_side(ctl: Ctl) -> None:
    """`--lang` may stand before the command or behind it."""
    before = ctl("--lang", "zh", "status").stdout
    assert ctl("status", "--lang", "zh").stdout == before
    assert "设备" in before
    assert "Devices" in ctl("status", "--lang", "en", lang="zh").stdout


def test_times_are_short() -> None:
    """A time of today is without its date, by the clock of the gantry's zone."""
    now = datetime.fromisoformat("2026-10-12T23:30:00+00:00")  # the 13th over there
    assert short_time("2026-10-13T09:33:56.789+08:00", now) == "09:33:56"
    assert short_time("2026-10-12T23:33:56.789+08:00", now) == "2026-10-12 23:33:56"
