"""`probe`: a UPS card, asked directly."""

import json
import re
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from tests.ctl.raw import raw_server
from twisted_gantry.ctl.commands import probe
from twisted_gantry.ctl.main import cli
from twisted_gantry.wire.upscard import session

SECRET = "hunter2-secret"
RTD = "(Sunshine Power V1.0 C10KS 220 220 20 50.0 192 1/1 10000"
QAD = (
    "(220.1 220.2 220.3 50.1 ---.- ---.- ---.- 149.5 221 222 223 50 5 6 7 20 30 25 216.5 31687 90"
    " 37.5 0000100000000011"
)
VALUES = {"RTD": RTD, "QAD": QAD}

# What a card answers to a command: bytes, or None for nothing.
Answer = Callable[[dict[str, Any]], bytes | None]


def _ask(answer: Answer, *args: str, lang: str = "en") -> tuple[Result, list[dict[str, Any]], str]:
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
        env = {"LC_ALL": {"en": "en_US.UTF-8", "zh": "zh_CN.UTF-8"}[lang], "GANTRY_URL": "nonsense"}
        result = CliRunner().invoke(cli, ["probe", address, *args], env=env)
    assert isinstance(result.exception, SystemExit | None), result.exc_info
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


def test_probe() -> None:
    """Decoded values are shown with units and qualities; the card is asked RTD and QAD alone."""
    result, asked, address = _ask(_reply)
    assert result.exit_code == 0
    assert [command["cmd"] for command in asked] == ["RTD", "QAD"]
    assert all(set(command) == {"session", "cmd"} for command in asked)
    lines = result.stdout.splitlines()
    assert lines[0] == f"UPS card 201701013805 at {address}"
    rows = [re.split(r"  +", line) for line in lines[1:]]
    assert rows[0] == ["Point", "Label", "Value", "Unit", "Quality"]
    assert ["manufacturer", "Manufacturer", "Sunshine Power", "good"] in rows
    assert ["rated_power", "Rated power", "10000.0", "VA", "good"] in rows
    assert ["input_voltage_r", "Input voltage R", "220.1", "V", "good"] in rows
    assert ["input_current_r", "Input current R", "–", "A", "not-supported"] in rows
    assert ["battery_runtime", "Battery time left", "31687.0", "s", "good"] in rows
    assert ["self_test", "Battery self-test", "good", "good"] in rows
    assert ["state", "State", "line", "good"] in rows
    assert len(rows) == 1 + 10 + 22 + 8


def test_in_chinese() -> None:
    """The same in Chinese."""
    result, _, address = _ask(_reply, lang="zh")
    lines = result.stdout.splitlines()
    assert lines[0] == f"UPS管理卡 201701013805，地址 {address}"
    rows = [re.split(r"  +", line) for line in lines[1:]]
    assert rows[0] == ["测点", "名称", "值", "单位", "质量"]
    assert ["input_current_r", "输入电流R", "–", "A", "不支持"] in rows


def test_json() -> None:
    """For programs: typed values, labels in both languages, no errors."""
    result, _, address = _ask(_reply, "--json")
    found = json.loads(result.stdout)
    assert (found["address"], found["uid"], found["errors"]) == (address, "201701013805", [])
    assert found["readings"][10] == {
        "name": "input_voltage_r",
        "label": {"en": "Input voltage R", "zh": "输入电压R"},
        "value": 220.1,
        "unit": "V",
        "quality": "good",
    }


def test_runtime_unit() -> None:
    """A card that counts the time left in minutes is read right when told so."""
    result, _, _ = _ask(_reply, "--runtime-unit", "min", "--json")
    values = {each["name"]: each["value"] for each in json.loads(result.stdout)["readings"]}
    assert values["battery_runtime"] == 31687 * 60


def test_password(tmp_path: Path) -> None:
    """The password of a file goes with each command, and is never shown, whatever is answered."""
    path = tmp_path / "password"
    path.write_text(SECRET + "\n")
    args = ("--password-file", str(path))
    result, asked, _ = _ask(_reply, *args)
    assert result.exit_code == 0
    assert [command["pass"] for command in asked] == [SECRET, SECRET]
    assert SECRET not in result.output
    for answer in (
        lambda command: _error(command, "103"),
        lambda command: _error(command, "101").replace(b'"cmd":', b'"cmd"'),
        lambda command: _reply(command, json.dumps(command)),
    ):
        for lang in ("en", "zh"):
            result, _, _ = _ask(answer, *args, lang=lang)
            assert result.exit_code == 1
            assert SECRET not in result.output


def test_wrong_password() -> None:
    """A card that wants another password is told apart from other refusals."""
    for code, english, chinese in [
        ("103", "103 PASSWORD_ERROR: it has another password; --password-file", "密码不符"),
        ("105", "answers 105 COMMAND_NO.", "应答 105 COMMAND_NO"),
        ("777", "answers 777.", "应答 777"),
    ]:
        result, _, _ = _ask(lambda command, code=code: _error(command, code))  # type: ignore[misc]
        assert (result.exit_code, result.stdout) == (1, "")
        assert english in result.stderr
        result, _, _ = _ask(
            lambda command, code=code: _error(command, code),  # type: ignore[misc]
            lang="zh",
        )
        assert chinese in result.stderr


