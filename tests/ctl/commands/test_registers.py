"""`gantryctl registers`: registers by name, in their units."""

import json

from tests.ctl.conftest import Ctl, FakeGantry

ALL = {"8000d": -821755904, "8045": 230, "8064d": 161, "8016s": "cFos Power Brain", "9999": 1}


def _answers(gantry: FakeGantry, value: object, result: str = "done", detail: str = "") -> None:
    document = {"id": "1", "result": result, "detail": detail, "value": value}
    gantry.says("POST", "/api/v1/commands", document)


def test_all_registers_are_named_and_scaled(gantry: FakeGantry, ctl: Ctl) -> None:
    """Each register has its name and unit; an unknown one is shown raw."""
    _answers(gantry, json.dumps(ALL))
    shown = ctl("registers", "cfos", "meter2")
    assert shown.exit_code == 0
    lines = [line.split() for line in shown.output.splitlines()]
    assert ["8045", "voltage_l1", "230", "V"] in lines
    assert ["8064d", "current_l1", "16.1", "A"] in lines
    assert ["9999", "1"] in lines
    sent = gantry.seen[-1].body
    assert (sent["target"], sent["command"]) == ("cfos", "read-register")
    assert sent["args"] == {"device": "meter2", "read": "all"}


def test_one_register(gantry: FakeGantry, ctl: Ctl) -> None:
    """An address reads one register; JSON is the answer of the gantry."""
    _answers(gantry, 160)
    shown = ctl("registers", "cfos", "evse", "8093", lang="zh")
    assert shown.output.splitlines()[1].split() == ["8093", "current_limit", "16", "A"]
    assert "地址" in shown.output
    assert json.loads(ctl("registers", "cfos", "evse", "8093", "--json").output)["value"] == 160


def test_what_cannot_be_read_says_why(gantry: FakeGantry, ctl: Ctl) -> None:
    """A failure is shown with its reason and exit code 1; so is a malformed value."""
    _answers(gantry, None, "failed", "bad modbus register size")
    failed = ctl("registers", "cfos", "evse", "8093d")
    assert failed.exit_code == 1
    assert "bad modbus register size" in failed.output
    _answers(gantry, "no table")
    assert ctl("registers", "cfos", "evse").exit_code == 1


def test_a_device_that_is_none_is_a_usage_error(ctl: Ctl) -> None:
    """A device without registers is wrong usage."""
    assert ctl("registers", "cfos", "meter9").exit_code == 64
