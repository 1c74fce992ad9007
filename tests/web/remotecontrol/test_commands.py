"""What the platform's commands do to devices and reports, and every rule that keeps them safe."""

from dataclasses import dataclass
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure

from tests.http_client import Answer
from tests.support import fired
from tests.web.remotecontrol.rig import DONE, Device, RemoteRig, command_type
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import Subject
from twisted_gantry.core.site import Cabinet
from twisted_gantry.web.remotecontrol.endpoint import RemoteControlSettings, server_policy
from twisted_gantry.web.remotecontrol.servers import Server, ServerPolicy
from twisted_gantry.wire.etc.envelope import Method
from twisted_gantry.wire.reading import Quality

GROUPS = ("doors", "air_conditioners", "rectifier")


@dataclass(frozen=True)
class Case:
    """A cmd that a device does: who does it, what that is told, and an argument that is bad."""

    cmd: str
    fields: dict[str, str]
    who: str
    command: str
    bad: dict[str, str]

    def device(self, rig: RemoteRig) -> Device:
        device: Device = getattr(rig, self.who)
        return device

    @property
    def told(self) -> tuple[str, dict[str, str]]:
        """What the device is told: a cabinet the fields of the request, another nothing."""
        return self.command, self.fields if self.who == "cab" else {}

    def ask(self, rig: RemoteRig, **more: str) -> Answer:
        return rig.cabinet(cmd=self.cmd, **(self.fields | more))


AIR_CONDITIONER = {"airId": "0", "autoRefrigerationTemp": "28", "autoHeatingTemp": "5"}
RELAY = {"rebootIp": "192.168.1.9", "rebootPort": "8080"}
CASES = [
    Case("1", RELAY, "relay", "power-cycle", {"rebootPort": "x"}),
    Case("2", {"unlockDoorId": "2"}, "cab", "unlock-door", {"unlockDoorId": "3"}),
    Case("3", {"airId": "1", "airOperate": "2"}, "cab", "air-conditioner", {"airOperate": "3"}),
    Case("4", AIR_CONDITIONER, "cab", "air-conditioner-temperature", {"autoHeatingTemp": "28"}),
    Case("5", {"mode": "1"}, "cab", "power-mode", {"mode": "4"}),
    Case("6", {"isDoorDefend": "1"}, "cab", "door-guard", {"isDoorDefend": ""}),
    Case("8", {"onOff": "1"}, "cab", "rectifier", {"onOff": "2"}),
    Case("9", {"testStartStop": "1"}, "ups", "T", {"testStartStop": "2"}),
]
each_command = pytest.mark.parametrize("case", CASES, ids=lambda case: case.cmd)


@each_command
def test_a_device_does_it(rig: RemoteRig, case: Case) -> None:
    """A command reaches the device that can do it, with its fields, and is 1000 once it is done."""
    device = case.device(rig)
    waiting: Deferred[CommandResult] = Deferred()
    device.answer = lambda: waiting
    exchange = rig.send(rig.body(Method.CABINET_CONTROL, {"cmd": case.cmd, **case.fields}))
    assert device.told == [case.told]
    assert not exchange.answered
    waiting.callback(DONE)
    assert exchange.ended().json == {"code": "1000", "msg": "成功"}
    assert rig.cab.told + rig.ups.told + rig.relay.told == [case.told]


@each_command
@pytest.mark.parametrize(
    ("result", "offline", "why"),
    [
        (Outcome.REFUSED, False, "拒绝执行"),
        (Outcome.FAILED, False, "执行失败"),
        (Outcome.FAILED, True, "设备离线"),
        (Outcome.TIMEOUT, False, "超时，结果未知"),
    ],
)
def test_a_device_does_not_do_it(
    rig: RemoteRig, case: Case, result: Outcome, offline: bool, why: str
) -> None:
    """A device that refuses, fails or is offline is 1007, with its name and why, no detail."""
    device = case.device(rig)
    device.answer = lambda: succeed(CommandResult(result, "secret of the house"))
    if offline:
        device.status.offline("gone")
    assert case.ask(rig).json == {"code": "1007", "msg": f"{device.called}：{why}"}


