"""Rows of a cabinet below us: merged by the mapping, latched, and told at once."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.application.service import Service

from tests.support import Bench
from tests.uplinks.test_etc import FakeUps, Rig
from twisted_gantry.site.alarms import Rule, Severity
from twisted_gantry.site.catalogue import PointType
from twisted_gantry.site.site import Cabinet
from twisted_gantry.site.status import Status
from twisted_gantry.uplinks.etc_native_rows import GROUPS
from twisted_gantry.wire.etc_reports import Doors
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

    def __init__(self, bench: Bench) -> None:
        self.name = self.device = "cab1"
        self._bench = bench
        self.status = Status("cab1", bench.clock.now)

        def smoke(read: Any, _: bool) -> bool | None:
            value = read("smoke_sensor.is_warning").good
            return None if value is None else bool(value)

        self.rules = (Rule("smoke", Severity.CRITICAL, "smoke", "烟雾", smoke, "smoke_sensor"),)
        points = bench.points
        points.declare("cab1", types(tuple(f"doors.{name}" for name in DOOR_FIELDS)))
        points.declare("cab1", types(("smoke_sensor.status", "smoke_sensor.is_warning")))
        points.declare("cab1", types(("smoke_sensor.warning_change_time",)))
        for row in ("1", "2"):
            names = tuple(f"air_conditioners.{row}.{f}" for f in ("status", "is_working"))
            points.declare("cab1", types(names))
        points.declare("cab1", types(("elec.1.voltage",), "V"))
        points.declare("cab1", types(("elec.1.power",), "W"))
        bench.add(self)

    def doors(self, **changes: Value) -> None:
        """Upload the doors."""
        self.upload({f"doors.{name}": value for name, value in (CLOSED | changes).items()})

    def upload(self, values: dict[str, Value]) -> None:
        """Take an upload."""
        update = {
            name: (value, Quality.NO_DATA if value is None else Quality.GOOD)
            for name, value in values.items()
        }
        self._bench.points.update("cab1", update)
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
    assert report["thunderSpd"][0]["id"] == "1"


def test_rows_of_several_sources_are_numbered_through(rig: NativeRig) -> None:
    """The mains of a card and of a cabinet stand in one array; its units are the document's."""
    rows = rig.cabinets()[-1]["elec"]
    assert [row["id"] for row in rows] == ["1", "2"]
    assert rows[0]["voltage"] == "220.1"
    assert (rows[1]["voltage"], rows[1]["power"]) == ("219.99", "1.5")


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


def test_the_first_reading_of_a_door_is_no_move(rig: NativeRig) -> None:
    """What a door was before it was first read nobody knows; the same again is no news."""
    before = len(rig.cabinets())
    rig.cab.doors()
    rig.cab.doors(front_door_change_time="2019-08-29 01:15:01.321")
    rig.clock.run(2)
    assert len(rig.cabinets()) == before


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
