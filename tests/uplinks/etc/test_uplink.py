"""The ETC uplink against the platform twin, in memory: what is reported, when, and what it says."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from zope.interface.verify import verifyObject

from tests.support import Bench, TestClock, fired
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.interfaces import IUplink
from twisted_gantry.core.site import Cabinet
from twisted_gantry.core.status import State, Status
from twisted_gantry.core.stored import Ledger
from twisted_gantry.devices.computers.points import POINTS as COMPUTER_POINTS
from twisted_gantry.devices.power import Limits
from twisted_gantry.devices.upscard.points import POINTS, rules
from twisted_gantry.net.http.client import BoundedClient
from twisted_gantry.twin.faces.etc.platform import Platform
from twisted_gantry.twin.faults.settings import ETC, Faults
from twisted_gantry.uplinks.etc import rows as etc_rows
from twisted_gantry.uplinks.etc.channel import MAX_ANSWER, EtcChannel, Taken
from twisted_gantry.uplinks.etc.uplink import EtcSettings, EtcUplink
from twisted_gantry.wire.etc import envelope as wire_etc
from twisted_gantry.wire.etc.envelope import Card, CardList, EtcCode, Method, answer
from twisted_gantry.wire.reading import Quality, Value
from twisted_gantry.wire.secret import Secret

AUTH = "8d2f-secret"
CABINET = Cabinet("1", {"elec": ("ups1",), "ups": ("ups1",)})
GOOD: dict[str, Value] = {
    "input_voltage_r": 220.1,
    "input_voltage_s": 220.2,
    "input_voltage_t": 220.3,
    "input_frequency": 50.1,
    "output_voltage_r": 221.0,
    "battery_voltage": 216.5,
    "battery_runtime": 3690.0,
    "battery_charge": 90.0,
    "battery_remaining": 90.0,
    "temperature": 37.5,
    "state": "line",
    "mains_abnormal": False,
    "battery_low": False,
    "overload": False,
    "self_test": "unknown",
    "rated_input_voltage": 220.0,
}


class FakeUps(Service):
    """A device whose points the test sets."""

    kind = "fake"
    commands: dict[str, Any] = {}  # noqa: RUF012
    details: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, bench: Bench, name: str = "ups1") -> None:
        self.name = self.device = name
        self._bench = bench
        self.status = Status(name, bench.clock.now)
        self.rules = rules(Limits())
        bench.points.declare(name, POINTS)
        bench.add(self)

    def read(self, **values: Value) -> None:
        """Take a good reading: the usual values, but for those given."""
        readings = {name: (value, Quality.GOOD) for name, value in (GOOD | values).items()}
        readings["input_current_r"] = (None, Quality.NOT_SUPPORTED)
        self._bench.points.update(self.device, readings)
        self.status.online()

    def lose(self) -> None:
        self._bench.points.fail(self.device)
        self.status.offline("gone")


class WatchedChannel:
    """The real channel, delivered by a stub of treq; `sent` counts the requests."""

    def __init__(self, channel: EtcChannel, stub: StubTreq, clock: TestClock) -> None:
        self._channel, self._stub, self._clock = channel, stub, clock
        self.urls: list[str] = []

    def post(self, body: bytes, url: str, limit: int = MAX_ANSWER) -> Deferred[Taken]:
        self.urls.append(url)
        posted = self._channel.post(body, url, limit)
        self._clock.callLater(0, self._stub.flush)
        return posted


class Rig:
    """A site with one UPS, the uplink, and the platform twin."""

    def __init__(self, *cabinets: Cabinet, read: bool = True, **settings: Any) -> None:
        self.bench = Bench(*(cabinets or (CABINET,)))
        self.clock = self.bench.clock
        self.ups = FakeUps(self.bench)
        self.faults = Faults(self.clock.seconds, Random(1))
        self.platform = Platform(
            self.faults, self.clock, self.clock.now, gantry_id="G000211001002110010", auth=AUTH
        )
        stub = StubTreq(self.platform.resource())
        client = BoundedClient(stub, self.clock)  # type: ignore[arg-type]
        url = "http://platform.test/monitor.do"
        channel = EtcChannel(Secret(AUTH), client)
        self.channel = WatchedChannel(channel, stub, self.clock)
        self._settings = EtcSettings(url=url, auth=Secret(AUTH), **settings)
        self.uplink = self.new_uplink()
        if read:
            self.ups.read()

    def new_uplink(self) -> EtcUplink:
        """Return an uplink on the site's present store."""
        return EtcUplink(
            self._settings,
            self.bench.site,
            self.channel,
            self.clock,
            self.clock.now,
            lambda: 1.0,
            lambda: succeed(None),
        )

    def start(self, seconds: float = 0.5) -> None:
        self.uplink.startService()
        self.clock.run(seconds)

    def stop(self) -> None:
        """Stop, and see that no timer is left."""
        self.uplink.stopService()
        self.bench.alarms.stop()
        self.clock.run(61)
        assert self.clock.getDelayedCalls() == []

    def cabinets(self) -> list[dict[str, Any]]:
        """Return the cabinet reports that the platform took, oldest first."""
        return [r["body"]["cabinetStatus"] for r in self.taken(Method.CABINET_STATUS)]

    def taken(self, method: Method) -> list[dict[str, Any]]:
        """Return the requests of one method that were answered 1000, oldest first."""
        found = self.platform.requests(method.value, 10_000)
        return [r for r in reversed(found) if (r["answer"] or {}).get("code") == "1000"]

    def ledger(self) -> Ledger:
        [ledger] = fired(self.bench.store.ledger("etc"))
        assert isinstance(ledger, Ledger)
        return ledger


