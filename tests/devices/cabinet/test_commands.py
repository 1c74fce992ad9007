"""What a smart cabinet can be told: each once, and what becomes of it."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.devices.cabinet.rig import AUTH, Rig
from tests.support import START, fired
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.devices.cabinet.commands import COMMANDS
from twisted_gantry.wire.etc.commands import Cmd, EtcControl
from twisted_gantry.wire.etc.envelope import EtcCode

DONE, FAILED, REFUSED, TIMEOUT = Outcome.DONE, Outcome.FAILED, Outcome.REFUSED, Outcome.TIMEOUT

EACH: dict[str, tuple[dict[str, Any], Cmd, str | None, dict[str, str]]] = {
    "unlock-door": ({"unlockDoorId": "2"}, Cmd.UNLOCK_DOOR, "1", {"unlockDoorId": "2"}),
    "air-conditioner": (
        {"airId": 0, "airOperate": 1},
        Cmd.AIR_CONDITIONER,
        "1",
        {"airId": "0", "airOperate": "1"},
    ),
    "air-conditioner-temperature": (
        {"airId": "2", "autoRefrigerationTemp": 26, "autoHeatingTemp": "5.5"},
        Cmd.AIR_CONDITIONER_TEMPERATURE,
        "1",
        {"airId": "2", "autoRefrigerationTemp": "26", "autoHeatingTemp": "5.5"},
    ),
    "power-mode": ({"mode": "3"}, Cmd.POWER_MODE, None, {"mode": "3"}),
    "door-guard": ({"isDoorDefend": "1"}, Cmd.DOOR_GUARD, None, {"isDoorDefend": "1"}),
    "rectifier": ({"onOff": "0"}, Cmd.RECTIFIER, "1", {"onOff": "0"}),
    "battery-test": ({"testStartStop": "1"}, Cmd.BATTERY_TEST, "1", {"testStartStop": "1"}),
}


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A driver whose cabinet has reported once."""
    made = Rig()
    made.start()
    yield made
    made.stop()


def test_the_commands_are_those_of_the_contract(rig: Rig) -> None:
    """There are ten commands, in both languages; none is locked."""
    assert set(rig.device.commands) == {*EACH, "update-now", "set-frequency", "set-server"}
    for each in COMMANDS.values():
        assert each.en
        assert any(ord(character) > 255 for character in each.zh)
        assert each.locked == ""
    assert [name for name, each in COMMANDS.items() if each.local_only] == ["set-server"]


@pytest.mark.parametrize("command", EACH)
def test_a_command_is_sent_as_the_document_has_it(rig: Rig, command: str) -> None:
    """Each command is sent once, under its cmd and its fields; then an upload is asked for."""
    args, cmd, cabinet_id, fields = EACH[command]
    asked = len(rig.cabinet.asked())
    result = rig.do(command, 1.0, **args)
    assert (result.result, result.detail) == (DONE, "")
    assert rig.cabinet.commands() == [(cmd, cabinet_id, fields)]
    assert len(rig.cabinet.asked()) == asked + 1
    assert rig.cabinet.refused == []


@pytest.mark.parametrize(
    ("command", "args", "fields"),
    [
        ("air-conditioner", {"airOperate": "2"}, {"airId": "0", "airOperate": "2"}),
        (
            "air-conditioner-temperature",
            {"autoRefrigerationTemp": 30},
            {"airId": "0", "autoRefrigerationTemp": "30"},
        ),
        (
            "air-conditioner-temperature",
            {"airId": "1", "autoHeatingTemp": "4.5"},
            {"airId": "1", "autoHeatingTemp": "4.5"},
        ),
    ],
)
def test_what_may_be_left_out(rig: Rig, command: str, args: Any, fields: dict[str, str]) -> None:
    """Without `airId` all are meant; one of the two temperatures is enough."""
    assert rig.do(command, 1.0, **args).result is DONE
    assert [sent for _, _, sent in rig.cabinet.commands()] == [fields]
    assert rig.cabinet.refused == []


