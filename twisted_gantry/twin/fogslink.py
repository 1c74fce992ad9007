"""The Fogslink cloud, as a device sees it: accounts, codes, records, and the ten-second rule.

Source: `004_0462ae7b190e5537.txt` (v1.0); decisions: `fogslink.md` ("Twin: ..."). Of the faults,
`code` answers data so, and nothing is taken (a single value is not answered at all), and 2 and 3
refuse at their own step, too; `busy` takes no data and answers none; `drop` and `garbage` take
data and lose or spoil its answer; `delay` holds every message back, in order; `refuse` closes.
"""

import hmac
import secrets
from collections import Counter, deque
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.twin.faults import FOGSLINK, Faults
from twisted_gantry.twin.faults import Settings as FaultSettings
from twisted_gantry.twin.fogslink_records import Records
from twisted_gantry.wire.errors import CannotEncode
from twisted_gantry.wire.fogslink import (
    DELIMITER,
    MAX_LINE,
    Code,
    Configure,
    Configured,
    Pack,
    PackAnswer,
    Response,
    Single,
    SingleAnswer,
    encode,
)
from twisted_gantry.wire.fogslink_cloud import NO_HEARTBEAT, CloudSession

MAX_SESSIONS = 64
# Answers that wait, for a `delay`; beyond them no more is read.
PAUSE_ABOVE = 64
ANSWER_S = 3.0
"""How long the answer to a configuration is waited for."""


class NotConnected(LookupError):
    """No session of this device is authenticated."""


