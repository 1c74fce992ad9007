"""The cabinet's `remotecontrol.do`: its codes in their order, each command, replays, its faults."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.python.failure import Failure

from tests.twin.faces.cabinet.bench import Bench, change
from tests.twin.helpers import AUTH, http, mistake
from tests.wire.material import NASTY
from twisted_gantry.twin.faces.cabinet import face as twin_cabinet
from twisted_gantry.twin.faces.cabinet.face import REMEMBERED_S
from twisted_gantry.twin.world.battery_test import TEST_S
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.answers import decode_answer
from twisted_gantry.wire.etc.envelope import EtcCode, Method


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench(started=False)
    yield bench
    bench.stop()


def code(bench: Bench, body: bytes, auth: str = AUTH, **headers: str) -> int:
    """Send a signed body, and return the code of the answer."""
    exchange = bench.post(body, auth, **headers)
    assert exchange.status == 200
    return int(exchange.json["code"])


# -- the envelope


def test_the_checks_come_in_the_order_of_the_page(bench: Bench) -> None:
    """1001, 1004, 1002 for no JSON, 1006, 1002 for fields, 1003; then the command counts."""
    bad_md5 = {etc.MD5_HEADER: "0" * 32}
    assert code(bench, b"no json", "654321", **bad_md5) == EtcCode.NOT_ALLOWED
    assert code(bench, b"no json", **bad_md5) == EtcCode.INVALID_SIGNATURE
    assert code(bench, b"no json") == EtcCode.BAD_PARAMETERS
    assert code(bench, b'{"version": "1002", "gantryId": 5}') == EtcCode.UNKNOWN_VERSION
    assert code(bench, bench.body(gantry_id="G1", skew=-9999)) == EtcCode.BAD_PARAMETERS
    assert code(bench, bench.body({"cmd": "x"}, skew=-301)) == EtcCode.CLOCK_SKEW
    assert code(bench, bench.body({"cmd": "x"}, skew=-300)) == EtcCode.BAD_PARAMETERS
    assert bench.counts["executed"] == 0


@pytest.mark.parametrize("body", NASTY.values(), ids=NASTY.keys())
def test_nothing_that_is_sent_breaks_it(bench: Bench, body: bytes) -> None:
    """Each nasty body is refused in the protocol's words, or with 413; none is a fault of ours."""
    exchange = bench.post(body)
    if len(body) > etc.MAX_BODY:
        assert exchange.status == 413
    else:
        assert int(exchange.json["code"]) in {EtcCode.BAD_PARAMETERS, EtcCode.UNKNOWN_VERSION}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/", 404), ("POST", "/monitor.do", 404), ("GET", "/remotecontrol.do", 405)],
)
def test_other_paths_and_verbs_are_plain_http(
    bench: Bench, method: str, path: str, status: int
) -> None:
    """There is one entry point, and it is POSTed to."""
    assert http(bench.site, method, path).status == status


def test_a_mistake_of_ours_is_1008(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Failure]
) -> None:
    """It is logged, and its text is not in the answer."""
    with mistake(twin_cabinet, "perform", monkeypatch, logged_failures):
        exchange = bench.post(bench.body({"cmd": "2", "unlockDoorId": "1"}))
    assert exchange.json["code"] == "1008"
    assert b"secret" not in exchange.raw


def test_more_than_its_rate_is_1005() -> None:
    """A burst of five times the rate is taken, then as much as comes in."""
    bench = Bench(started=False, rate=2.0)
    codes = [bench.code(cmd="6", isDoorDefend="0") for _ in range(11)]
    assert codes == [1000] * 10 + [1005]
    bench.clock.advance(0.5)
    assert bench.code(cmd="6", isDoorDefend="0") == 1000
    bench.stop()


# -- the commands: each acts on the world, is refused, and has bad arguments


def test_unlocking_a_door_is_legal_under_guard(bench: Bench) -> None:
    """Cmd 2: the bolt of that door alone is drawn, by remote control."""
    change(bench.cabinet, armed=True)
    assert bench.code(cmd="2", unlockDoorId="2") == 1000
    assert bench.cabinet.doors.front.locked
    change(bench.cabinet, back_door="open")
    assert not bench.cabinet.doors.back.illegal
    assert not bench.cabinet.doors.siren