@pytest.fixture
def rig() -> Iterator[Rig]:
    """An uplink that has sent its first reports."""
    made = Rig()
    made.start()
    yield made
    made.stop()


def test_provides_its_interface(rig: Rig) -> None:
    """The uplink is an IUplink."""
    assert verifyObject(IUplink, rig.uplink)


def test_first_reports_go_out_when_the_devices_were_read() -> None:
    """Nothing is reported before the first reading; the first one brings the first reports."""
    rig = Rig(read=False)
    rig.start(2.0)
    assert rig.cabinets() == []
    rig.ups.read()
    rig.clock.run(0.5)
    assert [report["elec"][0]["status"] for report in rig.cabinets()] == ["1"]
    assert len(rig.taken(Method.CARDS)) == 1
    rig.stop()


def test_first_reports_wait_five_seconds_at_most() -> None:
    """A device that does not answer holds up the first reports for 5 s: they say NoData."""
    rig = Rig(read=False)
    rig.start(6.0)
    [report] = rig.cabinets()
    assert set(report["ups"][0].values()) == {"1", "NoData", "NotSupport"}
    rig.stop()


def test_reports_every_period() -> None:
    """Each report is sent every `period` seconds."""
    rig = Rig(period=10.0, cards_period=20.0)
    rig.start(45.0)
    assert len(rig.cabinets()) == 5
    assert len(rig.taken(Method.CARDS)) == 3
    assert rig.ledger() == Ledger(created=5, delivered=5)
    rig.stop()


def test_the_row_of_the_mains(rig: Rig) -> None:
    """The row of the mains has the first phase; what the card does not measure is NotSupport."""
    assert rig.cabinets()[-1]["elec"] == [
        {
            "id": "1",
            "status": "1",
            "voltage": "220.1",
            "current": "NotSupport",
            "power": "NotSupport",
            "frequency": "50.1",
            "elecConsumption": "NotSupport",
            "warningMsg": "",
        }
    ]


def test_the_row_of_a_charging_ups(rig: Rig) -> None:
    """While the battery charges its volts are the charge voltage; time left is minutes."""
    assert rig.cabinets()[-1]["ups"] == [
        {
            "id": "1",
            "status": "1",
            "runningState": "4",
            "inputVoltage": "216.5",
            "inputCurrent": "NotSupport",
            "outputVoltage": "NoData",
            "outputCurrent": "NotSupport",
            "powerRate": "90.00",
            "surplusTime": "61.5",
            "remainCapacity": "90",
            "temperature": "37.50",
            "warningMsg": "",
        }
    ]


