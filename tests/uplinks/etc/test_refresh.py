"""`updateNow`: the report leaves when the devices that can be asked have said how they are."""

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from zope.interface import implementer

from tests.uplinks.etc.test_uplink import FakeUps, Rig
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import CommandResult
from twisted_gantry.core.interfaces import IRefreshable, Subject
from twisted_gantry.core.site import Cabinet
from twisted_gantry.uplinks.etc.refresh import PATIENCE
from twisted_gantry.wire.etc.envelope import Method
from twisted_gantry.wire.reading import Quality


@implementer(IRefreshable)
class Askable(FakeUps):
    """A device that notes each request for a reading, and answers when the test says."""

    def __init__(self, rig: Rig, name: str) -> None:
        super().__init__(rig.bench, name)
        self.asked: list[Deferred[None]] = []
        self.error: Exception | None = None

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        return fail(ValueError(command))

    def refresh(self) -> Deferred[None]:
        if self.error is not None:
            return fail(self.error)
        self.asked.append(Deferred())
        return self.asked[-1]


class AskableRig(Rig):
    """Two UPS that can be asked, one that cannot, and a computer that can."""

    def __init__(self) -> None:
        super().__init__(Cabinet("1", {"ups": ("ups1", "ups2", "ups3.A")}), period=1e6)
        self.ups2, self.ups3 = (Askable(self, name) for name in ("ups2", "ups3"))
        self.pc1 = Askable(self, "pc1")
        mark = PointType("is_monitor_computer", "", "a", "甲")
        self.bench.points.declare("pc1", [mark])
        self.bench.points.update("pc1", {mark.name: (True, Quality.GOOD)})
        for each in (self.ups2, self.ups3, self.pc1):
            each.read()

    def count(self, method: Method = Method.CABINET_STATUS) -> int:
        return len(self.taken(method))


@pytest.fixture
def rig() -> Iterator[AskableRig]:
    """An uplink that has sent its first reports."""
    made = AskableRig()
    made.start()
    yield made
    made.stop()


def test_the_report_leaves_when_all_have_said_it(rig: AskableRig) -> None:
    """The devices of the cabinets are asked at once; the report has what they said."""
    before = rig.count()
    rig.uplink.report_now(Subject.CABINETS)
    assert (len(rig.ups2.asked), len(rig.ups3.asked), len(rig.pc1.asked)) == (1, 1, 0)
    rig.ups2.asked[0].callback(None)
    rig.clock.run(2.0)
    assert rig.count() == before
    rig.ups2.read(battery_charge=55.0)
    rig.ups3.asked[0].callback(None)
    rig.clock.run(0.2)
    assert rig.count() == before + 1
    assert rig.cabinets()[-1]["ups"][1]["powerRate"] == "55.00"


def test_five_seconds_are_the_most(rig: AskableRig) -> None:
    """A cabinet that says nothing holds no report up for longer."""
    before = rig.count()
    rig.uplink.report_now(Subject.CABINETS)
    rig.clock.run(PATIENCE - 0.2)
    assert rig.count() == before
    rig.clock.run(0.6)
    assert rig.count() == before + 1


def test_a_device_that_fails_holds_nothing_up(rig: AskableRig) -> None:
    """An error of one device is that it said nothing."""
    before = rig.count()
    rig.ups2.error = OSError("gone")
    rig.ups3.error = OSError("gone")
    rig.uplink.report_now(Subject.CABINETS)
    rig.clock.run(0.2)
    assert rig.count() == before + 1


def test_computers_ask_no_cabinet(rig: AskableRig) -> None:
    """A report of the computers asks the computers alone."""
    before = rig.count(), rig.count(Method.COMPUTER_STATUS)
    rig.uplink.report_now(Subject.COMPUTERS)
    assert (rig.ups2.asked, rig.ups3.asked, len(rig.pc1.asked)) == ([], [], 1)
    rig.pc1.asked[0].callback(None)
    rig.clock.run(0.2)
    assert (rig.count(), rig.count(Method.COMPUTER_STATUS)) == (before[0], before[1] + 1)


def test_requests_while_one_waits_are_one(rig: AskableRig) -> None:
    """The report that is waited for answers all that came meanwhile; the next is asked for anew."""
    before = rig.count()
    for _ in range(10):
        rig.uplink.report_now(Subject.CABINETS)
    assert len(rig.ups2.asked) == 1
    rig.clock.run(PATIENCE + 0.5)
    assert rig.count() == before + 1
    rig.uplink.report_now(Subject.CABINETS)
    assert len(rig.ups2.asked) == 2


def test_a_stop_forgets_what_is_waited_for() -> None:
    """After the stop no report is made, and no timer is left."""
    rig = AskableRig()
    rig.start()
    rig.uplink.report_now(Subject.CABINETS)
    created: Any = rig.ledger().created
    rig.stop()
    assert rig.ledger().created == created
