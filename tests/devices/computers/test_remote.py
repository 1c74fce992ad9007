"""A computer of another gantry: read from that gantry's real local API, in memory."""

from collections.abc import Iterator
from typing import Any

import pytest
from twisted.web.resource import Resource
from zope.interface.verify import verifyObject

from tests.devices.rig import DriverRig, Wire
from tests.support import fired
from tests.web.small_site import small_site
from twisted_gantry.core.interfaces import IRefreshable
from twisted_gantry.core.status import State
from twisted_gantry.devices.computer import OUR_OWN, Computer, ComputerSettings, kind
from twisted_gantry.devices.computers.points import POINTS, good
from twisted_gantry.devices.computers.remote import DEADLINE, RemoteComputer
from twisted_gantry.net.http.client import BoundedClient
from twisted_gantry.uplinks.etc import rows
from twisted_gantry.wire.reading import Quality
from twisted_gantry.wire.secret import Secret

TOKEN = "kX7-viewer-token"


class Rig(DriverRig):
    """A driver `pc2` on the API of another gantry, whose computer is `pc1`."""

    def __init__(self, remote: str = "", token: str = TOKEN) -> None:
        super().__init__()
        self.other = small_site()
        self.other.site.points.declare("pc1", POINTS)
        self.measure(cpu_usage=12.5, memory_size=8388608, ip="10.0.0.7")
        self.wire = Wire(self.clock, other=self.other.resource(token=TOKEN))
        stub: Any = self.wire
        self.device = RemoteComputer(
            "pc2",
            {"id": good("2"), "is_monitor_computer": good(False), "is_main_computer": good(True)},
            self.bench.context,
            BoundedClient(stub, self.clock, deadline=DEADLINE),
            self.close,
            claims={},
            url="http://other.test:8080/",
            token=Secret(token),
            remote=remote,
            poll=10.0,
        )
        self.bench.add(self.device)

    def measure(self, **values: Any) -> None:
        readings = {name: (value, Quality.GOOD) for name, value in values.items()}
        self.other.site.points.update("pc1", readings)


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    made.start()
    yield made
    made.stop()
    made.other.db.close()


def test_its_points_are_those_of_the_other_gantry(rig: Rig) -> None:
    """Values and qualities come over; the number and the two flags are those of our settings."""
    assert verifyObject(IRefreshable, rig.device)
    assert rig.state == "online"
    assert (rig.good("cpu_usage"), rig.good("memory_size")) == (12.5, 8388608)
    assert (rig.good("ip"), rig.good("net_usage")) == ("10.0.0.7", "no-data")
    assert (rig.good("id"), rig.good("is_main_computer")) == ("2", True)
    rig.measure(cpu_usage=50.0)
    rig.other.site.points.fail("pc1", ["ip"])
    rig.clock.run(10.5)
    assert (rig.good("cpu_usage"), rig.good("ip")) == (50.0, "get-failed")


def test_our_report_has_its_row(rig: Rig) -> None:
    """The computer is a row of `computerStatus`."""
    [row] = rows.computers(rig.bench.site)
    assert (row.id, row.is_monitor_computer, row.cpu_usage) == ("2", "0", "12.50")


def test_a_gantry_that_is_gone_is_offline(rig: Rig) -> None:
    """Three readings that fail are a loss; the values are get-failed, the identity stays."""
    rig.wire.reachable = False
    rig.clock.run(40.0)
    assert rig.state == "offline"
    assert (rig.good("cpu_usage"), rig.good("id")) == ("get-failed", "2")
    rig.clock.run(15.0)
    assert rig.raised() == {"offline"}
    rig.wire.reachable = True
    rig.clock.run(61.0)
    assert (rig.state, rig.raised()) == ("online", set())


def test_a_refresh_reads_at_once(rig: Rig) -> None:
    """An `updateNow` has the present values."""
    rig.measure(cpu_usage=77.0)
    told = fired(rig.device.refresh())
    rig.clock.run(0.5)
    assert (told, rig.good("cpu_usage")) == ([None], 77.0)


@pytest.mark.parametrize(
    ("remote", "token", "text"),
    [
        ("ups1", TOKEN, "is no computer"),
        ("pc9", TOKEN, "is no computer"),
        ("", "wrong", "HTTP 401"),
    ],
)
def test_what_is_wrong_is_said(remote: str, token: str, text: str) -> None:
    """The state says what the other gantry answers, without the token."""
    made = Rig(remote, token)
    made.start(1.0)
    assert made.state != "online"
    assert text in str(made.device.status.last_error)
    assert token not in str(made.device.status.last_error) + made.log.getvalue()
    made.stop()
    made.other.db.close()


class Odd(Resource):
    """Another program at the port of the API."""

    isLeaf = True

    def __init__(self, body: bytes) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.body = body

    def render_GET(self, _: object) -> bytes:
        return self.body


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'{"gantryId": "G", "devices": [], "uplinks": []}',
        b'{"gantryId": "\xb3\xc9"}',
        b'{"more": ' + b"[" * 9000,
    ],
)
def test_another_program_is_no_computer(body: bytes) -> None:
    """An answer of another form is a failed reading."""
    made = Rig()
    made.wire.serve("other.test", Odd(body))
    made.start(1.0)
    assert made.state != "online"
    assert "other gantry" in str(made.device.status.last_error)
    made.stop()
    made.other.db.close()


def test_the_settings_choose() -> None:
    """With a URL the kind reads another gantry, without one this computer, which it claims."""
    rig = DriverRig()
    own = kind.build("pc1", ComputerSettings(), rig.bench.context)
    assert isinstance(own, Computer)
    assert own.claims["computer"] == OUR_OWN
    assert own.status.state is State.CONNECTING
