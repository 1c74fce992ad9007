"""The driver against the twin of a Power Brain: both sides of the same protocol, in memory."""

import json
from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from twisted.internet.task import LoopingCall
from twisted.web.resource import Resource

from tests.devices.cfos.rig import Rig
from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.devices.cfos.feeds import FeedSettings
from twisted_gantry.devices.upscard import points as upscard_points
from twisted_gantry.twin.faces.cfos.face import ADMIN_PASSWORD, PowerBrain
from twisted_gantry.twin.faults.settings import CFOS, Faults
from twisted_gantry.twin.world.charging import ChargingSite
from twisted_gantry.twin.world.mains import PHASES, Mains
from twisted_gantry.wire.cfos.users import ChargingRule
from twisted_gantry.wire.reading import Quality
from twisted_gantry.wire.secret import Secret

DONE, FAILED = Outcome.DONE, Outcome.FAILED


class TwinRig(Rig):
    """The driver on a twin whose world moves with the clock, with a car at `E1`."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**{"password": Secret(ADMIN_PASSWORD), **settings})
        self._moving = LoopingCall(self._move)
        self._moving.clock = self.clock
        self._moving.start(0.5, now=False)

    def _resource(self) -> Resource:
        self.mains = Mains()
        self.charging = ChargingSite(self.mains)
        self.faults = Faults(self.clock.seconds, Random(1))
        self.brain = PowerBrain(self.charging, self.faults, self.clock, self.clock.now)
        return self.brain.resource()

    def _move(self) -> None:
        self.charging.step(0.5)

    def stop(self) -> None:
        self._moving.stop()
        super().stop()

    def done(self, command: str, **args: Any) -> Any:
        """Run a command that must be done; return its value."""
        result = self.do(command, **args)
        assert result.result is DONE, result
        return result.value


@pytest.fixture
def rig() -> Iterator[TwinRig]:
    """A driver that has polled the twin for a while."""
    made = TwinRig()
    made.start(10.5)
    yield made
    made.stop()


def test_its_parts_are_read(rig: TwinRig) -> None:
    """The car charges at E1, and the meters tell the voltages of the mains."""
    assert rig.state == "online"
    assert rig.good("E1.state") == "charging"
    assert rig.good("E1.power") > 1000
    assert rig.good("M1.voltage_l1") == 220.0
    assert rig.good("M1.power") >= rig.good("E1.power")
    assert rig.good("M1.mains_abnormal") is False
    assert rig.good("max_total_current") > 0
    assert rig.good("load_balancing") in (True, False)
    assert rig.device.counts == {}
    assert rig.bench.raised() == set()


def test_a_part_that_is_not_fed_is_no_alarm(rig: TwinRig) -> None:
    """A part of the type "HTTP input" that is not fed is offline, without an alarm."""
    rig.polls(10)
    assert rig.good("E2.state") == "offline"
    assert rig.good("M3.communication_error") is True
    assert rig.bench.raised() == set()


def test_energy_grows(rig: TwinRig) -> None:
    """The energies of a charging car grow from poll to poll."""
    before = rig.good("E1.import_energy")
    rig.polls(12)
    assert rig.good("E1.import_energy") > before


def test_a_mains_failure(rig: TwinRig) -> None:
    """A power cut is an alarm within a poll and its delay, and over when the mains are back."""
    for phase in PHASES:
        rig.mains.voltage_v[phase] = 0.0
    rig.polls(2)
    assert rig.good("M1.mains_abnormal") is True
    assert "cfos.mains-abnormal" in rig.bench.raised()
    for phase in PHASES:
        rig.mains.voltage_v[phase] = 220.0
    rig.polls(2)
    assert "cfos.mains-abnormal" not in rig.bench.raised()


def test_charging_is_stopped_and_begun(rig: TwinRig) -> None:
    """`override` stops the car, limits it, and lets it go on; the points show it."""
    full = rig.good("E1.power")
    rig.done("override", dev_id="E1", flags="C")
    rig.clock.run(15)
    assert rig.good("E1.power") < 100
    rig.done("override", dev_id="E1", flags="c", mamps=8000)
    rig.clock.run(60, 0.5)
    assert 1000 < rig.good("E1.power") < full
    assert rig.do("override", dev_id="E9", flags="C").result is FAILED


def test_registers(rig: TwinRig) -> None:
    """Registers are read whole, in rows and as text; a write is seen by the next read."""
    assert rig.done("read-register", device="meter1", read="8016s") == "cFos Power Brain"
    words = json.loads(rig.done("read-register", device="meter1", read="8002", count=10))
    assert len(words) == 10
    everything = json.loads(rig.done("read-register", device="evse", read="all"))
    assert everything["8092"] == 2  # charging, counted from 0
    rig.done("write-register", device="evse", write="8093", value=80)
    assert rig.done("read-register", device="evse", read="8093") == 80


def test_users(rig: TwinRig) -> None:
    """A user is made, and is in the list, without a PIN."""
    new = rig.done("set-user", name="neu", dev_ids=["E1"], rfids=[{"id": "90817263"}])
    found = {each["id"]: each for each in json.loads(rig.done("get-users"))}
    assert found[new]["name"] == "neu"
    assert found[new]["rfids"][0]["id"] == "***"
    rig.done("enter-rfid", rfid="90817263", dev_id="E1")
    assert rig.do("enter-rfid", rfid="111222", dev_id="E1").result is FAILED
    assert "90817263" not in rig.shown()


def test_one_user_and_the_parameters(rig: TwinRig) -> None:
    """`get-user` and `get-params` show what was set, a charging rule with every key."""
    rule = {"days": 127, "mode": 0, "current": 8000, "enabled": True, "time": 0}
    new = rig.done("set-user", name="neu", rfids=[{"id": "90817263"}], charging_rules=[rule])
    shown = json.loads(rig.done("get-user", id=new))
    assert (shown["name"], shown["rfids"][0]["id"]) == ("neu", "***")
    [back] = shown["charging_rules"]
    assert set(back) == set(ChargingRule.__struct_fields__)
    assert {name: back[name] for name in rule} == rule
    assert rig.do("get-user", id="5").result is FAILED
    params = json.loads(rig.done("get-params"))
    assert params["cycle_time"] == 3009
    assert "90817263" not in rig.shown()


def test_a_fixed_rfid_from_the_environment(rig: TwinRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """The manager takes it as any other."""
    monkeypatch.setenv("E1_RFID", "04AABBCC")
    rig.done("set-params", params={"devices": [{"dev_id": "E1", "fixed_rfid": {"env": "E1_RFID"}}]})
    assert "04AABBCC" not in rig.shown()


def test_devices_come_and_go(rig: TwinRig) -> None:
    """A deleted device loses its points; reset, it is made anew."""
    rig.done("delete-device", dev_id="M3", force=True)
    rig.polls(4)
    assert not any(name.startswith("M3.") for name in rig.names())
    rig.done("reset-device", dev_id="M2", force=True)
    assert rig.do("reset-device", dev_id="M3", force=True).result is FAILED
    rig.polls(1)
    assert any(name.startswith("M2.") for name in rig.names())


def test_settings(rig: TwinRig) -> None:
    """Parameters are set and read back; the rest of the calls are taken."""
    rig.done("set-params", params={"max_total_current": 40000, "disable_policy": 0})
    rig.polls(1)
    assert (rig.good("max_total_current"), rig.good("disable_policy")) == (40.0, "disable")
    rig.done("set-params", params={"disable_policy": -1}, force=True)
    rig.polls(1)
    assert "cfos.no-current-limit" in rig.bench.raised()
    rig.done("set-diag-logging", enable=True)
    rig.done("accept-license", allow_usage_stats=False)
    before = rig.done("soft-meter", dev_id="E1")
    assert rig.done("soft-meter", dev_id="E1", val=before + 5000) >= before
    assert rig.done("soft-meter", dev_id="E1") >= before + 5000


def test_the_password_is_changed(rig: TwinRig) -> None:
    """After a change the driver goes on with the new password, and keeps both to itself."""
    new = "n+e&w pä%ss"
    rig.done("change-admin-password", new_pwd=new)
    rig.done("set-diag-logging", enable=True)
    rig.polls(2)
    assert rig.state == "online"
    assert rig.do("change-admin-password", old_pwd="wrong-one", new_pwd="x").result is FAILED
    rig.done("set-diag-logging", enable=False)
    for secret in (new, ADMIN_PASSWORD, "wrong-one"):
        assert secret not in rig.shown()


def test_a_wrong_password() -> None:
    """What needs the password fails with a reason, and is not taken for done."""
    rig = TwinRig(password=Secret("not-it"))
    rig.start(1)
    result = rig.do("set-diag-logging", enable=True)
    assert (result.result, "401" in result.detail) == (FAILED, True)
    rig.stop()


def test_feeds() -> None:
    """The mains of a UPS reach the manager's meter, and an EVSE that is fed gets its orders."""
    settings: list[Any] = [{"to": "M3", "from": "ups1"}, {"to": "E2", "from": "ups1"}]
    rig = TwinRig(feeds=[_feed(each) for each in settings])
    points = rig.bench.points
    points.declare("ups1", upscard_points.POINTS)
    readings = {f"input_voltage_{p}": (218.0 + n, Quality.GOOD) for n, p in enumerate("rst")}
    readings |= {f"input_current_{p}": (2.5, Quality.GOOD) for p in "rst"}
    points.update("ups1", readings)
    rig.start(11)
    assert rig.good("M3.feed_working") is True
    assert [rig.good(f"M3.voltage_l{n}") for n in (1, 2, 3)] == [218.0, 219.0, 220.0]
    assert rig.good("M3.current_l1") == 2.5
    assert rig.good("E2.feed_working") is True
    assert rig.good("E2.feed_device_enabled") in (True, False)
    assert isinstance(rig.good("E2.feed_current"), float)
    rig.stop()


