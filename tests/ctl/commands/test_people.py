"""`gantryctl ack`, `unack`, `shelve`, `unshelve`, `maintenance`, and the filters of `alarms`."""

import json
import re
from typing import Any

import pytest

from tests.ctl.conftest import Ctl, FakeGantry, rows_of
from twisted_gantry.core.alarms import Severity

NAME = "ups1.overload"
AT = "2026-10-12T"
SHORT = r"(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d"
"""A time as people read it: with its date unless that is today."""


@pytest.fixture(autouse=True)
def raised(gantry: FakeGantry) -> None:
    gantry.real.site.alarms.set(NAME, Severity.CRITICAL, "overload", "UPS过载")


def message(ctl: Ctl, lang: str = "en") -> str:
    return rows_of(ctl("alarms", "--active", lang=lang).stdout)[1][2]


def test_acknowledge(ctl: Ctl, gantry: FakeGantry) -> None:
    """`ack` and `unack` say what they did, and `alarms` shows who acknowledged, and the note."""
    result = ctl("ack", NAME, "--note", "on my way")
    assert (result.exit_code, result.stdout) == (0, f"{NAME}: acknowledged by local.\n")
    assert message(ctl) == "overload (acknowledged by local) (on my way)"
    assert message(ctl, "zh") == "UPS过载（local 已确认）（on my way）"
    assert ctl("unack", NAME).stdout == f"{NAME}: not acknowledged any more.\n"
    assert message(ctl) == "overload"
    answer = json.loads(ctl("ack", NAME, "--json").stdout)
    assert (answer["ackedBy"], answer["note"]) == ("local", None)


@pytest.mark.parametrize(
    ("given", "seconds"), [("90", 90), ("30m", 1800), ("1.5h", 5400), ("7d", 604_800)]
)
def test_shelve(ctl: Ctl, gantry: FakeGantry, given: str, seconds: float) -> None:
    """`shelve` takes seconds or a length, and `unshelve` ends it."""
    result = ctl("shelve", NAME, "--for", given, "--note", "known")
    assert (result.exit_code, gantry.seen[-1].body) == (
        0,
        {"alarm": NAME, "for": seconds, "note": "known"},
    )
    assert re.search(rf"nobody is called until {SHORT}\.$", result.stdout)
    assert re.search(rf"shelved until {SHORT}\)", message(ctl))
    assert ctl("unshelve", NAME).stdout == f"{NAME}: people are called again.\n"


@pytest.mark.parametrize("given", ["0", "8d", "soon", "-5", "1w"])
def test_a_bad_length(ctl: Ctl, gantry: FakeGantry, given: str) -> None:
    """A length that is none, or too long, is wrong usage; nothing is asked of the gantry."""
    assert ctl("shelve", NAME, f"--for={given}").exit_code == 64
    assert gantry.seen == []


def test_refused(ctl: Ctl) -> None:
    """What the gantry refuses is told, and the exit code is 1."""
    result = ctl("ack", "ups1.never")
    assert (result.exit_code, "no-such-alarm" in result.stderr) == (1, True)


def test_maintenance(ctl: Ctl, gantry: FakeGantry) -> None:
    """`begin` and `end` change what `maintenance` lists."""
    assert ctl("maintenance").stdout == "No device is under maintenance.\n"
    result = ctl("maintenance", "begin", "ups1", "--for", "2h", "--note", "new battery")
    assert re.match(rf"ups1: under maintenance until {SHORT}; ", result.stdout)
    rows = rows_of(ctl("maintenance").stdout)
    assert rows[0] == ["Device", "Since", "Until", "By", "Note"]
    assert (rows[1][0], rows[1][3:]) == ("ups1", ["local", "new battery"])
    assert message(ctl) == "overload (under maintenance)"
    listed: dict[str, Any] = json.loads(ctl("maintenance", "--json").stdout)
    assert [each["device"] for each in listed["maintenance"]] == ["ups1"]
    assert ctl("maintenance", "end", "ups1").stdout == "ups1: maintenance has ended.\n"
    assert ctl("maintenance", "end", "ups1").exit_code == 1


def test_filters(ctl: Ctl, gantry: FakeGantry) -> None:
    """The filters of `alarms` are sent to the gantry."""
    result = ctl("alarms", "--since", "24h", "--until", "1h", "--limit", "5")
    assert result.exit_code == 0
    assert gantry.seen[-1].query == {"since": "24h", "until": "1h", "limit": "5"}