@each_command
def test_a_driver_that_fails(rig: RemoteRig, logged_failures: list[Failure], case: Case) -> None:
    """A driver that raises is 1007: the fault is the device's, and the answer has no trace."""
    device = case.device(rig)
    device.answer = lambda: fail(ZeroDivisionError("secret of the house"))
    assert case.ask(rig).json == {"code": "1007", "msg": f"{device.called}：执行失败"}
    assert len(logged_failures) == 1
    logged_failures.clear()


@each_command
def test_nothing_can_do_it(rig: RemoteRig, case: Case) -> None:
    """What no device of the site can do is 1007, and said."""
    for device in (rig.cab, rig.ups, rig.relay):
        del rig.bench.site.devices[device.called]
    answer = case.ask(rig)
    assert answer.code == "1007"
    assert answer.json["msg"] in {"本站没有设备能执行该命令", "未配置该继电器"}
    assert rig.untouched()


@each_command
def test_a_bad_argument(rig: RemoteRig, case: Case) -> None:
    """A field that is out of range is 1002, and nothing of the request is done."""
    answer = case.ask(rig, updateNow="1", **case.bad)
    assert answer.json == {"code": "1002", "msg": "参数有误"}
    assert rig.untouched()


@each_command
def test_an_unknown_cabinet(rig: RemoteRig, case: Case) -> None:
    """An unknown cabinet is 1002; a relay belongs to no cabinet."""
    assert case.ask(rig, cabinetId="2").code == ("1000" if case.who == "relay" else "1002")
    assert rig.untouched() == (case.who != "relay")


@each_command
@pytest.mark.parametrize("mark", ["danger", "locked"])
def test_what_is_dangerous_or_locked_is_not_done(rig: RemoteRig, case: Case, mark: str) -> None:
    """A command for local use only never comes from the platform; others are not asked back."""
    device = case.device(rig)
    arguments = device.commands[case.command].arguments
    device.commands[case.command] = command_type(*arguments, **{mark: "it darkens the gantry"})
    assert case.ask(rig).json == {"code": "1007", "msg": f"{device.called}：不允许远程执行"}
    assert rig.untouched()


def test_a_device_that_hangs(rig: RemoteRig) -> None:
    """A device without an outcome is 1007 within 25 s, not a connection that is cut."""
    rig.cab.answer = Deferred
    body = rig.body(Method.CABINET_CONTROL, {"cmd": "2", "unlockDoorId": "1"})
    exchange = rig.send(body)
    rig.clock.run(25, step=0.5)
    assert exchange.ended().json == {"code": "1007", "msg": "执行超时，结果未知"}
    rig.clock.run(5.5, step=0.5)
    assert rig.send(body).ended().json == {"code": "1007", "msg": "cab1：超时，结果未知"}


def test_a_device_that_takes_long(rig: RemoteRig) -> None:
    """An outcome after the answer went out is the answer to the same question later."""
    waiting: Deferred[CommandResult] = Deferred()
    rig.relay.answer = lambda: waiting
    fields = {"cmd": "1", "rebootIp": "192.168.1.9", "rebootPort": "8080"}
    body = rig.body(Method.CABINET_CONTROL, fields)
    exchange = rig.send(body)
    rig.clock.run(27, step=0.5)
    assert exchange.ended().code == "1007"
    waiting.callback(DONE)
    assert rig.send(body).ended().code == "1000"
    assert len(rig.relay.told) == 1


def test_an_uplink_that_hangs(rig: RemoteRig) -> None:
    """Also what is not a device's is bounded, and goes on to its end."""
    waiting: Deferred[None] = Deferred()
    rig.uplink.set_period = lambda *_: waiting  # type: ignore[method-assign]
    body = rig.body(Method.CABINET_CONTROL, {"setFrequency": "60", "updateNow": "1"})
    exchange = rig.send(body)
    rig.clock.run(25.5, step=0.5)
    assert exchange.ended().json == {"code": "1007", "msg": "执行超时，结果未知"}
    waiting.callback(None)
    assert rig.uplink.steered == [("report-now", Subject.CABINETS)]
    assert rig.send(body).ended().code == "1000"


