"""The Fogslink sessions of a fleet: one a gantry, each with its heartbeats and a pack a period.

Source: the Fogslink document; the order of things is that of `wire/fogslink/client`. A
generator of load has no outbox: a pack that is answered 9, or not at all, is counted, and the next
has new values under a new `packID`. A configuration (`res300`) is counted, and not answered.
"""

from collections import Counter, deque
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import (
    IAddress,
    IProtocol,
    IReactorTime,
    IStreamClientEndpoint,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from twisted_gantry.net.session import Backoff
from twisted_gantry.twin.fleet.readings import Gantry
from twisted_gantry.twin.fleet.tally import Tally, count_code
from twisted_gantry.twin.fleet.wheel import TICK_S, Wheel
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.fogslink.client import ClientSession, Ending, LoginRefusal, Parcel
from twisted_gantry.wire.fogslink.messages import (
    DELIMITER,
    MAX_LINE,
    NAMES,
    Configure,
    FogslinkCode,
    Heartbeat,
    HeartbeatAnswer,
    Pack,
    decode_response,
    encode,
)

_log = Logger()

# Seconds, as a gantry has them: after a loss, and after a refusal.
FIRST_S, MOST_S = 1.0, 60.0
REFUSED_FIRST_S, REFUSED_MOST_S = 60.0, 600.0
# Those that connect together have their heartbeats together for ever: small bunches are even load.
RAMP_S = TICK_S
# Turns of the reactor that the connections get to close, once they are cut.
_CLOSING_TURNS = 100

_BEAT = f'{{"{NAMES[Heartbeat]}"'.encode()
_BEAT_ANSWER = f'"{NAMES[HeartbeatAnswer]}"'.encode()


class ConnectRamp:
    """Lets at most `rate` calls a second through, in their order."""

    def __init__(self, wheel: Wheel, rate: float) -> None:
        self._wheel, self._pause = wheel, max(RAMP_S, 1 / rate)
        self._bunch = rate * self._pause
        self._over = 0.0  # parts of a call that the last bunch left
        self._waiting: deque[Callable[[], None]] = deque()
        self._running = False

    def ask(self, call: Callable[[], None]) -> None:
        """Run `call` when it is its turn."""
        self._waiting.append(call)
        if not self._running:
            self._running = True
            self._wheel.callLater(0, self._let_go)

    def _let_go(self) -> None:
        self._running = bool(self._waiting)
        if not self._running:
            self._over = 0.0
            return
        self._wheel.callLater(self._pause, self._let_go)
        self._over += self._bunch
        bunch = int(self._over + 1e-9)
        self._over -= bunch
        for _ in range(min(bunch, len(self._waiting))):
            self._waiting.popleft()()


class Sessions:
    """All sessions with the cloud at `endpoint`. `now` gives Unix seconds.

    `random` gives the phases of the packs, uniform over `period` from the first time that a
    session is up, and the jitter of the pauses before a reconnection.

    `counts` tells `connections`, `reconnections`, `not-connected` attempts, sessions that were
    `cut` while they were up, `too-long` lines and `configurations`; `refused` the log-ins that
    were refused, by code.
    """

    def __init__(
        self,
        gantries: Sequence[Gantry],
        wheel: Wheel,
        clock: IReactorTime,
        now: Callable[[], float],
        endpoint: IStreamClientEndpoint,
        random: Random,
        *,
        period: float,
        connect_rate: float,
    ) -> None:
        self.packs, self.heartbeats = Tally(wheel.seconds), Tally(wheel.seconds)
        self.counts: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.wheel, self.now, self.endpoint, self.random = wheel, now, endpoint, random
        self.period = period
        self.ramp = ConnectRamp(wheel, connect_rate)
        self.last_failure = ""
        self.stopped = False
        self.up = 0
        self._clock = clock
        self._sessions = [_Session(gantry, self) for gantry in gantries]

    def start(self) -> None:
        """Begin to connect."""
        for session in self._sessions:
            self.ramp.ask(session.connect)

    def stop(self) -> Deferred[None]:
        """Cut all sessions; fires when their connections are closed."""
        self.stopped = True
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        for _ in range(_CLOSING_TURNS):
            still = [each for each in self._sessions if each.is_open]
            if not still:
                break
            for each in still:
                each.close()
            await deferLater(self._clock, 0)

    def shown(self) -> dict[str, Any]:
        """Return what was counted, for JSON; `odd` is what the sessions found amiss."""
        odd: Counter[str] = Counter()
        for each in self._sessions:
            odd.update(each.session.counts)
        return {
            "sessionsUp": self.up,
            "counts": dict(self.counts),
            "odd": dict(odd),
            "refused": dict(self.refused),
            "lastFailure": self.last_failure or None,
            "packs": self.packs.shown(),
            "heartbeats": self.heartbeats.shown(),
        }


class _Session:
    """One gantry's way to the cloud: connected for ever, with the pauses of a gantry."""

    def __init__(self, gantry: Gantry, fleet: Sessions) -> None:
        self.session = ClientSession(self, fleet.wheel, gantry.eq_sn, lambda: gantry.api_key)
        self._gantry, self._fleet = gantry, fleet
        self._backoff = Backoff(FIRST_S, MOST_S, fleet.random.random)
        self._connection: _Connection | None = None
        self._attempt: Deferred[IProtocol] | None = None
        self._beats: list[float] = []
        self._pack_id = 0
        self._connected_once = self._up = False

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, or soon will be."""
        return self._connection is not None or self._attempt is not None

    def connect(self) -> None:
        """Connect; again, after a pause, until it succeeds."""
        attempt = self._attempt = self._fleet.endpoint.connect(_Factory(self))
        attempt.addCallbacks(self._connected, self._not_connected)
        attempt.addErrback(lambda failure: _log.failure("a session failed", failure=failure))

    def close(self) -> None:
        """Cut the connection."""
        if self._attempt is not None:
            self._attempt.cancel()
        if self._connection is not None:
            self._connection.abort()

    def _connected(self, _: object) -> None:
        self._attempt = None

    def _not_connected(self, failure: Failure) -> None:
        self._attempt = None
        if self._fleet.stopped:
            return
        self._fleet.counts["not-connected"] += 1
        self._fleet.last_failure = failure.getErrorMessage()[:200]
        self._connect_later()

    def _connect_later(self) -> None:
        ask = partial(self._fleet.ramp.ask, self.connect)
        self._fleet.wheel.callLater(self._backoff.next(), ask)

    # -- what the connection tells

    def opened(self, connection: "_Connection") -> None:
        """Note a connection."""
        self._connection = connection
        self._fleet.counts["reconnections"] += self._connected_once
        self._fleet.counts["connections"] += 1
        self._connected_once = True
        self.session.opened()

    def received(self, line: bytes) -> None:
        """Take a line."""
        # An answer to a heartbeat names none: they come in the order of the heartbeats.
        if self._beats and _BEAT_ANSWER in line[:32]:
            self._beaten(line)
        self.session.received(line)

    def too_long(self) -> None:
        """Cut a peer that sends without end."""
        self._fleet.counts["too-long"] += 1
        self.drop(f"a line of more than {MAX_LINE} bytes")

    def closed(self, reason: str) -> None:
        """Note the end of the connection."""
        fleet, was_up = self._fleet, self._up
        self._connection, self._up = None, False
        fleet.up -= was_up
        self.session.closed()
        beats, self._beats = self._beats, []
        if fleet.stopped:
            return
        fleet.counts["cut"] += was_up
        fleet.heartbeats.lost += len(beats)
        fleet.last_failure = reason[:200]
        self._connect_later()

    def _beaten(self, line: bytes) -> None:
        try:
            message = decode_response(line)
        except WireError:
            return
        if not isinstance(message, HeartbeatAnswer):
            return
        took = self._fleet.wheel.seconds() - self._beats.pop(0)
        if message.code == FogslinkCode.OK:
            self._fleet.heartbeats.acknowledge(took)
        else:
            self._fleet.heartbeats.refuse(message.code, took)

    # -- what the session does

    def transmit(self, line: bytes) -> None:
        """Send a line."""
        if self._connection is None:
            return
        if line.startswith(_BEAT):
            self._beats.append(self._fleet.wheel.seconds())
            self._fleet.heartbeats.sent += 1
        self._connection.send(line)

    def drop(self, reason: str) -> None:
        """Cut the connection; another follows."""
        if self._connection is not None:
            self._connection.abort(reason)

    def online(self) -> None:
        """Begin to send packs, if this is the first time."""
        fleet = self._fleet
        self._up = True
        fleet.up += 1
        if self._backoff.first != FIRST_S:
            self._backoff.first, self._backoff.most = FIRST_S, MOST_S
            self._backoff.reset()
        if not self._pack_id:
            self._pack_id = int(fleet.now() * 1000)
            fleet.wheel.every(fleet.period, self._send_pack, fleet.random.random() * fleet.period)

    def refused(self, refusal: LoginRefusal) -> None:
        """Come back much later."""
        count_code(self._fleet.refused, refusal.code)
        if self._backoff.first != REFUSED_FIRST_S:
            self._backoff.first, self._backoff.most = REFUSED_FIRST_S, REFUSED_MOST_S
            self._backoff.reset()

    def configure(self, message: Configure) -> None:
        """Count it: the document has no answer for what is not done."""
        self._fleet.counts["configurations"] += 1

    # -- data

    def _send_pack(self) -> None:
        fleet = self._fleet
        if not self.session.ready:
            fleet.packs.skipped += 1
            return
        self._pack_id += 1
        name, items, sent = str(self._pack_id), self._gantry.items(), fleet.wheel.seconds()
        pack = Pack(eq_sn=self._gantry.eq_sn, pack_id=name, total_size=len(items), eq_data=items)
        fleet.packs.sent += 1
        self.session.submit(Parcel(encode(pack), name, False, partial(self._pack_ended, sent)))

    def _pack_ended(self, sent: float, ending: Ending) -> None:
        fleet = self._fleet
        took = fleet.wheel.seconds() - sent
        if ending is Ending.TAKEN:
            self._backoff.reset()
            fleet.packs.acknowledge(took)
        elif ending is Ending.FAILED:
            fleet.packs.refuse(Ending.FAILED.value, took)
        elif not fleet.stopped:
            fleet.packs.lost += 1


class _Connection(LineOnlyReceiver):
    """One TCP connection. What waits in it is bounded: without answers the session drops it."""

    delimiter = DELIMITER
    MAX_LENGTH = MAX_LINE

    def __init__(self, session: _Session) -> None:
        self._session = session
        self._aborted = ""

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
        self._session.opened(self)

    def lineReceived(self, line: bytes) -> None:
        if not self._aborted:
            self._session.received(line)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802 - LineOnlyReceiver's
        self._session.too_long()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        why, self._aborted = self._aborted or reason.getErrorMessage(), "gone"
        self._session.closed(why)

    def send(self, line: bytes) -> None:
        """Write a line."""
        if not self._aborted and self.transport is not None:
            self.transport.write(line)

    def abort(self, reason: str = "closed by us") -> None:
        """Cut it at once; what still comes of it is not looked at."""
        self._aborted = reason
        transport: Any = self.transport
        transport.abortConnection()


class _Factory(Factory):
    noisy = False

    def __init__(self, session: _Session) -> None:
        self._session = session

    def buildProtocol(self, addr: IAddress | None) -> _Connection:
        return _Connection(self._session)
