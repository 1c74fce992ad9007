"""Look-ups of names: shared, remembered, bounded, and never waited for long."""

import socket
from collections.abc import Sequence
from typing import Any

import pytest
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHostResolution, IResolutionReceiver
from twisted.internet.task import Clock
from zope.interface import implementer

from twisted_gantry.net.names import GOOD_FOR, MOST_LOOKUPS, NONE_FOR, PATIENCE, Names

FOUND = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("192.0.2.7", 0))]


@implementer(IResolutionReceiver)
class Receiver:
    """Keeps what it is told; `addresses` is None until the resolution is complete."""

    addresses: list[Any] | None

    def __init__(self) -> None:
        self.addresses = None
        self._told: list[Any] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:  # noqa: N803
        self.name = resolutionInProgress.name

    def addressResolved(self, address: Any) -> None:
        self._told.append(address)

    def resolutionComplete(self) -> None:
        self.addresses = self._told


class Rig:
    """A resolver on a clock; `threads` has the names under way, to be ended by the test."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.threads: dict[str, list[Deferred[Any]]] = {}
        self.names = Names(self.clock, self._in_thread)

    def _in_thread(self, _: Any, name: str, *more: Any) -> Deferred[Any]:
        looked: Deferred[Any] = Deferred()
        self.threads.setdefault(name, []).append(looked)
        return looked

    def ask(self, name: str, port: int = 80, **more: Any) -> Receiver:
        receiver = Receiver()
        self.names.resolveHostName(receiver, name, port, **more)
        return receiver

    def end(self, name: str, found: Sequence[Any] | Exception) -> None:
        looked = self.threads[name].pop(0)
        if isinstance(found, Exception):
            looked.errback(found)
        else:
            looked.callback(found)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_an_address_needs_no_thread(rig: Rig) -> None:
    """Digits are answered at once, with the port and the kind of transport that were asked for."""
    assert rig.ask("192.0.2.1", 81).addresses == [IPv4Address("TCP", "192.0.2.1", 81)]
    assert rig.ask("::1", 82).addresses == [IPv6Address("TCP", "::1", 82)]
    assert rig.ask("192.0.2.1", 5, transportSemantics="UDP").addresses == [
        IPv4Address("UDP", "192.0.2.1", 5)
    ]
    assert rig.threads == {}


def test_connections_share_a_look_up(rig: Rig) -> None:
    """One thread serves all that ask for a name; each gets its own port."""
    one, other = rig.ask("a.example", 80), rig.ask("a.example", 443)
    assert len(rig.threads["a.example"]) == 1
    assert [each.addresses for each in (one, other)] == [None, None]
    rig.end("a.example", FOUND)
    assert one.addresses == [IPv4Address("TCP", "192.0.2.7", 80)]
    assert other.addresses == [IPv4Address("TCP", "192.0.2.7", 443)]


@pytest.mark.parametrize(("found", "seconds"), [(FOUND, GOOD_FOR), ([], NONE_FOR)])
def test_answers_are_remembered(rig: Rig, found: Sequence[Any], seconds: float) -> None:
    """An answer, also a negative one, is given again for its time, without a thread."""
    rig.ask("a.example")
    rig.end("a.example", found)
    rig.clock.advance(seconds - 0.1)
    assert len(rig.ask("a.example").addresses or ()) == len(found)
    assert rig.threads["a.example"] == []
    rig.clock.advance(0.1)
    assert rig.ask("a.example").addresses is None
    assert len(rig.threads["a.example"]) == 1
    rig.end("a.example", [])


@pytest.mark.parametrize("error", [socket.gaierror(-3, "again"), UnicodeError("no label")])
def test_a_failure_is_no_address(rig: Rig, error: Exception) -> None:
    """A look-up that fails in whatever way has no addresses, and is remembered."""
    asked = rig.ask("a.example")
    rig.end("a.example", error)
    assert asked.addresses == []
    assert rig.ask("a.example").addresses == []


def test_a_known_name_outlives_its_server(rig: Rig) -> None:
    """Addresses that were known are used while the name server fails or is silent."""
    rig.ask("a.example")
    rig.end("a.example", FOUND)
    rig.clock.advance(GOOD_FOR)
    asked = rig.ask("a.example")
    rig.end("a.example", socket.gaierror(-3, "again"))
    assert asked.addresses == [IPv4Address("TCP", "192.0.2.7", 80)]
    rig.clock.advance(NONE_FOR)
    asked = rig.ask("a.example")
    rig.clock.advance(PATIENCE)
    assert asked.addresses == [IPv4Address("TCP", "192.0.2.7", 80)]


def test_nobody_waits_long(rig: Rig) -> None:
    """A look-up that hangs is given up; no second thread is spent on its name meanwhile."""
    asked = rig.ask("dead.example")
    rig.clock.advance(PATIENCE)
    assert asked.addresses == []
    for _ in range(10):
        rig.clock.advance(NONE_FOR)
        assert rig.ask("dead.example").addresses == []
    assert len(rig.threads["dead.example"]) == 1
    rig.end("dead.example", FOUND)  # the thread comes back at last
    assert rig.ask("dead.example").addresses == [IPv4Address("TCP", "192.0.2.7", 80)]


def test_dead_names_hold_up_no_other(rig: Rig) -> None:
    """Ten dead names leave threads for a good one; above the bound a name fails at once."""
    for number in range(10):
        rig.ask(f"dead{number}.example")
    good = rig.ask("good.example")
    rig.end("good.example", FOUND)
    assert good.addresses
    for number in range(10, MOST_LOOKUPS):
        rig.ask(f"dead{number}.example")
    assert rig.ask("further.example").addresses == []
    assert "further.example" not in rig.threads
    rig.clock.advance(PATIENCE)
    assert rig.clock.getDelayedCalls() == []
