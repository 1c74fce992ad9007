"""`probe`: a device, the platform or the cloud, asked directly by its driver."""

import json
import re
import socket
import threading
from collections.abc import Callable
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from twisted.internet.defer import ensureDeferred
from twisted.internet.threads import blockingCallFromThread, deferToThread

from tests.ctl.raw import raw_server
from twisted_gantry.ctl.main import cli
from twisted_gantry.ctl.probing import live, request, shown
from twisted_gantry.net.outage import WORDS, Cause

SECRET = "hunter2-secret"
RTD = "(Sunshine Power V1.0 C10KS 220 220 20 50.0 192 1/1 10000"
QAD = (
    "(220.1 220.2 220.3 50.1 ---.- ---.- ---.- 149.5 221 222 223 50 5 6 7 20 30 25 216.5 31687 90"
    " 37.5 0000100000000011"
)
VALUES = {"RTD": RTD, "QAD": QAD}

# What a card answers to a command: bytes, or None for nothing.
Answer = Callable[[dict[str, Any]], bytes | None]


@pytest.fixture(autouse=True)
def _on_the_reactor_of_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a probe on the reactor that runs already."""
    from twisted.internet import reactor

    in_tests: Any = reactor

    def run(work: Callable[[Any], Any]) -> Any:
        return blockingCallFromThread(in_tests, lambda: ensureDeferred(work(in_tests)))

    monkeypatch.setattr(shown, "run", run)
    monkeypatch.setattr(live, "AGAIN", 0.1)
    monkeypatch.setattr("twisted_gantry.core.diagnosis.SETTLE", 0.0)


async def _probe(*args: str, lang: str = "en") -> Result:
    env = {"LC_ALL": {"en": "en_US.UTF-8", "zh": "zh_CN.UTF-8"}[lang], "GANTRY_URL": "nonsense"}
    result: Result = await deferToThread(CliRunner().invoke, cli, ["probe", *args], env=env)
    assert isinstance(result.exception, SystemExit | None), result.exc_info
    return result


async def _ask(
    answer: Answer, *args: str, lang: str = "en"
) -> tuple[Result, list[dict[str, Any]], str]:
    """Probe a card that answers so; returns the result, what the card was asked, its address."""
    asked: list[dict[str, Any]] = []

    def speak(peer: socket.socket, _: threading.Event) -> None:
        data = b""
        while part := peer.recv(4096):
            data += part
            try:
                command = json.loads(data)
            except ValueError:
                continue
            data = b""
            asked.append(command)
            reply = answer(command)
            if reply is not None:
                peer.sendall(reply)
            if reply == b"":
                return

    with raw_server(speak) as port:
        address = f"tcp:127.0.0.1:{port}"
        result = await _probe(address, "--set", "patience=0.5", *args, lang=lang)
    return result, asked, address


def _reply(command: dict[str, Any], value: str | None = None, **fields: str) -> bytes:
    """Return a right answer, as the document prints it: with a trailing comma."""
    reply = {
        "uid": "201701013805",
        "session": command["session"],
        "cmd": command["cmd"],
        "value": VALUES[command["cmd"]] if value is None else value,
        **fields,
    }
    return json.dumps(reply)[:-1].encode() + b",}"


def _error(command: dict[str, Any], code: str) -> bytes:
    return json.dumps({"result": code, **command}).encode()


async def test_probe() -> None:
    """Steps, then values with units and qualities; the card is asked RTD and QAD alone."""
    result, asked, address = await _ask(_reply)
    assert result.exit_code == 0, result.output
    assert [command["cmd"] for command in asked] == ["RTD", "QAD"]
    assert all(set(command) == {"session", "cmd"} for command in asked)
    lines = result.stdout.splitlines()
    assert [line[:12] for line in lines[:4]] == [
        "– name      ",
        "✓ connection",
        "– TLS       ",
        "✓ exchange  ",
    ]
    assert lines[4] == f"201701013805 at {address}"
    rows = [re.split(r"  +", line) for line in lines[5:]]
    assert rows[0] == ["Point", "Label", "Value", "Unit", "Quality"]
    assert ["manufacturer", "Manufacturer", "Sunshine Power", "good"] in rows
    assert ["rated_power", "Rated power", "10000.0", "VA", "good"] in rows
    assert ["input_voltage_r", "Input voltage R", "220.1", "V", "good"] in rows
    assert ["state", "State", "line", "good"] in rows


async def test_in_chinese_and_json() -> None:
    """The same in Chinese; for programs: typed values, labels in both languages, no errors."""
    result, _, address = await _ask(_reply, lang="zh")
    lines = result.stdout.splitlines()
    assert lines[3].startswith("✓ 应答检查")
    assert lines[4] == f"201701013805，地址 {address}"
    result, _, address = await _ask(_reply, "--json", "--runtime-unit", "min")
    found = json.loads(result.stdout)
    assert (found["address"], found["uid"], found["errors"]) == (address, "201701013805", [])
    assert (found["ok"], found["cause"], found["kind"]) == (True, None, "ups-card")
    readings = {each["name"]: each for each in found["readings"]}
    assert readings["input_voltage_r"] == {
        "name": "input_voltage_r",
        "label": {"en": "Input voltage R", "zh": "输入电压R"},
        "value": 220.1,
        "unit": "V",
        "quality": "good",
    }
    assert readings["battery_runtime"]["value"] == 31687 * 60


async def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """The password of a file goes with each command, and is never shown, whatever is answered."""
    path = tmp_path / "password"
    path.write_text(SECRET + "\n")
    args = ("--password-file", str(path))
    result, asked, _ = await _ask(_reply, *args)
    assert result.exit_code == 0
    assert [command["pass"] for command in asked] == [SECRET, SECRET]
    for answer in (
        lambda command: _error(command, "103"),
        lambda command: _error(command, "101").replace(b'"cmd":', b'"cmd"'),
        lambda command: _reply(command, json.dumps(command)),
    ):
        result, _, _ = await _ask(answer, *args)
        assert result.exit_code == 1
        assert SECRET not in result.output


SSH = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"


@pytest.mark.parametrize(
    ("answer", "cause", "code"),
    [
        (lambda command: _error(command, "103"), Cause.PASSWORD, 1),
        (lambda command: _error(command, "105"), Cause.ERROR_ANSWER, 1),
        (lambda command: _error(command, "201"), Cause.BUSY, 3),
        (lambda _: None, Cause.SILENT, 3),
        (lambda _: b"", Cause.CLOSED, 1),
        (lambda _: SSH, Cause.NOT_PROTOCOL, 1),
        (lambda _: b"{" + b" " * 70_000, Cause.MALFORMED, 1),
        (lambda command: _reply(command, "(1 2 3"), Cause.MALFORMED, 1),
    ],
    ids=lambda each: str(each) if isinstance(each, Cause) else "",
)
async def test_what_is_wrong(
    answer: Answer, cause: Cause, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each cause has its code, its next step and its exit code."""
    monkeypatch.setattr("twisted_gantry.devices.upscard.link.CardLink.deadline", 0.5)
    result, _, _ = await _ask(answer)
    assert (result.exit_code, f"[{cause}]" in result.stdout) == (code, True), result.output
    assert f"→ {WORDS[cause].advice}" in result.stdout