def test_a_cabinet_is_told_its_period_and_its_server(rig: Rig) -> None:
    """`set-frequency` and `set-server` go as the document has them; a server needs a yes."""
    assert rig.do("set-frequency", 1.0, setFrequency="600").result is DONE
    assert rig.do("set-frequency", 1.0, setFrequency=4).result is REFUSED
    [refused] = rig.ask("set-server", confirmed=False, setServer="192.0.2.1/monitor.do")
    assert refused.result is REFUSED
    told = [control for _, control in rig.cabinet.told if not control.update_now]
    assert told == [EtcControl(set_frequency=600)]
    execute = rig.device.execute("set-server", {"setServer": "192.0.2.1:81/monitor.do"})
    rig.clock.run(1.0)
    assert fired(execute) == [CommandResult(DONE)]
    assert rig.cabinet.told[-2][1] == EtcControl(set_server="192.0.2.1:81/monitor.do")


def test_the_period_that_a_cabinet_took_counts(rig: Rig) -> None:
    """A cabinet that uploads by its period alone is lost after three of the new periods."""
    rig.cabinet.uploads = False
    rig.do("set-frequency", 1.0, setFrequency=2000)
    rig.clock.run(3000, step=5.0)
    rig.upload()
    rig.clock.run(3000, step=5.0)
    assert rig.state == "online"
    rig.clock.run(3100, step=5.0)
    assert rig.state == "offline"


def test_update_now_is_an_update_and_no_more(rig: Rig) -> None:
    """`update-now` asks for one upload, not for two."""
    asked, uploads = len(rig.cabinet.asked()), rig.device.counts["uploads"]
    assert rig.do("update-now", 1.0).result is DONE
    assert (len(rig.cabinet.asked()), rig.device.counts["uploads"]) == (asked + 1, uploads + 1)


@pytest.mark.parametrize("command", [*EACH, "update-now"])
@pytest.mark.parametrize(
    ("answer", "result", "says"),
    [
        (EtcCode.CONTROL_FAILED, FAILED, "1007 执行控制命令失败"),
        (EtcCode.CLOCK_SKEW, FAILED, "1003 系统时间偏差太大"),
        (EtcCode.NOT_ALLOWED, FAILED, "1001 无权使用该接口"),
        (EtcCode.UNKNOWN_EXCEPTION, FAILED, "1008 未知系统异常"),
        ("4242", FAILED, "the unknown code 4242"),
        ((404, b""), FAILED, "HTTP 404"),
        ((302, b""), FAILED, "HTTP 302"),
        ((500, b""), TIMEOUT, "HTTP 500"),
        ((200, b"\xff\x00garbage"), TIMEOUT, "not JSON"),
        ((200, b'{"code": []}'), TIMEOUT, "code"),
        (None, TIMEOUT, "no answer within 10 s"),
    ],
)
def test_how_a_command_ends(
    rig: Rig, command: str, answer: Any, result: Outcome, says: str
) -> None:
    """A code is a failure with its words; what is lost is not known, and never sent again."""
    rig.cabinet.answer = answer
    if command == "update-now":
        rig.cabinet.updated = answer
    sent = len(rig.cabinet.bodies)
    ended = rig.do(command, 10.5, **EACH.get(command, ({},))[0])
    assert ended.result is result
    assert says in ended.detail
    if command == "update-now":
        assert len(rig.cabinet.bodies) == sent + 1
    else:
        assert len(rig.cabinet.commands()) == 1


@pytest.mark.parametrize("command", EACH)
def test_a_cabinet_that_is_away(rig: Rig, command: str) -> None:
    """A command to a cabinet that is not reached is not done later."""
    rig.wire.unreachable.add("cabinet.test")
    ended = rig.do(command, 5.0, **EACH[command][0])
    assert ended.result is FAILED
    assert "no connection" in ended.detail
    rig.wire.unreachable.clear()
    rig.clock.run(120, 0.5)
    assert rig.cabinet.commands() == []


