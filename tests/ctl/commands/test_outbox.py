"""`outbox`, `outbox retry` and `outbox drop`."""

import json
from typing import Any

import pytest

from tests.ctl.conftest import Ctl, FakeGantry, rows_of


def test_list(ctl: Ctl, gantry: FakeGantry) -> None:
    """`outbox` alone lists the stored reports, and why they were refused."""
    gantry.real.add_reports()
    result = ctl("outbox")
    assert result.exit_code == 0
    rows = rows_of(result.stdout)
    assert rows[0] == [
        *("Id", "Uplink", "Kind", "Subject", "State", "Created"),
        *("Urgent", "Tries", "Bytes", "Reason"),
    ]
    assert rows[1] == [
        *("41", "etc", "cabinetStatusUpdate", "1", "set-aside", "2026-10-12 09:10:00"),
        *("Urgent", "2", "1834", "1005 the platform refuses the field upsStatus"),
    ]
    assert rows[2][6:] == ["–", "0", "911", "–"]
    assert gantry.seen[0].query == {}
    rows = rows_of(ctl("outbox", lang="zh").stdout)
    assert rows[0][:5] == ["编号", "上报通道", "类型", "对象", "状态"]
    assert [rows[1][4], rows[2][4], rows[1][6]] == ["搁置", "待发", "紧急"]


def test_filters(ctl: Ctl, gantry: FakeGantry) -> None:
    """The filters are sent to the gantry."""
    gantry.real.add_reports()
    result = ctl("outbox", "--uplink", "etc", "--state", "set-aside", "--limit", "5", "--json")
    [report] = json.loads(result.stdout)["reports"]
    assert report["id"] == 41
    assert gantry.seen[0].query == {"uplink": "etc", "state": "set-aside", "limit": "5"}


def test_empty(ctl: Ctl) -> None:
    """An empty outbox is shown as such."""
    assert ctl("outbox").stdout == "No report is queued or set aside.\n"
    assert ctl("outbox", lang="zh").stdout == "没有待处理的上报。\n"


@pytest.mark.parametrize(
    ("args", "sent"),
    [
        (["retry"], {}),
        (["retry", "--uplink", "etc"], {"uplink": "etc"}),
        (["--uplink", "etc", "retry"], {"uplink": "etc"}),
        (["--uplink", "etc", "retry", "--uplink", "fogslink"], {"uplink": "fogslink"}),
        (["retry", "41", "42"], {"ids": [41, 42]}),
        (["retry", "--uplink", "etc", "41"], {"uplink": "etc", "ids": [41]}),
    ],
)
def test_retry(ctl: Ctl, gantry: FakeGantry, args: list[str], sent: Any) -> None:
    """`retry` names exactly the given reports, wherever --uplink stands."""
    gantry.says("POST", "/api/v1/outbox/retry", {"retried": 3})
    result = ctl("outbox", *args)
    assert (result.exit_code, result.stdout) == (0, "3 queued again.\n")
    assert gantry.asked() == [("POST", "/api/v1/outbox/retry")]
    assert gantry.seen[0].body == sent


def test_retry_in_chinese_and_json(ctl: Ctl, gantry: FakeGantry) -> None:
    """The result in Chinese, and as JSON wherever --json stands."""
    gantry.real.add_reports()
    assert ctl("outbox", "retry", lang="zh").stdout == "已重新排队 1 条。\n"
    for args in (["outbox", "retry", "--json"], ["outbox", "--json", "retry"]):
        assert json.loads(ctl(*args).stdout) == {"retried": 0}
    states = [each["state"] for each in gantry.document("/api/v1/outbox")["reports"]]
    assert (states, gantry.real.etc.retries) == (["queued", "queued"], 3)


def test_retry_less(ctl: Ctl, gantry: FakeGantry) -> None:
    """Named reports that were not queued again make the exit code 1."""
    gantry.says("POST", "/api/v1/outbox/retry", {"retried": 1})
    result = ctl("outbox", "retry", "41", "42", "42")
    assert result.exit_code == 1
    assert result.stdout.startswith("1 of 2 queued again")
    assert "2 条中有 1 条" in ctl("outbox", "retry", "41", "42", lang="zh").stdout
    assert ctl("outbox", "retry", "41", "42", "--json").exit_code == 1
    assert ctl("outbox", "retry", "41").exit_code == 0


@pytest.mark.parametrize("command", [["retry"], ["drop", "--all-set-aside", "--yes"]])
@pytest.mark.parametrize("option", [("--state", "set-aside"), ("--limit", "5")])
def test_no_filter(
    ctl: Ctl, gantry: FakeGantry, option: tuple[str, str], command: list[str]
) -> None:
    """A filter of the list is refused: more would be sent or dropped than was meant."""
    result = ctl("outbox", *option, *command)
    assert result.exit_code == 64
    assert "--state and --limit are for the list" in result.stderr
    assert not gantry.seen


def test_unknown_uplink(ctl: Ctl) -> None:
    """A refusal of the gantry is shown with its reason."""
    result = ctl("outbox", "retry", "--uplink", "x")
    assert result.exit_code == 1
    assert "there are: etc" in result.stderr
    result = ctl("outbox", "retry", "--uplink", "x", "--json")
    assert json.loads(result.stdout)["error"]["code"] == "no-such-uplink"