@pytest.mark.parametrize(
    ("values", "running", "charge", "discharge"),
    [
        ({"battery_charge": 100.0}, "1", "216.5", "NoData"),
        ({"state": "battery", "mains_abnormal": True}, "3", "NoData", "216.5"),
        ({"state": "test"}, "5", "NoData", "216.5"),
        ({"state": "fault"}, "NoData", "216.5", "NoData"),
        ({"state": "shutdown", "mains_abnormal": True}, "NoData", "216.5", "NoData"),
        ({"state": "bypass"}, "4", "216.5", "NoData"),
    ],
)
def test_running_state_and_battery_volts(
    values: dict[str, Value], running: str, charge: str, discharge: str
) -> None:
    """The battery's volts stand in the pair that applies."""
    rig = Rig()
    rig.ups.read(**values)
    rig.start()
    row = rig.cabinets()[0]["ups"][0]
    assert (row["runningState"], row["inputVoltage"], row["outputVoltage"]) == (
        running,
        charge,
        discharge,
    )
    rig.stop()


def test_ups_meaning_ac() -> None:
    """With `ups_meaning = "ac"` the four fields are those of the alternating current."""
    rig = Rig(Cabinet("1", {"ups": ("ups1",)}, "ac"))
    rig.start()
    row = rig.cabinets()[0]["ups"][0]
    assert (row["inputVoltage"], row["outputVoltage"]) == ("220.1", "221")
    assert (row["inputCurrent"], row["outputCurrent"]) == ("NotSupport", "NoData")
    rig.stop()


def test_what_the_site_lacks(rig: Rig) -> None:
    """A group without a source is an empty array, or NotSupport in each field."""
    report = rig.cabinets()[0]
    assert report["rectifier"] == report["airConditioners"] == report["thunderSpd"] == []
    for group in ("thermohygrometer", "waterloggingSensor", "doors", "smokeSensor"):
        assert set(report[group].values()) == {"NotSupport"}


def test_an_unreachable_device_sends_get_failed_in_every_field(rig: Rig) -> None:
    """An offline device is GetFailed in each field of its rows, never 0."""
    rig.ups.lose()
    rig.clock.run(301.0, step=1.0)
    report = rig.cabinets()[-1]
    for row in (report["elec"][0], report["ups"][0]):
        assert row.pop("id") == "1"
        assert set(row.values()) == {"GetFailed"}


def test_an_alarm_is_reported_at_once(rig: Rig) -> None:
    """An alarm edge sends a report at once, with the words of the document."""
    before = len(rig.cabinets())
    rig.ups.read(mains_abnormal=True, state="battery")
    rig.clock.settle()
    reports = rig.cabinets()[before:]
    assert [r["elec"][0]["status"] for r in reports] == ["0"]
    assert reports[0]["elec"][0]["warningMsg"] == "市电异常"
    rig.ups.read()
    rig.clock.run(2.0)
    assert rig.cabinets()[-1]["elec"][0]["status"] == "1"


def test_an_alarm_that_flaps_is_reported_each_time(rig: Rig) -> None:
    """The platform is told of each rise and fall, also while the alarm is held for people."""
    alarms, before = rig.bench.alarms, len(rig.cabinets())
    for _ in range(8):
        alarms.set("ups1.overload", Severity.CRITICAL, "overload", "UPS过载", "ups")
        rig.clock.run(1.2)
        alarms.clear("ups1.overload")
        rig.clock.run(1.2)
    rows = [report["ups"][0] for report in rig.cabinets()[before:]]
    told = [(row["status"], row["warningMsg"]) for row in rows]
    assert told == [("0", "UPS过载"), ("1", "")] * 8
    assert [alarm.count for alarm in alarms.active()] == [8]