async def test_half_of_it() -> None:
    """When one question fails, the answer to the other is shown all the same."""

    def answer(command: dict[str, Any]) -> bytes:
        return _reply(command, "(1 2 3") if command["cmd"] == "RTD" else _reply(command)

    result, _, _ = await _ask(answer)
    assert result.exit_code == 1
    assert "input_voltage_r" in result.stdout
    assert "rated_power" not in result.stdout
    assert "RTD has 3 fields" in result.stderr


async def test_the_terminator_is_sent() -> None:
    """A card that waits for the end of a line gets it."""
    seen: list[bytes] = []

    def speak(peer: socket.socket, _: threading.Event) -> None:
        while part := peer.recv(4096):
            seen.append(part)
            if part.endswith(b"\r\n"):
                peer.sendall(_reply(json.loads(part)))

    with raw_server(speak) as port:
        result = await _probe("ups-card", f"tcp:127.0.0.1:{port}", "--terminator", "\r\n")
    assert result.exit_code == 0, result.output
    assert len(seen) == 2


@pytest.mark.parametrize("kind", ["ups-card", "relay", "modbus", "cloud"])
async def test_nothing_listens(kind: str, tmp_path: Path) -> None:
    """A port without a service is told as such, and the exchange is not tried."""
    (tmp_path / "key").write_text("a-key")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    more = ("--eq-sn", "1", "--password-file", str(tmp_path / "key")) if kind == "cloud" else ()
    result = await _probe(kind, f"tcp:127.0.0.1:{port}", *more, lang="zh")
    assert result.exit_code == 2, result.output
    assert f"{WORDS[Cause.REFUSED].zh} [refused]" in result.stdout
    assert WORDS[Cause.REFUSED].advice_zh in result.stdout
    assert "– 应答检查" in result.stdout


