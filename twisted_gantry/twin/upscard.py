"""The management card of a UPS, and its TCP face: it answers commands and acts on the world.

Source: `000_ebcda87cd71d876a.txt`. Sessions are kept for good; objects follow each other bare.
A new password counts from the moment after the reply to the command that brought it. The other
face is `upscard_http`.
"""

import hmac
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IPushProducer,
    IReactorTime,
    ITCPTransport,
)
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.twin.faults import UPS_TCP, Faults
from twisted_gantry.twin.world.ups import Ups
from twisted_gantry.twin.world.ups_readings import live, ratings
from twisted_gantry.wire.errors import FrameTooLong
from twisted_gantry.wire.frames import ObjectFramer
from twisted_gantry.wire.upscard import (
    CLEAR_PASSWORD,
    Command,
    CommandError,
    ErrorCode,
    Refusal,
    Result,
    decode_command,
    encode_echo,
)
from twisted_gantry.wire.upscard_values import encode_live, encode_ratings

_log = Logger()

UID = "201701013805"  # of the document's examples
MAX_SESSIONS = 64
# Replies that wait (for a `delay`): beyond the first bound the card is busy, beyond the second it
# reads no more.
BUSY_ABOVE, PAUSE_ABOVE = 32, 64
UNFINISHED_S = 10.0
"""How long an object may take from its first byte to its last."""

_ECHOED = {ErrorCode.JSON_FORMAT, ErrorCode.SESSION_LOSS}


class Card:
    """What every session of a card shares: the UPS behind it, and the password."""

    def __init__(self, ups: Ups, *, password: str = "", uid: str = UID) -> None:
        self.ups, self.password, self.uid = ups, password, uid

    def accepts(self, password: str | None) -> bool:
        """Tell whether a command under `password` is allowed; without one set, any is."""
        if not self.password:
            return True
        return hmac.compare_digest((password or "").encode(), self.password.encode())

    def set_password(self, word: str) -> None:
        """Take a new password; one word empties it."""
        self.password = "" if word == CLEAR_PASSWORD else word

    def perform(self, cmd: str) -> str:
        """Do or answer a command, and return its value."""
        ups = self.ups
        name = cmd.removesuffix("()")
        if name == "QAD":
            return encode_live(live(ups))
        if name == "RTD":
            return encode_ratings(ratings(ups))
        controls: dict[str, Callable[[], bool]] = {
            "SON": ups.switch_on,
            "SOFF": ups.switch_off,
            "BZON": lambda: ups.mute_buzzer(False),
            "BZOFF": lambda: ups.mute_buzzer(True),
            "T": ups.start_test,
        }
        control = controls.get(name)
        return "(OK" if control is not None and control() else "(FAILED"


@dataclass(frozen=True)
class Answer:
    """What a command came to. `host` is where it goes over HTTP, None where none is known."""

    data: bytes
    code: int | None = None
    host: str | None = None
    new_password: str | None = None


class Answers:
    """What a card answers at one of its faces, whose faults are those of `face`.

    `counts` gains `answered`, `failed` and `error-101` ….
    """

    def __init__(
        self,
        card: Card,
        faults: Faults,
        face: str,
        counts: Counter[str],
        is_host: Callable[[str], bool] | None = None,
    ) -> None:
        self._card, self._faults, self._face, self._counts = card, faults, face, counts
        self._is_host = is_host

    def answer(self, frame: bytes, *, overloaded: bool) -> Answer:
        """Do a command, or refuse it; an `overloaded` card is BUSY.

        Over HTTP a `host` that `is_host` does not take is as good as none.
        """
        over_http = self._is_host is not None
        try:
            command = decode_command(frame, over_http=over_http)
            if self._is_host is not None and not self._is_host(command.host or ""):
                raise CommandError(ErrorCode.HOST_NO, command.session, command.cmd)
        except CommandError as error:
            host = error.host
            if host is not None and self._is_host is not None and not self._is_host(host):
                host = None
            return self._error(error.code, error.session, error.cmd, host, frame)
        code = self._code(command, overloaded)
        if code is not None:
            return self._error(code, command.session, command.cmd, command.host, frame)
        value = self._card.perform(command.cmd)
        self._counts["failed" if value == "(FAILED" else "answered"] += 1
        result = Result(uid=self._card.uid, session=command.session, cmd=command.cmd, value=value)
        return Answer(result.encode(), None, command.host, command.new_password)

    def _code(self, command: Command, overloaded: bool) -> int | None:
        """Return the code for a command that is not to act; None if it is."""
        faults = self._faults.of(self._face)
        if faults.code is not None:
            return int(faults.code)
        if faults.busy or overloaded:
            return ErrorCode.BUSY
        if not self._card.accepts(command.password):
            return ErrorCode.PASSWORD_ERROR
        return None

    def _error(
        self, code: int, session: str | None, cmd: str | None, host: str | None, frame: bytes
    ) -> Answer:
        self._counts[f"error-{code:03d}"] += 1
        if code in _ECHOED:
            return Answer(encode_echo(ErrorCode(code), frame), code, host)
        refusal = Refusal(result=code, uid=self._card.uid, session=session, cmd=cmd)
        return Answer(refusal.encode(), code, host)