def test_an_own_rule_is_reported_when_that_is_asked_for(rig: Rig) -> None:
    """The text of a rule with a group stands in the row of its device; that of another nowhere."""
    alarms, before = rig.bench.alarms, len(rig.cabinets())
    subject = {"subject": "ups1"}
    alarms.set("rule.quiet", Severity.CRITICAL, "quiet", "不上报", **subject)
    rig.clock.settle()
    assert rig.cabinets()[before:] == []
    alarms.set("rule.hot", Severity.WARNING, "hot", "UPS过热", "ups", **subject)
    alarms.set("rule.worse", Severity.CRITICAL, "hotter", "UPS很热", "ups", **subject)
    rig.clock.run(1.2)
    row = rig.cabinets()[-1]["ups"][0]
    assert (row["status"], row["warningMsg"]) == ("0", "UPS过热,UPS很热")
    assert rig.cabinets()[-1]["elec"][0]["warningMsg"] == ""
    for name in ("rule.quiet", "rule.hot", "rule.worse"):
        alarms.clear(name)
    rig.clock.run(1.2)
    row = rig.cabinets()[-1]["ups"][0]
    assert (row["status"], row["warningMsg"]) == ("1", "")


def test_warnings_are_joined(rig: Rig) -> None:
    """Several alarms of one device stand in one warningMsg, joined by a comma."""
    for _ in range(2):
        rig.ups.read(input_voltage_s=0.0, input_voltage_t=0.0)
        rig.clock.run(2.0)
    row = rig.cabinets()[-1]["elec"][0]
    assert row["warningMsg"] == "交流L2相缺相,交流L3相缺相"
    assert row["status"] == "0"


def test_a_pulse_is_not_missed(rig: Rig) -> None:
    """A failure of 300 ms inside the gathering second is reported, and then its end."""
    rig.ups.read(overload=True)
    rig.clock.run(0.1)
    before = len(rig.cabinets())
    rig.ups.read(overload=True, mains_abnormal=True)
    rig.clock.run(0.3)
    rig.ups.read()
    rig.clock.run(5.0)
    statuses = [r["elec"][0]["status"] for r in rig.cabinets()[before:]]
    assert statuses == ["0", "1"]


def test_changes_within_a_second_are_gathered(rig: Rig) -> None:
    """Ten edges in half a second make two reports, not ten."""
    before = len(rig.cabinets())
    for turn in range(10):
        rig.ups.read(mains_abnormal=turn % 2 == 0)
        rig.clock.run(0.05)
    rig.clock.run(0.6)
    assert len(rig.cabinets()) - before == 2


def test_an_alarm_stays_latched_until_a_report_that_carries_it_is_acknowledged(rig: Rig) -> None:
    """The report that carries a pulse is set aside: the next one carries the pulse again."""
    rig.faults.put(ETC, {"code": "1002"})
    rig.ups.read(mains_abnormal=True)
    rig.clock.run(0.2)
    rig.ups.read()
    rig.faults.clear(ETC)
    before = len(rig.cabinets())
    rig.clock.run(4.0)
    statuses = [r["elec"][0]["status"] for r in rig.cabinets()[before:]]
    assert statuses == ["0", "1"]


def test_a_platform_that_refuses_everything_gets_no_storm(rig: Rig) -> None:
    """While every report is refused (1002), an alarm is reported once more, not every second."""
    rig.faults.put(ETC, {"code": "1002"})
    rig.ups.read(mains_abnormal=True)
    rig.clock.run(60.0, step=0.5)
    assert rig.ledger().set_aside <= 4
    rig.ups.read()
    rig.clock.run(60.0, step=0.5)
    assert rig.ledger().set_aside <= 8
    rig.faults.clear(ETC)
    before = len(rig.cabinets())
    rig.clock.run(302.0, step=0.5)
    statuses = [r["elec"][0]["status"] for r in rig.cabinets()[before:]]
    assert statuses == ["0", "1"]


