"""The Fogslink cloud: accounts, codes, records, and the ten-second rule.

Source: the Fogslink document; decisions: `docs/protocols/fogslink.md` ("Twin: ..."). The fault
`code` answers packs alone: a single value that is not taken gets no answer.
"""

import hmac
import secrets
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from twisted_gantry.net.patient_lines import PatientLines
from twisted_gantry.net.timers import Timer
from twisted_gantry.twin.dialects.dialect import Peer
from twisted_gantry.twin.dialects.registry import voice
from twisted_gantry.twin.faces.fogslink.records import Records
from twisted_gantry.twin.faces.tcp import FaceSession, SessionFactory
from twisted_gantry.twin.faults.injection import FaultInjector
from twisted_gantry.twin.faults.settings import FOGSLINK, Faults
from twisted_gantry.wire.errors import CannotEncode
from twisted_gantry.wire.fogslink import messages as wire
from twisted_gantry.wire.fogslink.cloud import NO_HEARTBEAT, SILENCE, CloudSession
from twisted_gantry.wire.frames import whole

MAX_SESSIONS = 64
ANSWER_S = 3.0  # the time limit for the answer to a configuration, in seconds


class NotConnected(LookupError):
    """No session of this device is authenticated."""


class Cloud:
    """The state that all sessions share: the accounts, from `eqSN` to `apiKey`, and the records.

    With `any_key` every other `eqSN` is known, too, with that `apiKey`. `most` bounds the sessions.
    `now` returns Unix seconds. `counts` tells `connections`, `refused`, `packs`, `values`, `new`,
    `duplicate`, `conflict` and `out-of-order` packs, `configured` and `unasked` answers, answers
    that a fault changed (`dropped`, `garbage`, `half`, `doubled`, `silent`, `code-9` …), `too-long`
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
        self.voice = voice(Peer.CLOUD)
        self.counts: Counter[str] = Counter()
        self.injector = FaultInjector(FOGSLINK, faults, clock, self.counts)
        self.open: dict[_Session, None] = {}
        self._now = now
        self._asked: dict[tuple[str, str], list[Deferred[wire.Configured | None]]] = {}

    @property
    def sessions(self) -> "list[_Session]":
        """The open connections, the oldest first."""
        return list(self.open)

    def knows(self, eq_sn: str) -> bool:
        known = self._account(eq_sn) is not None or bool(self.any_key)
        return known and self.injector.faults.code != wire.FogslinkCode.NO_DEVICE

    def accepts(self, eq_sn: str, api_key: str) -> bool:
        right = (self._account(eq_sn) or self.any_key).encode()
        given = api_key.encode("utf-8", "surrogatepass")
        good = hmac.compare_digest(right, given)
        return good and self.injector.faults.code != wire.FogslinkCode.NOT_AUTHENTICATED

    def _account(self, eq_sn: str) -> str | None:
        """Return the `apiKey` of a device, which may spell its number in another way."""
        if eq_sn in self.accounts:
            return self.accounts[eq_sn]
        return next((key for name, key in self.accounts.items() if wire.same(name, eq_sn)), None)

    def take_pack(self, pack: wire.Pack) -> str | None:
        """Take a pack, and return the code of the answer, None for no answer."""
        if self._refuses():
            return self.injector.faults.code
        came = self.records.add_pack(pack, self._now())
        self.counts["packs"] += 1
        self.counts["values"] += len(pack.eq_data)
        self.counts[came.value] += 1
        return wire.FogslinkCode.RECEIVED.value

    def take_single(self, single: wire.Single) -> str | None:
        """Take one value, and return the code of the answer, None for no answer."""
        if self._refuses():
            return None
        self.records.add_single(single, self._now())
        self.counts["values"] += 1
        return wire.FogslinkCode.RECEIVED.value

    def configure(self, message: wire.Configure) -> Deferred[wire.Configured | None]:
        """Send to the newest session; None without an answer in ANSWER_S. Raises NotConnected."""
        online = [each for each in self.sessions if each.online_as(message.eq_sn)]
        if not online:
            raise NotConnected(f"no session of {message.eq_sn[:40]!r} is authenticated")
        key = (message.eq_sn, message.e_chan)

        def give_up(waiting: Deferred[wire.Configured | None]) -> None:
            self._asked[key].remove(waiting)
            waiting.callback(None)

        def over(result: Any) -> Any:
            if not self._asked[key]:
                del self._asked[key]
            return result

        answer: Deferred[wire.Configured | None] = Deferred(give_up)
        self._asked.setdefault(key, []).append(answer)
        answer.addTimeout(ANSWER_S, self.clock).addBoth(over)
        online[-1].configure(message)
        return answer

    def configured(self, message: wire.Configured) -> None:
        """Answer the oldest `configure` of this channel; an unasked answer is counted."""
        waiting = self._asked.get((message.eq_sn, message.e_chan), [])
        self.counts["configured" if waiting else "unasked"] += 1
        if waiting:
            waiting.pop(0).callback(message)

    def _refuses(self) -> bool:
        faults = self.injector.faults
        if faults.code is not None:
            self.counts[f"code-{faults.code}"] += 1
        elif faults.busy:
            self.counts["silent"] += 1
        return not faults.acts


class _Session(FaceSession, PatientLines):
    delimiter = wire.DELIMITER
    MAX_LENGTH = wire.MAX_LINE

    def __init__(self, cloud: Cloud) -> None:
        FaceSession.__init__(self, cloud.injector)
        PatientLines.__init__(self, cloud.clock, whole)
        self._cloud = cloud
        self._session = CloudSession(self, cloud.new_key, cloud.counts)
        self._silence = Timer(cloud.clock, self._session.silent)
        self.knows, self.accepts = cloud.knows, cloud.accepts
        self.take_pack, self.take_single = cloud.take_pack, cloud.take_single
        self.configured = cloud.configured

    def online_as(self, eq_sn: str) -> bool:
        return self._session.online and self._session.eq_sn == eq_sn

    def configure(self, message: wire.Configure) -> None:
        self._session.configure(message)

    def connectionMade(self) -> None:
        super().connectionMade()
        self._session.opened()

    def receive(self, data: bytes) -> None:
        PatientLines.dataReceived(self, data)

    def lineReceived(self, line: bytes) -> None:
        if not self.flow.closed:
            self._session.received(line)

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802 - LineReceiver's
        self._cloud.counts["too-long"] += 1
        self.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        FaceSession.connectionLost(self, reason)
        PatientLines.connectionLost(self, reason)
        self._silence.cancel()
        self._session.closed()

    def heard(self) -> None:
        self._silence.start(SILENCE)

    def transmit(self, answer: wire.Response) -> None:
        try:
            line = wire.encode(answer)
        except CannotEncode:  # it echoes what the peer sent
            self._cloud.counts["malformed"] += 1
            return
        line = self._cloud.voice.say(line)
        if isinstance(answer, wire.PackAnswer | wire.SingleAnswer):
            line = b"".join(self.injector.spoilt(line, wire.DELIMITER))
        self.flow.send(line)

    def drop(self, reason: str) -> None:
        """Close the connection after the waiting messages; at once for a silent peer."""
        self._silence.cancel()
        self.flow.close(at_once=reason == NO_HEARTBEAT)


class CloudFactory(SessionFactory):
    def __init__(self, cloud: Cloud) -> None:
        super().__init__(
            cloud.counts,
            lambda: _Session(cloud),
            cloud.most,
            lambda: cloud.injector.faults.refuses,
            cloud.open,
        )
