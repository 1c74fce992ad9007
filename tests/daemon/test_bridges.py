"""Bridges in the tree: made and taken away with their table, and the alarm of one that is off."""

from typing import Any

import pytest

from tests.support import Bench, in_no_thread
from tests.web.small_site import FakeBridge
from twisted_gantry.core.interfaces import IBridge
from twisted_gantry.core.site import BridgeContext
from twisted_gantry.daemon import bridges
from twisted_gantry.daemon.bridges import OFFLINE_S, ONLINE_S, OfflineAlarm, made_bridge


def test_a_bridge_is_in_the_site_until_it_is_unmade(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bridge is made of its table; the end of it takes it out of the site, with its alarm."""
    bench = Bench()
    given: list[Any] = []

    def build(settings: Any, context: BridgeContext) -> Any:
        given.append((settings, context.site))
        return FakeBridge("pigeon", context.now)

    monkeypatch.setattr(bridges, "BUILDERS", {"pigeon": build})
    clock = bench.clock
    context = BridgeContext(bench.site, clock, clock.now, bench.random, in_no_thread)
    group, unmake = made_bridge("pigeon", "its settings", context)
    [bridge] = bench.site.bridges.values()
    assert given == [("its settings", bench.site)]
    assert IBridge.providedBy(bridge)
    group.startService()
    assert bridge.running
    bridge.status.offline("no pigeon")
    clock.advance(OFFLINE_S)
    assert bench.raised() == {"bridge.pigeon.offline"}
    group.stopService()
    unmake()
    assert (bench.site.bridges, bench.raised(), clock.getDelayedCalls()) == ({}, set(), [])


def test_a_bridge_that_comes_and_goes_has_one_alarm() -> None:
    """The alarm comes after five minutes without an online minute, and ends with such a minute."""
    bench = Bench()
    told: list[bool] = []
    bench.alarms.subscribe(lambda alarm: told.append(alarm.active))
    status = FakeBridge("mqtt", bench.clock.now).status
    alarm = OfflineAlarm(status, bench.alarms, bench.clock)
    for _ in range(10):
        status.offline("refused")
        bench.clock.advance(ONLINE_S)
        status.online()
        bench.clock.advance(ONLINE_S - 1)
    assert told == [True]
    [raised] = bench.alarms.active("bridge")
    assert (raised.en, raised.zh) == (
        "bridge.mqtt is offline: refused",
        "bridge.mqtt 离线：refused",
    )
    bench.clock.advance(1)
    assert told == [True, False]
    alarm.end()
    assert bench.clock.getDelayedCalls() == []


def test_a_restart_of_the_neighbour_is_no_alarm() -> None:
    """A bridge that is back within five minutes for a minute raises nothing."""
    bench = Bench()
    status = FakeBridge("mqtt", bench.clock.now).status
    alarm = OfflineAlarm(status, bench.alarms, bench.clock)
    status.offline("closed")
    bench.clock.advance(OFFLINE_S - ONLINE_S - 1)
    status.online()
    bench.clock.advance(OFFLINE_S)
    assert bench.raised() == set()
    alarm.end()
    assert bench.clock.getDelayedCalls() == []