@dataclass
class _Reply:
    """What waits to be sent, from `due` on; `data` None is a reply that is lost."""

    due: float
    data: bytes | None
    new_password: str | None = None


@implementer(IPushProducer)
class _Session(Protocol):
    """One connection. It stops reading while its replies are not taken."""

    factory: "UpsCardFactory"

    def __init__(self, card: Card, faults: Faults, clock: IReactorTime, counts: Counter[str]):
        self._card, self._faults, self._clock, self._counts = card, faults, clock, counts
        self._answers = Answers(card, faults, UPS_TCP, counts)
        self._framer = ObjectFramer()
        self._waiting: deque[_Reply] = deque()
        self._next: IDelayedCall | None = None
        self._unfinished: IDelayedCall | None = None
        self._transport_full = self._paused = self._closed = False

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.factory.sessions.add(self)
        if ITCPTransport.providedBy(self.transport):
            # The only sign that a silent peer has gone.
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)  # type: ignore[attr-defined]

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._closed = True
        self.factory.sessions.discard(self)
        for call in (self._next, self._unfinished):
            if call is not None and call.active():
                call.cancel()
        for reply in self._waiting:  # these commands were done, though nobody hears of it
            if reply.new_password is not None:
                self._card.set_password(reply.new_password)
        self._waiting.clear()

    def abortConnection(self) -> None:
        """Drop the connection, without waiting for what is still to be sent."""
        self._closed = True
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]

    def dataReceived(self, data: bytes) -> None:
        if self._closed:
            return
        if self._faults.of(UPS_TCP).refuse:
            self._counts["refused"] += 1
            self.abortConnection()
            return
        skipped = self._framer.skipped
        try:
            for frame in self._framer.feed(data):
                self._restart_deadline()
                self._take(frame)
        except FrameTooLong as error:
            self._counts["too-long"] += 1
            _log.warn("a session of the UPS card is dropped: {error}", error=error)
            self.abortConnection()
        finally:
            self._counts["skipped-bytes"] += self._framer.skipped - skipped
        self._watch_deadline()

    # -- commands

    def _take(self, frame: bytes) -> None:
        """Answer one object."""
        self._counts["objects"] += 1
        answer = self._answers.answer(frame, overloaded=len(self._waiting) >= BUSY_ABOVE)
        self._queue(answer.data, answer.new_password)

    # -- replies: in the order of their commands, each at its time

    def _queue(self, data: bytes, new_password: str | None) -> None:
        faults = self._faults.of(UPS_TCP)
        sent: bytes | None = data
        if self._faults.strikes(faults.drop):
            self._counts["dropped"] += 1
            sent = None
        elif self._faults.strikes(faults.garbage):
            self._counts["garbage"] += 1
            sent = self._faults.garbage()
        self._waiting.append(_Reply(self._clock.seconds() + faults.delay, sent, new_password))
        if self._next is None:
            self._send_due()
        else:
            self._update_reading()

    def _send_due(self) -> None:
        """Send what is due; a later reply waits for an earlier one, whatever their delays."""
        self._next = None
        while self._waiting and self._waiting[0].due <= self._clock.seconds():
            reply = self._waiting.popleft()
            if reply.data is not None and self.transport is not None:
                self.transport.write(reply.data)
            if reply.new_password is not None:
                self._card.set_password(reply.new_password)
        if self._waiting:
            wait = self._waiting[0].due - self._clock.seconds()
            self._next = self._clock.callLater(wait, self._send_due)
        self._update_reading()

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

    # -- an object that does not end

    def _restart_deadline(self) -> None:
        if self._unfinished is not None:
            self._unfinished.cancel()
            self._unfinished = None

    def _watch_deadline(self) -> None:
        if self._framer.inside and self._unfinished is None and not self._closed:
            self._unfinished = self._clock.callLater(UNFINISHED_S, self._give_up_object)

    def _give_up_object(self) -> None:
        self._unfinished = None
        self._counts["unfinished"] += 1
        self._counts["skipped-bytes"] += self._framer.reset()


class UpsCardFactory(Factory):
    """Serves the sessions of one card.

    `counts` tells `connections`, `refused`, `objects`, `answered`, `failed`, `error-101` …,
    `dropped`, `garbage`, `skipped-bytes`, `too-long` and `unfinished`.
    """

    noisy = False

    def __init__(self, card: Card, faults: Faults, clock: IReactorTime) -> None:
        self.card = card
        self.counts: Counter[str] = Counter()
        self.sessions: set[_Session] = set()
        self._faults, self._clock = faults, clock

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Accept a session; None closes the connection at once."""
        if self._faults.of(UPS_TCP).refuse or len(self.sessions) >= MAX_SESSIONS:
            self.counts["refused"] += 1
            return None
        self.counts["connections"] += 1
        session = _Session(self.card, self._faults, self._clock, self.counts)
        session.factory = self
        return session