def test_a_device_that_a_reload_takes_away(rig: RemoteRig) -> None:
    """What becomes of a command whose device is gone is an answer of the protocol."""
    waiting: Deferred[CommandResult] = Deferred()
    rig.cab.answer = lambda: waiting
    exchange = rig.send(rig.body(Method.CABINET_CONTROL, {"cmd": "2", "unlockDoorId": "1"}))
    del rig.bench.site.devices["cab1"]
    waiting.callback(CommandResult(Outcome.FAILED, "stopped"))
    assert exchange.ended().json == {"code": "1007", "msg": "cab1：设备离线"}


def test_an_argument_that_the_device_does_not_have(rig: RemoteRig) -> None:
    """An air conditioner that the cabinet has not is refused by the door."""
    answer = rig.cabinet(cmd="3", airId="7", airOperate="1")
    assert answer.json == {"code": "1007", "msg": "cab1：拒绝执行"}
    assert rig.untouched()


# -- several fields, several devices, several cabinets


def test_all_in_their_order(rig: RemoteRig) -> None:
    """`setServer`, `setFrequency`, the cmd, `updateNow`: each once, in this order."""
    order: list[Any] = rig.uplink.steered

    def unlock() -> Deferred[CommandResult]:
        order.append("unlock")
        return succeed(DONE)

    rig.cab.answer = unlock
    answer = rig.cabinet(
        updateNow="1",
        cmd="2",
        unlockDoorId="1",
        setFrequency="60",
        setServer="platform.example/new.do",
    )
    assert answer.code == "1000"
    assert order == [
        ("server", Subject.CABINETS, "https://platform.example/new.do"),
        ("period", Subject.CABINETS, 60.0),
        "unlock",
        ("report-now", Subject.CABINETS),
    ]


def test_a_computer_control_steers_the_computers(rig: RemoteRig) -> None:
    """`computerControl` sets the reports of the computers, and has no commands."""
    rig.computer(updateNow="1", setFrequency="5", cmd="2", unlockDoorId="1")
    assert rig.uplink.steered == [
        ("period", Subject.COMPUTERS, 5.0),
        ("report-now", Subject.COMPUTERS),
    ]
    assert rig.cab.told == []


@pytest.mark.parametrize(
    "bad",
    [
        {"setServer": "evil.example/x"},
        {"cmd": "5", "mode": "3"},
        {"cmd": "8", "onOff": "0"},
        {"cmd": "9", "testStartStop": "0"},
        {"cmd": "1", "rebootIp": "192.168.1.9", "rebootPort": "1"},
    ],
)
def test_none_is_run_if_one_cannot_be(rig: RemoteRig, bad: dict[str, str]) -> None:
    """What may not or cannot be done is found before anything is."""
    answer = rig.cabinet(updateNow="1", setFrequency="60", **bad)
    assert answer.code == "1007"
    assert rig.untouched()


def test_without_an_uplink() -> None:
    """A site that reports to no platform cannot be steered, and says so."""
    rig = RemoteRig(platform=False)
    for fields in ({"updateNow": "1"}, {"setFrequency": "60"}, {"setServer": "a.example/b"}):
        assert rig.cabinet(**fields).json == {"code": "1007", "msg": "本站未配置上级平台"}
    assert rig.cabinet(cmd="2", unlockDoorId="1").code == "1000"


def _two_cabinets(**more: Any) -> tuple[RemoteRig, Device]:
    rig = RemoteRig(
        cabinets=(
            Cabinet("1", dict.fromkeys(GROUPS, ("cab1",)), **more),
            Cabinet("2", dict.fromkeys(GROUPS, ("cab2",))),
        )
    )
    return rig, Device(rig.bench, "cab2", rig.cab.commands)


def test_a_cabinet_is_told_by_its_id() -> None:
    """A door of the second cabinet is unlocked at the second cabinet alone."""
    rig, second = _two_cabinets()
    assert rig.cabinet(cmd="2", cabinetId="2", unlockDoorId="1").code == "1000"
    assert (rig.cab.told, len(second.told)) == ([], 1)