def test_air_conditioners_stand_by_and_run(bench: Bench) -> None:
    """Cmd 3: one of them, or with 0 all."""
    first, second = bench.cabinet.air_conditioners
    assert bench.code(cmd="3", airId="2", airOperate="2") == 1000
    assert (first.running, second.running) == (True, False)
    assert bench.code(cmd="3", airId="0", airOperate="2") == 1000
    assert (first.running, second.running) == (False, False)
    assert bench.code(cmd="3", airId="0", airOperate="1") == 1000
    assert (first.running, second.running) == (True, True)


def test_set_points_are_obeyed(bench: Bench) -> None:
    """Cmd 4: the unit cools at once when it is warmer than it should be."""
    change(bench.cabinet, temperature=25)
    points = {"autoRefrigerationTemp": "20", "autoHeatingTemp": "10.5"}
    assert bench.code(cmd="4", airId="1", **points) == 1000
    first, second = bench.cabinet.air_conditioners
    assert (first.cool_above_c, first.heat_below_c, first.heat_w) == (20, 10.5, -1000)
    assert second.heat_w == 0


def test_the_power_mode_is_set(bench: Bench) -> None:
    """Cmd 5: the air conditioners stop, and may not be run until it is over."""
    assert bench.code(cmd="5", mode="1") == 1000
    assert not bench.cabinet.air_conditioners[0].running
    assert bench.code(cmd="3", airId="1", airOperate="1") == 1007
    assert bench.code(cmd="5", mode="0", cabinetId="1") == 1000
    assert bench.cabinet.air_conditioners[0].running


def test_the_guard_is_armed_and_disarmed(bench: Bench) -> None:
    """Cmd 6: an opening without remote control sounds the alarm until it is disarmed."""
    assert bench.code(cmd="6", isDoorDefend="1") == 1000
    change(bench.cabinet, force_front_door=True)
    assert bench.cabinet.doors.siren
    assert bench.code(cmd="6", isDoorDefend="0") == 1000
    assert not bench.cabinet.doors.siren


def test_rectifiers_are_switched(bench: Bench) -> None:
    """Cmd 8: all of them; the battery carries the load meanwhile."""
    supply = bench.cabinet.supply
    assert bench.code(cmd="8", onOff="0") == 1000
    assert [each.output_w for each in supply.rectifiers] == [0, 0]
    assert supply.battery.current_a > 0
    assert bench.code(cmd="8", onOff="1") == 1000
    assert all(each.output_w > 0 for each in supply.rectifiers)


def test_a_battery_test_and_its_result(bench: Bench) -> None:
    """Cmd 9 starts and stops it; cmd 10 knows nothing before and during it, and all after."""
    nothing = {"testResult": "1", "testStartTime": "NoData", "dischargeEndVoltage": "NoData"}
    result = bench.command(cmd="10")["batterysTestResult"]
    assert nothing.items() <= result.items()
    assert bench.code(cmd="9", testStartStop="1") == 1000
    assert bench.cabinet.supply.testing
    bench.run(TEST_S / 2, 1.0)
    assert nothing.items() <= bench.command(cmd="10")["batterysTestResult"].items()
    bench.run(TEST_S / 2, 1.0)
    answer = bench.command(cmd="10")
    result = answer["batterysTestResult"]
    assert answer["code"] == "1000"
    assert (result["testResult"], result["testEndCourse"]) == ("2", "2")
    assert (result["efficiency"], result["dischargeTime"]) == ("100.00", "0.03")
    assert 46 < float(result["dischargeEndVoltage"]) < 55
    assert float(result["dischargeAvCurrent"]) > 10
    assert result["testStartTime"].startswith("2023-11-15 06:13:2")
    assert bench.code(cmd="9", testStartStop="1") == 1000
    assert bench.code(cmd="9", testStartStop="0") == 1000
    assert bench.command(cmd="10")["batterysTestResult"]["testEndCourse"] == "4"


