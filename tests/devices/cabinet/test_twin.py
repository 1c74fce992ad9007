"""A cabinet of the twin below us: it uploads to our `monitor.do`, we command it, in memory."""

import random
from collections.abc import Iterator
from typing import Any

import pytest
from twisted.internet.task import LoopingCall
from zope.interface.verify import verifyObject

from tests.devices.cabinet.rig import AUTH, URL
from tests.devices.rig import DriverRig, Wire
from tests.support import fired, no_computers
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import IBatteryRecorder, ICamera, NotTold
from twisted_gantry.core.stored import StoredCard
from twisted_gantry.devices.cabinet.driver import DEADLINE, CabinetSettings, SmartCabinet
from twisted_gantry.net.http.client import BoundedClient
from twisted_gantry.remote.channel import ControlChannel, Stamps
from twisted_gantry.twin.faces.cabinet.face import CabinetTwin
from twisted_gantry.twin.faults.settings import CABINET, Faults
from twisted_gantry.twin.world.cabinet import Cabinet
from twisted_gantry.twin.world.mains import Mains
from twisted_gantry.web.monitor.endpoint import Monitor, MonitorSettings
from twisted_gantry.wire.secret import Secret

MONITOR = "http://gantry.test:8082/monitor.do"


class Both(DriverRig):
    """A gantry's side and the twin's, joined."""

    def __init__(self, *, quirks: bool = False) -> None:
        super().__init__()
        self.wire = Wire(self.clock)
        stub: Any = self.wire
        gantry_id = self.bench.context.gantry_id
        self.world = Cabinet(Mains())
        self.faults = Faults(self.clock.seconds, random.Random(1))
        self.twin = CabinetTwin(
            self.world,
            self.faults,
            self.clock,
            self.clock.now,
            BoundedClient(stub, self.clock),
            gantry_id=gantry_id,
            auth=AUTH,
            monitor_url=MONITOR,
            quirks=quirks,
        )
        self.wire.serve("cabinet.test", self.twin.resource())
        settings = CabinetSettings(url=URL, auth=Secret(AUTH))
        client = BoundedClient(stub, self.clock, deadline=DEADLINE)
        channel = ControlChannel(URL, settings.auth, gantry_id, client, Stamps(self.clock.now).next)
        self.device = SmartCabinet("cab1", settings, self.bench.context, channel, self.close)
        self.bench.add(self.device)
        given = MonitorSettings(listen="tcp:8082", auth=Secret(AUTH))
        self.monitor = Monitor(given, self.bench.site, self.clock, self.clock.now, no_computers)
        self.wire.serve("gantry.test", self.monitor.resource())
        self._world = LoopingCall(self.world.step, 0.1)
        self._world.clock = self.clock
        self._world.start(0.1, now=False)

    def start(self, seconds: float = 2.0) -> Any:
        """Start the driver; the twin has been running for a while, and is not about to report."""
        self.twin.startService()
        self.clock.run(20)
        return super().start(seconds)

    def settle(self) -> None:
        self.twin.stopService()
        self._world.stop()
        self.faults.clear(CABINET)
        self.clock.run(20, 1.0)

    def do(self, command: str, seconds: float = 2.0, **args: Any) -> CommandResult:
        """Ask for a command, let time pass, and return its outcome."""
        return super().do(command, seconds, **args)

    def locked(self) -> list[bool]:
        """Return whether the front door and the back door are locked."""
        return [self.world.doors.front.locked, self.world.doors.back.locked]


@pytest.fixture
def both() -> Iterator[Both]:
    made = Both()
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("quirks", [False, True])
def test_it_is_online_soon_after_the_start(quirks: bool) -> None:
    """Within two seconds of our start it is online, also with the spaces of the document's keys."""
    both = Both(quirks=quirks)
    both.start()
    assert both.state == "online"
    assert both.good("doors.front_door_closed") is True
    assert both.good("thunder_spd.2.lightning_count") == 0
    assert both.good("ups.1.running_state") in {"float-charge", "charging"}
    assert both.device.counts == {"uploads": both.device.counts["uploads"]}
    assert both.bench.raised() == set()
    both.stop()


def test_smoke_is_an_alarm_at_once(both: Both) -> None:
    """Smoke in the cabinet is our alarm within a second, and its end too."""
    both.world.smoke.warns = True
    both.world.settle()
    both.clock.run(1.0)
    assert both.bench.raised() == {"cab1.smoke"}
    both.world.smoke.warns = False
    both.world.settle()
    both.clock.run(2.0)
    assert both.bench.raised() == set()


