"""The Fogslink cloud, as a device sees it: accounts, codes, records, and the ten-second rule.

Source: the Fogslink document; decisions: `docs/protocols/fogslink.md` ("Twin: ..."). A `code` that
is set as a fault answers packs alone: a single value that is not taken is not answered.
"""

import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorTime, ITCPTransport
from twisted.internet.protocol import Factory, connectionDone
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure

from twisted_gantry.twin.faces.fogslink.records import Records
from twisted_gantry.twin.faults.flow import Flow
from twisted_gantry.twin.faults.injection import FaultInjector
from twisted_gantry.twin.faults.settings import FOGSLINK, Faults
from twisted_gantry.wire.errors import CannotEncode
from twisted_gantry.wire.fogslink.cloud import NO_HEARTBEAT, CloudSession
from twisted_gantry.wire.fogslink.messages import (
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

MAX_SESSIONS = 64
ANSWER_S = 3.0
"""How long the answer to a configuration is waited for."""


class NotConnected(LookupError):
    """No session of this device is authenticated."""


class Cloud:
    """What all sessions share: the accounts, from `eqSN` to `apiKey`, and what was received.

    With `any_key` every other `eqSN` is known, too, with that `apiKey`. `most` bounds the sessions.
    `now` gives Unix seconds. `counts` tells `connections`, `refused`, `packs`, `values`, `new`,
    `duplicate`, `conflict` and `out-of-order` packs, `configured` and `unasked` answers, answers
    that were spoiled (`dropped`, `garbage`, `half`, `doubled`, `silent`, `code-9` …), `too-long`
    lines, and what `CloudSession` counts.
    """

    def __init__(
        self,
        faults: Faults,
        clock: IReactorTime,
        now: Callable[[], float],
        accounts: Mapping[str, str],
        new_key: Callable[[], str] = lambda: secrets.token_hex(8),
        *,
        any_key: str = "",
        most: int = MAX_SESSIONS,
    ) -> None:
        self.clock, self.accounts = clock, dict(accounts)
        self.new_key, self.any_key, self.most = new_key, any_key, most
        self.records = Records()
        self.counts: Counter[str] = Counter()
        self.injector = FaultInjector(FOGSLINK, faults, clock, self.counts)
        self._sessions: dict[_Session, None] = {}  # in the order that they came
        self._now = now
        self._asked: dict[tuple[str, str], list[Deferred[Configured | None]]] = {}

    @property
    def sessions(self) -> "list[_Session]":
        """The open connections, the oldest first."""
        return list(self._sessions)

    @property
    def full(self) -> bool:
        """Whether there are as many as there may be."""
        return len(self._sessions) >= self.most

    def came(self, session: "_Session") -> None:
        """Note a connection."""
        self._sessions[session] = None

    def left(self, session: "_Session") -> None:
        """Forget a connection."""
        self._sessions.pop(session, None)

    def knows(self, eq_sn: str) -> bool:
        """Tell whether there is such a device."""
        known = eq_sn in self.accounts or bool(self.any_key)
        return known and self.injector.faults.code != Code.NO_DEVICE

    def accepts(self, eq_sn: str, api_key: str) -> bool:
        """Tell whether this is the device's key."""
        right = self.accounts.get(eq_sn, self.any_key).encode()
        given = api_key.encode("utf-8", "surrogatepass")
        return hmac.compare_digest(right, given) and (
            self.injector.faults.code != Code.NOT_AUTHENTICATED
        )

    def take_pack(self, pack: Pack) -> str | None:
        """Take a pack, unless a fault forbids it; returns the code of the answer."""
        code = self.injector.faults.code
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
        code = self.injector.faults.code
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
        if self.injector.faults.busy:
            self.counts["silent"] += 1
            return True
        return False


class _Session(LineOnlyReceiver):
    """One connection."""

    delimiter = DELIMITER
    MAX_LENGTH = MAX_LINE

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._session = CloudSession(self, cloud.clock, cloud.new_key, cloud.counts)
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
        self._cloud.came(self)
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self._flow = Flow(self._cloud.injector, self.transport, super().dataReceived)
        self._session.opened()

    def dataReceived(self, data: bytes) -> None:
        self._flow.received(data)

    def lineReceived(self, line: bytes) -> None:
        if not self._flow.closed:
            self._session.received(line)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802 - LineOnlyReceiver's
        self._cloud.counts["too-long"] += 1
        self.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._cloud.left(self)
        self._flow.lost()
        self._session.closed()

    def abortConnection(self) -> None:
        """Drop the connection, without waiting for what is still to be sent."""
        self._flow.abort()

    # -- what the session does

    def transmit(self, answer: Response) -> None:
        """Send a message, as well or badly as it is set."""
        try:
            line = encode(answer)
        except CannotEncode:  # it echoes what the peer sent
            self._cloud.counts["malformed"] += 1
            return
        if isinstance(answer, PackAnswer | SingleAnswer):
            line = b"".join(self._cloud.injector.spoilt(line, DELIMITER))
        self._flow.send(line)

    def drop(self, reason: str) -> None:
        """Close the connection behind what is to be sent; a silent peer waits for nothing."""
        self._flow.close(at_once=reason == NO_HEARTBEAT)


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
        if self.cloud.injector.faults.refuses or self.cloud.full:
            self.cloud.counts["refused"] += 1
            return None
        self.cloud.counts["connections"] += 1
        return _Session(self.cloud)