@pytest.mark.parametrize(
    ("before", "fields"),
    [
        ({}, {"cmd": "1", "rebootIp": "10.0.0.9", "rebootPort": "80"}),
        ({"front_door_lock_fault": True}, {"cmd": "2", "unlockDoorId": "1"}),
        ({"doors_fault": True}, {"cmd": "2", "unlockDoorId": "2"}),
        ({}, {"cmd": "2", "unlockDoorId": "1", "cabinetId": "2"}),
        ({}, {"cmd": "3", "airId": "3", "airOperate": "2"}),
        ({"air1_on": False, "air1_fault": "fan"}, {"cmd": "3", "airId": "1", "airOperate": "1"}),
        (None, {"cmd": "3", "airId": "1", "airOperate": "1"}),
        ({}, {"cmd": "4", "airId": "9", "autoRefrigerationTemp": "20", "autoHeatingTemp": "10"}),
        ({}, {"cmd": "5", "mode": "1", "cabinetId": "2"}),
        ({"force_back_door": True}, {"cmd": "6", "isDoorDefend": "1"}),
        ({"doors_fault": True}, {"cmd": "6", "isDoorDefend": "1"}),
        ({"battery_charge": 30}, {"cmd": "8", "onOff": "0"}),
        ({"rectifier1_fault": "failed", "rectifier2_fault": "failed"}, {"cmd": "8", "onOff": "1"}),
        (None, {"cmd": "9", "testStartStop": "1"}),
        ({"battery_charge": 70}, {"cmd": "9", "testStartStop": "1"}),
        ({}, {"cmd": "9", "testStartStop": "0"}),
        ({}, {"cmd": "10", "cabinetId": "7"}),
        ({}, {"setServer": "platform.example/monitor.do"}),
    ],
)
def test_what_it_cannot_do_is_1007(
    bench: Bench, before: dict[str, Any] | None, fields: dict[str, str]
) -> None:
    """The answer says why, and nothing has changed; `before` None: the mains have failed."""
    if before is None:
        bench.fail_mains()
    else:
        change(bench.cabinet, **before)
    state = world_of(bench)
    answer = bench.command(**fields)
    assert answer["code"] == "1007"
    assert 0 < len(answer["msg"]) <= etc.MAX_MSG
    assert answer["msg"] != etc.MESSAGES[EtcCode.CONTROL_FAILED]
    assert world_of(bench) == state


def world_of(bench: Bench) -> dict[str, object]:
    return {name: v.get() for name, v in bench.cabinet.variables() if v.get is not None}


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"cmd": "7"},
        {"cmd": "11"},
        {"cmd": "0"},
        {"cmd": "2"},
        {"cmd": "2", "unlockDoorId": "3"},
        {"cmd": "3", "airId": "1"},
        {"cmd": "3", "airId": "1", "airOperate": "3"},
        {"cmd": "4", "airId": "1", "autoRefrigerationTemp": "10", "autoHeatingTemp": "20"},
        {"cmd": "4", "airId": "1", "autoRefrigerationTemp": "46", "autoHeatingTemp": "20"},
        {"cmd": "5", "mode": "4"},
        {"cmd": "6", "isDoorDefend": "2"},
        {"cmd": "8", "onOff": "on"},
        {"cmd": "9", "testStartStop": ""},
        {"setFrequency": "4"},
        {"setFrequency": "86401"},
        {"setServer": "nowhere"},
        {"updateNow": "0"},
        {"cmd": "2", "unlockDoorId": "1", "setFrequency": "4"},
    ],
)
def test_a_bad_argument_is_1002_and_nothing_is_done(bench: Bench, fields: dict[str, str]) -> None:
    """All fields of a request are checked before any acts."""
    state = world_of(bench)
    assert bench.code(**fields) == 1002
    assert world_of(bench) == state
    assert bench.twin.reports.period == 300


def test_a_cabinet_is_no_computer_and_has_no_picture_of_a_closed_door(bench: Bench) -> None:
    """A computerControl is answered 1007, a picture 1009; both check their fields first."""
    update = bench.body({"updateNow": "1"}, method=Method.COMPUTER_CONTROL)
    assert code(bench, update) == 1007
    assert code(bench, bench.body({}, method=Method.COMPUTER_CONTROL)) == 1002
    when = {"cabinetId": "1", "doorOpenTime": "2023-11-15 06:13:20.000"}
    assert code(bench, bench.body(when, method=Method.PICTURE)) == 1009
    assert code(bench, bench.body({"doorOpenTime": "?"}, method=Method.PICTURE)) == 1002


