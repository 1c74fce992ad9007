"""A Fogslink front over a store in memory, and devices that the test holds."""

from collections import deque
from collections.abc import Iterable
from typing import Any

from cryptography.fernet import Fernet
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.centre.fronts.cloud import CloudFront, CloudLimits
from twisted_gantry.centre.interfaces import Job, NotStored
from twisted_gantry.centre.model import Gantry, Received, Verdict
from twisted_gantry.centre.registry import Registry
from twisted_gantry.centre.store import registry as stored
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import ManualClock
from twisted_gantry.wire.fogslink import messages
from twisted_gantry.wire.fogslink.messages import Item, Pack, Response, decode_response, encode
from twisted_gantry.wire.secret import Secret

EQ_SN, API_KEY, T_KEY = "12345678", "1234567890123456", "key"
GANTRY = "G000201001000010"
FULL = 64 * 1024
SEALING = Sealing(Fernet.generate_key().decode())


class FakeTransport(StringTransport):
    """A socket as a test sees it: what was written, and whether it reads; a peer that is not
    `reading` leaves all in the buffer.
    """

    def __init__(self, host: str) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", host, 1))  # type: ignore[no-untyped-call]
        self.protocol: Any = None
        self.reading, self.paused = True, False
        self.closed = ""

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        super().write(data)  # type: ignore[no-untyped-call]
        if not self.reading and self.io.tell() > FULL and self.producer is not None:
            self.producer.pauseProducing()

    def loseConnection(self) -> None:
        self.closed = self.closed or "closed"
        assert self.producer is None
        if self.reading:
            self.gone(ConnectionDone())

    def abortConnection(self) -> None:
        self.closed = "aborted"
        self.gone(ConnectionAborted())

    def gone(self, why: Exception) -> None:
        protocol, self.protocol = self.protocol, None
        if protocol is not None:
            protocol.connectionLost(Failure(why))


class Device:
    """A device on a connection; `hears` has each message once."""

    def __init__(self, session: Any, host: str) -> None:
        self.session = session
        self.transport = FakeTransport(host)
        self.transport.protocol = session
        session.makeConnection(self.transport)

    def says(self, *lines: bytes) -> list[Response]:
        """Send lines, in one read; returns the answers."""
        self.session.dataReceived(b"".join(line.rstrip(b"\n") + b"\n" for line in lines))
        return self.hears()

    def hears(self) -> list[Response]:
        transport: Any = self.transport
        came: bytes = transport.value()
        transport.clear()
        return [decode_response(line) for line in came.splitlines()]

    def identifies(self, eq_sn: str = EQ_SN) -> list[Response]:
        return self.says(encode(messages.Identify(eq_sn=eq_sn)))

    def logs_in(self, eq_sn: str = EQ_SN, api_key: str = API_KEY) -> "Device":
        self.identifies(eq_sn)
        [answer] = self.says(encode(messages.Authenticate(eq_sn=eq_sn, api_key=api_key)))
        assert isinstance(answer, messages.Authenticated)
        assert answer.code == messages.FogslinkCode.OK
        return self

    @property
    def closed(self) -> str:
        return self.transport.closed

    def is_paused(self) -> bool:
        return self.transport.paused

    def leaves(self) -> None:
        self.transport.gone(ConnectionDone())


class HeldStore:
    """A store that commits when the test says so. `broken` fails each report at once, `away` all
    else. After what it tells, the reactor has its turn.
    """

    def __init__(self, store: InlineStore, clock: ManualClock) -> None:
        self.store, self._clock = store, clock
        self.read, self.refused = store.read, store.refused
        self.away: Exception | None = None
        self.held: deque[tuple[Received, Deferred[Verdict]]] | None = None
        self.broken: Exception | None = None
        self.put_before: list[Received] = []

    def write(self, job: Job[Any]) -> Deferred[Any]:
        return self.store.write(job) if self.away is None else fail(self.away)

    def put(self, report: Received) -> Deferred[Verdict]:
        self.put_before.append(report)
        if self.broken is not None:
            return fail(self.broken)
        if self.held is None:
            return self.store.put(report)
        waiting: Deferred[Verdict] = Deferred()
        self.held.append((report, waiting))
        return waiting

    def commit(self, number: int = 1000) -> None:
        """Store so many of the reports that are held, and tell."""
        assert self.held is not None
        for _ in range(min(number, len(self.held))):
            report, waiting = self.held.popleft()
            self.store.put(report).chainDeferred(waiting)
        self._clock.advance(0)

    def lose(self, at: int = 0) -> None:
        """Fail one of the reports that are held."""
        assert self.held is not None
        _, waiting = self.held[at]
        del self.held[at]
        waiting.errback(NotStored("the disk is gone"))
        self._clock.advance(0)


@implementer(IStreamServerEndpoint)
class NoEndpoint:
    """An endpoint that listens on nothing: devices are made by hand."""

    def __init__(self) -> None:
        self.open = False

    def listen(self, protocolFactory: Any) -> Deferred[Any]:  # noqa: N803
        self.open = True
        return succeed(self)

    def stopListening(self) -> None:
        self.open = False


class Rig:
    """A front with its registry, on a clock that the test moves."""

    def __init__(
        self, memory: InlineStore, clock: ManualClock, *, known: bool = True, **limits: int
    ) -> None:
        self.clock, self.store = clock, HeldStore(memory, clock)
        store: Any = self.store
        self.registry = Registry(store, SEALING, clock)
        self.register(Gantry(GANTRY, eq_sn=EQ_SN, api_key=Secret(API_KEY)))
        if known:
            self.registry.refresh()
        self.limits = CloudLimits(**limits)
        self.fronts: list[CloudFront] = []
        self.front = self.new_front()

    def register(self, *gantries: Gantry) -> None:
        self.store.write(lambda session: stored.put(session, gantries, SEALING))

    def new_front(self) -> CloudFront:
        store: Any = self.store
        name = f"front-{len(self.fronts) + 1}"
        made = CloudFront(
            self.clock,
            "nowhere",
            NoEndpoint(),
            store,
            self.registry,
            name,
            self.clock.now,
            limits=self.limits,
            new_key=lambda: T_KEY,
            thread_time=lambda: 0.0,
        )
        made.startService()
        self.fronts.append(made)
        return made

    def knocks(self, host: str = "192.0.2.1", front: CloudFront | None = None) -> Device | None:
        session = (front or self.front).factory.buildProtocol(IPv4Address("TCP", host, 1))
        return None if session is None else Device(session, host)

    def device(self, host: str = "192.0.2.1", front: CloudFront | None = None) -> Device:
        made = self.knocks(host, front)
        assert made is not None
        return made

    def online(self, front: CloudFront | None = None) -> Device:
        return self.device(front=front).logs_in()

    def passes(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.clock.advance(1.0)

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return rows of the database."""
        found: list[Any] = []
        self.store.read(lambda session: session.rows(sql, *values)).addCallback(found.extend)
        return found

    def stop(self) -> None:
        """Stop all fronts, and see that no timer is left."""
        for front in self.fronts:
            stopping = front.stopService()
            self.passes(10)
            assert stopping.called
        assert self.clock.getDelayedCalls() == []


def pack(pack_id: str = "1", *values: str, eq_sn: str = EQ_SN, total: int | None = None) -> bytes:
    """Return the line of a pack: the values of P0-C1, P0-C2 …; an empty one is abnormal."""
    items = tuple(item(f"P0-C{number}", value) for number, value in enumerate(values, 1))
    size = len(items) if total is None else total
    return encode(Pack(eq_sn=eq_sn, pack_id=pack_id, total_size=size, eq_data=items))


def item(channel: str, value: str) -> Item:
    return Item(e_chan=channel, e_val=value) if value else Item(e_chan=channel, e_chan_sta="0")


def single(value: str, channel: str = "P0-C1") -> bytes:
    if value:
        return encode(messages.Single(eq_sn=EQ_SN, e_chan=channel, e_val=value))
    return encode(messages.Single(eq_sn=EQ_SN, e_chan=channel, e_chan_sta="0"))


BEAT = encode(messages.Heartbeat(eq_sn=EQ_SN, t_key=T_KEY))


def codes(answers: Iterable[Response]) -> list[tuple[str, str]]:
    """Return the `packID` or channel and the code of each answer."""
    return [
        (getattr(each, "pack_id", None) or getattr(each, "e_chan", None) or "", str(each.code))  # type: ignore[union-attr]
        for each in answers
    ]