@pytest.mark.parametrize("fields", [{"cmd": "6", "isDoorDefend": "0"}, {"cmd": "5", "mode": "0"}])
def test_all_cabinets_are_told(fields: dict[str, str]) -> None:
    """Without a `cabinetId`, guard and power mode are for all; each of them must do it."""
    rig, second = _two_cabinets()
    assert rig.cabinet(**fields).code == "1000"
    assert (len(rig.cab.told), len(second.told)) == (1, 1)
    second.answer = lambda: succeed(CommandResult(Outcome.FAILED))
    rig.clock.advance(1)
    assert rig.cabinet(**fields).json == {"code": "1007", "msg": "cab2：执行失败"}
    assert len(rig.cab.told) == 2
    rig.cab.answer = second.answer
    rig.clock.advance(1)
    assert rig.cabinet(**fields).json == {"code": "1007", "msg": "cab1：执行失败等2台"}


def test_a_device_of_two_cabinets_is_told_once() -> None:
    """One device that is the source of both cabinets gets one command."""
    cabinets = (Cabinet("1", {"doors": ("cab1",)}), Cabinet("2", {"doors": ("cab1",)}))
    rig = RemoteRig(cabinets=cabinets)
    assert rig.cabinet(cmd="6", isDoorDefend="1").code == "1000"
    assert len(rig.cab.told) == 1


def test_only_the_sources_of_the_group_are_told() -> None:
    """A device that could unlock a door, but is not the source of `doors`, is left alone."""
    rig = RemoteRig(cabinets=(Cabinet("1", {"smoke_sensor": ("cab1",)}),))
    assert rig.cabinet(cmd="2", unlockDoorId="1").code == "1007"
    assert rig.untouched()


def test_an_ambiguous_air_conditioner() -> None:
    """The first air conditioner of two devices is two; all of them are not ambiguous."""
    rig = RemoteRig(cabinets=(Cabinet("1", {"air_conditioners": ("cab1", "cab2")}),))
    Device(rig.bench, "cab2", rig.cab.commands)
    assert rig.cabinet(cmd="3", airId="1", airOperate="1").code == "1007"
    assert rig.untouched()
    assert rig.cabinet(cmd="3", airId="0", airOperate="1").code == "1000"


def test_a_site_without_cabinets() -> None:
    """Without a cabinet, the first is unknown, and all are none."""
    rig = RemoteRig(cabinets=())
    assert rig.cabinet(cmd="2", unlockDoorId="1").code == "1002"
    assert rig.cabinet(cmd="6", isDoorDefend="1").code == "1007"


# -- commands are dangerous


@pytest.mark.parametrize("mode", ["0", "1", "2", "3"])
def test_power_modes_that_stop_tolling(mode: str) -> None:
    """Modes 2 and 3 are 1007 unless `allow_power_modes` names them, in every cabinet meant."""
    rig, _ = _two_cabinets(allow_power_modes=("0", "1", "2"))
    one = rig.cabinet(cmd="5", cabinetId="1", mode=mode)
    assert one.code == ("1007" if mode == "3" else "1000")
    before = len(rig.cab.told)
    both = rig.cabinet(cmd="5", mode=mode)
    assert both.code == ("1000" if mode in "01" else "1007")
    assert len(rig.cab.told) == before + (mode in "01")
    if mode == "3":
        assert both.json["msg"] == "未允许远程设置电源模式3"


RECTIFIER: dict[str, tuple[str, ...]] = {
    "elec": ("ups1",),
    "ups": ("ups1",),
    "rectifier": ("cab1",),
}


def test_rectifiers_are_switched_off_where_it_is_allowed() -> None:
    """Off is 1007 unless the cabinet allows it; on is always allowed."""
    rig = RemoteRig(cabinets=(Cabinet("1", RECTIFIER, allow_rectifier_off=True),))
    assert rig.cabinet(cmd="8", onOff="0").code == "1000"
    rig = RemoteRig(cabinets=(Cabinet("1", RECTIFIER),))
    assert rig.cabinet(cmd="8", onOff="0").json["msg"] == "未允许远程关闭整流模块"
    assert rig.untouched()