def test_each_cabinet_carries_a_pulse_of_a_device_that_they_share() -> None:
    """A pulse of a device that two cabinets name is told for both."""
    rig = Rig(Cabinet("1", {"elec": ("ups1",)}), Cabinet("2", {"elec": ("ups1",)}))
    rig.start()
    rig.ups.read(overload=True)
    rig.clock.run(0.1)
    before = len(rig.cabinets())
    rig.ups.read(overload=True, mains_abnormal=True)
    rig.clock.run(0.2)
    rig.ups.read()
    rig.clock.run(5.0)
    told = [(r["id"], r["elec"][0]["status"]) for r in rig.cabinets()[before:]]
    assert told == [("1", "0"), ("2", "0"), ("1", "1"), ("2", "1")]
    rig.stop()


def test_a_missed_reading_is_not_told_as_what_was(rig: Rig) -> None:
    """Between a miss and the loss of the device its row says GetFailed, not the old alarm."""
    rig.ups.read(mains_abnormal=True)
    rig.clock.run(2.0)
    rig.bench.points.fail("ups1")
    rig.clock.run(300.0, step=1.0)
    row = rig.cabinets()[-1]["elec"][0]
    assert (row["status"], row["voltage"], row["warningMsg"]) == (
        "GetFailed",
        "GetFailed",
        "市电异常",
    )
    assert rig.cabinets()[-1]["ups"][0]["warningMsg"] == "GetFailed"


def test_a_clock_that_was_ahead_does_not_block_the_queue() -> None:
    """Reports made while our clock was a day ahead are delivered once it is right again."""
    rig = Rig(period=30.0)
    rig.start()
    rig.clock.wall_offset += 86_400
    # The platform's own clock is right: it refuses what is stamped a day ahead.
    platform_now = rig.clock.now
    rig.platform._now = lambda: platform_now() - 86_400
    rig.clock.run(65.0, step=0.5)
    assert "etc.clock-skew" in rig.bench.raised()
    rig.clock.wall_offset -= 86_400
    rig.platform._now = rig.clock.now
    rig.clock.run(120.0, step=0.5)
    assert rig.ledger().queued == rig.ledger().set_aside == 0
    assert "etc.clock-skew" not in rig.bench.raised()
    rig.stop()


@pytest.mark.parametrize("fault", [{"drip": 1}, {"frozen": True}, {"garbage": 1.0}, {"drop": 1.0}])
def test_an_answer_that_does_not_come_whole_is_none(fault: dict[str, Any]) -> None:
    """The report stays, and goes out again with the time it had, until an answer comes whole."""
    rig = Rig(period=300.0)
    rig.faults.put(ETC, fault)
    rig.start(60.0)
    assert rig.uplink.status.state is State.OFFLINE
    assert rig.ledger().queued == 1
    rig.faults.clear(ETC)
    rig.clock.run(70.0, step=0.5)
    assert rig.ledger() == Ledger(created=1, delivered=1)
    assert len({report["body"]["timeStamp"] for report in rig.taken(Method.CABINET_STATUS)}) == 1
    rig.stop()


def test_half_an_answer_with_its_code_counts() -> None:
    """A report whose answer was cut behind the code is delivered, once."""
    rig = Rig(period=300.0)
    rig.faults.put(ETC, {"half": 1.0})
    rig.start(60.0)
    assert rig.ledger() == Ledger(created=1, delivered=1)
    assert len(rig.taken(Method.CABINET_STATUS)) == 1
    rig.stop()


def test_a_clock_that_jumps_drops_nothing() -> None:
    """By default no report is dropped for its age: the clock may have been wrong."""
    rig = Rig(period=30.0)
    rig.start()
    rig.faults.put(ETC, {"http_status": 503})
    rig.clock.run(120.0, step=1.0)
    rig.clock.wall_offset += 40 * 86_400
    rig.clock.run(120.0, step=1.0)
    assert rig.ledger().dropped == 0
    assert rig.ledger().queued == 8
    rig.stop()


def test_old_reports_are_dropped_by_age_when_that_is_set() -> None:
    """With `backlog_age` set, what is older is dropped, counted."""
    rig = Rig(period=30.0, backlog_age=60.0)
    rig.start()
    rig.faults.put(ETC, {"http_status": 503})
    rig.clock.run(301.0, step=1.0)
    assert rig.ledger().dropped >= 6
    assert rig.ledger().queued <= 5
    rig.stop()