# -- a body that comes twice


def test_a_body_is_executed_once(bench: Bench) -> None:
    """The second time the first answer comes from memory, for as long as its stamp is good."""
    body = bench.body({"cmd": "2", "unlockDoorId": "1"}, skew=300)
    first = bench.post(body).json
    bench.cabinet.step(60.0)
    assert bench.cabinet.doors.front.locked
    for _ in range(2):
        bench.pass_by(REMEMBERED_S / 2 - 1)
        assert bench.post(body).json == first
        assert bench.cabinet.doors.front.locked
    assert (bench.counts["replayed"], bench.counts["executed"]) == (2, 1)
    bench.pass_by(3)
    assert bench.post(body).json["code"] == "1003"


def test_a_refusal_is_remembered_too(bench: Bench) -> None:
    """A captured body must not do later what it could not do then."""
    change(bench.cabinet, front_door_lock_fault=True)
    body = bench.body({"cmd": "2", "unlockDoorId": "1"})
    assert bench.post(body).json["code"] == "1007"
    change(bench.cabinet, front_door_lock_fault=False)
    assert bench.post(body).json["code"] == "1007"
    assert bench.cabinet.doors.front.locked


def test_what_cannot_be_remembered_is_not_executed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With too many commands in memory further ones are 1005, until the oldest is too old."""
    monkeypatch.setattr(twin_cabinet, "MAX_REMEMBERED", 2)
    bodies = [bench.body({"cmd": "6", "isDoorDefend": "0"}, skew=at) for at in range(3)]
    assert [code(bench, body) for body in (*bodies, *bodies[:2])] == [1000, 1000, 1005, 1000, 1000]
    assert (bench.counts["executed"], bench.counts["replayed"]) == (2, 2)
    bench.pass_by(REMEMBERED_S + 1)
    assert bench.code(cmd="6", isDoorDefend="1") == 1000


# -- its faults, and no power


def test_a_dark_cabinet_answers_nobody(bench: Bench) -> None:
    """Without mains and battery the connection is cut."""
    change(bench.cabinet, battery_fuse_blown=True)
    bench.fail_mains()
    exchange = bench.post(bench.body({"updateNow": "1"}))
    assert exchange.raw == b""
    assert exchange.transport.disconnecting


@pytest.mark.parametrize(
    ("fault", "status", "answered"),
    [
        ({"busy": True}, 200, "1005"),
        ({"code": "1008"}, 200, "1008"),
        ({"http_status": 503}, 503, None),
    ],
)
def test_a_fault_that_turns_away_does_nothing(
    bench: Bench, fault: dict[str, Any], status: int, answered: str | None
) -> None:
    """Busy, a code and an HTTP status: the door stays locked."""
    bench.fault(**fault)
    exchange = bench.post(bench.body({"cmd": "2", "unlockDoorId": "1"}))
    assert exchange.status == status
    assert (exchange.json["code"] if exchange.body else None) == answered
    assert bench.cabinet.doors.front.locked


def test_refuse_cuts_and_does_nothing(bench: Bench) -> None:
    """The connection is cut before the command is received."""
    bench.fault(refuse=True)
    assert bench.post(bench.body({"cmd": "2", "unlockDoorId": "1"})).raw == b""
    assert bench.cabinet.doors.front.locked


def test_drop_garbage_and_delay_act_first(bench: Bench) -> None:
    """The command is done, and its answer is lost, spoilt or late."""
    bench.fault(drop=1)
    body = bench.body({"cmd": "2", "unlockDoorId": "1"})
    assert bench.post(body).raw == b""
    assert not bench.cabinet.doors.front.locked
    bench.fault(garbage=1)
    exchange = bench.post(bench.body({"cmd": "2", "unlockDoorId": "2"}))
    assert not bench.cabinet.doors.back.locked
    assert exchange.status == 200
    with pytest.raises(ValueError):
        decode_answer(exchange.body)
    bench.fault(delay=2)
    exchange = bench.post(bench.body({"cmd": "5", "mode": "2"}))
    assert bench.cabinet.power_mode == 2
    assert exchange.raw == b""
    bench.pass_by(2)
    assert exchange.json["code"] == "1000"
    bench.fault()
    assert bench.post(body).json["code"] == "1000"  # the lost answer, from memory
