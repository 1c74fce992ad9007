"""The kind `http-json`: members of a document by JSON pointer."""

from collections.abc import Iterator
from typing import Any

import pytest
from klein import Klein
from twisted.internet.defer import Deferred

from tests.devices.rig import DriverRig, Wire
from twisted_gantry.config.load import load
from twisted_gantry.devices.http_json import HttpJsonDevice, HttpJsonSettings, resolve
from twisted_gantry.net.http.client import BoundedClient

SITE = """
[gantry]
id = "G000211001002110010"
[[device]]
name = "j1"
kind = "http-json"
url = "http://meter.test/values?all=1"
headers = { Authorization = "Bearer s3cret" }
poll = 1
[[device.point]]
name = "t"
pointer = "/rooms/0/t"
unit = "°C"
max = 80
role = "thermohygrometer.temperature"
[[device.point]]
name = "kw"
pointer = "/power~1kW"
scale = 1000
unit = "W"
[[device.point]]
name = "smoke"
pointer = "/smoke"
type = "flag"
role = "smoke_sensor.is_warning"
[[device.point]]
name = "mode"
pointer = "/mode"
type = "text"
"""


class Rig(DriverRig):
    """The driver in front of a resource that answers `body`."""

    def __init__(self) -> None:
        super().__init__()
        app: Any = Klein()
        self.body, self.status, self.tokens = b"", 200, set[str]()
        self.slow = False

        @app.route("/values")  # type: ignore[untyped-decorator]
        def values(request: Any) -> Any:
            self.tokens.add(request.getHeader("Authorization"))
            request.setResponseCode(self.status)
            if self.slow:
                request.write(self.body)
                return Deferred()
            return self.body

        wire: Any = Wire(self.clock, meter=app.resource())
        [entry] = load(SITE).devices
        assert isinstance(entry.settings, HttpJsonSettings)
        client = BoundedClient(wire, self.clock)
        made = (entry.settings, self.bench.context, client, self.close)
        self.device = HttpJsonDevice("j1", *made)
        self.bench.add(self.device)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = Rig()
    yield rig
    rig.stop()


def test_values_by_pointer(rig: Rig) -> None:
    """Numbers, flags and texts are read in their unit, and roles follow."""
    rig.body = b'{"rooms": [{"t": "21.5"}], "power/kW": 1.25, "smoke": 0, "mode": "cool"}'
    rig.start()
    assert [rig.good(name) for name in ("t", "kw", "smoke", "mode")] == [21.5, 1250, False, "cool"]
    assert rig.good("thermohygrometer.temperature") == 21.5
    assert (rig.state, rig.tokens) == ("online", {"Bearer s3cret"})
    rig.body = rig.body.replace(b'"smoke": 0', b'"smoke": "true"')
    rig.clock.run(2.0)
    assert rig.raised() == {"smoke"}


def test_one_bad_member_costs_one_value(rig: Rig) -> None:
    """A member that is odd, missing or out of bounds costs its value, and a cut-off answer what is
    missing.
    """
    rig.body = b'{\'rooms\': [{t: 655.3}], "power/kW": ***, smoke: 1, "mode": "he'
    rig.start()
    assert [rig.good(name) for name in ("t", "kw", "smoke")] == ["get-failed", "get-failed", True]
    assert rig.state == "online"
    assert rig.device.counts["repaired"] == 1


@pytest.mark.parametrize(("status", "body"), [(500, b"{}"), (200, b"<html>"), (200, b"{}")])
def test_an_answer_without_a_value_is_no_reading(rig: Rig, status: int, body: bytes) -> None:
    """Three readings in a row without any value: the device is offline."""
    rig.status, rig.body = status, body
    rig.start(10.0)
    assert (rig.state, rig.good("t")) == ("offline", "get-failed")


@pytest.mark.parametrize("came", [b'{"rooms": [{"t', b" " * 400])
def test_an_answer_that_does_not_end_is_told_as_slow(rig: Rig, came: bytes) -> None:
    """What came has no value: the reason is that the rest did not come, not what is missing."""
    rig.body, rig.slow = came, True
    rig.start(80.0)
    assert rig.state == "offline"
    assert "no end of the answer within" in rig.device.status.last_error


def test_a_missing_member_is_told_in_chinese(rig: Rig) -> None:
    """The device stays online, and its status names the point."""
    rig.body = b'{"rooms": [{"t": "21.5"}], "smoke": 0, "mode": "cool"}'
    rig.start()
    assert rig.state == "online"
    assert rig.device.status.outage.zh == "应答中没有kw的值"


@pytest.mark.parametrize(
    ("pointer", "value"),
    [("", {"a": [1, {"b/c": 2, "~": 3}]}), ("/a/0", 1), ("/a/1/b~1c", 2), ("/a/1/~0", 3)]
    + [(each, None) for each in ("/x", "/a/-1", "/a/01", "/a/2", "/a/0/0")],
)
def test_pointers(pointer: str, value: Any) -> None:
    """JSON pointers are those of RFC 6901; one that leads nowhere gives None."""
    assert resolve(pointer, {"a": [1, {"b/c": 2, "~": 3}]}) == value
