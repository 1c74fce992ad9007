"""A session that is kept up: its back-off, and what is told of failed attempts."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectError, ConnectionDone
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.net.session import Backoff, reconnecting


def always(spread: float) -> Backoff:
    """Return the back-off of a UPS card, with this spread throughout."""
    return Backoff(1.0, 60.0, lambda: spread)


def test_delays_double_up_to_the_most() -> None:
    """Delays double from the first to the most, and stay there."""
    backoff = always(1.0)
    assert [backoff.next() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_delays_are_spread_from_a_half_to_the_whole() -> None:
    """The jitter takes up to half of a delay away, and adds nothing."""
    least, middle = always(0.0), always(0.5)
    assert [least.next() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [middle.next() for _ in range(8)] == [0.75, 1.5, 3, 6, 12, 24, 45, 45]


def test_each_delay_is_spread_anew() -> None:
    """The jitter is drawn for each delay: gantries that fell together do not rise together."""
    spreads = iter([0.0, 0.9, 0.5])
    backoff = Backoff(10.0, 10.0, lambda: next(spreads))
    assert [backoff.next() for _ in range(3)] == pytest.approx([5.0, 9.5, 7.5])


def test_only_reset_begins_anew() -> None:
    """After a reset the delays begin at the first one again."""
    backoff = always(1.0)
    assert [backoff.next() for _ in range(5)][-1] == 16
    backoff.reset()
    assert [backoff.next() for _ in range(3)] == [1, 2, 4]


@given(
    st.floats(0.001, 100),
    st.floats(1, 1000),
    st.integers(1, 3000),
    st.floats(0, 1, exclude_max=True),
)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_delays_stay_within_their_bounds(
    first: float, factor: float, attempts: int, spread: float
) -> None:
    """However often it fails, a delay is at least half the first and at most the most."""
    backoff = Backoff(first, first * factor, lambda: spread)
    delays = [backoff.next() for _ in range(attempts)]
    assert all(first / 2 <= delay <= first * factor for delay in delays)
    assert delays == sorted(delays)


@implementer(IStreamClientEndpoint)
class Scripted:
    """An endpoint that connects or fails as the test says, and notes when it was asked."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.events: list[str] = []
        self.fails = True
        self.hangs = False
        self.protocols: list[IProtocol] = []

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        self.events.append(f"{self.clock.seconds():g} asked")
        if self.hangs:
            return Deferred(lambda _: self.events.append("given up"))
        if self.fails:
            attempt: Deferred[IProtocol] = Deferred()
            attempt.errback(ConnectError(string="nobody there"))
            return attempt
        protocol = protocolFactory.buildProtocol(None)  # type: ignore[arg-type]
        assert protocol is not None
        protocol.makeConnection(StringTransport())
        self.protocols.append(protocol)
        return succeed(protocol)

    def lose(self) -> None:
        self.protocols.pop().connectionLost(Failure(ConnectionDone()))

    def failed(self, failure: Failure) -> None:
        """Note what is told."""
        self.events.append(f"{self.clock.seconds():g} {failure.getErrorMessage()}")


def test_failed_attempts_are_told_and_repeated() -> None:
    """Each attempt that fails is told with its reason, and followed by another one, for ever."""
    clock = Clock()
    endpoint = Scripted(clock)
    service = reconnecting(
        endpoint, Factory.forProtocol(Protocol), always(1.0), clock, endpoint.failed
    )
    service.startService()
    clock.pump([1.0] * 200)
    times = [0, 1, 3, 7, 15, 31, 63, 123, 183]
    assert [event for event in endpoint.events if event.endswith("asked")] == [
        f"{time} asked" for time in times
    ]
    assert len(endpoint.events) == 2 * len(times)
    assert all(
        told.startswith(f"{time} ") and "nobody there" in told
        for time, told in zip(times, endpoint.events[1::2], strict=True)
    )
    service.stopService()
    assert clock.getDelayedCalls() == []


def test_a_connection_alone_resets_nothing() -> None:
    """A peer that accepts and drops is retried ever more slowly, until a session proves good."""
    clock = Clock()
    endpoint = Scripted(clock)
    endpoint.fails = False
    backoff = always(1.0)
    service = reconnecting(endpoint, Factory.forProtocol(Protocol), backoff, clock, endpoint.failed)
    service.startService()
    for delay in (1, 2, 4, 8):
        endpoint.lose()
        clock.advance(delay - 0.01)
        assert endpoint.protocols == []
        clock.advance(0.01)
        assert len(endpoint.protocols) == 1
    backoff.reset()
    endpoint.lose()
    clock.advance(1.0)
    assert len(endpoint.protocols) == 1
    assert [event for event in endpoint.events if not event.endswith("asked")] == []
    stopped: list[object] = []
    service.stopService().addCallback(stopped.append)
    endpoint.lose()
    assert len(stopped) == 1
    assert clock.getDelayedCalls() == []


def test_after_a_failure_the_connection_is_made() -> None:
    """As soon as the peer is there, the next attempt connects, and there are no more."""
    clock = Clock()
    endpoint = Scripted(clock)
    service = reconnecting(
        endpoint, Factory.forProtocol(Protocol), always(1.0), clock, endpoint.failed
    )
    service.startService()
    clock.advance(1.0)
    endpoint.fails = False
    clock.advance(2.0)
    assert len(endpoint.protocols) == 1
    before = list(endpoint.events)
    clock.pump([10.0] * 20)
    assert endpoint.events == before
    service.stopService()
    endpoint.lose()


@pytest.mark.parametrize("hangs", [False, True])
def test_stopping_ends_the_attempts(hangs: bool) -> None:
    """A service that is stopped asks no more, while it waits and while an attempt hangs."""
    clock = Clock()
    endpoint = Scripted(clock)
    endpoint.hangs = hangs
    service = reconnecting(
        endpoint, Factory.forProtocol(Protocol), always(1.0), clock, endpoint.failed
    )
    service.startService()
    asked = endpoint.events.count("0 asked")
    assert asked == 1
    stopped: list[object] = []
    service.stopService().addCallback(stopped.append)
    assert len(stopped) == 1
    assert ("given up" in endpoint.events) is hangs
    clock.pump([10.0] * 20)
    assert [event for event in endpoint.events if "asked" in event] == ["0 asked"]
    assert clock.getDelayedCalls() == []
