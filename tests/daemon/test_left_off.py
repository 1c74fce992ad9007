"""Relays that were left off, and that the configuration no longer has."""

from typing import Any

from twisted.internet.defer import ensureDeferred

from tests.support import Bench, fired
from tests.web.remotecontrol.rig import Relay
from twisted_gantry.daemon.left_off import ALARM, look_for_left_off
from twisted_gantry.devices.relay.pending import pending_key

PLACE, ON = ("192.168.1.40", 8080), b"\xa0\x01"


def look(bench: Bench) -> list[Any]:
    assert fired(ensureDeferred(look_for_left_off(bench.site))) == [None]
    return [alarm for alarm in bench.alarms.active("gantry") if alarm.name == ALARM]


def test_a_relay_that_was_removed_is_told() -> None:
    """The alarm names the place, until the relay is configured again or its power is back."""
    bench = Bench()
    assert look(bench) == []
    key = pending_key(PLACE, ON)
    fired(bench.store.put_setting(key, True))
    [alarm] = look(bench)
    assert "192.168.1.40:8080" in alarm.en
    assert "192.168.1.40:8080" in alarm.zh
    relay = Relay(bench, "gate", {})
    relay.pending_on = key
    assert look(bench) == []
    del bench.site.devices["gate"]
    assert len(look(bench)) == 1
    fired(bench.store.put_setting(key, None))
    assert look(bench) == []
