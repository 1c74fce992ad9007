"""The gantry's own uplink, and the fleet of the twin, against the Fogslink front of the centre."""

from collections.abc import Iterator
from random import Random
from typing import Any

import pytest
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, serverFromString

from tests.centre.fronts.cloud_rig import GANTRY, SEALING
from tests.centre.fronts.cloud_rig import Rig as Centre
from tests.uplinks.fogslink.test_uplink import Rig as Uplink
from twisted_gantry.centre.fronts.cloud import CloudFront
from twisted_gantry.centre.interfaces import QueueFull
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.registry import Registry
from twisted_gantry.centre.store import channel_wishes
from twisted_gantry.centre.store import registry as stored
from twisted_gantry.centre.store.channels import Channel, channels_of
from twisted_gantry.core.status import State
from twisted_gantry.core.stored import Ledger
from twisted_gantry.testing.centre_store import open_memory
from twisted_gantry.testing.clock import ManualClock
from twisted_gantry.twin.fleet import readings
from twisted_gantry.twin.fleet.cloud import Sessions
from twisted_gantry.twin.fleet.readings import shared_worlds
from twisted_gantry.twin.fleet.settings import FleetSettings
from twisted_gantry.twin.fleet.wheel import Wheel
from twisted_gantry.wire.secret import Secret


class Both(Uplink):
    """An uplink of a gantry whose cloud is a front of the centre."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = open_memory(self.clock.now)
        self.centre = Centre(self.memory, self.clock)
        self.network.server = self.centre.front.factory

    def channels(self) -> list[Channel]:
        found: list[Channel] = []
        self.memory.read(lambda s: channels_of(s, GANTRY)).addCallback(found.extend)
        return found

    def stop(self) -> None:
        self.uplink.stopService()
        self.clock.run(1)
        self.bench.alarms.stop()
        self.centre.stop()
        self.memory.close()


@pytest.fixture
def both() -> Iterator[Both]:
    made = Both()
    yield made
    made.stop()


def test_values_of_a_gantry_arrive(both: Both) -> None:
    """Each channel with its value and the moment of its reception; changes follow."""
    both.start()
    assert [(each.name, each.state, each.value) for each in both.channels()] == [
        ("P0-C1", "1", "220"),
        ("P0-C2", "1", "1"),
        ("P1-C1", "1", "SP-10K"),
    ]
    both.read(231.5)
    both.clock.run(12)
    assert both.channels()[0].value == "231.5"
    assert both.state() is State.ONLINE
    assert both.centre.front.counts["malformed"] == 0


def test_no_pack_is_lost_or_given_up_while_the_store_is_away(both: Both) -> None:
    """Minutes without a store leave the session up and the packs with the gantry, in their order;
    none is set aside, and each is stored once.
    """
    both.start()
    both.centre.store.broken = QueueFull()
    for volts in range(221, 241):
        both.read(volts)
        both.clock.run(15, step=0.5)
    assert both.ledger().set_aside == 0
    connections = len(both.network.pumps)
    both.centre.store.broken = None
    both.clock.run(30)
    ledger = both.ledger()
    assert ledger == Ledger(created=ledger.created, delivered=ledger.created)
    assert len(both.network.pumps) == connections == 1
    rows = both.centre.rows("SELECT count(*) FROM seen")
    assert rows == [(ledger.created,)]
    assert both.channels()[0].value == "240"


def test_a_gantry_takes_a_setting(both: Both) -> None:
    """The uplink sets period and type, and the wish has its answer."""
    both.start()
    both.memory.write(
        lambda s: channel_wishes.ask(s, GANTRY, "P0-C1", period="5", type_="1", by="li")
    )
    both.clock.run(5)
    found: list[Any] = []
    both.memory.read(lambda s: channel_wishes.wishes_of(s, GANTRY)).addCallback(found.extend)
    assert [(each.outcome, each.code) for each in found] == [("set", "12")]


@pytest.mark.long
async def test_a_fleet_over_sockets() -> None:
    """Thirty sessions of the twin's fleet: logins, heartbeats and packs, all of them acknowledged
    after they were stored.
    """
    anyhow: Any = reactor
    clock = ManualClock()
    store: Any = open_memory(clock.now)
    settings = FleetSettings(
        gantries=30, api_key="key-{eqSN}", pack_period=1.0, connect_rate=1000.0
    )
    worlds = shared_worlds(Random(1), clock.now, 2)
    fleet = list(readings.gantries(settings, worlds, Random(2)))
    gantries = [
        Gantry(each.gantry_id, eq_sn=each.eq_sn, api_key=Secret(each.api_key)) for each in fleet
    ]
    await store.write(lambda session: stored.put(session, gantries, SEALING))
    registry = Registry(store, SEALING, anyhow)
    await registry.refresh()
    place = "tcp:0:interface=127.0.0.1"
    front = CloudFront(
        anyhow, place, serverFromString(anyhow, place), store, registry, "front", clock.now
    )
    front.startService()
    wheel = Wheel(anyhow)
    endpoint = clientFromString(anyhow, f"tcp:127.0.0.1:{front.listener.port}")
    sessions = Sessions(fleet, wheel, anyhow, clock.now, endpoint, Random(1), settings)
    wheel.start()
    sessions.start()
    while (
        sessions.packs.acknowledged < 60
        or sessions.heartbeats.acknowledged < 30
        or not front.online == sessions.up == 30
    ):
        turn: Deferred[None] = Deferred()
        anyhow.callLater(0.01, turn.callback, None)
        await turn
    assert sessions.packs.refused == {}
    await sessions.stop()
    wheel.stop()
    await front.stopService()
    [(rows,)] = await store.read(lambda session: session.rows("SELECT count(*) FROM seen"))
    assert sessions.packs.acknowledged <= rows <= sessions.packs.sent
    await store.close()
