"""`command`: what is sent, what is asked before, how it ends, and what is never shown."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from tests.ctl.conftest import Ctl, FakeGantry
from tests.ctl.raw import raw_server
from twisted_gantry.ctl import client
from twisted_gantry.ctl.session import Session

SECRET = "hunter2-secret"
GET, POST = ("GET", "/api/v1/commands"), ("POST", "/api/v1/commands")


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let there be a person who can be asked."""
    monkeypatch.setattr(Session, "can_ask", staticmethod(lambda: True))


def _sent(gantry: FakeGantry) -> Any:
    """Return what was sent as a command, without the id that was made up for it."""
    assert gantry.asked() == [GET, POST]
    body = dict(gantry.seen[1].body)
    assert re.fullmatch(r"[0-9a-f]{32}", body.pop("id"))
    return body


def _not_sent(gantry: FakeGantry, result: Result, exit_code: int = 1) -> None:
    assert result.exit_code == exit_code
    assert POST not in gantry.asked()


# -- what there is


def test_list(ctl: Ctl, gantry: FakeGantry) -> None:
    """Alone it lists what each device can do, with arguments, dangers and locks."""
    result = ctl("command")
    assert (result.exit_code, gantry.asked()) == (0, [GET])
    rows = [re.split(r"  +", line) for line in result.stdout.splitlines()]
    assert rows[0] == ["Target", "Command", "What it does", "Arguments", "Note"]
    assert rows[1] == ["ups1", "BZOFF", "buzzer off", "–", "–"]
    assert rows[2][4] == "dangerous: darkens the gantry"
    assert rows[4][3] == "--new=-|@FILE"
    assert rows[5][4].startswith("locked: SOFF is locked")
    assert "--dev_id=STRING [--mamps=INTEGER]" in rows[6][3]


def test_list_in_chinese(ctl: Ctl) -> None:
    """The list in Chinese."""
    rows = [re.split(r"  +", line) for line in ctl("command", lang="zh").stdout.splitlines()]
    assert rows[0] == ["目标", "命令", "作用", "参数", "备注"]
    assert rows[1][2] == "关闭蜂鸣器"
    assert rows[2][4] == "危险：darkens the gantry"


def test_list_json(ctl: Ctl, gantry: FakeGantry) -> None:
    """For programs: the answer as it came, or of one device."""
    document = gantry.document("/api/v1/commands")
    assert json.loads(ctl("command", "--json").stdout) == document
    of_one = json.loads(ctl("command", "ups2", "--json").stdout)
    assert of_one == {"devices": [document["devices"][1]]}


def test_list_of_one(ctl: Ctl, gantry: FakeGantry) -> None:
    """With a target alone, what that one can do."""
    assert len(ctl("command", "ups2").stdout.splitlines()) == 2
    assert ctl("command", "pc1").stdout == "No device takes commands.\n"
    assert ctl("command", "pc1", lang="zh").stdout == "没有可接受命令的设备。\n"


def test_unknown(ctl: Ctl, gantry: FakeGantry) -> None:
    """An unknown target, command or argument is told with what there is; nothing is sent."""
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
    """Words that are no arguments are wrong usage, before anything is asked."""
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
    """A harmless command is sent at once, with an id of its own, and its outcome is shown."""
    result = ctl("command", "ups1", "BZOFF")
    assert result.exit_code == 0
    shown = ["done: ups1 BZOFF", "  answer: (OK", f"  id: {gantry.seen[1].body['id']}"]
    assert result.stdout.splitlines() == shown
    assert gantry.real.devices["ups1"].told == [("BZOFF", {})]
    assert _sent(gantry) == {"target": "ups1", "command": "BZOFF", "args": {}}


