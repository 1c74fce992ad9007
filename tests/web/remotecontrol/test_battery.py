"""Battery tests at the platform's word: when they start, and what their results are."""

from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from zope.interface import implementer

from tests.support import Bench
from tests.web.remotecontrol.rig import Device, RemoteRig, Ups, command_type
from twisted_gantry.core.interfaces import BatteryTest, IBatteryRecorder, NotTold
from twisted_gantry.core.site import Cabinet
from twisted_gantry.wire.etc.envelope import Method


@pytest.mark.parametrize("start", [True, False])
def test_why_a_battery_is_not_tested(rig: RemoteRig, start: bool) -> None:
    """A UPS that says why not is not tested; no stop is invented where none is configured."""
    rig.ups.why = "mains abnormal" if start else ""
    answer = rig.cabinet(cmd="9", testStartStop="1" if start else "0")
    why = "当前状态不允许电池测试" if start else "不支持停止电池测试"
    assert answer.json == {"code": "1007", "msg": f"ups1：{why}"}
    assert rig.untouched()


def test_a_test_is_stopped_where_a_stop_is_configured(rig: RemoteRig) -> None:
    """`stop-test` is what a UPS with a stop can do, whatever speaks against a start."""
    rig.ups.commands["stop-test"] = command_type()
    rig.ups.why = "a test is running"
    assert rig.cabinet(cmd="9", testStartStop="0").code == "1000"
    assert rig.ups.told == [("stop-test", {})]


def test_each_ups_of_the_cabinet_is_tested() -> None:
    """All are tested, or none if one of them must not be."""
    rig = RemoteRig(cabinets=(Cabinet("1", {"ups": ("ups1", "ups2")}),))
    second = Ups(rig.bench, "ups2")
    second.why = "on bypass"
    assert rig.cabinet(cmd="9", testStartStop="1").json["msg"].startswith("ups2：")
    assert rig.untouched()
    second.why = ""
    rig.clock.advance(1)
    assert rig.cabinet(cmd="9", testStartStop="1").code == "1000"
    assert rig.ups.told == second.told == [("T", {})]


@pytest.mark.parametrize("start", ["0", "1"])
def test_a_cabinet_below_us_tests_its_own(start: str) -> None:
    """A source of `ups` that offers `battery-test` is told so, if mains and battery are good."""
    rig = RemoteRig(cabinets=(Cabinet("1", {"elec": ("ups1",), "ups": ("cab1", "ups1")}),))
    rig.cab.commands["battery-test"] = command_type("testStartStop")
    rig.ups.commands["stop-test"] = command_type()
    assert rig.cabinet(cmd="9", testStartStop=start).code == "1000"
    assert rig.cab.told == [("battery-test", {"testStartStop": start})]
    rig.ups.read(mains_abnormal=True)
    rig.clock.advance(1)
    assert rig.cabinet(cmd="9", testStartStop=start).code == ("1007" if start == "1" else "1000")


NOTHING_YET = {
    "testStartTime": "NoData",
    "testResult": "1",
    "efficiency": "NoData",
    "dischargeTime": "NoData",
    "dischargeEndVoltage": "NoData",
    "dischargeAvCurrent": "NoData",
    "dischargeAhCurrent": "NoData",
    "testTemperature": "NoData",
    "testEndCourse": "NoData",
}
KNOWN = {
    "testStartTime": "2023-11-15 06:13:20.500",
    "efficiency": "NotSupport",
    "dischargeAvCurrent": "NotSupport",
    "dischargeAhCurrent": "NotSupport",
    "testTemperature": "NotSupport",
}
STARTED = 1_700_000_000.5


def _test(result: str, seconds: float | None = 900.0, **more: Any) -> Any:
    ended = None if seconds is None else STARTED + seconds
    return BatteryTest(STARTED, ended, result, **more)


@pytest.mark.parametrize(
    ("test", "expected"),
    [
        (None, NOTHING_YET),
        (_test("unknown", None), NOTHING_YET),
        (
            _test("good", end_voltage=211.456, end_cause=2),
            KNOWN
            | {
                "testResult": "2",
                "dischargeTime": "0.25",
                "dischargeEndVoltage": "211.46",
                "testEndCourse": "2",
            },
        ),
        (
            _test("failed", 30.0, end_cause=6),
            KNOWN
            | {
                "testResult": "4",
                "dischargeTime": "0.01",
                "dischargeEndVoltage": "NoData",
                "testEndCourse": "6",
            },
        ),
        (
            _test("unknown", -5.0),
            KNOWN
            | {
                "testResult": "1",
                "dischargeTime": "0",
                "dischargeEndVoltage": "NoData",
                "testEndCourse": "255",
            },
        ),
    ],
)
def test_the_result_of_a_battery_test(rig: RemoteRig, test: Any, expected: dict[str, str]) -> None:
    """The result stands beside code and msg; what the card cannot know is a sentinel."""
    rig.ups.battery_test = test
    answer = rig.cabinet(cmd="10")
    assert answer.json == {"code": "1000", "msg": "成功", "batterysTestResult": expected}
    assert rig.untouched()