def test_the_alarm_for_what_is_set_aside_follows_the_ledger(rig: Rig) -> None:
    """The alarm is raised again after a restart, and cleared when nothing is set aside."""
    rig.faults.put(ETC, {"code": "1002", "for": 1})
    rig.ups.read(mains_abnormal=True)
    rig.clock.run(3.0)
    assert "etc.set-aside" in rig.bench.raised()
    rig.bench.alarms.clear("etc.set-aside")  # as a new process would not know it
    rig.clock.run(61.0, step=1.0)
    assert "etc.set-aside" in rig.bench.raised()
    rig.bench.store.retry_reports("etc", None)
    rig.uplink.retry()
    rig.clock.run(61.0, step=1.0)
    assert rig.ledger().set_aside == 0
    assert "etc.set-aside" not in rig.bench.raised()


def test_a_fault_of_ours_ends_no_period(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, logged_failures: list[Any]
) -> None:
    """A periodic report that raises is logged, and the next one is made."""
    with monkeypatch.context() as patch:
        patch.setattr(etc_rows, "cabinet", lambda *_: 1 / 0)
        rig.clock.run(300.0, step=1.0)
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()
    before = len(rig.cabinets())
    rig.clock.run(301.0, step=1.0)
    assert len(rig.cabinets()) == before + 1


def test_the_stop_cuts_off_the_question_for_the_white_list() -> None:
    """A question that is under way at the stop leaves no timer, and changes nothing after it."""
    rig = Rig()
    rig.faults.put(ETC, {"delay": 5.0})
    rig.start(1.0)
    rig.stop()
    assert cards_of(rig) == ("0", [])


def test_an_outage_loses_nothing_and_keeps_the_times() -> None:
    """What was measured in an outage arrives afterwards, in order, with its own timeStamp."""
    rig = Rig(period=50.0)
    rig.start()
    rig.faults.put(ETC, {"http_status": 503})
    rig.clock.run(210.0, step=1.0)
    assert rig.uplink.status.state is State.OFFLINE
    assert "HTTP 503" in str(rig.uplink.status.last_error)
    assert rig.ledger().queued == 4
    rig.faults.clear(ETC)
    rig.clock.run(40.0, step=0.5)
    stamps = [int(r["body"]["timeStamp"]) for r in rig.taken(Method.CABINET_STATUS)]
    assert [stamp - stamps[0] for stamp in stamps[:5]] == [0, 50, 100, 150, 200]
    rig.stop()


def test_what_is_too_old_for_the_platform_is_stamped_anew(rig: Rig) -> None:
    """A report that is refused for its age (1003) is delivered with the present timeStamp."""
    before = len(rig.cabinets())
    rig.faults.put(ETC, {"http_status": 503})
    rig.clock.run(1000.0, step=1.0)
    assert rig.ledger().queued == 3
    rig.faults.clear(ETC)
    rig.clock.run(70.0, step=1.0)
    assert len(rig.cabinets()) - before == 3
    assert rig.ledger().queued == rig.ledger().set_aside == 0


def test_the_last_message_delivered_is_the_newest(rig: Rig) -> None:
    """After an alarm has overtaken the back-log, the state of now is sent once more, last."""
    rig.faults.put(ETC, {"http_status": 503})
    rig.clock.run(620.0, step=1.0)
    rig.faults.clear(ETC)
    rig.ups.read(mains_abnormal=True)
    rig.clock.run(1.0)
    statuses = [r["elec"][0]["status"] for r in rig.cabinets()]
    assert statuses == ["1", "0", "1", "1", "0"]


def test_a_lost_acknowledgement_sends_the_report_again(rig: Rig) -> None:
    """A report whose answer never came is sent again, the same."""
    rig.faults.put(ETC, {"garbage": 1, "for": 0.5})
    rig.ups.read(mains_abnormal=True)
    rig.clock.run(3.0)
    bodies = [r["body"] for r in rig.taken(Method.CABINET_STATUS)[1:]]
    assert len(bodies) == 2
    assert bodies[0] == bodies[1]
    assert rig.ledger().queued == 0


