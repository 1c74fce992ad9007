"""`status`, `points`, `alarms`, `audit`: in both languages, for people and for programs."""

import json
import re
from collections.abc import Callable

import pytest
from click.testing import Result
from rich.cells import cell_len

from tests.ctl.conftest import Ctl, FakeGantry
from tests.ctl.real import RealApi
from twisted_gantry.core.alarms import Severity
from twisted_gantry.ctl.session import Session

_ANSI = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def _on_terminal(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(Session, "on_terminal", staticmethod(lambda: True))
    monkeypatch.setenv("COLUMNS", str(width))
    monkeypatch.setenv("TERM", "xterm-256color")


def _cells(result: Result) -> str:
    """Return all that is shown, without the breaks of lines and of folds."""
    return re.sub(r"\s", "", _ANSI.sub("", result.stdout))


# -- status


def test_status_in_order(ctl: Ctl) -> None:
    """All online and no alarm: exit code 0, with the ledger to the last digit."""
    result = ctl("status")
    assert result.exit_code == 0
    for shown in (
        "Gantry G000211001002110010  演示门架 demo gantry",
        "Version 0.1.0, started 2026-10-12T08:00:00.000+08:00",
        "Health: ok",
        "ups1    ups-card       online  2026-10-12T08:00:01.250+08:00  –",
        "etc     123456789  123456782       0          3        4  7654321  –",
        "No active alarm.",
    ):
        assert shown in result.stdout


def test_status_in_chinese(ctl: Ctl) -> None:
    """The same in Chinese, headers and states too."""
    result = ctl("status", lang="zh")
    assert result.exit_code == 0
    for shown in ("门架 G000211001002110010", "健康状况：正常", "设备  类型", "在线", "已送达"):
        assert shown in result.stdout
    assert "没有当前告警。" in result.stdout
    assert not {"Device", "State", "online", "Queued"} & set(result.stdout.split())


def test_status_of_trouble(ctl: Ctl, gantry: FakeGantry) -> None:
    """Whatever is wrong is named: errors, alarms, the reasons and notes of the health."""
    gantry.real.fail()
    gantry.real.add_reports()
    gantry.real.raise_alarm()
    health = {"status": "failing", "reasons": ["the disk is full"], "notes": ["ups1 is offline"]}
    gantry.says("GET", "/healthz", health, 503)
    result = ctl("status")
    assert result.exit_code == 1
    for shown in (
        "Health: failing",
        "reason: the disk is full",
        "note: ups1 is offline",
        "offline",
        "no connection to tcp:192.168.1.20:2390: the connection was refused",
        "1005 the platform does not know this gantry",
        "2026-10-12T09:20:00.000+08:00",
        "ups1.mains-abnormal  critical  mains abnormal",
    ):
        assert shown in result.stdout
    assert gantry.seen[1].query == {"active": "1"}


@pytest.mark.parametrize(
    "happens",
    [
        lambda real: real.devices["ups1"].status.offline("gone"),
        lambda real: real.etc.status.offline("gone"),
        lambda real: real.raise_alarm(),
        lambda real: real.site.alarms.set("store.failed", Severity.CRITICAL, "full", "已满"),
    ],
    ids=["device", "uplink", "alarm", "health"],
)
def test_status_exit_code(ctl: Ctl, gantry: FakeGantry, happens: Callable[[RealApi], None]) -> None:
    """Each single thing that is wrong makes the exit code 1, in JSON too."""
    happens(gantry.real)
    assert ctl("status").exit_code == 1
    result = ctl("status", "--json")
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (1, False)


def test_status_json(ctl: Ctl, gantry: FakeGantry) -> None:
    """For programs: the answers as they came, and whether all is well."""
    result = ctl("status", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "ok": True,
        "site": gantry.document("/api/v1/site"),
        "alarms": [],
        "health": {"status": "ok", "reasons": [], "notes": []},
    }


def test_status_when_the_store_cannot_tell(ctl: Ctl, gantry: FakeGantry) -> None:
    """What the store cannot tell is shown as nothing, not as zero."""
    gantry.real.db.execute("DROP TABLE ledger")
    result = ctl("status")
    assert result.exit_code == 0
    assert re.search(r"^etc( +–){7}$", result.stdout, re.MULTILINE)


def test_status_of_an_empty_site(ctl: Ctl, gantry: FakeGantry) -> None:
    """A site without devices and uplinks says so."""
    gantry.real.site.devices.clear()
    gantry.real.site.uplinks.clear()
    assert ctl("status").stdout.count("None is configured.") == 2
    assert ctl("status", lang="zh").stdout.count("没有配置。") == 2


@pytest.mark.parametrize(
    ("lang", "hint"),
    [("en", "Is the gantry running? --url"), ("zh", "门架程序是否在运行？用 --url")],
)
def test_unreachable(ctl: Ctl, lang: str, hint: str) -> None:
    """Where no gantry is, the exit code of each command is 2, and the message says what to do."""
    for command in ("status", "points", "alarms", "audit", "outbox", "outbox retry", "command"):
        result = ctl("--url", "unix:/nonexistent/api", *command.split(), lang=lang)
        assert (result.exit_code, result.stdout) == (2, "")
        assert hint in result.stderr
        assert "unix:/nonexistent/api" in result.stderr


def test_unreachable_json(ctl: Ctl) -> None:
    """For programs an error is JSON too, and the exit code stays."""
    result = ctl("--url", "unix:/nonexistent/api", "--json", "status")
    error = json.loads(result.stdout)["error"]
    assert (result.exit_code, error["code"]) == (2, "cannot-connect")
    assert "Is the gantry running?" in error["message"]
    assert result.stderr == ""


# -- points


def test_points(ctl: Ctl, gantry: FakeGantry) -> None:
    """Values keep all their digits, units, qualities and times; what is missing is a dash."""
    result = ctl("points")
    assert result.exit_code == 0
    rows = [re.split(r"  +", line) for line in result.stdout.splitlines()]
    assert rows[0] == ["Point", "Value", "Unit", "Quality", "Time", "Label"]
    time = "2026-10-12T10:00:00.123+08:00"
    assert rows[1] == [
        "ups1.input_voltage_r",
        "220.123456789",
        "V",
        "good",
        time,
        "Input voltage R",
    ]
    assert rows[3][:5] == ["ups1.fault_voltage", "–", "V", "not-supported", "–"]
    assert rows[4][:3] == ["ups1.mains_abnormal", "yes", "good"]
    assert rows[5][1] == "9007199254740993"
    assert gantry.seen[0].query == {}


def test_points_in_chinese(ctl: Ctl) -> None:
    """Names, qualities and yes are Chinese."""
    rows = [re.split(r"  +", line) for line in ctl("points", lang="zh").stdout.splitlines()]
    assert rows[0] == ["测点", "名称", "值", "单位", "质量", "时间"]
    assert rows[2][1:5] == ["额定电池电压", "192.0", "V", "读取失败"]
    assert rows[4][1:3] == ["市电异常", "是"]


def test_points_prefix(ctl: Ctl, gantry: FakeGantry) -> None:
    """A prefix is handed to the gantry; the JSON is its answer as it came."""
    result = ctl("points", "ups1.", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        gantry.document("/api/v1/points?prefix=ups1."),
    )
    assert gantry.seen[0].query == {"prefix": "ups1."}


@pytest.mark.parametrize(("lang", "said"), [("en", "No point begins"), ("zh", "没有以 'x' 开头")])
def test_no_such_points(ctl: Ctl, gantry: FakeGantry, lang: str, said: str) -> None:
    """A prefix of no point is told, and is exit code 1, in JSON too."""
    gantry.says("GET", "/api/v1/points", {"points": []})
    result = ctl("points", "x", lang=lang)
    assert result.exit_code == 1
    assert said in result.stderr
    result = ctl("points", "x", "--json", lang=lang)
    assert (result.exit_code, json.loads(result.stdout)) == (1, {"points": []})


def test_no_points(ctl: Ctl, gantry: FakeGantry) -> None:
    """A site without points is no error."""
    gantry.says("GET", "/api/v1/points", {"points": []})
    result = ctl("points")
    assert (result.exit_code, result.stdout) == (0, "No point.\n")


# -- alarms and audit


def test_alarms(ctl: Ctl, gantry: FakeGantry) -> None:
    """Alarms are shown with when they were raised and cleared, in the language of the reader."""
    gantry.real.raise_and_clear()
    gantry.real.raise_alarm()
    result = ctl("alarms")
    assert result.exit_code == 0
    assert re.search(r"mains abnormal +2026-10-12T10:00:30\S+ +–$", result.stdout, re.MULTILINE)
    assert "2026-10-12T10:00:00.123+08:00  2026-10-12T10:00:30.123+08:00" in result.stdout
    assert gantry.seen[0].query == {}
    chinese = ctl("alarms", lang="zh").stdout
    assert re.search(r"ups1\.on-raw-mains +警告 +负载由旁路供电", chinese)
    assert json.loads(ctl("alarms", "--json").stdout) == gantry.document("/api/v1/alarms")


@pytest.mark.parametrize(
    ("lang", "all_said", "active_said"),
    [("en", "No alarm.\n", "No active alarm.\n"), ("zh", "没有告警。\n", "没有当前告警。\n")],
)
def test_no_alarms(
    ctl: Ctl, gantry: FakeGantry, lang: str, all_said: str, active_said: str
) -> None:
    """No alarm is said as such; `--active` asks for those that last."""
    assert ctl("alarms", lang=lang).stdout == all_said
    assert ctl("alarms", "--active", lang=lang).stdout == active_said
    assert [seen.query for seen in gantry.seen] == [{}, {"active": "1"}]


def test_audit(ctl: Ctl, gantry: FakeGantry) -> None:
    """The audit shows who, what, with which arguments, and how it ended."""
    result = ctl("audit", "--limit", "2")
    assert result.exit_code == 0
    assert gantry.seen[0].query == {"limit": "2"}
    rows = [re.split(r"  +", line) for line in result.stdout.splitlines()]
    assert rows[0] == ["Time", "Who", "Target", "Command", "Arguments", "Result", "Detail"]
    assert rows[1][1:6] == ["api 127.0.0.1 operator", "ups1", "query", '{"cmd":"QRI"}', "done"]
    assert rows[2][4:6] == ['{"new":"***"}', "timeout"]
    assert "超时" in ctl("audit", lang="zh").stdout
    assert json.loads(ctl("audit", "--json").stdout) == gantry.document("/api/v1/audit")


def test_empty_audit(ctl: Ctl, gantry: FakeGantry) -> None:
    """An empty audit is said as such."""
    gantry.real.db.execute("DELETE FROM audit")
    assert ctl("audit").stdout == "The audit is empty.\n"
    assert ctl("audit", lang="zh").stdout == "审计记录为空。\n"


# -- how it looks


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_widths(
    ctl: Ctl, gantry: FakeGantry, monkeypatch: pytest.MonkeyPatch, lang: str, width: int
) -> None:
    """On a terminal of any width, no line is wider, and nothing is lost that is not said."""
    gantry.real.fail()
    gantry.real.add_reports()
    gantry.real.raise_and_clear()
    gantry.real.raise_alarm()
    _on_terminal(monkeypatch, width)
    shown = {command: ctl(command, lang=lang) for command in ("status", "alarms", "audit")}
    shown["outbox"] = ctl("outbox", lang=lang)
    shown["command"] = ctl("command", lang=lang)
    shown["points"] = ctl("points", lang=lang)
    for result in shown.values():
        for line in _ANSI.sub("", result.stdout).splitlines():
            assert cell_len(line.rstrip()) <= width
    if width >= 80:
        assert "123456789" in _cells(shown["status"])
        assert "2026-10-12T10:00:30.123+08:00" in _cells(shown["alarms"])
        assert "remotecontrol10.0.0.7" in _cells(shown["audit"])
        assert "9007199254740993" in _cells(shown["points"])
        assert "cabinetStatusUpdate" in _cells(shown["outbox"])
        assert "[--pin=-|@FILE]" in _cells(shown["command"])


def test_left_out_is_said(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns for which a terminal has no room are named below the table."""
    _on_terminal(monkeypatch, 80)
    assert "Not shown, too narrow: Time, Label." in _ANSI.sub("", ctl("points").stdout)
    assert "终端较窄，未显示：时间。" in _ANSI.sub("", ctl("points", lang="zh").stdout)
    _on_terminal(monkeypatch, 160)
    assert "Not shown" not in ctl("points").stdout


def test_colours_on_a_terminal_alone(
    ctl: Ctl, gantry: FakeGantry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Colours are for a terminal: not for a pipe even if forced, not where NO_COLOR is set."""
    gantry.real.raise_alarm()
    assert "\x1b" not in ctl("alarms", env={"FORCE_COLOR": "1", "TERM": "xterm-256color"}).stdout
    _on_terminal(monkeypatch, 120)
    assert "\x1b[1;31mcritical\x1b[0m" in ctl("alarms").stdout
    assert "\x1b[1;31m" not in ctl("alarms", env={"NO_COLOR": "1"}).stdout


def test_no_wrapping_in_a_pipe(ctl: Ctl, gantry: FakeGantry) -> None:
    """Where there is no terminal, a row is a line, however long, and COLUMNS does not matter."""
    long = "word " * 500
    gantry.real.raise_alarm(long)
    result = ctl("alarms", env={"COLUMNS": "20"})
    assert long.strip() in result.stdout
    assert len(result.stdout.splitlines()) == 2


def test_control_characters(ctl: Ctl, gantry: FakeGantry) -> None:
    """What a device says cannot command the terminal: it is spelled out, in JSON escaped."""
    evil = "\x1b]0;owned\x07\r\n\x9b2J[red]x[/red]\u202e"
    [point, *_] = gantry.document("/api/v1/points")["points"]
    point |= {"value": evil, "unit": evil, "quality": evil}
    document = {"points": [{**point, "label": {"en": evil, "zh": evil}}]}
    gantry.says("GET", "/api/v1/points", document)
    shown = ctl("points").stdout
    assert r"\x1b]0;owned\x07\r\n\x9b2J[red]x[/red]\u202e" in shown
    assert not {"\x1b", "\x07", "\x9b", "\u202e", "\r"} & set(shown)
    raw = ctl("points", "--json").stdout
    assert json.loads(raw) == document
    assert raw.isascii()
    assert "\x1b" not in raw


def test_json_keeps_chinese(ctl: Ctl) -> None:
    """JSON shows Chinese as it is."""
    assert "输入电压R" in ctl("--json", "points").stdout


def test_odd_answers(ctl: Ctl, gantry: FakeGantry) -> None:
    """JSON of another shape is told apart from an answer, with the place that is wrong."""
    cases: list[tuple[str, str, object]] = [
        ("points", "points", {"points": 5}),
        ("points", "points", {}),
        ("points", "points", {"points": [{"point": 7}]}),
        ("alarms", "alarms", {"alarms": [None]}),
        ("status", "site", {"gantryId": "G"}),
        ("audit", "audit", {"entries": {}}),
        ("outbox", "outbox", {"reports": [{"id": "x"}]}),
        ("command", "commands", {"devices": [{"target": "ups1"}]}),
    ]
    for command, path, document in cases:
        gantry.says("GET", f"/api/v1/{path}", document)
        for lang, said in (("en", "a malformed answer"), ("zh", "不符合接口")):
            result = ctl(command, lang=lang)
            assert result.exit_code == 1
            assert said in result.stderr
        result = ctl(command, "--json")
        assert json.loads(result.stdout)["error"]["code"] == "odd-answer"


def test_errors_are_explained(ctl: Ctl, gantry: FakeGantry) -> None:
    """An error answer is exit code 1, with what the gantry says."""
    for body, status, said in [
        (b"<html>502</html>", 502, "without a JSON object"),
        (b'{"error": {"code": "internal", "message": "see the log"}}', 500, "see the log"),
        (b'{"error": {"code": "unauthorized", "message": "?"}}', 401, "GANTRY_PASSWORD"),
    ]:
        gantry.says("GET", "/api/v1/audit", body, status)
        result = ctl("audit")
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr
