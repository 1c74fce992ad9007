"""Computers that upload: each is a device, and a row of our report."""

from collections.abc import Iterator
from typing import Any

import pytest
from zope.interface.verify import verifyObject

from tests.support import Bench
from tests.wire.material import document
from twisted_gantry.core.interfaces import IDevice
from twisted_gantry.core.status import State
from twisted_gantry.devices.computers.points import POINTS, good
from twisted_gantry.devices.computers.uploaded import MOST, SILENCE, UploadedComputers
from twisted_gantry.uplinks.etc import rows
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.json import loads_text

SAMPLE: list[dict[str, Any]] = loads_text(document("etc-2.1.3"))["computerStatus"]


class Rig:
    def __init__(self, *known: str) -> None:
        self.bench = Bench()
        self.clock = self.bench.clock
        self.computers = UploadedComputers(self.bench.site, self.clock, self.clock.now, known)
        self.computers.startService()

    def take(self, *rows: dict[str, Any], clock_good: bool = True) -> None:
        self.computers.take(list(rows), clock_good=clock_good)

    def state(self, name: str) -> State:
        state: State = self.bench.site.devices[name].status.state
        return state

    def stop(self) -> None:
        """Stop, and see that no timer is left."""
        self.computers.stopService()
        self.bench.alarms.stop()
        assert self.clock.getDelayedCalls() == []


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.stop()


def test_an_upload_makes_devices(rig: Rig) -> None:
    """The computers of the document's example are `computer1` and `computer2`, with all points."""
    rig.take(*SAMPLE)
    assert list(rig.bench.site.devices) == ["computer1", "computer2"]
    assert verifyObject(IDevice, rig.bench.site.devices["computer2"])
    assert rig.state("computer2") is State.ONLINE
    names = {point.name for point in rig.bench.points.under("computer2.")}
    assert names == {f"computer2.{each.name}" for each in POINTS} | {"computer2.clock_good"}
    assert rig.bench.good("computer2.id") == "2"
    assert rig.bench.good("computer2.ip") == "192.168.1.2"
    assert rig.bench.good("computer1.is_main_computer") is True


def test_our_report_carries_them(rig: Rig) -> None:
    """The rows go north as they came."""
    rig.take(*SAMPLE)
    made = rows.computers(rig.bench.site)
    assert [row.id for row in made] == ["1", "2"]
    assert [row.cpu_usage for row in made] == [row["cpuUsage"] for row in SAMPLE]
    assert [row.memory_size for row in made] == ["8388608", "8388608"]
    assert [row.is_monitor_computer for row in made] == ["0", "0"]


def test_no_number_comes_twice(rig: Rig) -> None:
    """A computer that uploads under our own number has the first free one in our report."""
    rig.bench.points.declare("pc1", POINTS)
    rig.bench.points.update("pc1", {"id": good("1"), "is_monitor_computer": good(True)})
    own: Any = object()
    rig.bench.site.devices["pc1"] = own
    rig.take({"id": "1"}, {"id": "2"}, {"id": "4"})
    assert [row.id for row in rows.computers(rig.bench.site)] == ["1", "3", "2", "4"]


def test_silence_is_offline(rig: Rig) -> None:
    """Without an upload for three periods a computer is offline: its row says so, and an alarm."""
    rig.take({"id": "2", "cpuUsage": "5"})
    rig.clock.advance(SILENCE - 1)
    rig.take({"id": "2", "cpuUsage": "6"})
    rig.clock.advance(SILENCE - 1)
    assert rig.state("computer2") is State.ONLINE
    rig.clock.advance(1)
    assert rig.state("computer2") is State.OFFLINE
    rig.clock.advance(10)
    assert rig.bench.raised() == {"computer2.offline"}
    [row] = rows.computers(rig.bench.site)
    assert (row.id, row.cpu_usage) == ("2", "GetFailed")
    rig.take({"id": "2", "cpuUsage": "7"})
    assert rig.bench.raised() == set()


def test_a_computer_that_is_expected_is_missed() -> None:
    """Of a computer in the configuration one hears also when it never uploads."""
    rig = Rig("5")
    assert rig.state("computer5") is State.CONNECTING
    rig.clock.advance(SILENCE)
    rig.clock.advance(10)
    assert rig.bench.raised() == {"computer5.offline"}
    rig.take({"id": "5"})
    assert rig.bench.raised() == set()
    rig.stop()


def test_a_clock_that_is_off_is_an_alarm(rig: Rig) -> None:
    """The upload is taken; the alarm ends with the next good time."""
    rig.take({"id": "2", "cpuUsage": "5"}, clock_good=False)
    assert rig.bench.good("computer2.cpu_usage") == 5.0
    assert rig.bench.raised() == {"computer2.clock-skew"}
    rig.take({"id": "2"})
    assert rig.bench.raised() == set()


def test_a_name_that_is_taken_and_one_too_many(rig: Rig) -> None:
    """A device of the configuration keeps its name; others of the same upload are taken."""
    own: Any = object()
    rig.bench.site.devices["computer2"] = own
    rig.take(*({"id": str(n)} for n in range(1, 60)))
    assert rig.bench.site.devices["computer2"] is own
    assert len(rig.bench.site.devices) == MOST + 1


def test_what_is_no_report_makes_no_device(rig: Rig) -> None:
    """A report without a computer is refused."""
    with pytest.raises(BadMessage):
        rig.take()
    assert rig.bench.site.devices == {}


def test_the_end_takes_them_out(rig: Rig) -> None:
    """After a reload without [monitor] neither device, point nor alarm is left."""
    rig.take(*SAMPLE, clock_good=False)
    rig.computers.end()
    rig.bench.alarms.settle(lambda alarm: False)  # as the reload does
    assert rig.bench.site.devices == {}
    assert rig.bench.points.under("computer") == []
    assert rig.bench.raised() == set()