def test_two_cabinets_are_two_messages() -> None:
    """A gantry with two cabinets sends one report for each."""
    rig = Rig(Cabinet("1", {"ups": ("ups1",)}), Cabinet("2", {"elec": ("ups1",)}))
    rig.start()
    assert [(r["id"], len(r["ups"]), len(r["elec"])) for r in rig.cabinets()] == [
        ("1", 1, 0),
        ("2", 0, 1),
    ]
    rig.stop()


def test_a_computer_is_reported_in_all_its_fields() -> None:
    """ComputerStatusUpdate has all 13 fields, percentages with two decimals."""
    rig = Rig()
    bench = rig.bench
    pc = FakeUps.__new__(FakeUps)
    pc.name, pc.status, pc.rules = "pc1", Status("pc1", bench.clock.now), ()
    bench.points.declare("pc1", COMPUTER_POINTS)
    bench.add(pc)
    values: dict[str, tuple[Value, Quality]] = {
        "id": ("1", Quality.GOOD),
        "is_monitor_computer": (True, Quality.GOOD),
        "is_main_computer": (False, Quality.GOOD),
        "sys_disk_usage": (22.5, Quality.GOOD),
        "sys_disk_size": (10485760, Quality.GOOD),
        "data_disk_usage": (None, Quality.GET_FAILED),
        "data_disk_size": (None, Quality.GET_FAILED),
        "memory_usage": (99.999, Quality.GOOD),
        "memory_size": (8388608, Quality.GOOD),
        "cpu_usage": (0.0, Quality.GOOD),
        "cpu_temperature": (None, Quality.NOT_SUPPORTED),
        "ip": ("192.168.1.1", Quality.GOOD),
    }
    bench.points.update("pc1", values)
    pc.status.online()
    rig.start()
    [report] = rig.taken(Method.COMPUTER_STATUS)
    assert report["body"]["computerStatus"] == [
        {
            "id": "1",
            "isMonitorComputer": "1",
            "isMainComputer": "0",
            "sysDiskUsage": "22.50",
            "sysDiskSize": "10485760",
            "dataDiskUsage": "GetFailed",
            "dataDiskSize": "GetFailed",
            "memoryUsage": "100.00",
            "memorySize": "8388608",
            "netUsage": "NoData",
            "cpuUsage": "0.00",
            "cpuTemperature": "NotSupport",
            "ip": "192.168.1.1",
        }
    ]
    rig.stop()


def test_the_cap_drops_the_oldest_and_counts_them() -> None:
    """Over the cap the oldest reports go, counted; the rest is delivered."""
    rig = Rig(period=1.0, backlog_size=65_536)
    rig.faults.put(ETC, {"http_status": 503})
    rig.start(120.0)
    ledger = rig.ledger()
    assert ledger.dropped > 0
    assert ledger.size <= 65_536
    assert ledger.created == ledger.queued + ledger.dropped
    rig.stop()


def cards_of(rig: Rig) -> tuple[str, list[str]]:
    """Return the version of the stored white list, and its cards."""
    [(version, cards)] = fired(rig.bench.store.cards())
    return version, [card.card_id for card in cards]


def offer(version: str, *ids: str) -> Any:
    days = ("2019-11-29 13:58:50", "2029-11-29 13:58:50")
    return CardList(version, tuple(Card(each, *days) for each in ids))


def test_the_white_list_is_fetched_and_replaced_whole() -> None:
    """A newer white list replaces the old one; nothing newer leaves it."""
    rig = Rig(cards_period=10.0)
    rig.platform.cards = offer("20191129134255", "1234567", "2234567")
    rig.start()
    assert cards_of(rig) == ("20191129134255", ["1234567", "2234567"])
    rig.platform.cards = offer("20200101000000", "3")
    rig.clock.run(10.0)
    assert cards_of(rig) == ("20200101000000", ["3"])
    rig.clock.run(10.0)
    asked = [r["body"]["data"]["curVersion"] for r in rig.taken(Method.CARDS)]
    assert asked == ["0", "20191129134255", "20200101000000"]
    rig.stop()


