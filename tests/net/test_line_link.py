"""The line link: reconnected with growing pauses, bounded, and cut for good by a stop."""

from collections import Counter
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.net.budget import SLICE
from twisted_gantry.net.line_link import LineLink
from twisted_gantry.net.outage import Outage
from twisted_gantry.net.patient_lines import PATIENCE

MAX_LINE = 16


@implementer(IStreamClientEndpoint)
class Peer:
    """The other end, and the owner of the link: one list of what was told."""

    def __init__(self) -> None:
        self.clock, self.events = Clock(), list[Any]()
        self.counts: Counter[str] = Counter()
        self.reachable = True
        self.attempt: Deferred[Any] | None = None
        self.attempts: list[float] = []
        self.protocol: Any = None
        self.link = LineLink(
            self,
            self,
            self.clock,
            lambda: 1.0,
            pauses=(1.0, 8.0),
            delimiter=b"\n",
            max_line=MAX_LINE,
            counts=self.counts,
            whole=lambda rest: rest.rfind(b";") + 1,
        )

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        self.attempts.append(self.clock.seconds())
        if self.attempt is not None:
            return self.attempt
        if not self.reachable:
            return fail(OSError("unreachable"))
        self.protocol = protocolFactory.buildProtocol(None)  # type: ignore[arg-type]
        self.protocol.makeConnection(StringTransport())
        return succeed(self.protocol)

    def connected(self) -> None:
        self.events.append("connected")

    def received(self, line: bytes) -> None:
        self.events.append(line)

    def writable(self) -> None:
        self.events.append("writable")

    def disconnected(self, reason: Outage) -> None:
        self.events.append(f"disconnected: {reason}")

    def not_connected(self, reason: Outage) -> None:
        self.events.append(f"not connected: {reason}")

    def lose(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def told(self) -> list[Any]:
        """Return what was told since the last call."""
        told, self.events = self.events, []
        return told


@pytest.fixture
def peer() -> Iterator[Peer]:
    """A peer of a link that was started; the test leaves no timer."""
    made = Peer()
    made.link.start()
    yield made
    made.link.stop()
    assert made.clock.getDelayedCalls() == []


def test_lines_come_whole_however_they_are_cut(peer: Peer) -> None:
    """Bytes become lines without their delimiter."""
    for byte in b"one\ntwo\n":
        peer.protocol.dataReceived(bytes([byte]))
    peer.protocol.dataReceived(b"three\nfour\n")
    assert peer.told() == ["connected", b"one", b"two", b"three", b"four"]


def test_the_whole_part_of_a_line_without_an_end_is_taken(peer: Peer) -> None:
    """After a second, and once; the rest waits for its end, and an end that comes late is empty."""
    peer.protocol.dataReceived(b"one;two;thr")
    peer.clock.advance(PATIENCE - 0.1)
    assert peer.told() == ["connected"]
    peer.clock.advance(0.1)
    assert peer.told() == [b"one;two;"]
    peer.clock.advance(10 * PATIENCE)
    assert peer.told() == []
    peer.protocol.dataReceived(b"ee;")
    peer.clock.advance(PATIENCE)
    peer.protocol.dataReceived(b"\nfour\n")
    assert peer.told() == [b"three;", b"", b"four"]
    peer.protocol.dataReceived(b"five;")
    peer.lose()
    assert peer.told() == ["disconnected: the connection was closed"]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_over_the_bound_ends_the_connection(peer: Peer, end: bytes) -> None:
    """Whether or not the line ever ends; nothing that follows is looked at."""
    peer.protocol.dataReceived(b"x" * (MAX_LINE + 1) + end)
    peer.protocol.dataReceived(b"more\n")
    assert peer.protocol.transport.disconnecting or peer.protocol.transport.aborting
    peer.lose()
    assert peer.told() == ["connected", f"disconnected: a line of more than {MAX_LINE} bytes"]
    assert peer.counts == {"connections": 1, "too-long": 1}


def test_many_short_lines_take_several_turns(peer: Peer) -> None:
    """A peer that sends 64 KiB of them does not hold the reactor until the last one."""
    peer.protocol._slices._work = count().__next__  # a second of work at each look
    peer.protocol.dataReceived(b"\n" * (2 * SLICE + 1))
    assert peer.told() == ["connected", *[b""] * SLICE]
    assert peer.protocol.transport.producerState == "paused"
    peer.clock.advance(0)
    assert peer.told() == [b""] * (SLICE + 1)
    assert peer.protocol.transport.producerState == "producing"
    peer.protocol.dataReceived(b"\n" * (2 * SLICE))
    peer.lose()
    assert peer.told() == [*[b""] * (2 * SLICE), "disconnected: the connection was closed"]


def test_nothing_that_waits_is_looked_at_after_a_flood(peer: Peer) -> None:
    """What was received already goes with the connection."""
    peer.protocol._slices._work = count().__next__
    peer.protocol.dataReceived(b"\n" * (3 * SLICE))
    peer.link.flooded()
    peer.lose()
    assert peer.told()[SLICE + 1 :] == ["disconnected: the peer floods the connection"]


def test_pauses_grow_until_the_session_proves_good(peer: Peer) -> None:
    """A peer that accepts and closes is left in peace more and more."""
    for _ in range(5):
        peer.lose()
        peer.clock.pump([0.5] * 16)
    assert peer.attempts == [0, 1, 10, 20, 32, 40]
    peer.link.good()
    peer.lose()
    peer.clock.advance(1)
    assert peer.attempts[-1] == 41


def test_failed_attempts_are_told_and_repeated(peer: Peer) -> None:
    """Each with its reason, and a pause behind it."""
    peer.reachable = False
    peer.lose()
    peer.clock.pump([1, 2])
    assert [each for each in peer.told() if "not" in each] == ["not connected: unreachable"] * 2
    assert not peer.link.is_connected


def test_a_retry_ends_a_pause_and_nothing_else(peer: Peer) -> None:
    """With a connection, or while one is being made, there is nothing to retry."""
    peer.link.retry()
    peer.lose()
    peer.attempt = Deferred()
    peer.link.retry()
    peer.link.retry()
    assert len(peer.attempts) == 2


def test_other_pauses_begin_at_their_first(peer: Peer) -> None:
    """Pauses that are in force already are not begun anew."""
    peer.link.set_pauses(60.0, 120.0)
    peer.lose()
    peer.clock.advance(59.9)
    assert len(peer.attempts) == 1
    peer.clock.advance(0.1)
    peer.link.set_pauses(60.0, 120.0)
    peer.lose()
    peer.clock.advance(119.9)
    assert len(peer.attempts) == 2
    peer.clock.advance(0.1)
    assert len(peer.attempts) == 3


def test_a_full_transport_is_known(peer: Peer) -> None:
    """While the transport is full the link is not writable; the owner is told when it is again."""
    assert peer.link.is_writable
    peer.protocol.pauseProducing()
    assert (peer.link.is_writable, peer.link.is_connected) == (False, True)
    peer.protocol.resumeProducing()
    assert peer.link.is_writable
    assert peer.told() == ["connected", "writable"]


def test_a_dropped_connection_tells_the_first_reason_and_sends_no_more(peer: Peer) -> None:
    """What is sent or received behind a drop is lost."""
    peer.link.send(b"one\n")
    peer.link.drop("no answer")
    peer.link.drop("another reason")
    peer.link.send(b"two\n")
    peer.protocol.dataReceived(b"late\n")
    peer.lose()
    peer.link.send(b"three\n")
    assert peer.protocol.transport.value() == b"one\n"
    assert peer.told() == ["connected", "disconnected: no answer"]


def test_a_stop_fires_when_the_connection_is_closed(peer: Peer) -> None:
    """Each stop has a Deferred; no connection follows."""
    fired: list[None] = []
    for _ in range(2):
        peer.link.stop().addCallback(fired.append)
    assert fired == []
    peer.lose()
    assert fired == [None, None]
    peer.clock.advance(100)
    assert len(peer.attempts) == 1


def test_a_link_that_is_started_while_it_stops_connects_at_once(peer: Peer) -> None:
    """The new connection waits for the end of the old one, and for no pause."""
    peer.link.stop()
    peer.link.start()
    assert len(peer.attempts) == 1
    peer.lose()
    assert (len(peer.attempts), peer.link.is_connected) == (2, True)
    peer.lose()


def test_a_stop_cancels_an_attempt(peer: Peer) -> None:
    """A cancelled attempt is not told as failed."""
    cancelled: list[Any] = []
    attempt: Deferred[Any] = Deferred(cancelled.append)
    peer.lose()
    peer.attempt = attempt
    peer.link.retry()
    peer.told()
    assert peer.link.stop().called
    assert cancelled == [attempt]
    assert peer.told() == []