@pytest.mark.parametrize(
    "reading",
    [
        {"mains_abnormal": True},
        {"battery_low": True},
        {"battery_charge": 79.9},
        {"self_test": "failed"},
    ],
)
def test_rectifiers_stay_on_while_the_supply_is_bad(reading: dict[str, Any]) -> None:
    """Off is 1007 with bad mains or a bad battery; on is done all the same."""
    rig = RemoteRig(cabinets=(Cabinet("1", RECTIFIER, allow_rectifier_off=True),))
    rig.ups.read(**reading)
    assert rig.cabinet(cmd="8", onOff="0").json["msg"] == "市电或电池异常，不能关闭整流模块"
    assert rig.untouched()
    assert rig.cabinet(cmd="8", onOff="1").code == "1000"


@pytest.mark.parametrize("lost", ["mains_abnormal", "battery_low", "battery_charge"])
def test_a_missing_value_is_not_good(lost: str) -> None:
    """What is not known to be good is not."""
    rig = RemoteRig(cabinets=(Cabinet("1", RECTIFIER, allow_rectifier_off=True),))
    rig.bench.points.fail("ups1", [lost])
    assert rig.cabinet(cmd="8", onOff="0").code == "1007"
    rig = RemoteRig(cabinets=(Cabinet("1", {"rectifier": ("cab1",)}, allow_rectifier_off=True),))
    assert rig.cabinet(cmd="8", onOff="0").code == "1007"
    assert rig.untouched()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({}, "1000"),
        ({"elec.1.status": "0"}, "1007"),
        ({"ups.1.status": "0"}, "1007"),
        ({"ups.1.power_rate": 60.0}, "1007"),
        ({"ups.1.power_rate": "NoData"}, "1007"),
        ({"ups.1.power_rate": None}, "1007"),
        ({"ups.1.running_state": "float-charge"}, "1000"),
        ({"ups.1.running_state": "testing"}, "1007"),
        ({"ups.1.running_state": "discharging"}, "1007"),
    ],
)
def test_the_supply_of_a_cabinet_below_us(change: dict[str, Any], code: str) -> None:
    """A source that has the report's own fields as points tells by them."""
    sources: dict[str, tuple[str, ...]] = dict.fromkeys(("elec", "ups", "rectifier"), ("cab1",))
    rig = RemoteRig(cabinets=(Cabinet("1", sources, allow_rectifier_off=True),))
    values: dict[str, Any] = {"elec.1.status": "1", "ups.1.status": "1", "ups.1.power_rate": 99.0}
    values |= change
    rig.bench.points.declare("cab1", [PointType(name, "", name, name) for name in values])
    rig.bench.points.update("cab1", {n: (v, Quality.GOOD) for n, v in values.items()})
    assert rig.cabinet(cmd="8", onOff="0").code == code


@pytest.mark.parametrize(("charge", "code"), [(95.0, "1000"), (10.0, "1007")])
def test_the_battery_behind_the_rectifiers_counts(charge: float, code: str) -> None:
    """Where `ups` is told by a card, the cabinet's own battery still carries its own load."""
    rig = RemoteRig(cabinets=(Cabinet("1", RECTIFIER, allow_rectifier_off=True),))
    rig.bench.points.declare("cab1", [PointType("ups.1.power_rate", "%", "a", "a")])
    rig.bench.points.update("cab1", {"ups.1.power_rate": (charge, Quality.GOOD)})
    assert rig.cabinet(cmd="8", onOff="0").code == code


@pytest.mark.parametrize(
    ("ip", "port", "code"),
    [
        ("192.168.1.9", "8080", "1000"),
        ("192.168.1.9", "08080", "1000"),
        ("192.168.1.9", "8081", "1007"),
        ("192.168.1.8", "8080", "1007"),
        ("localhost", "8080", "1007"),
    ],
)
def test_only_relays_of_the_configuration(rig: RemoteRig, ip: str, port: str, code: str) -> None:
    """An address that is no configured relay's is 1007: nothing is connected to at its word."""
    assert rig.cabinet(cmd="1", rebootIp=ip, rebootPort=port).code == code
    assert len(rig.relay.told) == (code == "1000")


