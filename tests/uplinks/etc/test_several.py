"""Two platforms at once: what one does, or fails to do, the other does not notice."""

from random import Random
from typing import Any

import pytest
from treq.testing import StubTreq
from twisted.internet.defer import succeed

from tests.support import Bench, fired
from tests.uplinks.etc.test_uplink import AUTH, CABINET, FakeUps, WatchedChannel
from twisted_gantry.core.interfaces import Subject
from twisted_gantry.core.stored import Ledger
from twisted_gantry.net.http.client import BoundedClient
from twisted_gantry.twin.faces.etc.platform import Platform
from twisted_gantry.twin.faults.settings import ETC, Faults
from twisted_gantry.uplinks.etc.channel import EtcChannel
from twisted_gantry.uplinks.etc.uplink import EtcSettings, EtcUplink
from twisted_gantry.wire.etc.envelope import Card, CardList, Method
from twisted_gantry.wire.secret import Secret

DAY = 86_400.0
PERIOD = 900.0
STEP = 60.0  # seconds of the clock at once


class End:
    """One platform, and the uplink to it."""

    def __init__(self, bench: Bench, name: str, **settings: Any) -> None:
        clock = bench.clock
        self.name, self.bench = name, bench
        self.faults = Faults(clock.seconds, Random(1))
        gantry = bench.site.gantry_id
        self.platform = Platform(self.faults, clock, clock.now, gantry_id=gantry, auth=AUTH)
        stub = StubTreq(self.platform.resource())
        client = BoundedClient(stub, clock)  # type: ignore[arg-type]
        channel = WatchedChannel(EtcChannel(Secret(AUTH), client), stub, clock)
        url = f"http://{name}.test/monitor.do"
        given = EtcSettings(name=name, url=url, auth=Secret(AUTH), period=PERIOD, **settings)
        more = (clock, clock.now, lambda: 1.0, lambda: succeed(None))
        self.uplink = EtcUplink(given, bench.site, channel, *more)
        bench.site.uplinks[name] = self.uplink

    @property
    def ledger(self) -> Ledger:
        found: list[Ledger] = fired(self.bench.store.ledger(self.name))
        return found[0]

    def took(self, method: str) -> int:
        return len(self.platform.requests(method, 10_000))


class TwoEnds:
    """A site with one UPS and two platforms; the second has the white list."""

    def __init__(self) -> None:
        self.bench = Bench(CABINET)
        self.ups = FakeUps(self.bench)
        self.road = End(self.bench, "road", cards=False)
        self.province = End(self.bench, "province", cards=True)
        self.ups.read()
        for end in (self.road, self.province):
            end.uplink.startService()
        self.run(1.0, 0.05)

    def run(self, seconds: float, step: float = STEP) -> None:
        self.bench.clock.run(seconds, step)

    def stop(self) -> None:
        for end in (self.road, self.province):
            end.uplink.stopService()
        self.bench.alarms.stop()
        self.run(61.0, 1.0)
        assert self.bench.clock.getDelayedCalls() == []


@pytest.mark.long
def test_a_day_without_one_of_them() -> None:
    """The reports of a whole day wait for one platform; the other has each at once, and no alarm
    but that of the channel. When the first is back, it gets all.
    """
    ends = TwoEnds()
    ends.road.faults.put(ETC, {"refuse": True})
    ends.run(DAY / 2)
    ends.ups.read(mains_abnormal=True)
    ends.run(1.0, 0.05)
    [report] = ends.province.platform.requests("cabinetStatusUpdate", 1)
    assert report["body"]["cabinetStatus"]["elec"][0]["status"] == "0"
    ends.ups.read()
    ends.run(DAY / 2)
    waiting, other = ends.road.ledger, ends.province.ledger
    assert waiting.created == other.created > DAY / PERIOD
    assert (other.queued, other.delivered) == (0, other.created)
    assert waiting.queued > waiting.created - 10
    assert [each.name for each in ends.bench.alarms.active()] == ["road.channel"]
    ends.road.faults.clear(ETC)
    ends.run(120.0, 0.2)
    assert ends.road.ledger.queued == 0
    assert ends.road.ledger.delivered == ends.road.ledger.created
    assert ends.bench.alarms.active() == []
    ends.stop()


def test_one_white_list() -> None:
    """Only the platform that has the list is asked for it."""
    ends = TwoEnds()
    ends.run(900.0, 1.0)
    assert (ends.road.took(Method.CARDS.value), ends.province.took(Method.CARDS.value) > 2) == (
        0,
        True,
    )
    ends.stop()


def test_another_platform_has_the_white_list_now() -> None:
    """The list of the platform that had it before is replaced, though its version is higher."""
    ends, days = TwoEnds(), ("2020-01-01 00:00:00", "2030-01-01 00:00:00")
    ends.province.platform.cards = CardList("20260201000000", (Card("1", *days),))
    ends.run(900.0, 1.0)
    ends.province.uplink.stopService()
    east = End(ends.bench, "east", cards=True)
    east.uplink.startService()
    ends.run(900.0, 1.0)  # has no list yet
    assert [version for version, _ in fired(ends.bench.store.cards())] == ["20260201000000"]
    east.platform.cards = CardList("20250101000000", (Card("2", *days),))
    ends.run(900.0, 1.0)
    [(version, cards)] = fired(ends.bench.store.cards())
    assert (version, [card.card_id for card in cards]) == ("20250101000000", ["2"])
    ends.run(900.0, 1.0)
    asked = [each["body"]["data"] for each in east.platform.requests(Method.CARDS.value, 1)]
    assert asked == [{"curVersion": "20250101000000"}]
    assert ends.bench.alarms.active() == []
    east.uplink.stopService()
    ends.stop()


def test_what_a_platform_steers_is_its_own() -> None:
    """A period of one platform holds for that one, also after a restart of both."""
    ends = TwoEnds()
    ends.road.uplink.set_period(Subject.CABINETS, 60.0)
    [kept] = fired(ends.bench.store.settings())
    assert kept["road.steering"]["cabinets"]["period"] == 60.0
    assert "province.steering" not in kept
    before = [end.took("cabinetStatusUpdate") for end in (ends.road, ends.province)]
    ends.run(600.0, 1.0)
    made = [end.took("cabinetStatusUpdate") for end in (ends.road, ends.province)]
    assert [now - then for now, then in zip(made, before, strict=True)] == [10, 0]
    ends.stop()
