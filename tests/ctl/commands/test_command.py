"""`command`: requests, confirmations, results, and secrets that are never shown."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.ctl.conftest import Ctl, FakeGantry, rows_of
from tests.ctl.raw import raw_server
from twisted_gantry.ctl import client

SECRET = "hunter2-secret"
GET, POST = ("GET", "/api/v1/commands"), ("POST", "/api/v1/commands")


def _sent(gantry: FakeGantry) -> Any:
    """Return the command that was sent, without its generated id."""
    assert gantry.asked() == [GET, POST]
    body = dict(gantry.seen[1].body)
    assert re.fullmatch(r"[0-9a-f]{32}", body.pop("id"))
    return body


def _not_sent(gantry: FakeGantry, result: Result, exit_code: int = 1) -> None:
    assert result.exit_code == exit_code
    assert POST not in gantry.asked()


# -- lists


def test_list(ctl: Ctl, gantry: FakeGantry) -> None:
    """Without arguments the commands of each device are listed, with arguments, dangers, locks."""
    result = ctl("command")
    assert (result.exit_code, gantry.asked()) == (0, [GET])
    rows = rows_of(result.stdout)
    assert rows[0] == ["Target", "Command", "What it does", "Arguments", "Note"]
    assert rows[1] == ["ups1", "BZOFF", "buzzer off", "–", "–"]
    assert rows[2][4] == "dangerous (power): darkens the gantry"
    assert rows[4][3] == "--new=-|@FILE"
    assert rows[5][4].startswith("locked: SOFF is locked")
    assert "--dev_id=STRING [--mamps=INTEGER]" in rows[6][3]
    rows = rows_of(ctl("command", lang="zh").stdout)
    assert rows[0] == ["目标", "命令", "作用", "参数", "备注"]
    assert rows[1][2] == "关闭蜂鸣器"
    assert rows[2][4] == "危险（供电）：使门架断电"


def test_list_json(ctl: Ctl, gantry: FakeGantry) -> None:
    """JSON is the answer of the gantry, or the part of one device."""
    document = gantry.document("/api/v1/commands")
    assert json.loads(ctl("command", "--json").stdout) == document
    of_one = json.loads(ctl("command", "ups2", "--json").stdout)
    assert of_one == {"devices": [document["devices"][1]]}


def test_list_of_one(ctl: Ctl) -> None:
    """A target alone lists the commands of that device."""
    assert len(ctl("command", "ups2").stdout.splitlines()) == 2
    assert ctl("command", "pc1").stdout == "No device takes commands.\n"
    assert ctl("command", "pc1", lang="zh").stdout == "没有可接受命令的设备。\n"


def test_unknown(ctl: Ctl, gantry: FakeGantry) -> None:
    """An unknown target, command or argument is reported with the known ones; nothing is sent."""
    for args, english, chinese in [
        (["ups9", "BZOFF"], "known: ups1, ups2, cfos, pc1", "现有：ups1, ups2, cfos, pc1"),
        (["ups9"], "known: ups1", "现有：ups1"),
        (["ups1", "FLY"], "known: BZOFF, SOFF, query", "支持：BZOFF, SOFF, query"),
        (["pc1", "FLY"], "known: –", "支持：–"),
        (["ups1", "query", "--ask", "1"], "known: --cmd", "可用：--cmd"),
        (["ups1", "BZOFF", "--ask", "1"], "known: –", "可用：–"),
        (["ups1", "query"], "needs --cmd (string)", "缺少 --cmd（string）"),
    ]:
        result = ctl("command", *args)
        _not_sent(gantry, result)
        assert english in result.stderr
        assert chinese in ctl("command", *args, lang="zh").stderr


def test_wrong_usage(ctl: Ctl, gantry: FakeGantry) -> None:
    """Malformed arguments are wrong usage, before the gantry is asked."""
    for args, said in [
        (["--cmd", "QRI", "ups1", "query"], "TARGET and COMMAND come first"),
        (["ups1", "--cmd", "QRI"], "TARGET and COMMAND come first"),
        (["ups1", "query", "QRI"], "'QRI' belongs to no argument"),
        (["ups1", "query", "--cmd", "QRI", "more"], "'more' belongs to no argument"),
        (["ups1", "query", "-c", "QRI"], "'-c' belongs to no argument"),
        (["ups1", "query", "--=1"], "belongs to no argument"),
        (["ups1", "query", "--arg", "cmd"], "NAME=VALUE"),
        (["ups1", "query", "--arg", "=1"], "NAME=VALUE"),
        (["ups1", "BZOFF", "--expires", "0"], "--expires"),
        (["ups1", "BZOFF", "--expires", "301"], "--expires"),
    ]:
        result = ctl("command", *args)
        assert result.exit_code == 64
        assert said in result.stderr
    assert not gantry.seen


# -- arguments


def test_plain_command(ctl: Ctl, gantry: FakeGantry) -> None:
    """A harmless command is sent at once, with a generated id, and its result is shown."""
    result = ctl("command", "ups1", "BZOFF")
    assert result.exit_code == 0
    shown = ["done: ups1 BZOFF", "  answer: (OK", f"  id: {gantry.seen[1].body['id']}"]
    assert result.stdout.splitlines() == shown
    assert gantry.real.devices["ups1"].told == [("BZOFF", {})]
    assert _sent(gantry) == {"target": "ups1", "command": "BZOFF", "args": {}}


def test_options_become_arguments(ctl: Ctl, gantry: FakeGantry) -> None:
    """Unknown options become arguments, with the names and types of the command."""
    ctl(
        *("command", "cfos", "override", "--dev-id", "E1", "--MAMPS", "-5"),
        *("--share=1e-1", "--force", "--flags", '["C"]', "--arg", "id=x=y"),
    )
    assert _sent(gantry)["args"] == {
        "dev_id": "E1",
        "mamps": -5,
        "share": 0.1,
        "force": True,
        "flags": ["C"],
        "id": "x=y",
    }


def test_text_stays_text(ctl: Ctl, gantry: FakeGantry) -> None:
    """A text argument stays as typed: a number, a dash, an option after `=`."""
    for typed in ("16000", "-", "@x", "true"):
        gantry.seen.clear()
        ctl("command", "ups1", "query", "--cmd", typed)
        assert _sent(gantry)["args"] == {"cmd": typed}
    gantry.seen.clear()
    ctl("command", "ups1", "query", "--cmd=--yes")
    assert _sent(gantry) == {"target": "ups1", "command": "query", "args": {"cmd": "--yes"}}


def test_types(ctl: Ctl, gantry: FakeGantry) -> None:
    """Integers may be hexadecimal; true and false have several words."""
    cases: list[tuple[str, dict[str, object]]] = [
        ("--mamps=0x10", {"mamps": 16}),
        ("--mamps=010", {"mamps": 10}),
        ("--share=3", {"share": 3.0}),
        ("--force=no", {"force": False}),
        ("--force=是", {"force": True}),
        ("--force=OFF", {"force": False}),
    ]
    for option, value in cases:
        gantry.seen.clear()
        ctl("command", "cfos", "override", "--dev_id=E1", option)
        assert _sent(gantry)["args"] == {"dev_id": "E1", **value}


def test_wrong_types(ctl: Ctl, gantry: FakeGantry) -> None:
    """A value of a wrong type is refused before sending, with its name and the right type."""
    for option in ("--mamps=1.5", "--share=nan", "--share=x", "--force=2", "--flags=[", "--mamps="):
        result = ctl("command", "cfos", "override", "--dev_id=E1", option)
        _not_sent(gantry, result)
        assert option.partition("=")[0] in result.stderr
        assert "is not of the type" in result.stderr
        assert "类型" in ctl("command", "cfos", "override", "--dev_id=E1", option, lang="zh").stderr


def test_incomplete_arguments(ctl: Ctl, gantry: FakeGantry) -> None:
    """A missing or repeated value is refused."""
    for args, said in [
        (["--dev_id"], "--dev_id needs a value"),
        (["--dev_id", "--mamps", "5"], "--dev_id needs a value"),
        (["--dev_id=1", "--dev-id=2"], "--dev_id is given twice"),
    ]:
        result = ctl("command", "cfos", "override", *args)
        _not_sent(gantry, result)
        assert said in result.stderr


def test_ambiguous_name(ctl: Ctl, gantry: FakeGantry) -> None:
    """Of two similar names, only the exact one is accepted."""
    document = gantry.document("/api/v1/commands")
    arguments = document["devices"][2]["commands"][0]["arguments"]
    arguments.append({**arguments[0], "name": "devId"})
    gantry.says("GET", "/api/v1/commands", document)
    _not_sent(gantry, ctl("command", "cfos", "override", "--dev-id", "1"))
    gantry.seen.clear()
    ctl("command", "cfos", "override", "--dev_id", "1", "--devId", "2")
    assert _sent(gantry)["args"] == {"dev_id": "1", "devId": "2"}


def test_id_and_expiry(ctl: Ctl, gantry: FakeGantry) -> None:
    """An id and an expiry are sent."""
    ctl("command", "ups1", "BZOFF", "--id", "again-1", "--expires", "2.5")
    assert gantry.seen[1].body["id"] == "again-1"
    assert gantry.seen[1].body["expires"] == 2.5


# -- dangers


def test_confirmed(ctl: Ctl, gantry: FakeGantry, person: None) -> None:
    """A dangerous command shows its effect and asks; a yes is sent as `confirm`."""
    for lang, typed, question in [
        ("en", "y\n", "SOFF on ups1 (output off) darkens the gantry. Do it? [y/N] "),
        ("en", "YES\n", "Do it?"),
        ("zh", "是\n", "在 ups1 上执行 SOFF（关闭输出）：使门架断电。确认执行？"),
    ]:
        gantry.seen.clear()
        result = ctl("command", "ups1", "SOFF", lang=lang, typed=typed)
        assert result.exit_code == 0
        assert question in result.stderr
        assert _sent(gantry) == {"target": "ups1", "command": "SOFF", "args": {}, "confirm": True}


def test_not_confirmed(ctl: Ctl, gantry: FakeGantry, person: None) -> None:
    """Any answer but yes is a no: exit code 1, and nothing is sent."""
    for typed in ("n\n", "\n", "", "yess\n", "no y\n"):
        result = ctl("command", "ups1", "SOFF", typed=typed)
        _not_sent(gantry, result)
        assert "not done: it was not confirmed" in result.stderr
        assert result.stdout == ""


def test_nobody_to_ask(ctl: Ctl, gantry: FakeGantry) -> None:
    """Without a terminal a dangerous command needs --yes; a `y` from a pipe does not count."""
    result = ctl("command", "ups1", "SOFF", typed="y\n")
    _not_sent(gantry, result)
    assert "SOFF on ups1 darkens the gantry" in result.stderr
    assert "--yes" in result.stderr
    assert "需要 --yes" in ctl("command", "ups1", "SOFF", lang="zh").stderr
    error = json.loads(ctl("command", "ups1", "SOFF", "--json").stdout)["error"]
    assert error["code"] == "needs-yes"


def test_yes(ctl: Ctl, gantry: FakeGantry) -> None:
    """`--yes` confirms without a question."""
    result = ctl("command", "ups1", "SOFF", "--yes")
    assert (result.exit_code, result.stderr) == (0, "")
    assert _sent(gantry)["confirm"] is True


def test_locked(ctl: Ctl, gantry: FakeGantry) -> None:
    """A locked command is sent without confirmation: the gantry refuses and audits it."""
    refusal = {"id": "c2", "result": "refused", "detail": "SOFF is locked", "value": None}
    gantry.says("POST", "/api/v1/commands", refusal)
    result = ctl("command", "ups2", "SOFF")
    assert result.exit_code == 1
    assert _sent(gantry) == {"target": "ups2", "command": "SOFF", "args": {}}
    assert "refused: ups2 SOFF" in result.stdout
    assert "SOFF is locked" in result.stdout


# -- secrets


@pytest.mark.parametrize("source", ["file", "pipe"])
def test_secret(ctl: Ctl, gantry: FakeGantry, tmp_path: Path, source: str) -> None:
    """A secret is read from a file or from the first line of a pipe, without the line end."""
    path = tmp_path / "new"
    path.write_text(SECRET + "\r\n")
    value = f"@{path}" if source == "file" else "-"
    result = ctl("command", "ups1", "set-password", "--new", value, typed=SECRET + "\nmore\n")
    assert _sent(gantry)["args"] == {"new": SECRET}
    assert SECRET not in result.output


def test_secret_of_a_person(ctl: Ctl, gantry: FakeGantry, person: None) -> None:
    """A person is asked twice; the secret is not shown."""
    result = ctl("command", "ups1", "set-password", "--new", "-", typed=f"{SECRET}\n{SECRET}\n")
    assert _sent(gantry)["args"] == {"new": SECRET}
    assert "new (not shown): " in result.stderr
    assert "new once more: " in result.stderr
    assert SECRET not in result.output


def test_bad_secrets(ctl: Ctl, gantry: FakeGantry, person: None, tmp_path: Path) -> None:
    """An empty, differing or unreadable secret is refused and not shown."""
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for value, typed, code in [
        ("-", f"{SECRET}\nother\n", 1),
        ("-", "\n\n", 1),
        ("@/nonexistent", "", 64),
        (f"@{empty}", "", 64),
    ]:
        result = ctl("command", "ups1", "set-password", "--new", value, typed=typed)
        _not_sent(gantry, result, code)
        assert SECRET not in result.output


def test_open_secret(ctl: Ctl, gantry: FakeGantry) -> None:
    """A secret on the command line is refused, because others can see it, and not shown."""
    for option in (["--new", SECRET], [f"--new={SECRET}"], ["--arg", f"new={SECRET}"]):
        for lang, said in (("en", "others can see a command line"), ("zh", "命令行他人可见")):
            result = ctl("command", "ups1", "set-password", *option, lang=lang)
            _not_sent(gantry, result)
            assert said in result.stderr
            assert SECRET not in result.output


def test_secret_of_a_wrong_type(ctl: Ctl, gantry: FakeGantry) -> None:
    """A secret of a wrong type is not shown in the error."""
    args = ("command", "cfos", "override", "--dev_id=1", "--pin", "-")
    result = ctl(*args, typed=SECRET + "\n")
    _not_sent(gantry, result)
    assert "--pin: '***' is not of the type integer" in result.stderr
    assert SECRET not in result.output


# -- outcomes


def test_outcomes(ctl: Ctl, gantry: FakeGantry) -> None:
    """Exit code 0 is done, 1 failed, refused or an unknown result, 3 a timeout."""
    for outcome, code, chinese in [
        ("done", 0, "完成：ups1 BZOFF"),
        ("failed", 1, "失败：ups1 BZOFF"),
        ("refused", 1, "被拒绝：ups1 BZOFF"),
        ("timeout", 3, "结果未知：ups1 BZOFF"),
        ("odd", 1, "odd：ups1 BZOFF"),
    ]:
        document = {"id": "c1", "result": outcome, "detail": "so it is", "value": 21.0}
        gantry.says("POST", "/api/v1/commands", document)
        result = ctl("command", "ups1", "BZOFF")
        assert result.exit_code == code
        lines = result.stdout.splitlines()
        assert lines[:3] == [f"{outcome}: ups1 BZOFF", "  detail: so it is", "  answer: 21.0"]
        assert ("Sent again with --id" in result.stdout) == (outcome == "timeout")
        assert chinese in ctl("command", "ups1", "BZOFF", lang="zh").stdout
        result = ctl("command", "ups1", "BZOFF", "--json")
        assert (result.exit_code, json.loads(result.stdout)) == (code, document)


def test_lost_answer(ctl: Ctl, gantry: FakeGantry) -> None:
    """An answer that is lost after sending is exit code 3, and the id is shown."""
    for document, status in [
        (b"{", 200),
        ({"result": 5}, 200),
        ({"error": {"code": "internal", "message": "see the log"}}, 500),
        (b"<html>", 502),
    ]:
        gantry.says("POST", "/api/v1/commands", document, status)
        result = ctl("command", "ups1", "BZOFF", "--id", "c9")
        assert result.exit_code == 3
        assert "Outcome unknown: ups1 BZOFF" in result.stderr
        assert "--id c9" in result.stderr
        assert "结果未知" in ctl("command", "ups1", "BZOFF", lang="zh").stderr
        assert ctl("command", "ups1", "BZOFF", "--json").exit_code == 3


def test_refused_request(ctl: Ctl, gantry: FakeGantry) -> None:
    """A request that the API refuses is exit code 1: its outcome is known."""
    gantry.refuses("POST", "/api/v1/commands", 400, "bad-request", "id: too long")
    result = ctl("command", "ups1", "BZOFF")
    assert result.exit_code == 1
    assert "id: too long" in result.stderr
    assert "Outcome unknown" not in result.stderr


def test_waits_for_its_expiry(
    ctl: Ctl, gantry: FakeGantry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command is waited for until it expires and `GRACE` longer, whatever --timeout is."""
    waited: list[float | None] = []
    post = client.Api.post

    def spy(api: client.Api, path: str, document: object, timeout: float | None = None) -> Any:
        waited.append(timeout)
        return post(api, path, document, timeout)

    monkeypatch.setattr(client.Api, "post", spy)
    ctl("--timeout", "5", "command", "ups1", "BZOFF")
    ctl("command", "ups1", "BZOFF", "--expires", "120")
    assert waited == [40.0, 130.0]


def test_no_answer_in_time(ctl: Ctl, gantry: FakeGantry, monkeypatch: pytest.MonkeyPatch) -> None:
    """A gantry that takes a command and does not answer is exit code 3."""
    body = json.dumps(gantry.document("/api/v1/commands")).encode()
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()

    def speak(peer: socket.socket, over: Any) -> None:
        request = peer.recv(65536)
        if request.startswith(b"GET"):
            peer.sendall(head + body)
        else:
            while peer.recv(65536):  # until the client hangs up
                pass

    monkeypatch.setattr(client, "GRACE", 0.1)
    with raw_server(speak) as port:
        url = f"http://127.0.0.1:{port}"
        result = ctl("--url", url, "command", "ups1", "BZOFF", "--expires", "0.05")
    assert result.exit_code == 3
    assert "gave no answer within 0.15 s" in result.stderr
    assert "Outcome unknown" in result.stderr
