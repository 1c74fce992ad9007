"""The Fogslink uplink against the cloud twin, over an in-memory network on a Clock."""

import random
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IProtocolFactory
from twisted.internet.protocol import Factory, Protocol
from zope.interface.verify import verifyObject

from tests.support import START, Bench, MemoryNetwork, fired
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.interfaces import IUplink, WrongSetting
from twisted_gantry.core.moments import Moment
from twisted_gantry.core.status import State, Status
from twisted_gantry.core.stored import Ledger, Report
from twisted_gantry.twin.faces.fogslink.cloud import Cloud, CloudFactory
from twisted_gantry.twin.faults.settings import FOGSLINK, Faults
from twisted_gantry.uplinks.fogslink.uplink import (
    FogslinkSettings,
    FogslinkUplink,
    first_pack,
    fogslink_uplink,
)
from twisted_gantry.wire.fogslink.messages import Configure
from twisted_gantry.wire.reading import Quality
from twisted_gantry.wire.secret import Secret

EQ_SN, API_KEY = "12345678", "1234567890123456"
CHANNELS = {"P0-C1": "ups1.volts", "P0-C2": "ups1.mains", "P1-C1": "ups1.model"}


class Meter:
    name, rules = "ups1", ()

    def __init__(self, bench: Bench) -> None:
        self.status = Status(self.name, bench.clock.now)
        bench.points.declare(
            self.name,
            [
                PointType("volts", "V", "volts", "电压"),
                PointType("mains", "", "mains", "市电"),
                PointType("model", "", "model", "型号"),
            ],
        )


class Rig:
    """An uplink, its site, its network, and the cloud."""

    def __init__(self, server: IProtocolFactory | None = None, **given: Any) -> None:
        self.bench = Bench()
        self.clock, self.store = self.bench.clock, self.bench.store
        self.meter = Meter(self.bench)
        self.bench.add(self.meter)
        self.faults = Faults(self.clock.seconds, random.Random(1))
        self.cloud = self.new_cloud()
        self.network = MemoryNetwork(self.clock, server or CloudFactory(self.cloud))
        self.given = {"address": "tcp:unused:1", "eq_sn": EQ_SN, "channels": CHANNELS, **given}
        self.uplink = self.new_uplink()

    def new_cloud(self) -> Cloud:
        """Return a cloud that knows nothing but the account."""
        return Cloud(self.faults, self.clock, self.clock.now, {EQ_SN: API_KEY})

    def new_uplink(self) -> FogslinkUplink:
        """Return an uplink on the same site, as after a restart."""
        settings = FogslinkSettings(
            api_key=Secret(self.given.get("key", API_KEY)),
            **{key: value for key, value in self.given.items() if key != "key"},
        )
        return FogslinkUplink(
            settings, self.bench.site, self.network, self.clock, self.clock.now, lambda: 1.0
        )

    def start(self, seconds: float = 1.0) -> None:
        """Start with one reading, and let some time pass."""
        self.uplink.startService()
        self.read(220.0)
        self.meter.status.online()
        self.clock.run(seconds)

    def read(self, volts: float, *, mains: bool = True) -> None:
        good = Quality.GOOD
        self.bench.points.update(
            "ups1", {"volts": (volts, good), "mains": (mains, good), "model": ("SP-10K", good)}
        )

    def restart(self, *, crash: bool = False) -> None:
        """Throw the uplink away, and start another on the same store."""
        if crash:
            self.network.cut()
        self.uplink.stopService()
        self.clock.settle()
        self.uplink = self.new_uplink()
        self.uplink.startService()

    def stop(self) -> None:
        """Stop, and see that no timer is left."""
        self.uplink.stopService()
        self.clock.settle()
        for session in list(self.cloud.sessions):
            session.abortConnection()
        self.clock.settle()
        self.bench.alarms.stop()
        assert self.clock.getDelayedCalls() == []

    def state(self) -> State:
        return self.uplink.status.state

    def records(self) -> list[dict[str, Any]]:
        return self.cloud.records.shown(20_000)

    def values(self, channel: str = "P0-C1") -> list[str | None]:
        return [each["eVal"] for each in self.records() if each["eChan"] == channel]

    def packs(self) -> list[int]:
        """Return the numbers of the packs that the cloud got, as they came."""
        return list(dict.fromkeys(int(each["packID"]) for each in self.records()))

    def ledger(self) -> Ledger:
        [ledger] = fired(self.store.ledger("fogslink"))
        assert isinstance(ledger, Ledger)
        return ledger

    def kept(self, state: str) -> list[Report]:
        [reports] = fired(self.store.reports("fogslink", state, 10_000))
        return list(reports)

    def fault(self, **settings: Any) -> None:
        self.faults.put(FOGSLINK, settings)

    def behave(self) -> None:
        self.faults.clear(FOGSLINK)

    def configure(self, channel: str, **texts: str) -> list[Any]:
        """Let the cloud configure a channel; the list gains the answer."""
        answer = fired(self.cloud.configure(Configure(eq_sn=EQ_SN, e_chan=channel, **texts)))
        self.clock.settle()
        return answer


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A rig that is not started, and leaves nothing."""
    made = Rig()
    yield made
    made.stop()


# -- what goes, and when


def test_the_first_pack_goes_when_the_devices_were_read(rig: Rig) -> None:
    """Every channel is delivered at once after the first reading; values in the wire's form."""
    rig.start()
    assert [(r["eChan"], r["eChanSta"], r["eVal"]) for r in rig.records()] == [
        ("P0-C1", "1", "220"),
        ("P0-C2", "1", "1"),
        ("P1-C1", "1", "SP-10K"),
    ]
    assert rig.packs() == [int(START * 1000)]
    assert rig.state() is State.ONLINE
    assert rig.uplink.last_delivered is not None
    assert rig.ledger() == Ledger(created=1, delivered=1)
    assert verifyObject(IUplink, rig.uplink)