@pytest.mark.parametrize(
    ("rule", "given", "moved"),
    [
        ("listed", "platform.example/other.do", True),
        ("listed", "platform.example:8443/other.do", False),
        ("listed", "http://platform.example/other.do", False),
        ("listed", "PLATFORM.example/other.do", True),
        ("listed", "second.example/x", True),
        ("listed", "third.example:8080/x", True),
        ("listed", "third.example/x", False),
        ("listed", "http://second.example/x", False),
        ("listed", "https://fourth.example/monitor.do", True),
        ("listed", "https://fourth.example:8443/monitor.do", False),
        ("listed", "https://fourth.example/other.do", False),
        ("listed", "http://fifth.example/monitor.do", False),
        ("listed", "evil.example/monitor.do", False),
        ("listed", "platform.example.evil.example/monitor.do", False),
        ("allow", "evil.example/monitor.do", True),
        ("allow", "http://evil.example/monitor.do", False),
        ("deny", "platform.example/monitor.do", False),
        ("deny", "second.example/x", False),
    ],
)
def test_servers_that_may_be_reported_to(rule: str, given: str, moved: bool) -> None:
    """`remote_set_server` decides; `listed` takes the host reported to and `allowed_servers`."""
    rig = RemoteRig(
        remote_set_server=rule,
        allowed_servers=[
            "second.example",
            "third.example:8080",
            "https://fourth.example/monitor.do",
            "http://fifth.example/monitor.do",
        ],
    )
    answer = rig.cabinet(setServer=given)
    assert answer.code == ("1000" if moved else "1007")
    url = given if "://" in given else f"https://{given}"
    assert rig.uplink.steered == ([("server", Subject.CABINETS, url)] if moved else [])


def test_a_move_opens_no_further_server() -> None:
    """From a listed port of a host to another port of the host: the file decides, 1007."""
    rig = RemoteRig(allowed_servers=["second.example:8443"])
    assert rig.cabinet(setServer="second.example:8443/monitor.do").code == "1000"
    assert rig.cabinet(setServer="second.example:9443/monitor.do").code == "1007"
    assert rig.cabinet(setServer="second.example/monitor.do").code == "1007"


def test_reports_may_be_moved_back() -> None:
    """From a listed server back to the one of the configuration, which is on no list."""
    rig = RemoteRig(allowed_servers=["second.example"], home="https://first.example/monitor.do")
    assert rig.cabinet(setServer="first.example/monitor.do").code == "1000"
    assert rig.cabinet(setServer="third.example/monitor.do").code == "1007"


@pytest.mark.parametrize(
    ("settings", "url", "may"),
    [
        (None, "https://home.example/monitor.do", False),
        ({}, "https://home.example/other", True),
        ({}, "https://home.example:8443/other", False),
        ({}, "http://home.example/other", False),
        ({}, "https://second.example/x", False),
        ({"allowed_servers": ["second.example"]}, "https://second.example/x", True),
        ({"remote_set_server": "deny"}, "https://home.example/x", False),
        ({"remote_set_server": "allow"}, "https://any.example/x", True),
    ],
)
def test_a_server_that_was_set_before(settings: dict[str, Any] | None, url: str, may: bool) -> None:
    """At a start the present settings decide whether a server that was set stays in force."""
    given = None if settings is None else RemoteControlSettings(listen="tcp:3699", **settings)
    assert server_policy(given, "https://home.example/monitor.do").allows(url) == may


@pytest.mark.parametrize(
    "text", ["", "a b", "host/path", "user@host", "host:x", "ftp://host/a", "http:///a", "h?x=1"]
)
def test_what_is_no_allowed_server(text: str) -> None:
    """An entry of `allowed_servers` is a host, host:port or a URL."""
    with pytest.raises(ValueError):
        Server.parse(text)
    policy = ServerPolicy("http://a.example/m", "listed", [Server.parse("[::1]:80")])
    assert not policy.allows("http://b.example/m")
    assert policy.allows("http://[::1]/m")


def test_the_audit_shows_who_told_what(rig: RemoteRig) -> None:
    """The request and what each device was told are entries of the audit."""
    rig.cabinet(cmd="6", isDoorDefend="1", setFrequency="60")
    [entries] = fired(rig.bench.store.audit(10))
    shown = {(e.who, e.target, e.command, e.result) for e in entries}
    assert shown == {
        ("remotecontrol 192.0.2.7", "gantry", "cabinetControl", "done"),
        ("remotecontrol 192.0.2.7", "cab1", "door-guard", "done"),
    }