class Cloud:
    """What all sessions share: the accounts, from `eqSN` to `apiKey`, and what was received.

    `now` gives Unix seconds. `counts` tells `connections`, `refused`, `packs`, `values`,
    `duplicate`, `conflict` and `out-of-order` packs, answers that were spoiled (`dropped`,
    `garbage`, `silent`, `code-9` …), `too-long` lines, and what `CloudSession` counts.
    """

    def __init__(
        self,
        faults: Faults,
        clock: IReactorTime,
        now: Callable[[], float],
        accounts: Mapping[str, str],
        new_key: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self.faults, self.clock, self.accounts = faults, clock, dict(accounts)
        self.new_key = new_key
        self.records = Records()
        self.counts: Counter[str] = Counter()
        self.sessions: list[_Session] = []
        self._now = now
        self._asked: dict[tuple[str, str], list[Deferred[Configured | None]]] = {}

    def fault(self) -> FaultSettings:
        """Return how it misbehaves now."""
        return self.faults.of(FOGSLINK)

    def knows(self, eq_sn: str) -> bool:
        """Tell whether there is such a device."""
        return eq_sn in self.accounts and self.fault().code != Code.NO_DEVICE

    def accepts(self, eq_sn: str, api_key: str) -> bool:
        """Tell whether this is the device's key."""
        right = self.accounts.get(eq_sn, "").encode()
        given = api_key.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(right, given) and (self.fault().code != Code.NOT_AUTHENTICATED)

    def take_pack(self, pack: Pack) -> str | None:
        """Take a pack, unless a fault forbids it; returns the code of the answer."""
        code = self.fault().code
        if code is not None:
            self.counts[f"code-{code}"] += 1
            return code
        if self._busy():
            return None
        came = self.records.add_pack(pack, self._now())
        self.counts["packs"] += 1
        self.counts["values"] += len(pack.eq_data)
        self.counts[came.value] += 1
        return Code.RECEIVED.value

    def take_single(self, single: Single) -> str | None:
        """Take one value, unless a fault forbids it: only one that was taken is answered."""
        code = self.fault().code
        if code is not None:
            self.counts[f"code-{code}"] += 1
            return None
        if self._busy():
            return None
        self.records.add_single(single, self._now())
        self.counts["values"] += 1
        return Code.RECEIVED.value

    def configure(self, message: Configure) -> Deferred[Configured | None]:
        """Send a configuration to the newest session of its device; returns its answer.

        None: none came in time. Raises NotConnected.
        """
        online = [each for each in self.sessions if each.online_as(message.eq_sn)]
        if not online:
            raise NotConnected(f"no session of {message.eq_sn[:40]!r} is authenticated")
        key = (message.eq_sn, message.e_chan)

        def give_up(waiting: Deferred[Configured | None]) -> None:
            self._asked[key].remove(waiting)
            waiting.callback(None)

        answer: Deferred[Configured | None] = Deferred(give_up)
        self._asked.setdefault(key, []).append(answer)
        call = self.clock.callLater(ANSWER_S, answer.cancel)

        def over(result: Any) -> Any:
            if call.active():
                call.cancel()
            if not self._asked[key]:
                del self._asked[key]
            return result

        answer.addBoth(over)
        online[-1].configure(message)
        return answer

    def configured(self, message: Configured) -> None:
        """Tell whoever asked first; an answer that nobody asked for is counted."""
        waiting = self._asked.get((message.eq_sn, message.e_chan), [])
        self.counts["configured" if waiting else "unasked"] += 1
        if waiting:
            waiting.pop(0).callback(message)

    def _busy(self) -> bool:
        if self.fault().busy:
            self.counts["silent"] += 1
            return True
        return False


@implementer(IPushProducer)
class _Session(LineOnlyReceiver):
    """One connection. It stops reading while its answers are not taken."""

    delimiter = DELIMITER
    MAX_LENGTH = MAX_LINE

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._session = CloudSession(self, cloud.clock, cloud.new_key, cloud.counts)
        self._waiting: deque[tuple[float, bytes | None]] = deque()
        self._next: IDelayedCall | None = None
        self._transport_full = self._paused = self._closed = False
        self.knows, self.accepts = cloud.knows, cloud.accepts
        self.take_pack, self.take_single = cloud.take_pack, cloud.take_single
        self.configured = cloud.configured

    def online_as(self, eq_sn: str) -> bool:
        """Tell whether this is an authenticated session of a device."""
        return self._session.online and self._session.eq_sn == eq_sn

    def configure(self, message: Configure) -> None:
        """Send a configuration."""
        self._session.configure(message)

    # -- the transport

    def connectionMade(self) -> None:
        assert self.transport is not None
        self._cloud.sessions.append(self)
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)  # type: ignore[attr-defined]
        self._session.opened()

    def lineReceived(self, line: bytes) -> None:
        if self._closed:
            return
        if self._cloud.fault().refuse:
            self._cloud.counts["refused"] += 1
            self.abortConnection()
            return
        self._session.received(line)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802 - LineOnlyReceiver's
        self._cloud.counts["too-long"] += 1
        self.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._closed = True
        if self in self._cloud.sessions:
            self._cloud.sessions.remove(self)
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._waiting.clear()
        self._session.closed()

    def abortConnection(self) -> None:
        """Drop the connection, without waiting for what is still to be sent."""
        self._closed = True
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    # -- what the session does: messages go in order, each at its time

    def transmit(self, answer: Response) -> None:
        """Send a message, as well or badly as it is set."""
        faults = self._cloud.fault()
        try:
            line = encode(answer)
        except CannotEncode:  # it echoes what the peer sent
            self._cloud.counts["malformed"] += 1
            return
        if isinstance(answer, PackAnswer | SingleAnswer):
            if self._cloud.faults.strikes(faults.drop):
                self._cloud.counts["dropped"] += 1
                return
            if self._cloud.faults.strikes(faults.garbage):
                self._cloud.counts["garbage"] += 1
                line = b"\xff" + self._cloud.faults.garbage() + DELIMITER  # 0xFF: never JSON
        self._queue(line, faults.delay)

    def drop(self, reason: str) -> None:
        """Close the connection behind what is to be sent; a silent peer waits for nothing."""
        if reason == NO_HEARTBEAT:
            self._waiting.clear()
        self._queue(None, 0.0)

    def _queue(self, line: bytes | None, delay: float) -> None:
        self._waiting.append((self._cloud.clock.seconds() + delay, line))
        if self._next is None or line is None:
            self._send_due()
        else:
            self._update_reading()

    def _send_due(self) -> None:
        """Send what is due; a later message waits for an earlier one, whatever their delays."""
        if self._next is not None and self._next.active():
            self._next.cancel()
        self._next = None
        while self._waiting and self._waiting[0][0] <= self._cloud.clock.seconds():
            _, line = self._waiting.popleft()
            if self._closed or self.transport is None:
                return
            if line is None:
                self._closed = True
                self.transport.unregisterProducer()  # type: ignore[attr-defined] # TLS waits for it
                self.transport.loseConnection()
                # A peer that reads nothing would keep it open for ever.
                self._next = self._cloud.clock.callLater(ANSWER_S, self._cut)
                return
            self.transport.write(line)
        if self._waiting:
            wait = self._waiting[0][0] - self._cloud.clock.seconds()
            self._next = self._cloud.clock.callLater(wait, self._send_due)
        self._update_reading()

    def _cut(self) -> None:
        self._next = None
        self.abortConnection()

    def pauseProducing(self) -> None:  # noqa: N802 - IPushProducer's
        """Stop reading: the peer does not take what was answered."""
        self._transport_full = True
        self._update_reading()

    def resumeProducing(self) -> None:  # noqa: N802 - IPushProducer's
        """Read again."""
        self._transport_full = False
        self._update_reading()

    def stopProducing(self) -> None:  # noqa: N802 - IPushProducer's
        """Nothing to do: the connection is going."""

    def _update_reading(self) -> None:
        pause = self._transport_full or len(self._waiting) > PAUSE_ABOVE
        if self._closed or self.transport is None or pause == self._paused:
            return
        self._paused = pause
        if pause:
            self.transport.pauseProducing()  # type: ignore[attr-defined]
        else:
            self.transport.resumeProducing()  # type: ignore[attr-defined]


class CloudFactory(Factory):
    """Serves the sessions of a cloud."""

    noisy = False

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud

    @property
    def counts(self) -> Counter[str]:
        """What was counted since the start."""
        return self.cloud.counts

    @property
    def sessions(self) -> list[_Session]:
        """The open connections."""
        return self.cloud.sessions

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Accept a session; None closes the connection at once."""
        if self.cloud.fault().refuse or len(self.cloud.sessions) >= MAX_SESSIONS:
            self.cloud.counts["refused"] += 1
            return None
        self.cloud.counts["connections"] += 1
        return _Session(self.cloud)