def test_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy card is asked again, with a new session number; if it stays busy, exit code 3."""
    monkeypatch.setattr(session, "BUSY_PAUSE", 0.001)
    busy = iter(["201", "201"])

    def answer(command: dict[str, Any]) -> bytes:
        code = next(busy, None)
        return _reply(command) if code is None else _error(command, code)

    result, asked, _ = _ask(answer)
    assert result.exit_code == 0
    assert [command["cmd"] for command in asked] == ["RTD", "RTD", "RTD", "QAD"]
    assert len({command["session"] for command in asked}) == 4
    monkeypatch.setattr(probe, "DEADLINE", 0.5)
    result, _, _ = _ask(lambda command: _error(command, "201"))
    assert result.exit_code == 3
    assert "stayed busy (201)" in result.stderr


def test_strange_frames() -> None:
    """Replies to others, noise and broken objects are passed over; the right one is found."""

    def answer(command: dict[str, Any]) -> bytes:
        other = _reply(command, session="1")
        wrong = _reply(command, cmd="SON")
        return b"\r\n\x00noise" + other + wrong + b"{broken}" + _reply(command) + b"\r\n"

    result, asked, _ = _ask(answer)
    assert result.exit_code == 0
    assert len(asked) == 2


def test_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that says nothing, or half an object, is exit code 3 after the deadline."""
    monkeypatch.setattr(probe, "DEADLINE", 0.25)
    for answer, heard in [(lambda _: None, "0 bytes"), (lambda _: b'{"uid', "5 bytes")]:
        result, asked, _ = _ask(answer)
        assert (result.exit_code, result.stdout) == (3, "")
        assert [command["cmd"] for command in asked] == ["RTD", "QAD"]
        assert "RTD: no answer" in result.stderr
        assert "QAD: no answer" in result.stderr
        assert heard in result.stderr


def test_half_of_it() -> None:
    """When one question fails, the answer to the other is shown all the same."""

    def answer(command: dict[str, Any]) -> bytes:
        return _reply(command, "(1 2 3") if command["cmd"] == "RTD" else _reply(command)

    result, _, address = _ask(answer)
    assert result.exit_code == 1
    assert "input_voltage_r" in result.stdout
    assert "rated_power" not in result.stdout
    assert f"RTD: {address} answers what is none of its protocol: RTD has 3 fields" in result.stderr
    result, _, _ = _ask(answer, "--json")
    found = json.loads(result.stdout)
    assert (result.exit_code, len(found["readings"])) == (1, 30)
    assert [(e["command"], e["code"]) for e in found["errors"]] == [("RTD", "card-odd")]


def test_hangs_up() -> None:
    """A card that closes the connection is told as such."""
    for lang, said in (("en", "closed the connection"), ("zh", "关闭了连接")):
        result, _, _ = _ask(lambda _: b"", lang=lang)
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr


def test_endless_object() -> None:
    """An object past the bound is an error, not a wait."""
    result, _, _ = _ask(lambda _: b"{" + b" " * 70_000)
    assert result.exit_code == 1
    assert "an object of over 65536 bytes" in result.stderr


def test_unreachable() -> None:
    """A card that is not there is exit code 2, with what to look at, in JSON too."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    for lang, said in (("en", "is its TCP port set so"), ("zh", "出厂为2390")):
        result = CliRunner().invoke(cli, ["--lang", lang, "probe", f"tcp:127.0.0.1:{port}"])
        assert result.exit_code == 2
        assert said in result.stderr
    result = CliRunner().invoke(cli, ["probe", "--json", f"tcp:127.0.0.1:{port}"])
    assert result.exit_code == 2
    assert json.loads(result.stdout)["error"]["code"] == "card-unreachable"


def test_addresses() -> None:
    """An address is tcp:HOST:PORT, an IPv6 host in brackets; anything else is wrong usage."""
    assert probe.parse_address("tcp:192.168.1.20:2390") == ("192.168.1.20", 2390)
    assert probe.parse_address("tcp:[::1]:2390") == ("::1", 2390)
    for wrong in ("", "tcp:", "tcp:h", "tcp::1", "udp:h:1", "h:1", "tcp:h:0", "tcp:h:65536"):
        assert CliRunner().invoke(cli, ["probe", wrong]).exit_code == 64
    for wrong in ("tcp:h:x", "tcp:::1:2390", "tcp:h:１", "tcp:h:1:timeout=3", "tcp:h:+1"):
        assert CliRunner().invoke(cli, ["probe", wrong]).exit_code == 64


def test_bad_password_file(tmp_path: Path) -> None:
    """A password that no card takes is refused before anything is sent, and not shown."""
    path = tmp_path / "password"
    path.write_text("0123456789abcdef")
    result, asked, _ = _ask(_reply, "--password-file", str(path))
    assert (result.exit_code, asked) == (64, [])
    assert "1 to 15 characters" in result.stderr
    assert "0123456789abcdef" not in result.output