@pytest.mark.parametrize("args", [["--state", "sent"], ["--limit", "0"], ["retry", "0"], ["again"]])
def test_wrong_usage(ctl: Ctl, gantry: FakeGantry, args: list[str]) -> None:
    """Wrong usage is exit code 64, and the gantry is not asked."""
    assert ctl("outbox", *args).exit_code == 64
    assert not gantry.seen


# -- drop

DROP = "/api/v1/outbox/drop"


@pytest.fixture
def dropping(gantry: FakeGantry) -> FakeGantry:
    """Return a gantry that drops two reports."""
    gantry.says("POST", DROP, {"dropped": 2})
    return gantry


@pytest.mark.parametrize(
    ("args", "sent"),
    [
        (["drop", "41", "42"], {"ids": [41, 42]}),
        (["drop", "--all-set-aside"], {"allSetAside": True}),
        (["drop", "--all-set-aside", "--uplink", "etc"], {"allSetAside": True, "uplink": "etc"}),
        (["--uplink", "etc", "drop", "41"], {"ids": [41], "uplink": "etc"}),
    ],
)
def test_drop(ctl: Ctl, dropping: FakeGantry, args: list[str], sent: Any) -> None:
    """`drop --yes` names exactly the given reports, and confirms."""
    result = ctl("outbox", *args, "--yes")
    assert (result.exit_code, result.stdout) == (0, "2 dropped.\n")
    assert dropping.asked() == [("POST", DROP)]
    assert dropping.seen[0].body == {**sent, "confirm": True}


def test_drop_in_chinese_and_json(ctl: Ctl, dropping: FakeGantry) -> None:
    """The result in Chinese and as JSON; named reports that were not dropped are exit code 1."""
    assert ctl("outbox", "drop", "41", "42", "--yes", lang="zh").stdout == "已丢弃 2 条。\n"
    assert json.loads(ctl("outbox", "drop", "41", "--yes", "--json").stdout) == {"dropped": 2}
    result = ctl("outbox", "drop", "41", "42", "43", "--yes")
    assert (result.exit_code, "2 of 3 dropped" in result.stdout) == (1, True)


@pytest.mark.parametrize(
    ("answer", "done"), [("y\n", True), ("是\n", True), ("\n", False), ("x\n", False), ("", False)]
)
def test_drop_asks_first(
    ctl: Ctl, dropping: FakeGantry, person: None, answer: str, done: bool
) -> None:
    """At a terminal `drop` asks, and names what will be lost; any answer but yes is a no."""
    result = ctl("outbox", "drop", "42", "41", typed=answer)
    assert "Drop the reports 42, 41? They are lost for good" in result.stderr
    assert result.exit_code == (0 if done else 1)
    assert bool(dropping.seen) is done
    result = ctl("outbox", "drop", "--all-set-aside", lang="zh", typed=answer)
    assert "丢弃所有上报通道 被搁置的全部上报？" in result.stderr


def test_drop_needs_a_yes(ctl: Ctl, dropping: FakeGantry) -> None:
    """Without a terminal --yes is needed; the gantry is not asked."""
    result = ctl("outbox", "drop", "--all-set-aside")
    assert (result.exit_code, "--yes" in result.stderr) == (1, True)
    assert not dropping.seen


@pytest.mark.parametrize(
    "args", [["drop"], ["drop", "41", "--all-set-aside"], ["drop", "0"], ["drop", "x"]]
)
def test_drop_says_what(ctl: Ctl, dropping: FakeGantry, args: list[str]) -> None:
    """Ids or --all-set-aside are required: a missing argument drops no report."""
    assert ctl("outbox", *args, "--yes").exit_code == 64
    assert not dropping.seen


def test_show(ctl: Ctl, gantry: FakeGantry) -> None:
    """`show` prints the body of one report, and the answer for which the report was set aside."""
    report = {
        "id": 41,
        "uplink": "etc",
        "kind": "cabinetStatusUpdate",
        "state": "set-aside",
        "reason": "1002 参数有误",
        "body": '{"gantryId":"G1","cabinetStatus":{"id":"1"}}',
        "answer": '{"code":"1002","msg":"\u202e***"}',
    }
    gantry.says("GET", "/api/v1/outbox", {"reports": [report]})
    result = ctl("outbox", "show", "41")
    assert result.exit_code == 0
    assert gantry.seen[0].query == {"id": "41", "bodies": "1"}
    lines = result.stdout.splitlines()
    assert lines[1:4] == [
        "Reason: 1002 参数有误",
        'Answer: {"code":"1002","msg":"\\u202e***"}',
        "Body:",
    ]
    assert '  "gantryId": "G1",' in lines
    assert json.loads(ctl("outbox", "show", "41", "--json").stdout) == report


def test_show_the_real_thing(ctl: Ctl, gantry: FakeGantry) -> None:
    """A report of the real API is shown; a number that does not exist is exit code 1."""
    gantry.real.add_reports()
    assert "1005 the platform refuses" in ctl("outbox", "show", "41").stdout
    result = ctl("outbox", "show", "4711", lang="zh")
    assert (result.exit_code, result.stdout) == (1, "没有编号为 4711 的待发或搁置的上报。\n")