@pytest.mark.parametrize(
    "data",
    [
        {"isExistLatestVersion": "1", "latestVersion": "20180101000000", "cardInfos": []},
        {"isExistLatestVersion": "1", "latestVersion": "soon", "cardInfos": [{}]},
        {
            "isExistLatestVersion": "1",
            "latestVersion": "20000101000000",
            "cardInfos": [
                {
                    "cardId": "1",
                    "validTime": "2019-11-29 13:58:50",
                    "invalidTime": "2029-11-29 13:58:50",
                }
            ],
        },
        ["nonsense"],
    ],
)
def test_a_bad_empty_or_older_white_list_is_refused(
    data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A white list that cannot be right raises an alarm, and the one in force stays."""
    rig = Rig(cards_period=10.0)
    rig.platform.cards = offer("20191129134255", "1234567")
    rig.start()
    with monkeypatch.context() as patch:
        patch.setattr(wire_etc, "card_answer", lambda *_: answer(EtcCode.SUCCESS, data))
        rig.clock.run(10.0)
    assert cards_of(rig) == ("20191129134255", ["1234567"])
    assert rig.bench.raised() == {"etc.white-list"}
    rig.clock.run(10.0)
    assert rig.bench.raised() == set()
    rig.stop()


@pytest.mark.parametrize("data", [None, {}, {"isExistnewVersion": "0"}])
def test_a_platform_without_a_white_list_is_no_alarm(
    data: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """1000 without `data` says that nothing is newer; the list in force stays."""
    rig = Rig(cards_period=10.0)
    rig.platform.cards = offer("20191129134255", "1234567")
    rig.start()
    monkeypatch.setattr(wire_etc, "card_answer", lambda *_: answer(EtcCode.SUCCESS, data))
    rig.clock.run(30.0)
    assert cards_of(rig) == ("20191129134255", ["1234567"])
    assert rig.bench.raised() == set()
    rig.stop()


def test_one_bad_card_is_named_until_a_good_list_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are taken; the alarm lasts as long as that list."""
    rig = Rig(cards_period=10.0)
    rig.start()
    days = {"validTime": "2019-11-29 13:58:50", "invalidTime": "2029-11-29 13:58:50"}
    cards = [{"cardId": "1", **days}, {"cardId": "2", **days, "validTime": "?"}]
    data = {"isExistLatestVersion": 1.0, "latestVersion": 20200101000000, "cardInfos": cards}
    with monkeypatch.context() as patch:
        patch.setattr(wire_etc, "card_answer", lambda *_: answer(EtcCode.SUCCESS, data))
        rig.clock.run(10.0)
    assert cards_of(rig) == ("20200101000000", ["1"])
    [alarm] = [each for each in rig.bench.alarms.all() if each.name == "etc.white-list"]
    assert "card 2 ('2') has a validTime that is no time" in alarm.en
    rig.clock.run(30.0)
    assert rig.bench.raised() == {"etc.white-list"}
    rig.platform.cards = offer("20200102000000", "1", "2")
    rig.clock.run(10.0)
    assert cards_of(rig) == ("20200102000000", ["1", "2"])
    assert rig.bench.raised() == set()
    rig.stop()


def test_the_code_shows_nowhere(rig: Rig) -> None:
    """The authentication code is in no body, error, status or repr."""
    rig.faults.put(ETC, {"code": "1001"})
    rig.ups.read(mains_abnormal=True)
    rig.clock.run(1.0)
    [reports] = fired(rig.bench.store.reports(None, None, 100))
    seen = repr(
        [
            vars(rig.uplink.status),
            reports,
            rig.bench.alarms.all(),
            EtcSettings(url="http://h/", auth=Secret(AUTH)),
            rig.platform.requests(),
        ]
    )
    assert AUTH not in seen
    assert "无权使用该接口" in seen
