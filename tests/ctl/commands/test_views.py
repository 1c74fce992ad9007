"""`status`, `points`, `alarms`, `audit`: in both languages, for people and programs."""

import json
import re
from collections.abc import Callable

import pytest
from click.testing import Result
from rich.cells import cell_len

from tests.ctl.conftest import Ctl, FakeGantry, on_terminal, rows_of, without_colours
from tests.ctl.real import RealApi
from tests.web.small_site import FakeBridge
from twisted_gantry import __version__
from twisted_gantry.core.alarms import Severity


def _cells(result: Result) -> str:
    """Return the output without line breaks and folds."""
    return re.sub(r"\s", "", without_colours(result.stdout))


# -- status


def test_status_in_order(ctl: Ctl) -> None:
    """All online and no alarm: exit code 0; the ledger has all digits; both languages."""
    result = ctl("status")
    assert result.exit_code == 0
    for shown in (
        "Gantry G000211001002110010  演示门架 demo gantry",
        f"Version {__version__}, started 2026-10-12 08:00:00",
        "Health: ok",
        "ups1    ups-card       online  2026-10-12 08:00:01  –",
        "etc     123456789  123456782       0          3        4  7654321  –",
        "No active alarm.",
    ):
        assert shown in result.stdout
    result = ctl("status", lang="zh")
    for shown in ("门架 G000211001002110010", "健康状况：正常", "设备  类型", "在线", "已送达"):
        assert shown in result.stdout
    assert "没有当前告警。" in result.stdout
    assert not {"Device", "State", "online", "Queued"} & set(result.stdout.split())


def test_status_of_trouble(ctl: Ctl, gantry: FakeGantry) -> None:
    """Errors, alarms, and the reasons and notes of the health are shown."""
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
        "2026-10-12 09:20:00",
        "ups1.mains-abnormal  critical  mains abnormal",
    ):
        assert shown in result.stdout
    assert gantry.seen[1].query == {"active": "1"}
    assert "提示：ups1 离线" in ctl("--lang", "zh", "status").stdout


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
    """Each single problem makes the exit code 1, in JSON too."""
    happens(gantry.real)
    assert ctl("status").exit_code == 1
    result = ctl("status", "--json")
    assert (result.exit_code, json.loads(result.stdout)["ok"]) == (1, False)


def test_status_json(ctl: Ctl, gantry: FakeGantry) -> None:
    """JSON holds the answers of the gantry, and whether all is in order."""
    result = ctl("status", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout) == {
        "ok": True,
        "site": gantry.document("/api/v1/site"),
        "alarms": [],
        "health": {"status": "ok", "reasons": [], "notes": []},
    }


def test_status_when_the_store_cannot_tell(ctl: Ctl, gantry: FakeGantry) -> None:
    """Numbers that the store cannot give are shown as a dash, not as zero."""
    gantry.real.db.execute("DROP TABLE ledger")
    result = ctl("status")
    assert result.exit_code == 0
    assert re.search(r"^etc( +–){7}$", result.stdout, re.MULTILINE)


def test_status_of_a_bridge(ctl: Ctl, gantry: FakeGantry) -> None:
    """A bridge has a row of its own; one that is offline makes the exit code 1."""
    bridge = gantry.real.site.bridges["mqtt"] = FakeBridge("mqtt", gantry.real.now)
    bridge.status.online()
    result = ctl("status")
    assert result.exit_code == 0
    assert re.search(r"^mqtt +online +\S+ \S+ +1 +3 +–$", result.stdout, re.MULTILINE)
    bridge.status.offline("the broker refuses the password (code 5)")
    result = ctl("status", lang="zh")
    assert result.exit_code == 1
    assert "the broker refuses the password (code 5)" in result.stdout


def test_status_of_an_empty_site(ctl: Ctl, gantry: FakeGantry) -> None:
    """A site without devices and uplinks is shown as such."""
    gantry.real.site.devices.clear()
    gantry.real.site.uplinks.clear()
    assert ctl("status").stdout.count("None is configured.") == 2
    assert ctl("status", lang="zh").stdout.count("没有配置。") == 2


