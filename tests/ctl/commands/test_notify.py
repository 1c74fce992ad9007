"""`notify list` and `notify test`."""

import json
from typing import Any

import pytest

from tests.ctl.conftest import Ctl, FakeGantry, rows_of

PATH = "/api/v1/notify/test"
LEDGER = {"created": 7, "delivered": 5, "queued": 1, "setAside": 1, "dropped": 0, "bytes": 9}


@pytest.fixture
def called(gantry: FakeGantry) -> FakeGantry:
    """A gantry with a target."""
    site: dict[str, Any] = gantry.document("/api/v1/site")
    site["notify"] = [
        {
            "name": "duty",
            "kind": "webhook",
            "state": "offline",
            "lastError": "hook.example answers HTTP 503",
            "ledger": LEDGER,
        }
    ]
    gantry.says("GET", "/api/v1/site", site)
    return gantry


def test_list(ctl: Ctl, called: FakeGantry) -> None:
    """Each target has its kind, state, ledger and last error; one that is offline is an error."""
    result = ctl("notify", "list")
    assert result.exit_code == 1
    rows = rows_of(result.stdout)
    assert rows[1] == [
        *("duty", "webhook", "offline", "7", "5", "1", "1", "0", "–"),
        "hook.example answers HTTP 503",
    ]
    assert json.loads(ctl("notify", "list", "--json").stdout)["notify"][0]["ledger"] == LEDGER
    assert "离线" in ctl("notify", "list", lang="zh").stdout


def test_status_shows_the_targets(ctl: Ctl, called: FakeGantry) -> None:
    """`status` has a section of the targets; one that is offline is not in order."""
    shown = ctl("status", lang="zh")
    assert shown.exit_code == 1
    section = shown.stdout.partition("告警通知\n")[2]
    assert rows_of(section)[1][:3] == ["duty", "webhook", "离线"]


def test_nobody(ctl: Ctl) -> None:
    """Without a target that is said."""
    result = ctl("notify", "list")
    assert (result.exit_code, result.stdout) == (
        0,
        "Nobody is called: there is no [[notify]].\n",
    )


def test_test(ctl: Ctl, called: FakeGantry) -> None:
    """The outcome is told with its reason, and is the exit code."""
    called.says("POST", PATH, {"name": "duty", "result": "done", "detail": None})
    result = ctl("notify", "test", "duty")
    assert (result.exit_code, result.stdout) == (0, "duty took the test message.\n")
    assert called.seen[-1].body == {"name": "duty"}
    called.says("POST", PATH, {"name": "duty", "result": "failed", "detail": "HTTP 500"})
    result = ctl("notify", "test", "duty")
    assert (result.exit_code, result.stdout) == (
        1,
        "duty did not take the test message: HTTP 500\n",
    )
    assert "未收到测试通知：HTTP 500" in ctl("notify", "test", "duty", lang="zh").stdout
    assert json.loads(ctl("notify", "test", "duty", "--json").stdout)["detail"] == "HTTP 500"


def test_an_unknown_target(ctl: Ctl) -> None:
    """The gantry names its targets."""
    result = ctl("notify", "test", "boss")
    assert result.exit_code == 1
    assert "no-such-target" in result.stderr