def test_the_key_of_the_address_of_a_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kind of another package may have its place in `address`, as ours have."""
    found = EntryPoint("line-meter", "twisted_gantry.devices.modbus.driver:kind", "kinds")
    monkeypatch.setattr(request, "entry_points", lambda **_: [found])
    assert request._place_of("line-meter") == "address"


def _http(status: str, body: bytes = b"") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


@pytest.mark.parametrize(
    ("said", "cause", "shown"),
    [
        (SSH, Cause.NOT_PROTOCOL, "SSH-2.0-OpenSSH_9.2p1 Debian-2"),
        (b"\xff\xfb\x01\xff\xfblogin: ", Cause.NOT_PROTOCOL, "\\xff\\xfb"),
        (_http("200 OK", b"<!DOCTYPE html><h1>Router</h1>"), Cause.NOT_PROTOCOL, "<!DOCTYPE html>"),
        (_http("404 Not Found"), Cause.NOT_PROTOCOL, "404"),
        (_http("401 Unauthorized"), Cause.PASSWORD, "401"),
        (_http("500 Oops"), Cause.ERROR_ANSWER, "500"),
        (_http("200 OK", b'{"a": ['), Cause.MALFORMED, ""),
        (b"", Cause.CLOSED, ""),
    ],
    ids=["ssh", "telnet", "html", "404", "401", "500", "broken", "closes"],
)
async def test_each_kind_over_http(said: bytes, cause: Cause, shown: str, tmp_path: Path) -> None:
    """Each kind over HTTP names the cause, and shows the first bytes of what is no HTTP."""
    (tmp_path / "code").write_text("a-code")
    code = ("--password-file", str(tmp_path / "code"))
    kinds: dict[str, tuple[str, ...]] = {
        "cfos": (),
        "bms": ("--device-uid", "1"),
        "cabinet": code,
        "platform": code,
        "computer": code,
        "http-json": ("--set", 'point=[{name = "a", pointer = "/b"}]'),
    }

    def speak(peer: socket.socket, _: threading.Event) -> None:
        if peer.recv(4096):
            peer.sendall(said)

    found: dict[str, str] = {}
    with raw_server(speak) as port:
        for kind, more in kinds.items():
            result = await _probe(kind, f"http://127.0.0.1:{port}/x", *more, "--json")
            answer = json.loads(result.stdout)
            found[kind] = answer["cause"]
            assert shown in answer["steps"][-1]["message"], (kind, answer)
            assert "a-code" not in result.output
    expected = dict.fromkeys(kinds, cause.value)
    if said.endswith(b"["):
        # What can be read of a cut list is taken.
        found.pop("http-json"), expected.pop("http-json")
    assert found == expected


@pytest.mark.parametrize(
    ("said", "cause"),
    [(SSH, Cause.NOT_PROTOCOL), (b"", Cause.CLOSED), (None, Cause.SILENT)],
    ids=["ssh", "closes", "silent"],
)
async def test_each_kind_over_tcp(said: bytes | None, cause: Cause, tmp_path: Path) -> None:
    """So does each kind with a protocol of its own."""
    (tmp_path / "key").write_text("a-key")
    kinds: dict[str, tuple[str, ...]] = {
        "modbus": ("--set", "patience=0.5"),
        "cloud": ("--eq-sn", "1", "--password-file", str(tmp_path / "key")),
    }

    def speak(peer: socket.socket, over: threading.Event) -> None:
        if peer.recv(4096):
            if said is None:
                while peer.recv(4096):
                    pass
            peer.sendall(said or b"")

    found = {}
    with raw_server(speak) as port:
        for kind, more in kinds.items():
            if said is None and kind == "cloud":
                continue  # it has ten seconds for its login; see the tests of the uplink
            result = await _probe(kind, f"tcp:127.0.0.1:{port}", *more, "--json")
            found[kind] = json.loads(result.stdout)["cause"]
    assert found == dict.fromkeys(found, cause.value)


async def test_wrong_usage(tmp_path: Path) -> None:
    """An unknown kind, a wrong address or setting, and a file without a secret are wrong usage."""
    assert "ups-card" in (await _probe("nothing", "tcp:h:1")).stderr
    for args in (
        ("nothing", "tcp:h:1"),
        ("ups-card", "udp:h:1"),
        ("tcp:h",),
        ("ups-card", "tcp:h:1", "--set", "poll"),
        ("ups-card", "tcp:h:1", "--set", "nonsense=1"),
        ("ups-card", "tcp:h:1", "--password-file", str(tmp_path / "none")),
    ):
        assert (await _probe(*args)).exit_code == 64, args


async def test_what_is_missing_is_named_by_its_option() -> None:
    """A person has given no file: what is wrong is named as it is given, in both languages."""
    told = (await _probe("fogslink", "tcp:h:1")).stderr
    assert "--eq-sn: is missing; --password-file: is missing" in told
    told = (await _probe("ups-card", "udp:h:1", "--set", "poll=-1", lang="zh")).stderr
    assert "ADDRESS: 不是客户端端点" in told
    assert "--set poll=VALUE: " in told