def _feed(keys: dict[str, Any]) -> FeedSettings:
    return FeedSettings(to=keys["to"], source=keys["from"])


@pytest.mark.parametrize(
    "fault",
    [
        {"http_status": 502},
        {"busy": True},
        {"refuse": True},
        {"garbage": 1.0},
        {"delay": 5.0},
        {"drip": 1},
        {"frozen": True},
    ],
)
def test_faults(rig: TwinRig, fault: dict[str, Any]) -> None:
    """Whatever the manager does wrong, it is offline with a reason, and back when it is over."""
    rig.faults.put(CFOS, fault)
    rig.clock.run(25, 0.25)
    assert rig.state == "offline"
    assert rig.device.status.last_error
    assert rig.good("M1.voltage_l1") == "get-failed"
    rig.faults.clear(CFOS)
    rig.clock.run(61, 0.25)
    assert rig.state == "online"
    assert rig.good("M1.voltage_l1") == 220.0


def test_half_an_answer_counts(rig: TwinRig) -> None:
    """What came of an answer that is cut off holds; what did not come is unknown, and no alarm."""
    rig.faults.put(CFOS, {"half": 1.0})
    rig.clock.run(25, 0.25)
    assert rig.state == "online"
    assert rig.good("M1.voltage_l1") == "get-failed"
    assert rig.device.status.last_error
    rig.faults.clear(CFOS)
    rig.clock.run(61, 0.25)
    assert rig.good("M1.voltage_l1") == 220.0
