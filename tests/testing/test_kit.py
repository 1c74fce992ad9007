"""The kit for new kinds: it takes what is in order, and says what is wrong with what is not."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from zope.interface.verify import verifyObject

from tests.test_docs import GIVEN, KINDS
from twisted_gantry.core.alarms import Rule, Severity
from twisted_gantry.core.commands.door import Request
from twisted_gantry.core.interfaces import IDevice, IDeviceKind
from twisted_gantry.devices.conditions import equals
from twisted_gantry.net.http.client import BoundedClient, NoAnswer, NotConnected
from twisted_gantry.testing.conformance import check_kind, check_life, run_command
from twisted_gantry.testing.network import HttpPeer
from twisted_gantry.testing.site import FakeSite

EXAMPLE = Path(__file__).parents[2] / "docs" / "example-device"


@pytest.fixture
def example(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The tests of the example, which import its driver."""
    monkeypatch.syspath_prepend(EXAMPLE)
    yield import_module("test_meter")
    for name in ("test_meter", "gantry_meter"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize("name", KINDS)
def test_each_kind_of_ours_is_in_order(name: str) -> None:
    """What the kit asks of others holds for the kinds of this package."""
    kind = KINDS[name]
    check_kind(kind, kind.settings(**GIVEN.get(name, {})))


def test_the_example_is_in_order(example: Any) -> None:
    """The tests that the tutorial prints pass."""
    example.test_the_kind_is_in_order()
    example.test_the_meter_lives()
    example.test_it_reads_alarms_and_switches()


class Bench(FakeSite):
    """A site with the meter of the example, which has read once."""

    def __init__(self, example: Any) -> None:
        super().__init__()
        self.plant = example.Plant()
        self.peer = HttpPeer(self.clock, self.plant.app.resource())
        self.use(self.peer)
        self.meter = example.kind.build("m1", example.SETTINGS, self.context)
        self.add(self.meter)
        self.meter.startService()
        self.clock.run(1)

    def switch(self) -> tuple[str, str]:
        result = run_command(self, "m1", "switch", {"on": False}, 4)
        return result.result.value, result.detail


def test_what_the_example_provides(example: Any) -> None:
    """The base class makes of the example a device in order."""
    bench = Bench(example)
    assert verifyObject(IDevice, bench.meter)
    assert verifyObject(IDeviceKind, example.kind)
    refreshed = bench.meter.refresh()
    bench.clock.run(1)
    assert refreshed.called


def test_a_command_needs_its_confirmation(example: Any) -> None:
    """The door refuses without one, and nothing is sent."""
    bench = Bench(example)
    ended: list[Any] = []
    bench.door.run(Request("m1", "switch", {"on": False}, "test", "1")).addBoth(ended.append)
    assert "needs a confirmation" in ended[0].detail
    assert [method for method, _ in bench.peer.sent] == ["GET"]


@pytest.mark.parametrize(
    ("error", "ends"),
    [
        (NotConnected("refused"), ("failed", "not sent: refused")),
        (NoAnswer("no answer within 3 s"), ("timeout", "no answer within 3 s")),
    ],
)
def test_not_sent_is_not_unknown(
    example: Any, monkeypatch: pytest.MonkeyPatch, error: Exception, ends: tuple[str, str]
) -> None:
    """Without a connection the command failed; without an answer its outcome is unknown."""
    bench = Bench(example)
    monkeypatch.setattr(BoundedClient, "request", lambda *_, **__: fail(error))
    assert bench.switch() == ends


def test_a_stop_cancels_a_command(example: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command that runs when the device stops ends as a timeout."""
    bench = Bench(example)
    monkeypatch.setattr(BoundedClient, "request", lambda *_, **__: Deferred())
    bench.clock.callLater(1, bench.meter.stopService)
    assert bench.switch()[0] == "timeout"


def test_a_401_is_no_reading(example: Any) -> None:
    """An answer with another status than 200 is a failed reading, and the status tells it."""
    bench = Bench(example)
    bench.peer._stub = HttpPeer(bench.clock, example.Plant().app.resource())._stub
    bench.meter._settings = example.MeterSettings(url="http://m/", token=example.Secret("wrong"))
    bench.clock.network = bench.peer
    bench.clock.run(30)
    assert bench.good("m1.voltage") == "get-failed"
    assert bench.meter.status.last_error.startswith("HTTP status 401")


# -- what the checks find


def test_a_rule_over_an_unknown_point_is_found(example: Any) -> None:
    """A misspelt point in a rule is named."""
    driver = sys.modules["gantry_meter"]
    rule = Rule("x", Severity.WARNING, "x", "x", equals("voltag", 1))
    broken = type("Broken", (driver.Meter,), {"rules": (rule,)})
    kind = replace_build(example.kind, broken)
    with pytest.raises(AssertionError, match="the rule x reads voltag, which is not declared"):
        check_kind(kind, example.SETTINGS)


def replace_build(kind: Any, build: Any) -> Any:
    """Return the kind with another driver."""
    from attrs import evolve

    return evolve(kind, build=build)


def broken(example: Any, **methods: Any) -> Any:
    driver = sys.modules["gantry_meter"]
    return replace_build(example.kind, type("Broken", (driver.Meter,), methods))


def test_a_timer_that_stays_is_found(example: Any) -> None:
    """A driver that goes on after its stop fails."""

    def close(self: Any) -> Any:
        self.poller._clock.callLater(100, print)
        return self._close()

    with pytest.raises(AssertionError, match="timers are left after the stop"):
        check_life(broken(example, close=close), example.SETTINGS, example.play)


def test_a_stop_without_end_is_found(example: Any) -> None:
    """A stop that takes over 5 s fails."""
    kind = broken(example, close=lambda self: Deferred())
    with pytest.raises(AssertionError, match="did not stop within 5 s"):
        check_life(kind, example.SETTINGS, example.play)


def test_a_loss_that_is_not_told_is_found(example: Any) -> None:
    """A driver that shows old values as good ones while its device is away fails."""

    async def read(self: Any) -> Any:
        try:
            return await sys.modules["gantry_meter"].Meter.read(self)
        except Exception:
            return {"voltage": 230.0, "power": 0, "on": True}

    with pytest.raises(AssertionError, match="is not lost"):
        check_life(broken(example, read=read), example.SETTINGS, example.play)


def test_a_secret_in_an_error_is_found(example: Any) -> None:
    """An error that shows a secret fails."""

    async def read(self: Any) -> Any:
        try:
            return await sys.modules["gantry_meter"].Meter.read(self)
        except Exception:
            driver = sys.modules["gantry_meter"]
            raise driver.NothingRead("the token s3cret was refused") from None

    kind = broken(example, read=read)
    with pytest.raises(AssertionError, match="the reason shows a secret"):
        check_life(kind, example.SETTINGS, example.play, secrets=("s3cret",))