def test_options_become_arguments(ctl: Ctl, gantry: FakeGantry) -> None:
    """Unknown options are the arguments, typed as the command takes them, by its own names."""
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
    """A text argument stays as it was typed: a number, a dash, an option behind `=`."""
    for typed in ("16000", "-", "@x", "true"):
        gantry.seen.clear()
        ctl("command", "ups1", "query", "--cmd", typed)
        assert _sent(gantry)["args"] == {"cmd": typed}
    gantry.seen.clear()
    ctl("command", "ups1", "query", "--cmd=--yes")
    assert _sent(gantry) == {"target": "ups1", "command": "query", "args": {"cmd": "--yes"}}


def test_types(ctl: Ctl, gantry: FakeGantry) -> None:
    """Whole numbers may be hexadecimal; true and false have several names."""
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
    """A value of another type is refused here, with its name and the type that is wanted."""
    for option in ("--mamps=1.5", "--share=nan", "--share=x", "--force=2", "--flags=[", "--mamps="):
        result = ctl("command", "cfos", "override", "--dev_id=E1", option)
        _not_sent(gantry, result)
        assert option.partition("=")[0] in result.stderr
        assert "is not of the type" in result.stderr
        assert "类型" in ctl("command", "cfos", "override", "--dev_id=E1", option, lang="zh").stderr


def test_incomplete_arguments(ctl: Ctl, gantry: FakeGantry) -> None:
    """A value that is missing, or given twice, is refused."""
    for args, said in [
        (["--dev_id"], "--dev_id needs a value"),
        (["--dev_id", "--mamps", "5"], "--dev_id needs a value"),
        (["--dev_id=1", "--dev-id=2"], "--dev_id is given twice"),
    ]:
        result = ctl("command", "cfos", "override", *args)
        _not_sent(gantry, result)
        assert said in result.stderr


def test_ambiguous_name(ctl: Ctl, gantry: FakeGantry) -> None:
    """Of two arguments that are alike, only the exact name is taken."""
    document = gantry.document("/api/v1/commands")
    arguments = document["devices"][2]["commands"][0]["arguments"]
    arguments.append({**arguments[0], "name": "devId"})
    gantry.says("GET", "/api/v1/commands", document)
    _not_sent(gantry, ctl("command", "cfos", "override", "--dev-id", "1"))
    gantry.seen.clear()
    ctl("command", "cfos", "override", "--dev_id", "1", "--devId", "2")
    assert _sent(gantry)["args"] == {"dev_id": "1", "devId": "2"}


def test_id_and_expiry(ctl: Ctl, gantry: FakeGantry) -> None:
    """An id and an expiry are handed on."""
    ctl("command", "ups1", "BZOFF", "--id", "again-1", "--expires", "2.5")
    assert gantry.seen[1].body["id"] == "again-1"
    assert gantry.seen[1].body["expires"] == 2.5


# -- dangers


def test_confirmed(ctl: Ctl, gantry: FakeGantry, person: None) -> None:
    """A dangerous command names what happens, and a yes is sent along."""
    for lang, typed, question in [
        ("en", "y\n", "SOFF on ups1 (output off) darkens the gantry. Do it? [y/N] "),
        ("en", "YES\n", "Do it?"),
        ("zh", "是\n", "在 ups1 上执行 SOFF（关闭输出）：darkens the gantry。确认执行？"),
    ]:
        gantry.seen.clear()
        result = ctl("command", "ups1", "SOFF", lang=lang, typed=typed)
        assert result.exit_code == 0
        assert question in result.stderr
        assert _sent(gantry) == {"target": "ups1", "command": "SOFF", "args": {}, "confirm": True}


def test_not_confirmed(ctl: Ctl, gantry: FakeGantry, person: None) -> None:
    """Whatever is no yes is a no: exit code 1, and nothing is sent."""
    for typed in ("n\n", "\n", "", "yess\n", "no y\n"):
        result = ctl("command", "ups1", "SOFF", typed=typed)
        _not_sent(gantry, result)
        assert "not done: it was not confirmed" in result.stderr
        assert result.stdout == ""