@pytest.mark.parametrize(("door", "extension"), [("front", "jpg"), ("back", "avi")])
def test_the_picture_of_an_opening_is_fetched(both: Both, door: str, extension: str) -> None:
    """The cabinet is asked with the time that it reported, and its file comes whole."""
    assert verifyObject(ICamera, both.device)
    getattr(both.world.doors, door).force(armed=False)
    both.world.settle()
    both.clock.run(1.0)
    opened = both.good(f"doors.{door}_door_change_time")
    told = fired(both.device.picture(opened))
    both.clock.run(1.0)
    [picture] = told
    digits = "".join(c for c in opened if c.isdigit())
    assert picture.name == f"{both.bench.context.gantry_id}_{digits}.{extension}"
    assert picture.content == both.twin.camera.shots[-1].content
    told = fired(both.device.picture("2019-08-28 14:11:01.321"))
    both.clock.run(1.0)
    assert told == [None]


def test_a_picture_that_is_not_whole_is_none(both: Both) -> None:
    """A cabinet that sends garbage or nothing is told as such."""
    both.world.doors.front.force(armed=False)
    both.world.settle()
    both.clock.run(1.0)
    opened = both.good("doors.front_door_change_time")
    for fault in ({"garbage": 1.0}, {"drop": 1.0}, {"http_status": 503}):
        both.faults.put(CABINET, fault)
        told = fired(both.device.picture(opened))
        both.clock.run(11.0)
        [failure] = told
        assert failure.check(NotTold), fault
        assert AUTH not in str(failure.value)


def test_an_output_voltage_that_is_too_high_is_an_alarm(both: Both) -> None:
    """Each module says 输出电压过压; the alarm ends with the fault."""
    both.world.supply.offset_v = 6.0
    both.world.settle()
    both.clock.run(1.0)
    assert both.good("rectifier.1.warning_msg") == "输出电压过压"
    assert both.good("rectifier.1.output_voltage") > 58.0
    assert "cab1.rectifier-warning" in both.bench.raised()
    both.world.supply.offset_v = 0.0
    both.world.settle()
    both.clock.run(2.0)
    assert both.bench.raised() == set()


def test_an_equalising_charge_is_a_running_state(both: Both) -> None:
    """`runningState` 2 is no alarm."""
    both.world.supply.equalise = True
    both.world.settle()
    fired(both.device.refresh())
    both.clock.run(2.0)
    assert both.good("ups.1.running_state") == "equalising"
    assert both.bench.raised() == set()


def test_a_door_is_unlocked_by_us(both: Both) -> None:
    """`unlock-door` unlocks that door, and our points show by what."""
    assert both.do("unlock-door", 1.5, unlockDoorId="2").result is Outcome.DONE
    assert both.locked() == [True, False]
    assert both.good("doors.back_door_unlock_type") == "remote"
    assert both.good("doors.back_door_locked") is False
    assert both.bench.raised() == {"cab1.back-door-unlocked"}


def test_the_others_do_what_they_say(both: Both) -> None:
    """Each further command changes the world, and the upload after it shows that."""
    done = Outcome.DONE
    assert both.do("air-conditioner", airId="2", airOperate="2").result is done
    assert [unit.wanted for unit in both.world.air_conditioners] == [True, False]
    temperatures = {"autoRefrigerationTemp": 28, "autoHeatingTemp": 4}
    assert both.do("air-conditioner-temperature", airId="0", **temperatures).result is done
    assert {unit.cool_above_c for unit in both.world.air_conditioners} == {28.0}
    assert both.do("power-mode", mode="2").result is done
    assert both.world.power_mode == 2
    assert both.do("door-guard", isDoorDefend="1").result is done
    assert both.good("doors.defend_mode") is True
    assert both.do("battery-test", testStartStop="1").result is done
    assert both.good("ups.1.running_state") == "testing"
    assert both.do("battery-test", testStartStop="0").result is done
    assert both.do("update-now").result is done


def test_what_the_cabinet_will_not_do(both: Both) -> None:
    """The cabinet's own reason for 1007 is the detail of the failure."""
    ended = both.do("battery-test", testStartStop="0")
    assert ended.result is Outcome.FAILED
    assert "没有正在进行的电池测试" in ended.detail