def test_a_device_that_is_silent_from_the_start_goes_as_abnormal(rig: Rig) -> None:
    """When the devices say nothing, the first pack goes all the same, without values."""
    rig.uplink.startService()
    rig.clock.run(6)
    assert [(r["eChanSta"], r["eVal"]) for r in rig.records()] == [("0", None)] * 3


def test_all_channels_go_every_period(rig: Rig) -> None:
    """Values that do not change go every ten seconds."""
    rig.start()
    rig.clock.run(60)
    assert len(rig.packs()) == 7
    assert rig.values() == ["220"] * 7


def test_a_change_goes_at_once_and_the_next_are_gathered(rig: Rig) -> None:
    """A value that changes is sent now; what changes within the next second is one more pack."""
    rig.start(5)
    rig.read(221.0)
    rig.clock.run(0.1)
    assert rig.values() == ["220", "221"]
    rig.read(222.0)
    rig.read(223.0)
    rig.clock.run(0.5)
    assert rig.values() == ["220", "221"]
    rig.clock.run(0.6)
    assert rig.values() == ["220", "221", "223"]
    assert rig.values("P0-C2") == ["1"]


def test_the_same_value_again_is_no_change(rig: Rig) -> None:
    """A reading that shows what was reported sends nothing."""
    rig.start(3)
    rig.read(220.001)
    rig.clock.run(3)
    assert rig.values() == ["220"]


def test_what_cannot_be_read_is_abnormal(rig: Rig) -> None:
    """A reading that failed is reported without a value, not with the last one."""
    rig.start(3)
    rig.bench.points.fail("ups1", ["volts"])
    rig.clock.run(1)
    assert [(r["eChanSta"], r["eVal"]) for r in rig.records() if r["eChan"] == "P0-C1"] == [
        ("1", "220"),
        ("0", None),
    ]


def test_no_pack_has_more_than_200_values() -> None:
    """More channels than a pack may hold go in several packs, numbered one by one."""
    rig = Rig(channels={f"P{at // 100}-C{at % 100}": "ups1.volts" for at in range(450)})
    rig.start()
    first = int(START * 1000)
    assert rig.packs() == [first, first + 1, first + 2]
    sizes = [sum(r["packID"] == str(n) for r in rig.records()) for n in rig.packs()]
    assert sizes == [200, 200, 50]
    rig.stop()


def test_a_point_that_comes_and_goes(rig: Rig) -> None:
    """A point that is taken out is abnormal, at the next reading; when it is back, it is reported.

    Also for a channel that goes by changes alone.
    """
    rig.start(1)
    rig.configure("P0-C2", s_type="0")
    rig.bench.points.retract("ups1", ["mains"])
    rig.clock.run(12)
    assert rig.values("P0-C2") == ["1"]
    for _ in range(3):
        rig.bench.points.update("ups1", {"volts": (220.0, Quality.GOOD)})
        rig.clock.run(2)
    assert rig.values("P0-C2") == ["1", None]
    rig.bench.points.declare("ups1", [PointType("mains", "", "mains", "市电")])
    rig.read(220.0, mains=False)
    rig.clock.run(2)
    assert rig.values("P0-C2") == ["1", None, "0"]


def test_two_channels_of_one_point_both_change() -> None:
    """A point may be shown in several channels."""
    rig = Rig(channels={"P0-C1": "ups1.volts", "P9-C9": "ups1.volts"})
    rig.start(2)
    rig.read(230.0)
    rig.clock.run(0.2)
    assert rig.values() == rig.values("P9-C9") == ["220", "230"]
    rig.stop()


# -- what is not lost


def test_values_wait_on_the_disk_while_the_cloud_is_away(rig: Rig) -> None:
    """During an outage packs are kept; afterwards they go in order, the newest last."""
    rig.network.reachable = False
    rig.start(31)
    assert rig.state() is State.OFFLINE
    assert rig.bench.raised() == {"fogslink.channel"}
    assert rig.ledger().queued == 4
    rig.read(225.0)
    rig.network.reachable = True
    rig.clock.run(60)
    assert rig.ledger().queued == 0
    assert rig.packs() == list(range(rig.packs()[0], rig.packs()[0] + len(rig.packs())))
    assert rig.values()[:6] == ["220"] * 4 + ["225"] * 2
    assert rig.bench.raised() == set()
    assert (rig.cloud.records.gaps, rig.cloud.records.duplicates) == (0, 0)


def test_a_lost_acknowledgement_sends_the_same_pack_again(rig: Rig) -> None:
    """When the 8 is lost, the same number and content come after five seconds."""
    rig.fault(drop=1.0)
    rig.start(1)
    rig.behave()
    assert rig.ledger().queued == 1
    rig.clock.run(4.2)
    assert rig.ledger().queued == 0
    assert rig.cloud.records.duplicates == 1
    assert rig.values() == ["220"]
    assert rig.cloud.counts["conflict"] == 0


def test_a_silent_cloud_is_an_alarm_that_only_an_answer_clears(rig: Rig) -> None:
    """Data that is not answered raises the alarm; a new session alone does not clear it."""
    rig.start(2)
    rig.fault(busy=True)
    rig.clock.run(20)
    assert rig.bench.raised() == {"fogslink.channel"}
    assert rig.uplink.counts["silent"] == 2  # of the data at 10 s: until 15 s, until 20 s
    assert rig.state() is State.OFFLINE
    rig.network.cut()
    rig.clock.run(2)
    assert rig.bench.raised() == {"fogslink.channel"}
    rig.behave()
    rig.clock.run(12)
    assert rig.bench.raised() == set()
    assert rig.state() is State.ONLINE
    assert rig.cloud.records.gaps == 0


def test_a_nine_is_answered_by_the_same_pack_after_a_growing_pause(rig: Rig) -> None:
    """After a 9: one second, doubling to thirty; ten of them set the pack aside, the next goes."""
    times: list[float] = []
    take_pack = rig.cloud.take_pack

    def taking(pack: Any) -> str | None:
        if pack.pack_id == str(int(START * 1000)):
            times.append(rig.clock.seconds())
            return "9"
        return take_pack(pack)

    rig.cloud.take_pack = taking  # type: ignore[method-assign]
    rig.start(1)
    rig.clock.run(300)
    pauses = [round(b - a) for a, b in pairwise(times)]
    assert pauses == [1, 2, 4, 8, 16, 30, 30, 30, 30]
    [aside] = rig.kept("set-aside")
    assert aside.subject == str(int(START * 1000))
    assert rig.bench.raised() == {"fogslink.set-aside"}
    assert rig.ledger().queued == 0
    assert len(rig.packs()) > 25


def test_nines_are_counted_across_a_restart(rig: Rig) -> None:
    """Ten 9s in all set a pack aside, whichever process got them."""
    rig.fault(code="9")
    rig.start(60)
    before = rig.kept("queued")[0].tries
    assert 5 < before < 10
    rig.restart()
    rig.clock.run(150)
    assert rig.kept("set-aside")[0].tries == 10


def test_a_crash_sends_the_same_pack_again(rig: Rig) -> None:
    """A pack whose 8 died with the process comes again under its number, and is one record."""
    rig.fault(drop=1.0)
    rig.start(1)
    rig.behave()
    rig.restart(crash=True)
    rig.clock.run(3)
    assert rig.cloud.records.duplicates == 1
    assert (rig.cloud.records.gaps, rig.ledger().queued) == (0, 0)


def test_the_numbers_go_on_after_a_restart(rig: Rig) -> None:
    """The first number is the moment of the first start in milliseconds, then one more each."""
    rig.start(21)
    rig.clock.run(500)
    rig.restart()
    rig.clock.run(21)
    packs = rig.packs()
    assert packs == list(range(int(START * 1000), int(START * 1000) + len(packs)))


def test_no_number_comes_again_after_a_lost_disk(rig: Rig) -> None:
    """With an empty store the numbers begin above all that were used."""
    rig.start(30)
    used = rig.packs()
    fired(rig.store.put_setting("fogslink.last-pack", None))
    rig.restart()
    rig.clock.run(30)
    assert rig.packs()[: len(used)] == used
    assert rig.packs()[len(used)] > used[-1]
    assert rig.cloud.counts["duplicate"] == 0


def test_a_lost_disk_with_the_clock_in_1970_repeats_no_number(rig: Rig) -> None:
    """The numbers begin above all that were given before, by a right clock and by a wrong one."""
    rig.start(30)
    for boot in ("boot-1", "boot-1", "boot-2"):
        used = rig.packs()
        fired(rig.store.put_setting("fogslink.last-pack", None))
        rig.clock.wall_offset = 300.0 - rig.clock.seconds()
        rig.clock.boot = boot
        rig.restart()
        rig.clock.run(30)
        packs = rig.packs()
        assert packs[: len(used)] == used
        assert len(packs) > len(used)
        assert len(set(packs)) == len(packs)
        assert boot == "boot-2" or packs[len(used)] > max(used)
    assert rig.cloud.counts["duplicate"] == 0