def test_nobody_to_ask(ctl: Ctl, gantry: FakeGantry) -> None:
    """Without a terminal a dangerous command needs --yes: a `y` on a pipe is none."""
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
    """A locked command is left to the gantry to refuse and write down; it is not confirmed."""
    refusal = {"id": "c2", "result": "refused", "detail": "SOFF is locked", "value": None}
    gantry.says("POST", "/api/v1/commands", refusal)
    result = ctl("command", "ups2", "SOFF")
    assert result.exit_code == 1
    assert _sent(gantry) == {"target": "ups2", "command": "SOFF", "args": {}}
    assert "refused: ups2 SOFF" in result.stdout
    assert "SOFF is locked" in result.stdout


# -- secrets


def test_secret_of_a_file(ctl: Ctl, gantry: FakeGantry, tmp_path: Path) -> None:
    """A secret is read from a file, without its line end."""
    path = tmp_path / "new"
    path.write_text(SECRET + "\r\n")
    result = ctl("command", "ups1", "set-password", "--new", f"@{path}")
    assert _sent(gantry)["args"] == {"new": SECRET}
    assert SECRET not in result.output


def test_secret_of_a_pipe(ctl: Ctl, gantry: FakeGantry) -> None:
    """A secret is read as a line of the input where there is no terminal."""
    result = ctl("command", "ups1", "set-password", "--new", "-", typed=SECRET + "\nmore\n")
    assert _sent(gantry)["args"] == {"new": SECRET}
    assert SECRET not in result.output


def test_secret_of_a_person(ctl: Ctl, gantry: FakeGantry, person: None) -> None:
    """A person is asked twice; what is typed is not shown."""
    result = ctl("command", "ups1", "set-password", "--new", "-", typed=f"{SECRET}\n{SECRET}\n")
    assert _sent(gantry)["args"] == {"new": SECRET}
    assert "new (not shown): " in result.stderr
    assert "new once more: " in result.stderr
    assert SECRET not in result.output


def test_bad_secrets(ctl: Ctl, gantry: FakeGantry, person: None, tmp_path: Path) -> None:
    """A secret that is empty, typed differently, or in no file is refused and not shown."""
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
    """A secret on the command line is refused, as everyone can see it, and not repeated."""
    for option in (["--new", SECRET], [f"--new={SECRET}"], ["--arg", f"new={SECRET}"]):
        for lang, said in (("en", "others can see a command line"), ("zh", "命令行他人可见")):
            result = ctl("command", "ups1", "set-password", *option, lang=lang)
            _not_sent(gantry, result)
            assert said in result.stderr
            assert SECRET not in result.output


def test_secret_of_a_wrong_type(ctl: Ctl, gantry: FakeGantry) -> None:
    """A secret that is no number where one is wanted is not shown in the complaint."""
    args = ("command", "cfos", "override", "--dev_id=1", "--pin", "-")
    result = ctl(*args, typed=SECRET + "\n")
    _not_sent(gantry, result)
    assert "--pin: '***' is not of the type integer" in result.stderr
    assert SECRET not in result.output


# -- outcomes


def test_outcomes(ctl: Ctl, gantry: FakeGantry) -> None:
    """Exit code 0 is done, 1 failed or refused or what nobody knows, 3 a timeout."""
    for outcome, code, chinese in [
        ("done", 0, "完成：ups1 BZOFF"),
        ("failed", 1, "失败：ups1 BZOFF"),
        ("refused", 1, "被拒绝：ups1 BZOFF"),
        ("timeout", 3, "超时：ups1 BZOFF"),
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
    """An answer that is lost after the command was sent is exit code 3, with the id to ask by."""
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
    """A request that the API refuses was not done: exit code 1, without doubt about it."""
    error = {"error": {"code": "bad-request", "message": "id: too long"}}
    gantry.says("POST", "/api/v1/commands", error, 400)
    result = ctl("command", "ups1", "BZOFF")
    assert result.exit_code == 1
    assert "id: too long" in result.stderr
    assert "Outcome unknown" not in result.stderr


def test_waits_for_its_expiry(
    ctl: Ctl, gantry: FakeGantry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command is waited for until it has expired and a little longer, whatever --timeout is."""
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
    """A gantry that takes a command and falls silent is exit code 3."""
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
