"""The meter of the example: a resource in memory plays the device, and a clock moves the time."""

from typing import Any

import msgspec
from gantry_meter import MeterSettings, kind
from klein import Klein

from twisted_gantry.core.secret import Secret
from twisted_gantry.testing.clock import ManualClock
from twisted_gantry.testing.conformance import check_kind, check_life, run_command
from twisted_gantry.testing.network import HttpPeer
from twisted_gantry.testing.site import FakeSite

SETTINGS = MeterSettings(url="http://meter.test/", token=Secret("s3cret"))


class Plant:
    """What the meter measures, and its answers."""

    app = Klein()

    def __init__(self) -> None:
        self.values: dict[str, Any] = {"voltage": 230.5, "power": 1200, "on": True}

    @app.route("/", methods=["GET", "PUT"])
    def serve(self, request: Any) -> bytes:
        if request.getHeader("authorization") != "Bearer s3cret":
            request.setResponseCode(401)
            return b"{}"
        if request.method == b"PUT":
            self.values |= msgspec.json.decode(request.content.read())
        return msgspec.json.encode(self.values)


def play(clock: ManualClock) -> tuple[HttpPeer, HttpPeer]:
    """Return what leads to the meter, and how it is lost: here both are one."""
    peer = HttpPeer(clock, Plant().app.resource())
    return peer, peer


def test_the_kind_is_in_order() -> None:
    check_kind(kind, SETTINGS)


def test_the_meter_lives() -> None:
    check_life(kind, SETTINGS, play, secrets=("s3cret",))


def test_it_reads_alarms_and_switches() -> None:
    """A value is read; the command switches, and the alarm follows the next reading."""
    site, plant = FakeSite(), Plant()
    site.use(HttpPeer(site.clock, plant.app.resource()))
    meter = kind.build("m1", SETTINGS, site.context)
    site.add(meter)
    meter.startService()
    site.clock.run(1)
    assert site.good("m1.voltage") == 230.5
    assert run_command(site, "m1", "switch", {"on": False}).result == "done"
    assert site.raised() == {"m1.off"}
    meter.stopService()