def test_first_numbers_are_below_what_a_double_counts() -> None:
    """A cloud that reads numbers as doubles tells all of them apart; boots have their own range."""
    first = {first_pack(Moment(9.0, f"boot {n}", 9.0, False)) // 10**13 for n in range(1000)}
    assert len(first) > 500
    assert max(first) * 10**13 + 10**12 < 2**53
    assert min(first) * 10**13 > 4_000_000_000_000  # the time in the year 2096
    assert first_pack(Moment(START, "boot", 9.0, False)) == int(START * 1000)


@pytest.mark.parametrize("step", [START, -3600.0, 5 * 366 * 86_400.0])
def test_a_step_of_the_clock_sets_no_pack_aside(step: float) -> None:
    """Packs of the last minute are sent after the clock was set: 1970, an hour back, years on."""
    rig = Rig(backlog_age=3600.0)
    rig.clock.wall_offset = 300.0 if step == START else START
    rig.network.reachable = False
    rig.start(60)
    kept = rig.ledger().queued
    assert kept >= 5
    rig.clock.wall_offset += step
    rig.network.reachable = True
    rig.uplink.retry()
    rig.clock.run(70)
    assert (rig.ledger().set_aside, rig.ledger().queued) == (0, 0)
    assert len(rig.packs()) >= kept
    rig.stop()


@pytest.mark.parametrize(("before", "after"), [(True, True), (True, False), (False, True)])
def test_after_a_restart_only_a_trusted_clock_makes_packs_old(before: bool, after: bool) -> None:
    """A computer that was off for a day: with a clock that was in 1970 nobody knows that."""
    rig = Rig(backlog_age=3600.0)
    rig.clock.trusted = before
    rig.network.reachable = False
    rig.start(60)
    kept = rig.ledger().queued
    rig.clock.boot, rig.clock.trusted = "boot-2", after
    rig.clock.wall_offset += 86_400.0
    rig.network.reachable = True
    rig.restart()
    rig.clock.run(70)
    assert rig.ledger().queued == 0
    assert rig.ledger().set_aside == (kept if before and after else 0)
    rig.stop()


def test_packs_that_are_too_old_are_set_aside_and_the_newest_value_goes() -> None:
    """No old value is shown as present; what a person queues again is sent, the newest behind."""
    rig = Rig(backlog_age=60.0)
    rig.network.reachable = False
    rig.start(1)
    rig.clock.run(300, step=0.5)
    rig.network.reachable = True
    rig.clock.run(60)
    ledger = rig.ledger()
    assert ledger.queued == 0
    assert 23 <= ledger.set_aside <= 31
    assert rig.bench.raised() == {"fogslink.set-aside"}
    assert rig.values()[-1] == "220"
    fired(rig.store.retry_reports("fogslink", None))
    rig.read(240.0)
    rig.uplink.retry()
    rig.clock.run(2)
    assert rig.ledger().set_aside == 0
    assert rig.cloud.records.gaps == 0
    assert rig.values()[-1] == "240"
    rig.clock.run(60)
    assert rig.bench.raised() == set()
    rig.stop()


def test_what_a_person_queued_again_goes_whatever_its_age() -> None:
    """Neither a restart nor a 9 in between sets it aside anew for being old."""
    rig = Rig(backlog_age=60.0)
    rig.network.reachable = False
    rig.start(1)
    rig.clock.run(200, step=0.5)
    rig.network.reachable = True
    rig.clock.run(60)
    assert rig.ledger().set_aside > 10
    rig.restart()
    rig.clock.run(5)
    fired(rig.store.retry_reports("fogslink", None))
    rig.fault(code="9", **{"for": 2.0})
    rig.uplink.retry()
    rig.clock.run(1.5)
    assert rig.uplink.counts["failed"] >= 1
    rig.restart()
    rig.clock.run(20)
    assert (rig.ledger().set_aside, rig.ledger().queued) == (0, 0)
    assert rig.cloud.records.gaps == 0
    rig.stop()


def test_no_jump_of_the_clock_loses_or_reorders(rig: Rig) -> None:
    """Days back or a year ahead, with restarts: the numbers go on one by one, in order."""
    rig.start(1)
    for number, days in enumerate((-365, 400, -0.1, 0.2, -3000)):
        rig.clock.wall_offset += days * 86_400
        rig.read(float(number))
        rig.clock.run(15)
        rig.restart()
        rig.clock.run(15)
    packs = rig.packs()
    assert packs == list(range(packs[0], packs[0] + len(packs)))
    assert len(packs) > 20
    assert rig.cloud.counts["duplicate"] == rig.cloud.counts["out-of-order"] == 0
    assert rig.ledger().queued == rig.ledger().set_aside == 0


def test_an_uplink_can_be_started_again(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped while the disk is busy, the same service goes on where it was."""
    rig.start(1)
    with monkeypatch.context() as patch:
        patch.setattr(rig.store, "delivered", lambda _: Deferred())
        rig.clock.run(30)
        rig.uplink.stopService()
        rig.clock.settle()
    rig.uplink.startService()
    rig.clock.run(30)
    before = len(rig.packs())
    rig.clock.run(30)
    assert len(rig.packs()) == before + 3
    assert (rig.cloud.records.gaps, rig.cloud.counts["conflict"]) == (0, 0)
    assert rig.ledger().queued == 0


def test_the_cap_drops_the_oldest() -> None:
    """A back-log keeps within its size; what is dropped is counted."""
    rig = Rig(backlog_size=65_536, channels={f"P0-C{at}": "ups1.volts" for at in range(150)})
    rig.network.reachable = False
    rig.start(1)
    rig.clock.run(200, step=0.5)
    ledger = rig.ledger()
    assert ledger.size <= 65_536
    assert ledger.dropped == rig.uplink.counts["dropped"] > 0
    rig.stop()


@pytest.mark.parametrize("single", [False, True])
def test_a_change_that_could_not_be_stored_is_reported_later(
    single: bool, logged_failures: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next reading that the disk takes makes up for it, though nothing changed since."""
    rig = Rig(single=single)
    rig.start(1)
    rig.configure("P0-C2", s_type="0")
    with monkeypatch.context() as patch:
        patch.setattr(rig.store, "add_report", lambda *_: fail(OSError("disk is full")))
        rig.read(220.0, mains=False)
        rig.clock.run(3)
    rig.clock.run(20)
    assert rig.values("P0-C2") == ["1"]
    rig.read(220.0, mains=False)
    rig.clock.run(2)
    assert rig.values("P0-C2") == ["1", "0"]
    assert len(logged_failures) == 1
    logged_failures.clear()
    rig.stop()


def test_acknowledged_packs_that_stay_on_the_disk_are_no_storm(
    rig: Rig, logged_failures: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While nothing can be removed, packs come again one by one, after growing pauses."""
    rig.network.reachable = False
    rig.start(100)
    with monkeypatch.context() as patch:
        patch.setattr(rig.store, "delivered", lambda _: fail(OSError("disk is full")))
        rig.network.reachable = True
        rig.uplink.retry()
        rig.clock.run(60)
        assert rig.cloud.counts["packs"] < 60
        assert len(logged_failures) == 1
    rig.clock.run(130)
    assert rig.ledger().queued == 0
    assert rig.cloud.records.gaps == 0
    logged_failures.clear()


# -- one value a message


@pytest.fixture
def single() -> Iterator[Rig]:
    """A rig that sends one value a message."""
    made = Rig(single=True)
    yield made
    made.stop()


def test_single_values_go_in_order(single: Rig) -> None:
    """Each value is a message of its own, stored until its answer."""
    single.network.reachable = False
    single.start(1)
    for volts in (221.0, 222.0, 223.0):
        single.read(volts)
        single.clock.run(1.1)
    assert single.ledger().queued == 6
    single.network.reachable = True
    single.uplink.retry()
    single.clock.run(1)
    assert single.values() == ["220", "221", "222", "223", "223"]
    assert single.ledger().queued == 0
    assert all(each["packID"] is None for each in single.records())


def test_a_late_answer_does_not_pass_for_the_next_single_value(single: Rig) -> None:
    """Answers to single values have no number: after a silence the connection is made anew."""
    single.start(2)
    single.fault(delay=6.0)
    single.read(221.0)
    single.clock.run(1.2)
    single.read(222.0)
    single.clock.run(1.2)
    single.read(223.0)
    single.clock.run(3)
    single.fault(busy=True)
    single.clock.run(8)
    single.behave()
    single.clock.run(20)
    values = single.values()
    assert values[:2] == ["220", "221"]
    assert "222" in values
    assert values[-1] == "223"


# -- the session


def test_a_wrong_serial_number_is_explained_and_retried_slowly() -> None:
    """Code 2 names eq_sn; the next attempt comes after at least thirty seconds."""
    rig = Rig(eq_sn="99999999")
    rig.start(29)
    assert len(rig.network.attempts) == 1
    assert rig.bench.raised() == {"fogslink.refused"}
    [alarm] = rig.bench.alarms.active("fogslink")
    assert "eq_sn" in alarm.en
    assert "eq_sn" in alarm.zh
    assert rig.state() is State.OFFLINE
    assert "eq_sn" in (rig.uplink.status.last_error or "")
    rig.clock.run(600, step=0.5)
    assert len(rig.network.attempts) <= 4
    rig.stop()


def test_a_wrong_key_is_explained_without_being_told() -> None:
    """Code 3 names api_key, and shows it nowhere; a right one clears the alarm."""
    rig = Rig(key="wrong-secret")
    rig.start(2)
    [alarm] = rig.bench.alarms.active("fogslink")
    assert "api_key" in alarm.en
    assert "wrong-secret" not in f"{alarm} {rig.uplink.status.last_error} {rig.uplink._settings}"
    rig.cloud.accounts[EQ_SN] = "wrong-secret"
    rig.uplink.retry()
    rig.clock.run(1)
    assert rig.bench.raised() == set()
    assert rig.values() == ["220"] * 2
    rig.stop()


@pytest.mark.parametrize("jitter", [0.0, 0.25, 0.5, 0.75, 0.999999])
def test_a_cloud_that_accepts_and_closes_is_not_stormed(jitter: float) -> None:
    """At most eight connections in the first minute, and two in each minute thereafter."""
    rig = Rig()
    rig.uplink._link._lines._backoff._spread = lambda: jitter
    rig.fault(refuse=True)

    class Closing(Factory):
        noisy = False

        def buildProtocol(self, addr: Any) -> Protocol:
            protocol = Protocol()
            protocol.connectionMade = lambda: protocol.transport.loseConnection()  # type: ignore
            return protocol

    rig.network.server = Closing()
    rig.uplink.startService()
    rig.clock.run(1200, step=0.5)
    attempts = rig.network.attempts
    assert 6 <= sum(at < 60 for at in attempts) <= 8
    for minute in range(1, 20):
        assert sum(60 * minute <= at < 60 * (minute + 1) for at in attempts) <= 2
    rig.stop()


class Fickle(Protocol):
    """A cloud that lets everybody in and closes, as one does that another gantry calls, too."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        if b"req001" in data:
            self.transport.write(b'{"res001":{"eqSN":"12345678","code":"0","tKey":"k"}}\n')
        elif b"req002" in data:
            self.transport.write(b'{"res002":{"eqSN":"12345678","code":"0"}}\n')
            self.transport.loseConnection()


@pytest.mark.parametrize("jitter", [0.0, 0.5, 0.999999])
def test_a_cloud_that_lets_us_in_and_closes_is_not_stormed(jitter: float) -> None:
    """It must answer data before it is called back at once; till then the alarm is there, once."""
    rig = Rig(Factory.forProtocol(Fickle))
    rig.network.server.noisy = False  # type: ignore[attr-defined]
    rig.uplink._link._lines._backoff._spread = lambda: jitter
    told: list[State] = []
    rig.uplink.status.subscribe(lambda status: told.append(status.state))
    rig.start(600)
    attempts = rig.network.attempts
    assert sum(at < 60 for at in attempts) <= 8
    for minute in range(1, 10):
        assert sum(60 * minute <= at < 60 * (minute + 1) for at in attempts) <= 2
    assert told == [State.ONLINE, State.OFFLINE]
    assert rig.bench.raised() == {"fogslink.channel"}
    rig.network.server = CloudFactory(rig.cloud)
    rig.clock.run(61)
    assert rig.bench.raised() == set()
    assert (rig.state(), rig.cloud.records.gaps) == (State.ONLINE, 0)
    rig.stop()


def test_only_a_session_that_took_data_resets_the_pause(rig: Rig) -> None:
    """A session that was good is followed by a short pause again."""
    rig.network.reachable = False
    rig.start(100)
    rig.network.reachable = True
    rig.clock.run(61)
    assert rig.state() is State.ONLINE
    rig.network.cut()
    before = len(rig.network.attempts)
    rig.clock.run(1.1)
    assert len(rig.network.attempts) == before + 1
    assert rig.state() is State.ONLINE
    assert "fogslink.channel" not in rig.bench.raised()


def test_heartbeats_keep_the_session(rig: Rig) -> None:
    """Nothing is dropped over many minutes: a heartbeat every three seconds is enough."""
    rig.start(1)
    rig.clock.run(300, step=0.5)
    assert rig.cloud.counts["connections"] == 1


def test_a_cloud_that_does_not_answer_heartbeats_is_left(rig: Rig) -> None:
    """Without a `res100` for ten seconds the connection is made anew."""
    rig.start(2)
    rig.fault(delay=1000.0)
    rig.clock.run(14)
    assert rig.uplink.counts["no-heartbeat"] == 1
    rig.behave()
    rig.clock.run(30)
    assert rig.state() is State.ONLINE


def test_retry_connects_at_once(rig: Rig) -> None:
    """Somebody who asks need not wait for the end of the pause; asking twice does no harm."""
    rig.network.reachable = False
    rig.start(100)
    rig.network.reachable = True
    rig.uplink.retry()
    rig.uplink.retry()
    rig.clock.run(0.2)
    rig.uplink.retry()
    assert rig.values() != []
    rig.clock.run(1)
    assert rig.cloud.counts["connections"] == 1


class Endless(Protocol):
    """Accepts, and sends what the test says as soon as it is spoken to."""

    sends = b""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(self.sends)


def serving(sends: bytes) -> Factory:
    class Server(Factory):
        noisy = False

        def buildProtocol(self, addr: Any) -> Protocol:
            protocol = Endless()
            protocol.sends = sends
            return protocol

    return Server()


@pytest.mark.parametrize(
    ("sends", "count"),
    [
        (b"x" * 70_000, "too-long"),
        (b"x" * 70_000 + b"\n", "too-long"),
        (b"\n\r\n\xff\xfe\n[]\n{}\n" + b"[" * 5000 + b"\n", "malformed"),
        (b'{"res001":{"code":"0","tKey":""}}\n', "malformed"),
        (b'{"res001":{"code":"0","tKey":"' + b"k" * 2000 + b'"}}\n', "malformed"),
        (b'{"res002":{"eqSN":"1","code":"0"}}\n', "unexpected"),
        (b'{"res100":{"eqSN":"1","code":"0"}}\n', "unexpected"),
        (b'{"res300":{"eqSN":"12345678","eChan":"P0-C1","sPeriod":"1"}}\n', "unexpected"),
        (b'{"res200":{"packID":"1","code":"8"}}\n', "late"),
        (b'{"res200":{"packID":' + b"9" * 5000 + b',"code":"8"}}\n', "late"),
        (b'{"res200":{"packID":[],"code":"8"}}\n', "malformed"),
    ],
)
def test_what_a_hostile_cloud_sends_is_counted(sends: bytes, count: str) -> None:
    """Nothing a cloud sends raises, or is worth more than a count."""
    rig = Rig(serving(sends))
    rig.start(3)
    assert rig.uplink.counts[count] >= 1
    assert rig.packs() == []
    rig.stop()


# -- what the cloud sets


def test_a_configuration_is_done_kept_and_acknowledged(rig: Rig) -> None:
    """Both set: 12; the period alone: 10; the type alone: 11; all of it survives a restart."""
    rig.start(1)
    [both] = rig.configure("P0-C1", s_period="2", s_type="1")
    [period] = rig.configure("P0-C2", s_period="5")
    [kind] = rig.configure("P1-C1", s_type="0")
    assert [each.code for each in (both, period, kind)] == ["12", "10", "11"]
    rig.clock.run(20)
    counted = {channel: len(rig.values(channel)) for channel in CHANNELS}
    assert counted == {"P0-C1": 11, "P0-C2": 5, "P1-C1": 1}
    rig.restart()
    rig.clock.run(20.5)
    assert {channel: len(rig.values(channel)) - counted[channel] for channel in CHANNELS} == counted


def test_the_type_decides_between_changes_and_periods(rig: Rig) -> None:
    """Type 1 does not report a change before its time, type 0 nothing but changes."""
    rig.start(1)
    rig.configure("P0-C1", s_type="1")
    rig.configure("P0-C2", s_type="0")
    rig.clock.run(2)
    rig.read(230.0, mains=False)
    rig.clock.run(2)
    assert rig.values() == ["220"]
    assert rig.values("P0-C2") == ["1", "0"]
    rig.clock.run(60)
    assert rig.values()[1:] == ["230"] * 6
    assert rig.values("P0-C2") == ["1", "0"]


@pytest.mark.parametrize(
    ("channel", "texts"),
    [
        ("P7-C7", {"s_period": "5", "s_type": "1"}),
        ("P0-C1", {"s_period": "0"}),
        ("P0-C1", {"s_period": "86401"}),
        ("P0-C1", {"s_period": "fast"}),
        ("P0-C1", {"s_period": "-5"}),
        ("P0-C1", {"s_period": "nan"}),
        ("P0-C1", {"s_type": "2"}),
        ("P0-C1", {}),
    ],
)
def test_a_configuration_that_is_refused_gets_no_answer(
    rig: Rig, channel: str, texts: dict[str, str]
) -> None:
    """The document has no code for a refusal: it is counted, and the data goes on."""
    rig.start(1)
    answer = rig.configure(channel, **texts)
    rig.clock.run(4)
    assert answer == [None]
    assert rig.uplink.counts["config-refused"] == 1


def test_configurations_are_answered_when_they_are_on_the_disk(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A slow disk delays the answers; more than may wait are not answered at all."""
    rig.start(1)
    disk: Deferred[None] = Deferred()
    with monkeypatch.context() as patch:
        patch.setattr(rig.store, "put_setting", lambda *_: disk)
        answers = [rig.configure("P0-C1", s_period=str(at + 1)) for at in range(70)]
        assert not any(answers)
    disk.callback(None)
    rig.clock.run(5)
    assert sum(each[0] is not None for each in answers) == 65
    assert rig.uplink.counts["config-overflow"] == 5
    stored = fired(rig.store.settings())[0]
    assert stored["fogslink.channels"] == {"P0-C1": {"period": 65.0}}


# -- the settings


def test_the_endpoint_and_the_channels_are_checked() -> None:
    """A wrong address and a wrong channel are named; nothing of the key shows."""
    bench = Bench()
    good: dict[str, Any] = {"eq_sn": EQ_SN, "api_key": Secret(API_KEY)}

    def build(**given: Any) -> Any:
        settings = FogslinkSettings(**good, **given)
        return fogslink_uplink(settings, bench.site, bench.clock, bench.clock.now, lambda: 1.0)

    with pytest.raises(WrongSetting) as wrong:
        build(address="nonsense", channels={})
    assert wrong.value.key == "address"
    with pytest.raises(WrongSetting) as wrong:
        build(address="tcp:127.0.0.1:1", channels={"C1-P0": "ups1.volts"})
    assert wrong.value.key == "channels"
    assert build(address="tcp:127.0.0.1:1", channels={"P0-C1": "a.b"}).name == "fogslink"


def test_a_stored_pack_goes_under_the_present_serial_number(rig: Rig) -> None:
    """After another account was configured, what is left goes to that one."""
    rig.network.reachable = False
    rig.start(1)
    rig.cloud.accounts["87654321"] = API_KEY
    rig.given["eq_sn"] = "87654321"
    rig.network.reachable = True
    rig.restart()
    rig.clock.run(2)
    assert {each["eqSN"] for each in rig.records()} == {"87654321"}
    assert rig.ledger().queued == 0