def test_the_result_of_its_battery_test(both: Both) -> None:
    """Before a test there is none; after it, what the cabinet says; without answer, a reason."""

    def asked() -> Any:
        results = fired(both.device.battery_test_result())
        both.clock.run(2.0)
        [result] = results
        return result

    assert verifyObject(IBatteryRecorder, both.device)
    assert asked()["testResult"] == "1"
    assert both.do("battery-test", 60.0, testStartStop="1").result is Outcome.DONE
    assert both.do("battery-test", testStartStop="0").result is Outcome.DONE
    result = asked()
    assert (result["testResult"], result["testEndCourse"]) == ("1", "4")
    assert float(result["dischargeEndVoltage"]) > 40
    for fault, words in (
        ({"code": "1009"}, "1009"),
        ({"garbage": 1}, "not JSON"),
        ({"drop": 1}, ""),
    ):
        both.faults.put(CABINET, fault)
        failure = asked()
        assert failure.check(NotTold)
        assert words in str(failure.value)
    both.faults.clear(CABINET)


def test_a_lost_answer_is_not_repeated(both: Both) -> None:
    """The door is unlocked once although the answer is lost; the outcome is not known."""
    both.faults.put(CABINET, {"drop": 1.0})
    executed = both.twin.counts["executed"]
    assert both.do("unlock-door", 0.5, unlockDoorId="1").result is Outcome.TIMEOUT
    both.faults.clear(CABINET)
    assert both.locked() == [False, True]
    both.clock.run(100)
    assert both.locked() == [True, True]
    told = both.twin.counts["executed"] - executed
    assert told <= 6  # the command, and requests to report
    assert both.twin.counts["replayed"] == 0


def test_a_cabinet_whose_clock_is_wrong(both: Both) -> None:
    """Its uploads are taken with our time; the alarm holds until its clock is right again."""
    both.world.clock_offset_s = 3600.0
    both.world.smoke.warns = True
    both.world.settle()
    both.clock.run(1.0)
    assert both.bench.raised() == {"cab1.smoke", "cab1.clock-skew"}
    assert "1003" in both.do("unlock-door", unlockDoorId="1").detail
    assert both.state == "online"
    both.world.clock_offset_s = 0.0
    assert both.do("update-now").result is Outcome.DONE
    assert both.bench.raised() == {"cab1.smoke"}


def test_the_white_list_goes_down(both: Both) -> None:
    """The list that we have is the cabinet's within its period, and opens its doors."""
    assert not both.twin.white_list.admits("1234567")
    card = StoredCard("1234567", "2019-11-29 13:58:50", "2029-11-29 13:58:50")
    both.bench.store.replace_cards("20191129134255", [card])
    both.clock.run(70, 0.1)
    assert both.twin.white_list.version == "20191129134255"
    assert both.twin.white_list.admits("1234567")


@pytest.mark.parametrize("fault", ["wrong_digest", "stale", "duplicate"])
def test_uploads_that_are_signed_wrong_or_old_or_come_twice(both: Both, fault: str) -> None:
    """Of three spoilt, the one that is right is taken; what is smoke stays smoke."""
    both.faults.put(CABINET, {fault: 0.6})
    both.world.smoke.warns = True
    both.world.settle()
    both.clock.run(100, 0.1)
    assert both.bench.raised() == {"cab1.smoke"}
    assert both.state == "online"
    assert sum(both.twin.counts[name] for name in ("wrong-digest", "stale", "doubled")) > 1


def test_a_cabinet_that_freezes(both: Both) -> None:
    """It is offline while it hangs; what it saw meanwhile it tells afterwards."""
    both.faults.put(CABINET, {"frozen": True})
    both.world.smoke.warns = True
    both.world.settle()
    both.clock.run(200, 0.1)
    assert both.state == "offline"
    assert "cab1.smoke" not in both.bench.raised()
    both.faults.clear(CABINET)
    both.clock.run(61, 0.1)
    assert both.state == "online"
    assert "cab1.smoke" in both.bench.raised()


def test_a_cabinet_that_goes_dark(both: Both) -> None:
    """A cabinet that answers no more is offline soon, and online soon after it is back."""
    both.faults.put(CABINET, {"refuse": True})
    both.clock.run(70, 0.1)
    assert both.state == "offline"
    both.faults.clear(CABINET)
    both.clock.run(61, 0.1)
    assert both.state == "online"