def test_unreachable(ctl: Ctl) -> None:
    """Without a gantry the exit code of each command is 2, and the error says what to do."""
    url = "unix:/nonexistent/api"
    for command in ("status", "points", "alarms", "audit", "outbox", "outbox retry", "command"):
        for lang, hint in (("en", "Is the gantry running? --url"), ("zh", "是否在运行？用 --url")):
            result = ctl("--url", url, *command.split(), lang=lang)
            assert (result.exit_code, result.stdout) == (2, "")
            assert hint in result.stderr
            assert url in result.stderr
    result = ctl("--url", url, "--json", "status")
    error = json.loads(result.stdout)["error"]
    assert (result.exit_code, error["code"]) == (2, "cannot-connect")
    assert "Is the gantry running?" in error["message"]
    assert result.stderr == ""


# -- points


def test_points(ctl: Ctl, gantry: FakeGantry) -> None:
    """Values have all digits, units, qualities and times, in both languages; no value: a dash."""
    result = ctl("points")
    assert result.exit_code == 0
    rows = rows_of(result.stdout)
    assert rows[0] == ["Point", "Value", "Unit", "Quality", "Time", "Label"]
    time = "2026-10-12 10:00:00"
    assert rows[1][:2] == ["ups1.input_voltage_r", "220.123"]
    assert rows[1][2:] == ["V", "good", time, "Input voltage R"]
    assert rows[3][:5] == ["ups1.fault_voltage", "–", "V", "not-supported", "–"]
    assert rows[4][:3] == ["ups1.mains_abnormal", "yes", "good"]
    assert rows[5][1] == "9007199254740993"
    assert gantry.seen[0].query == {}
    rows = rows_of(ctl("points", lang="zh").stdout)
    assert rows[0] == ["测点", "名称", "值", "单位", "质量", "时间"]
    assert rows[2][1:5] == ["额定电池电压", "192.0", "V", "读取失败"]
    assert rows[4][1:3] == ["市电异常", "是"]


def test_states_and_empty_texts(ctl: Ctl, gantry: FakeGantry) -> None:
    """A state has the word of the page in Chinese, an empty text a word and not a dash."""
    [first, *_] = gantry.document("/api/v1/points")["points"]
    given = {"ups1.state": "line", "cab1.state": "odd", "ups1.warnings": ""}
    points = [{**first, "point": name, "value": value} for name, value in given.items()]
    gantry.says("GET", "/api/v1/points", {"points": points})
    assert [row[2] for row in rows_of(ctl("points", lang="zh").stdout)[1:]] == ["市电", "odd", "无"]
    assert [row[1] for row in rows_of(ctl("points").stdout)[1:]] == ["line", "odd", "none"]


