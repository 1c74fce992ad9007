"""The management card of a UPS, and its TCP face: it answers commands and acts on the world.

Source: the UPS card document. Sessions are kept for good; objects follow each other bare.
A new password counts from the moment after the reply to the command that brought it. The other
face is `upscard_http`.
"""

import hmac
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.interfaces import IAddress, IDelayedCall, IReactorTime, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.twin.faults.flow import PAUSE_ABOVE, Flow
from twisted_gantry.twin.faults.injection import FaultInjector
from twisted_gantry.twin.faults.settings import UPS_TCP, Faults
from twisted_gantry.twin.world.ups import Ups
from twisted_gantry.twin.world.ups_readings import live, ratings
from twisted_gantry.wire.errors import FrameTooLong
from twisted_gantry.wire.frames import ObjectFramer
from twisted_gantry.wire.upscard.messages import (
    CLEAR_PASSWORD,
    Command,
    CommandError,
    ErrorCode,
    Refusal,
    Result,
    decode_command,
    encode_echo,
)
from twisted_gantry.wire.upscard.values import encode_live, encode_ratings

_log = Logger()

UID = "201701013805"  # of the document's examples
MAX_SESSIONS = 64
BUSY_ABOVE = PAUSE_ABOVE // 2
"""Replies that wait, for a `delay`; beyond them the card is busy, before it reads no more."""
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

    def set_password(self, word: str | None) -> None:
        """Take a new password, if there is one; one word empties it."""
        if word is not None:
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
    """What a card answers at one of its faces, whose injector are given.

    The counts of `injector` gain `answered`, `failed` and `error-101` ….
    """

    def __init__(
        self, card: Card, injector: FaultInjector, is_host: Callable[[str], bool] | None = None
    ) -> None:
        self._card, self._injector, self._counts = card, injector, injector.counts
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
        faults = self._injector.faults
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


class _Session(Protocol):
    """One connection."""

    factory: "UpsCardFactory"

    def __init__(self, card: Card, answers: Answers, injector: FaultInjector) -> None:
        self._card, self._answers, self._injector = card, answers, injector
        self._counts = injector.counts
        self._framer = ObjectFramer()
        self._unfinished: IDelayedCall | None = None

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.factory.sessions.add(self)
        if ITCPTransport.providedBy(self.transport):
            # The only sign that a silent peer has gone.
            self.transport.setTcpKeepAlive(True)
        self._flow = Flow(self._injector, self.transport, self._receive)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.sessions.discard(self)
        self._restart_deadline()
        self._flow.lost()

    def abortConnection(self) -> None:
        """Drop the connection, without waiting for what is still to be sent."""
        self._flow.abort()

    def dataReceived(self, data: bytes) -> None:
        self._flow.received(data)

    def _receive(self, data: bytes) -> None:
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

    def _take(self, frame: bytes) -> None:
        """Answer one object."""
        self._counts["objects"] += 1
        answer = self._answers.answer(frame, overloaded=self._flow.waiting >= BUSY_ABOVE)
        data = b"".join(self._injector.spoilt(answer.data))  # though it is nothing, it has its time
        self._flow.send(data, lambda: self._card.set_password(answer.new_password))

    # -- an object that does not end

    def _restart_deadline(self) -> None:
        if self._unfinished is not None:
            self._unfinished.cancel()
            self._unfinished = None

    def _watch_deadline(self) -> None:
        if self._framer.inside and self._unfinished is None and not self._flow.closed:
            self._unfinished = self._injector.clock.callLater(UNFINISHED_S, self._give_up_object)

    def _give_up_object(self) -> None:
        self._unfinished = None
        self._counts["unfinished"] += 1
        self._counts["skipped-bytes"] += self._framer.reset()


class UpsCardFactory(Factory):
    """Serves the sessions of one card.

    `counts` tells `connections`, `refused`, `objects`, `answered`, `failed`, `error-101` …,
    `dropped`, `garbage`, `half`, `doubled`, `skipped-bytes`, `too-long` and `unfinished`.
    """

    noisy = False

    def __init__(self, card: Card, faults: Faults, clock: IReactorTime) -> None:
        self.card = card
        self.counts: Counter[str] = Counter()
        self.sessions: set[_Session] = set()
        self._injector = FaultInjector(UPS_TCP, faults, clock, self.counts)
        self._answers = Answers(card, self._injector)

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """Accept a session; None closes the connection at once."""
        if self._injector.faults.refuses or len(self.sessions) >= MAX_SESSIONS:
            self.counts["refused"] += 1
            return None
        self.counts["connections"] += 1
        session = _Session(self.card, self._answers, self._injector)
        session.factory = self
        return session