def test_a_skew_that_the_cabinet_finds_is_an_alarm(rig: Rig) -> None:
    """1003 raises clock-skew until a command passes; an answer that proves nothing leaves it."""
    rig.cabinet.answer = rig.cabinet.updated = EtcCode.CLOCK_SKEW
    rig.do("unlock-door", 1.0, unlockDoorId="1")
    assert rig.raised() == {"clock-skew"}
    rig.upload()
    rig.cabinet.answer = EtcCode.TOO_FREQUENT
    rig.do("unlock-door", 1.0, unlockDoorId="1")
    assert rig.raised() == {"clock-skew"}
    rig.cabinet.answer = rig.cabinet.updated = EtcCode.CONTROL_FAILED
    rig.do("unlock-door", 1.0, unlockDoorId="1")
    assert rig.raised() == set()


@pytest.mark.parametrize(
    ("command", "args", "says"),
    [
        ("unlock-door", {"unlockDoorId": "3"}, "one of 1, 2"),
        ("unlock-door", {}, "missing"),
        ("air-conditioner", {"airId": "x", "airOperate": "1"}, "airId"),
        ("air-conditioner", {"airId": "１", "airOperate": "1"}, "airId"),
        ("air-conditioner", {"airId": "100", "airOperate": "1"}, "airId"),
        ("power-mode", {"mode": "4"}, "mode"),
        (
            "air-conditioner-temperature",
            {"airId": "1", "autoRefrigerationTemp": 46, "autoHeatingTemp": 5},
            "0 to 45",
        ),
        (
            "air-conditioner-temperature",
            {"airId": "1", "autoRefrigerationTemp": 20.001, "autoHeatingTemp": 20},
            "not below",
        ),
    ],
)
def test_what_is_out_of_range_is_not_sent(
    rig: Rig, command: str, args: dict[str, Any], says: str
) -> None:
    """Arguments out of range are refused, and nothing is sent."""
    sent = len(rig.cabinet.bodies)
    ended = rig.do(command, 1.0, **args)
    assert ended.result is REFUSED
    assert says in ended.detail
    assert len(rig.cabinet.bodies) == sent


def test_equal_commands_in_a_second_are_two(rig: Rig) -> None:
    """A cabinet that takes equal bodies for a replay must see two: no two are equal."""
    for _ in range(3):
        rig.do("unlock-door", 0.1, unlockDoorId="1")
    assert len(rig.cabinet.commands()) == 3
    assert len(set(rig.cabinet.bodies)) == len(rig.cabinet.bodies)


def test_a_clock_that_is_set_back(rig: Rig) -> None:
    """After the clock was set back an hour, commands carry its time, and not the old one."""
    rig.clock.wall_offset -= 3600
    assert rig.do("unlock-door", 1.0, unlockDoorId="1").result is DONE


def test_a_clock_that_is_set_back_to_a_time_that_was_used(rig: Rig) -> None:
    """No body is sent twice: the cabinet would take the second for a replay, and do nothing."""
    for _ in range(2):
        assert rig.do("unlock-door", 1.0, unlockDoorId="1").result is DONE
        rig.clock.wall_offset = START - rig.clock.seconds()
    assert len(set(rig.cabinet.bodies)) == len(rig.cabinet.bodies)


def test_what_the_cabinet_says_is_shown_without_the_code(rig: Rig) -> None:
    """The cabinet's own words are shown, bounded and in one line, the secret masked."""
    rig.cabinet.answer, rig.cabinet.msg = EtcCode.CONTROL_FAILED, f"no\n{AUTH} {'x' * 5000}"
    detail = rig.do("unlock-door", 1.0, unlockDoorId="1").detail
    assert "no *** xxx" in detail
    assert len(detail) < 100
    assert AUTH not in detail + rig.log.getvalue()


def test_a_command_is_cut_off_by_the_stop(rig: Rig) -> None:
    """A stop ends a command that waits for its answer; its outcome is not known."""
    rig.cabinet.answer = None
    rig.clock.callLater(2.0, rig.device.stopService)
    assert rig.do("rectifier", 5.0, onOff="0").result is TIMEOUT