def test_points_prefix(ctl: Ctl, gantry: FakeGantry) -> None:
    """A prefix is sent to the gantry; JSON is the answer of the gantry, Chinese unescaped."""
    result = ctl("points", "ups1.", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (
        0,
        gantry.document("/api/v1/points?prefix=ups1."),
    )
    assert gantry.seen[0].query == {"prefix": "ups1."}
    assert "输入电压R" in result.stdout


def test_no_points(ctl: Ctl, gantry: FakeGantry) -> None:
    """A prefix without points is an error, in JSON too; a site without points is none."""
    gantry.says("GET", "/api/v1/points", {"points": []})
    for lang, said in (("en", "No point begins"), ("zh", "没有以 'x' 开头")):
        result = ctl("points", "x", lang=lang)
        assert result.exit_code == 1
        assert said in result.stderr
        result = ctl("points", "x", "--json", lang=lang)
        assert (result.exit_code, json.loads(result.stdout)) == (1, {"points": []})
    result = ctl("points")
    assert (result.exit_code, result.stdout) == (0, "No point.\n")


# -- alarms and audit


def test_alarms(ctl: Ctl, gantry: FakeGantry) -> None:
    """Alarms have the times of raising and clearing, and the language of the reader."""
    gantry.real.raise_and_clear()
    gantry.real.raise_alarm()
    result = ctl("alarms")
    assert result.exit_code == 0
    assert re.search(r"mains abnormal +2026-10-12 10:00:30 +–$", result.stdout, re.MULTILINE)
    assert "2026-10-12 10:00:00  2026-10-12 10:00:30" in result.stdout
    assert gantry.seen[0].query == {}
    chinese = ctl("alarms", lang="zh").stdout
    assert re.search(r"ups1\.on-raw-mains +警告 +负载由旁路供电", chinese)
    assert json.loads(ctl("alarms", "--json").stdout) == gantry.document("/api/v1/alarms")


def test_a_cause_is_one_line(ctl: Ctl, gantry: FakeGantry) -> None:
    """`status` and `alarms` show a cause and its consequences in one line, the worst on top."""
    alarms = gantry.real.site.alarms
    alarms.set("etc.channel", Severity.WARNING, "the platform is away", "平台中断")
    gantry.real.raise_and_clear()
    gantry.real.raise_alarm()
    alarms.set("cab1.smoke", Severity.WARNING, "smoke", "烟雾报警")
    alarms.set("cab1.mains-abnormal", Severity.CRITICAL, "mains abnormal", "市电异常")
    alarms.set("ups1.on-battery", Severity.WARNING, "on battery", "UPS电池放电")
    alarms.set("cab1.rectifier-fault", Severity.CRITICAL, "rectifier fault", "整流模块异常")
    names = ["cab1.smoke", "ups1.mains-abnormal", "etc.channel"]
    line = "mains abnormal, explains 3: cab1.mains-abnormal, ups1.on-battery, cab1.rectifier-fault"
    for command, ended in (("status", []), ("alarms", ["ups1.on-raw-mains"])):
        shown = ctl(command).stdout.split("Active alarms")[-1].splitlines()
        found = [text for text in shown if re.match(r"\w+\.", text)]
        assert [text.split()[0] for text in found] == [*names, *ended]
        assert line in found[1]
    assert (
        "市电异常，引起 3 条：cab1.mains-abnormal、ups1.on-battery"
        in ctl("status", lang="zh").stdout
    )
    # What explains them is over: each stands for itself.
    alarms.clear("ups1.mains-abnormal")
    alarms.clear("cab1.mains-abnormal")
    shown = ctl("alarms", "--active").stdout.splitlines()[1:]
    alone = ["cab1.smoke", "cab1.rectifier-fault", "ups1.on-battery", "etc.channel"]
    assert [text.split()[0] for text in shown] == alone


def test_no_alarms(ctl: Ctl, gantry: FakeGantry) -> None:
    """An empty list is shown as such; `--active` asks for active alarms only."""
    assert ctl("alarms").stdout == "No alarm.\n"
    assert ctl("alarms", "--active").stdout == "No active alarm.\n"
    assert ctl("alarms", lang="zh").stdout == "没有告警。\n"
    assert ctl("alarms", "--active", lang="zh").stdout == "没有当前告警。\n"
    assert [seen.query for seen in gantry.seen] == [{}, {"active": "1"}] * 2


def test_audit(ctl: Ctl, gantry: FakeGantry) -> None:
    """The audit shows who, the command, its arguments and its result."""
    result = ctl("audit", "--limit", "2")
    assert result.exit_code == 0
    assert gantry.seen[0].query == {"limit": "2"}
    rows = rows_of(result.stdout)
    assert rows[0] == ["Time", "Who", "Target", "Command", "Arguments", "Result", "Detail"]
    assert rows[1][1:6] == ["api 127.0.0.1 operator", "ups1", "query", '{"cmd":"QRI"}', "done"]
    assert rows[2][4:6] == ['{"new":"***"}', "timeout"]
    assert "结果未知" in ctl("audit", lang="zh").stdout
    assert json.loads(ctl("audit", "--json").stdout) == gantry.document("/api/v1/audit")


def test_empty_audit(ctl: Ctl, gantry: FakeGantry) -> None:
    """An empty audit is shown as such."""
    gantry.real.db.execute("DELETE FROM audit")
    assert ctl("audit").stdout == "The audit is empty.\n"
    assert ctl("audit", lang="zh").stdout == "审计记录为空。\n"


# -- how it looks


@pytest.mark.parametrize("lang", ["en", "zh"])
@pytest.mark.parametrize("width", [40, 80, 120])
def test_widths(
    ctl: Ctl, gantry: FakeGantry, monkeypatch: pytest.MonkeyPatch, lang: str, width: int
) -> None:
    """At any width of the terminal no line is wider, and no text is lost without a note."""
    gantry.real.fail()
    gantry.real.add_reports()
    gantry.real.raise_and_clear()
    gantry.real.raise_alarm()
    on_terminal(monkeypatch, width)
    commands = ("status", "alarms", "audit", "outbox", "command", "points")
    shown = {command: ctl(command, lang=lang) for command in commands}
    for result in shown.values():
        for line in without_colours(result.stdout).splitlines():
            assert cell_len(line.rstrip()) <= width
    if width >= 80:
        assert "123456789" in _cells(shown["status"])
        assert "2026-10-1210:00:30" in _cells(shown["alarms"])
        assert "remotecontrol10.0.0.7" in _cells(shown["audit"])
        assert "9007199254740993" in _cells(shown["points"])
        assert "cabinetStatusUpdate" in _cells(shown["outbox"])
        assert "[--pin=-|@FILE]" in _cells(shown["command"])


def test_left_out_is_said(ctl: Ctl, monkeypatch: pytest.MonkeyPatch) -> None:
    """Columns that do not fit are named below the table."""
    on_terminal(monkeypatch, 80)
    assert "Not shown, too narrow: Time, Label." in without_colours(ctl("points").stdout)
    assert "终端较窄，未显示：时间。" in without_colours(ctl("points", lang="zh").stdout)
    on_terminal(monkeypatch, 160)
    assert "Not shown" not in ctl("points").stdout


def test_colours_on_a_terminal_alone(
    ctl: Ctl, gantry: FakeGantry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Colours are for a terminal only: not for a pipe even if forced, not with NO_COLOR."""
    gantry.real.raise_alarm()
    assert "\x1b" not in ctl("alarms", env={"FORCE_COLOR": "1", "TERM": "xterm-256color"}).stdout
    on_terminal(monkeypatch, 120)
    assert "\x1b[1;31mcritical\x1b[0m" in ctl("alarms").stdout
    assert "\x1b[1;31m" not in ctl("alarms", env={"NO_COLOR": "1"}).stdout


def test_no_wrapping_in_a_pipe(ctl: Ctl, gantry: FakeGantry) -> None:
    """Without a terminal a row is one line of any length; COLUMNS does not matter."""
    long = "word " * 500
    gantry.real.raise_alarm(long)
    result = ctl("alarms", env={"COLUMNS": "20"})
    assert long.strip() in result.stdout
    assert len(result.stdout.splitlines()) == 2


def test_control_characters(ctl: Ctl, gantry: FakeGantry) -> None:
    """Control characters of a device are spelled out, in JSON escaped."""
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


def test_odd_answers(ctl: Ctl, gantry: FakeGantry) -> None:
    """JSON of a wrong shape is an error that names the wrong place."""
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
    """An error answer is exit code 1, with the message of the gantry."""
    for body, status, said in [
        (b"<html>502</html>", 502, "without a JSON object"),
        (b'{"error": {"code": "internal", "message": "see the log"}}', 500, "see the log"),
        (b'{"error": {"code": "unauthorized", "message": "?"}}', 401, "GANTRY_PASSWORD"),
    ]:
        gantry.says("GET", "/api/v1/audit", body, status)
        result = ctl("audit")
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr
