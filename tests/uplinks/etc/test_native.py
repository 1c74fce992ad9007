"""Rows of a cabinet below us: merged by the mapping, latched, and told at once."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.application.service import Service

from tests.support import Bench
from tests.uplinks.etc.test_uplink import FakeUps, Rig
from twisted_gantry.core.alarms import Rule, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.interfaces import Subject
from twisted_gantry.core.site import Cabinet
from twisted_gantry.core.status import Status
from twisted_gantry.uplinks.etc.native_rows import GROUPS
from twisted_gantry.wire.etc.reports import Doors
from twisted_gantry.wire.reading import Quality, Value

DOOR_FIELDS = Doors.__struct_fields__
SHUT: dict[str, Value] = {
    "closed": True,
    "locked": True,
    "unlock_type": "locked",
    "unlock_card_id": "NoData",
    "open_illegally": False,
    "change_time": "2019-08-28 01:15:01.321",
}
CLOSED: dict[str, Value] = {
    "status": True,
    "defend_mode": True,
    **{f"front_door_{part}": value for part, value in SHUT.items()},
    **{f"back_door_{part}": value for part, value in SHUT.items()},
}
OPEN: dict[str, Value] = {"front_door_closed": False, "front_door_open_illegally": True}


def types(names: tuple[str, ...], unit: str = "") -> list[PointType]:
    """Return the types of points whose labels are of no matter here."""
    return [PointType(name, unit, name, name) for name in names]


class FakeCabinet(Service):
    """A device with the report's own fields, whose points the test sets."""

    kind = "fake"
    commands: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, bench: Bench, *, elec: bool = True) -> None:
        self.name = self.device = "cab1"
        self._bench = bench
        self.status = Status("cab1", bench.clock.now)

        def smoke(read: Any, _: bool) -> bool | None:
            value = read("smoke_sensor.is_warning").good
            return None if value is None else bool(value)

        def sensor(read: Any, _: bool) -> bool | None:
            value = read("smoke_sensor.status").good
            return None if value is None else not value

        def doors(read: Any, _: bool) -> bool | None:
            value = read("doors.status").good
            return None if value is None else not value

        self.rules = (
            Rule("smoke", Severity.CRITICAL, "smoke", "烟雾", smoke, "smoke_sensor"),
            Rule("smoke-sensor", Severity.WARNING, "fault", "异常", sensor, "smoke_sensor"),
            Rule("door-controller", Severity.WARNING, "fault", "异常", doors, "doors"),
        )
        points = bench.points
        points.declare("cab1", types(tuple(f"doors.{name}" for name in DOOR_FIELDS)))
        points.declare("cab1", types(("smoke_sensor.status", "smoke_sensor.is_warning")))
        points.declare("cab1", types(("smoke_sensor.warning_change_time",)))
        for row in ("1", "2"):
            names = tuple(f"air_conditioners.{row}.{f}" for f in ("status", "is_working"))
            points.declare("cab1", types(names))
        if elec:
            points.declare("cab1", types(("elec.1.voltage",), "V"))
            points.declare("cab1", types(("elec.1.power",), "W"))
        bench.add(self)

    def doors(self, **changes: Value) -> None:
        self.upload({f"doors.{name}": value for name, value in (CLOSED | changes).items()})

    def upload(self, values: dict[str, Value]) -> None:
        update = {
            name: (value, Quality.NO_DATA if value is None else Quality.GOOD)
            for name, value in values.items()
        }
        self._bench.points.update("cab1", update)
        self.status.online()


class FakeMeters(Service):
    """A manager of two meters, with one alarm about the mains of any."""

    kind = "fake"
    commands: dict[str, Any] = {}  # noqa: RUF012

    def __init__(self, bench: Bench) -> None:
        self.name = self.device = "cfos"
        self._bench = bench
        self.status = Status("cfos", bench.clock.now)

        def abnormal(read: Any, _: bool) -> bool | None:
            return any(read(f"{meter}.mains_abnormal").good for meter in ("M1", "M2"))

        self.rules = (Rule("mains", Severity.CRITICAL, "mains", "市电异常", abnormal, "elec"),)
        for meter in ("M1", "M2"):
            bench.points.declare("cfos", types((f"{meter}.mains_abnormal",)))
        bench.add(self)

    def read(self, **abnormal: bool) -> None:
        """Take a reading: the mains are normal, but at the meters given."""
        given = {"M1": False, "M2": False} | abnormal
        update = {f"{name}.mains_abnormal": (v, Quality.GOOD) for name, v in given.items()}
        self._bench.points.update("cfos", update)
        self.status.online()


ALL = Cabinet(
    "1",
    {
        "elec": ("ups1", "cab1"),
        "ups": ("ups1",),
        **{group: ("cab1",) for group in GROUPS if group not in ("elec", "ups")},
    },
)


class NativeRig(Rig):
    """A UPS and a cabinet below us."""

    def __init__(self, cabinet: Cabinet = ALL) -> None:
        super().__init__(cabinet)
        self.cab = FakeCabinet(self.bench)
        self.cab.doors()
        self.cab.upload(
            {
                "smoke_sensor.status": True,
                "smoke_sensor.is_warning": False,
                "air_conditioners.1.status": True,
                "air_conditioners.1.is_working": None,
                "air_conditioners.2.status": False,
                "elec.1.voltage": 219.994,
                "elec.1.power": 1500.0,
            }
        )


@pytest.fixture
def rig() -> Iterator[NativeRig]:
    """An uplink that has sent its first reports."""
    made = NativeRig()
    made.start()
    yield made
    made.stop()


def test_each_group_comes_from_its_source(rig: NativeRig) -> None:
    """UPS rows come from the card, doors from the cabinet; what nobody offers is NotSupport."""
    report = rig.cabinets()[-1]
    assert report["ups"][0]["powerRate"] == "90.00"
    assert report["doors"]["defendMode"] == "1"
    assert report["doors"]["frontDoorUnlockCardId"] == "NoData"
    assert [row["id"] for row in report["airConditioners"]] == ["1", "2"]
    assert [row["status"] for row in report["airConditioners"]] == ["1", "0"]
    assert report["airConditioners"][0]["isWorking"] == "NoData"
    assert report["airConditioners"][1]["errorMsg"] == "NotSupport"
    assert set(report["thermohygrometer"].values()) == {"NoData"}
    assert report["thunderSpd"] == []  # it has told, and has no such rows


def test_rows_of_several_sources_are_numbered_through(rig: NativeRig) -> None:
    """The mains of a card and of a cabinet stand in one array; its units are the document's."""
    rows = rig.cabinets()[-1]["elec"]
    assert [row["id"] for row in rows] == ["1", "2"]
    assert rows[0]["voltage"] == "220.1"
    assert (rows[1]["voltage"], rows[1]["power"]) == ("219.99", "1.5")


def test_a_cabinet_that_has_not_told_yet_is_no_data() -> None:
    """Before its first upload a cabinet has a row of NoData in each array, as object, too."""
    sources = {"elec": ("ups1", "cab1"), "rectifier": ("cab1",), "doors": ("cab1",)}
    rig = Rig(Cabinet("1", sources))
    FakeCabinet(rig.bench, elec=False)
    rig.start(6.0)
    report = rig.cabinets()[-1]
    nothing = set(report["elec"][1].values()) | set(report["rectifier"][0].values())
    assert nothing | set(report["doors"].values()) == {"1", "2", "NoData"}
    assert [row["id"] for row in report["elec"]] == ["1", "2"]
    rig.stop()


def test_a_cabinet_without_rows_has_none() -> None:
    """What a cabinet that uploads has no row of is an empty array, mains and UPS as well."""
    rig = Rig(Cabinet("1", {"elec": ("cab1",), "ups": ("cab1",), "rectifier": ("cab1",)}))
    FakeCabinet(rig.bench, elec=False).doors()
    rig.start()
    report = rig.cabinets()[-1]
    assert (report["elec"], report["ups"], report["rectifier"]) == ([], [], [])
    rig.stop()


def test_a_cabinet_that_is_offline_is_get_failed_throughout(rig: NativeRig) -> None:
    """Each of its rows says GetFailed, status too, and keeps its id."""
    rig.bench.points.fail("cab1")
    rig.cab.status.offline("gone")
    rig.uplink.retry()
    rig.clock.run(301, step=1.0)
    report = rig.cabinets()[-1]
    assert set(report["doors"].values()) == {"GetFailed"}
    assert [row["id"] for row in report["airConditioners"]] == ["1", "2"]
    assert report["airConditioners"][1]["status"] == "GetFailed"


def test_a_door_that_opens_is_told_at_once(rig: NativeRig) -> None:
    """The report of an opening goes at once, with all its fields."""
    before = len(rig.cabinets())
    rig.cab.doors(**OPEN)
    rig.clock.run(0.2)
    [report] = rig.cabinets()[before:]
    assert report["doors"]["frontDoorClosed"] == "0"
    assert report["doors"]["frontDoorOpenIllegally"] == "1"
    assert report["doors"]["backDoorClosed"] == "1"


def test_an_opening_of_a_moment_is_not_missed(rig: NativeRig) -> None:
    """Within the second in which changes are gathered, a door opens and closes: it is told."""
    rig.cab.doors(back_door_locked=False, back_door_unlock_type="card")
    rig.clock.run(0.2)
    before = len(rig.cabinets())
    rig.cab.doors(**OPEN)
    rig.clock.run(0.3)
    rig.cab.doors()
    rig.clock.run(3)
    closed = [report["doors"]["frontDoorClosed"] for report in rig.cabinets()[before:]]
    assert closed[0] == "0"
    assert closed[-1] == "1"


@pytest.mark.parametrize(
    "move", [{"front_door_locked": False}, {"back_door_unlock_type": "remote"}, OPEN]
)
def test_a_lock_that_moves_counts_like_an_opening(rig: NativeRig, move: dict[str, Value]) -> None:
    """A change of the lock or of how it was unlocked is told at once."""
    before = len(rig.cabinets())
    rig.cab.doors(**move)
    rig.clock.run(0.2)
    assert len(rig.cabinets()) == before + 1


def test_the_same_state_again_is_no_news(rig: NativeRig) -> None:
    """Only a state that differs is reported at once."""
    before = len(rig.cabinets())
    rig.cab.doors()
    rig.clock.run(2)
    assert len(rig.cabinets()) == before


def test_a_closed_door_with_another_time_was_open(rig: NativeRig) -> None:
    """A door that opened and closed between two uploads is reported at once, with its time."""
    before = len(rig.cabinets())
    rig.cab.doors(front_door_change_time="2019-08-29 01:15:01.321")
    rig.clock.run(0.2)
    [report] = rig.cabinets()[before:]
    assert report["doors"]["frontDoorChangeTime"] == "2019-08-29 01:15:01.321"


def test_a_pulse_of_smoke_is_told_as_it_was(rig: NativeRig) -> None:
    """An alarm that is over before its report is made is still in it; the next says it is over."""
    rig.cab.doors(**OPEN)  # opens the window in which changes are gathered
    rig.clock.run(0.2)
    before = len(rig.cabinets())
    rig.cab.upload({"smoke_sensor.is_warning": True})
    rig.clock.run(0.2)
    rig.cab.upload({"smoke_sensor.is_warning": False})
    rig.clock.run(3)
    shown = [report["smokeSensor"]["isWarning"] for report in rig.cabinets()[before:]]
    assert shown[0] == "1"
    assert shown[-1] == "0"


def test_pulses_of_one_group_are_told_one_after_the_other(rig: NativeRig) -> None:
    """Of two alarms of one sensor that came and went within the second, each is shown as it was.

    A report can show one moment of it: the other one waits for the report after, and is not lost.
    """
    rig.cab.doors(**OPEN)
    rig.clock.run(0.2)
    before = len(rig.cabinets())
    for name, bad in (("is_warning", True), ("status", False)):
        rig.cab.upload({f"smoke_sensor.{name}": bad})
        rig.clock.run(0.1)
        rig.cab.upload({f"smoke_sensor.{name}": not bad})
        rig.clock.run(0.1)
    rig.clock.run(5)
    shown = [report["smokeSensor"] for report in rig.cabinets()[before:]]
    assert [(each["isWarning"], each["status"]) for each in shown] == [
        ("1", "1"),
        ("0", "0"),
        ("0", "1"),
    ]


def test_a_pulse_of_the_door_controller_is_told(rig: NativeRig) -> None:
    """A fault of the controller that is over is shown beside the door that moved."""
    rig.cab.upload({"smoke_sensor.is_warning": True})
    rig.clock.run(0.2)
    before = len(rig.cabinets())
    rig.cab.doors(status=False)
    rig.cab.doors(**OPEN)
    rig.clock.run(3)
    shown = [report["doors"] for report in rig.cabinets()[before:]]
    assert (shown[0]["status"], shown[0]["frontDoorClosed"]) == ("0", "0")
    assert (shown[-1]["status"], shown[-1]["frontDoorClosed"]) == ("1", "0")


def test_the_upload_that_brings_a_cabinet_back_is_told_whole(rig: NativeRig) -> None:
    """Smoke in the upload that ends the silence is in the report that goes at once."""
    rig.bench.points.fail("cab1")
    rig.cab.status.offline("gone")
    rig.clock.run(60, step=1.0)
    assert "cab1.offline" in rig.bench.raised()
    before = len(rig.cabinets())
    rig.cab.upload({"smoke_sensor.is_warning": True})
    rig.clock.run(0.2)
    [report] = rig.cabinets()[before:]
    assert report["smokeSensor"]["isWarning"] == "1"


def test_a_cabinet_that_is_being_made_anew_is_get_failed(rig: NativeRig) -> None:
    """While a reload has taken a device out, its rows say so; the report is made all the same."""
    cab = rig.bench.site.devices.pop("cab1")
    rig.uplink.report_now(Subject.CABINETS)
    rig.clock.run(0.2)
    rig.bench.site.devices["cab1"] = cab
    report = rig.cabinets()[-1]
    assert set(report["doors"].values()) == {"GetFailed"}
    assert report["ups"][0]["powerRate"] == "90.00"


def test_a_second_strike_is_told_at_once(rig: NativeRig) -> None:
    """An alarm that ends and begins anew with one upload, as of lightning, is told as raised."""
    rig.cab.upload({"smoke_sensor.is_warning": True})
    rig.clock.run(5)
    before = len(rig.cabinets())
    rig.cab.upload({"smoke_sensor.is_warning": False})
    rig.cab.upload({"smoke_sensor.is_warning": True})
    rig.clock.run(0.2)
    [report] = rig.cabinets()[before:]
    assert report["smokeSensor"]["isWarning"] == "1"


def test_a_cabinet_that_was_away_opened_no_door(rig: NativeRig) -> None:
    """Offline and back with its doors shut: the report of its return shows no opening."""
    rig.bench.points.fail("cab1")
    rig.cab.status.offline("gone")
    rig.clock.run(60, step=1.0)
    before = len(rig.cabinets())
    rig.cab.doors()
    rig.clock.run(5)
    assert {each["doors"]["frontDoorClosed"] for each in rig.cabinets()[before:]} == {"1"}


def test_a_meter_is_a_source_of_the_mains() -> None:
    """A part of a device, as a meter behind a manager, is the row of the mains."""
    rig = NativeRig(Cabinet("1", {"elec": ("cfos.M1",)}))
    meter = FakeUps(rig.bench, "cfos")
    names = {"voltage_l1": "V", "power": "W", "import_energy": "Wh", "mains_abnormal": ""}
    for name, unit in names.items():
        rig.bench.points.declare("cfos", types((f"M1.{name}",), unit))
    values: dict[str, Value] = {
        "M1.voltage_l1": 230.0,
        "M1.power": 2500.0,
        "M1.import_energy": 123456.0,
        "M1.mains_abnormal": False,
    }
    rig.bench.points.update("cfos", {n: (v, Quality.GOOD) for n, v in values.items()})
    meter.status.online()
    rig.start()
    [row] = rig.cabinets()[-1]["elec"]
    assert row["status"] == "1"
    assert (row["voltage"], row["power"], row["elecConsumption"]) == ("230", "2.5", "123.46")
    rig.bench.points.update("cfos", {"M1.mains_abnormal": (True, Quality.GOOD)})
    rig.uplink.stopService()
    rig.start()
    assert rig.cabinets()[-1]["elec"][0]["status"] == "0"
    rig.stop()


def test_the_alarm_of_one_meter_is_not_that_of_another() -> None:
    """Of two meters of one manager, the one whose mains are well says so, edge or not."""
    rig = Rig(Cabinet("1", {"elec": ("cfos.M1", "cfos.M2")}))
    meters = FakeMeters(rig.bench)
    meters.read()
    rig.start()
    before = len(rig.cabinets())
    meters.read(M2=True)
    rig.clock.run(0.2)
    rig.uplink.report_now(Subject.CABINETS)
    rig.clock.run(1.2)
    rows = [[(row["status"], row["warningMsg"]) for row in r["elec"]] for r in rig.cabinets()]
    assert rows[before:] == [[("1", ""), ("0", "市电异常")]] * 2
    rig.stop()


def test_a_second_meter_that_fails_is_told_at_once() -> None:
    """The alarm of a manager that is raised already is told of each meter that joins it."""
    rig = Rig(Cabinet("1", {"elec": ("cfos.M1", "cfos.M2")}))
    meters = FakeMeters(rig.bench)
    meters.read()
    rig.start()
    meters.read(M1=True)
    rig.clock.run(5.0)
    before = len(rig.cabinets())
    meters.read(M1=True, M2=True)
    meters.read(M1=True)  # a pulse
    rig.clock.run(0.2)
    [report] = rig.cabinets()[before:]
    assert [row["status"] for row in report["elec"]] == ["0", "0"]
    rig.stop()


def test_a_pulse_of_two_meters_is_told_of_both() -> None:
    """An alarm that is about two parts is latched for each of them."""
    rig = Rig(Cabinet("1", {"elec": ("cfos.M1", "cfos.M2")}))
    meters = FakeMeters(rig.bench)
    meters.read()
    rig.start()
    before = len(rig.cabinets())
    meters.read(M1=True, M2=True)
    meters.read()
    rig.clock.run(0.2)
    [report] = rig.cabinets()[before:]
    assert [row["status"] for row in report["elec"]] == ["0", "0"]
    rig.stop()