@pytest.mark.parametrize(
    ("tests", "result"),
    [
        ((_test("good"), _test("failed")), "4"),
        ((_test("failed"), None), "4"),
        ((_test("good"), None), "1"),
        ((_test("good"), _test("good")), "2"),
        ((_test("good"), _test("unknown")), "1"),
    ],
)
def test_the_worst_battery_counts(tests: tuple[Any, Any], result: str) -> None:
    """Of several, the failed one is told, then one without a result; good only if all are."""
    for order in (tests, tests[::-1]):
        rig = RemoteRig(cabinets=(Cabinet("1", {"ups": ("ups1", "ups2")}),))
        rig.ups.battery_test, Ups(rig.bench, "ups2").battery_test = order
        answer = rig.cabinet(cmd="10").json["batterysTestResult"]
        assert answer["testResult"] == result


def test_of_two_failed_the_shorter(rig: RemoteRig) -> None:
    """Of two that failed, the one that lasted less is the worse."""
    rig = RemoteRig(cabinets=(Cabinet("1", {"ups": ("ups1", "ups2")}),))
    rig.ups.battery_test = _test("failed", 720.0)
    Ups(rig.bench, "ups2").battery_test = _test("failed", 360.0)
    assert rig.cabinet(cmd="10").json["batterysTestResult"]["dischargeTime"] == "0.1"


RECORDED = {**KNOWN, "testResult": "3", "dischargeTime": "1.5", "efficiency": "88.00"}


@implementer(IBatteryRecorder)
class Recorder(Device):
    """A cabinet below us, which keeps the results of its tests itself."""

    result: Any = RECORDED

    def __init__(self, bench: Bench, name: str) -> None:
        super().__init__(bench, name, {"battery-test": command_type("testStartStop")})

    def battery_test_result(self) -> Deferred[Any]:
        """Tell what it has, or that it does not tell."""
        return fail(self.result) if isinstance(self.result, Exception) else succeed(self.result)


def test_a_cabinet_below_us_tells_its_own_result() -> None:
    """It is asked, and what it says is passed on; what it lacks is NoData."""
    rig = RemoteRig(cabinets=(Cabinet("1", {"ups": ("own",)}),))
    recorder = Recorder(rig.bench, "own")
    told = rig.cabinet(cmd="10").json["batterysTestResult"]
    assert told == {**RECORDED, "dischargeEndVoltage": "NoData", "testEndCourse": "NoData"}
    recorder.result = NotTold("no answer")
    rig.clock.advance(1)
    assert rig.cabinet(cmd="10").json == {"code": "1007", "msg": "own：无法读取电池测试结果"}


@pytest.mark.parametrize(
    ("own", "card", "expected"),
    [
        ("3", _test("good"), "3"),
        ("3", _test("failed"), "4"),
        ("2", _test("good"), "2"),
        ("2", None, "1"),
        ("4", _test("failed", 60.0), "4"),
        ("what?", _test("good"), "what?"),
    ],
)
def test_of_a_cabinet_and_a_card_the_worse(own: str, card: Any, expected: str) -> None:
    """Both say it in the document's numbers."""
    rig = RemoteRig(cabinets=(Cabinet("1", {"ups": ("own", "ups1")}),))
    Recorder(rig.bench, "own").result = {**RECORDED, "testResult": own, "dischargeTime": "a while"}
    rig.ups.battery_test = card
    assert rig.cabinet(cmd="10").json["batterysTestResult"]["testResult"] == expected


def test_no_battery_to_ask() -> None:
    """Where nothing can test, there is no result: 1007, with words."""
    rig = RemoteRig(cabinets=(Cabinet("1", {"doors": ("cab1",)}),))
    assert rig.cabinet(cmd="10").json == {"code": "1007", "msg": "本站没有可测试的电池"}


def test_a_result_with_other_fields(rig: RemoteRig) -> None:
    """A query beside a setting carries both, and is done once."""
    body = rig.body(Method.CABINET_CONTROL, {"cmd": "10", "setFrequency": "60"})
    first = rig.send(body).ended()
    assert first.json["batterysTestResult"] == NOTHING_YET
    assert rig.send(body).ended().body == first.body
    assert len(rig.uplink.steered) == 1
