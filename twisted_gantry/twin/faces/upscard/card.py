"""The management card of a UPS, and its TCP face: it answers commands and acts on the world.

Source: the UPS card document. Sessions stay open; objects follow each other without a delimiter.
A new password is valid after the reply to the command that set it. The other face is
`faces/upscard/http`.
"""

import hmac
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace

from attrs import define
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.net.timers import Timer
from twisted_gantry.twin.dialects.dialect import Peer
from twisted_gantry.twin.dialects.registry import voice
from twisted_gantry.twin.faces.tcp import FaceSession, SessionFactory
from twisted_gantry.twin.faults.flow import PAUSE_ABOVE
from twisted_gantry.twin.faults.injection import FaultInjector
from twisted_gantry.twin.faults.settings import UPS_TCP, Faults
from twisted_gantry.twin.world.ups import Ups
from twisted_gantry.twin.world.ups_readings import live, ratings
from twisted_gantry.wire.errors import FrameTooLong
from twisted_gantry.wire.frames import ObjectFramer
from twisted_gantry.wire.upscard import messages as wire
from twisted_gantry.wire.upscard.values import encode_live, encode_ratings

_log = Logger()

UID = "201701013805"  # from the document's examples
MAX_SESSIONS = 64
# Delayed replies above which the card answers BUSY; above PAUSE_ABOVE it stops reading.
BUSY_ABOVE = PAUSE_ABOVE // 2
UNFINISHED_S = 10.0  # how long an object may take from its first byte to its last

_ECHOED = {wire.ErrorCode.JSON_FORMAT, wire.ErrorCode.SESSION_LOSS}


class Card:
    """The state that every session of a card shares: the UPS, the password and the dialect."""

    def __init__(self, ups: Ups, *, password: str = "", uid: str = UID) -> None:
        self.ups, self.password, self.uid = ups, password, uid
        self.voice = voice(Peer.UPS)

    def accepts(self, password: str | None) -> bool:
        """Tell whether a command with `password` is allowed; without a password set, any is."""
        if not self.password:
            return True
        return hmac.compare_digest((password or "").encode(), self.password.encode())

    def set_password(self, word: str | None) -> None:
        """Set a new password; CLEAR_PASSWORD removes it, and None changes nothing."""
        if word is not None:
            self.password = "" if word == wire.CLEAR_PASSWORD else word

    def perform(self, cmd: str) -> str:
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
class CardAnswer:
    """The result of a command. `host` is the URL of its callback over HTTP, None without one."""

    data: bytes
    code: int | None = None
    host: str | None = None
    new_password: str | None = None


@define(eq=False)
class Answers:
    """The answers of a card; the counts gain `answered`, `failed` and `error-101` …."""

    _card: Card
    _injector: FaultInjector
    _is_host: Callable[[str], bool] | None = None

    def answer(self, frame: bytes, *, overloaded: bool) -> CardAnswer:
        """Execute a command or refuse it; an `overloaded` card is BUSY."""
        answer = self._executed(frame, overloaded=overloaded)
        return replace(answer, data=self._card.voice.say(answer.data))

    def _executed(self, frame: bytes, *, overloaded: bool) -> CardAnswer:
        try:
            command = wire.decode_command(frame, over_http=self._is_host is not None)
            if self._is_host is not None and not self._is_host(command.host or ""):
                raise wire.CommandError(wire.ErrorCode.HOST_NO, command.session, command.cmd)
        except wire.CommandError as error:
            host = error.host  # one that `is_host` refuses counts as missing
            if host is not None and self._is_host is not None and not self._is_host(host):
                host = None
            return self._error(error.code, error.session, error.cmd, host, frame)
        code = self._code(command, overloaded)
        if code is not None:
            return self._error(code, command.session, command.cmd, command.host, frame)
        value = self._card.perform(command.cmd)
        self._injector.counts["failed" if value == "(FAILED" else "answered"] += 1
        uid = self._card.uid
        result = wire.Result(uid=uid, session=command.session, cmd=command.cmd, value=value)
        return CardAnswer(result.encode(), None, command.host, command.new_password)

    def _code(self, command: wire.CardCommand, overloaded: bool) -> int | None:
        faults = self._injector.faults
        if faults.code is not None:
            return int(faults.code)
        if faults.busy or overloaded:
            return wire.ErrorCode.BUSY
        right = self._card.accepts(command.password)
        return None if right else wire.ErrorCode.PASSWORD_ERROR

    def _error(
        self, code: int, session: str | None, cmd: str | None, host: str | None, frame: bytes
    ) -> CardAnswer:
        self._injector.counts[f"error-{code:03d}"] += 1
        if code in _ECHOED:
            return CardAnswer(wire.encode_echo(wire.ErrorCode(code), frame), code, host)
        refusal = wire.CardRefusal(result=code, uid=self._card.uid, session=session, cmd=cmd)
        return CardAnswer(refusal.encode(), code, host)


class _Session(FaceSession):
    def __init__(self, card: Card, answers: Answers, injector: FaultInjector) -> None:
        super().__init__(injector)
        self._card, self._answers, self._counts = card, answers, injector.counts
        self._framer = ObjectFramer()
        self._unfinished = Timer(injector.clock, self._give_up_object)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._unfinished.cancel()
        super().connectionLost(reason)

    def receive(self, data: bytes) -> None:
        skipped = self._framer.skipped
        try:
            for frame in self._framer.feed(data):
                self._unfinished.cancel()
                self._take(frame)
        except FrameTooLong as error:
            self._counts["too-long"] += 1
            _log.warn("a session of the UPS card is dropped: {error}", error=error)
            self.abortConnection()
        finally:
            self._counts["skipped-bytes"] += self._framer.skipped - skipped
        if self._framer.inside and not self._unfinished.running and not self.flow.closed:
            self._unfinished.start(UNFINISHED_S)

    def _take(self, frame: bytes) -> None:
        self._counts["objects"] += 1
        answer = self._answers.answer(frame, overloaded=self.flow.waiting >= BUSY_ABOVE)
        data = b"".join(self.injector.spoilt(answer.data))  # a dropped reply takes its turn, too
        voice = self._card.voice
        new_password = answer.new_password
        self.flow.send(data, lambda: self._card.set_password(new_password), voice.delay)
        if voice.closes:
            self.flow.close()

    def _give_up_object(self) -> None:
        self._counts["unfinished"] += 1
        self._counts["skipped-bytes"] += len(self._framer.reset())


class UpsCardFactory(SessionFactory):
    """Serves the sessions of one card.

    `counts` tells `connections`, `refused`, `objects`, `answered`, `failed`, `error-101` …,
    `dropped`, `garbage`, `half`, `doubled`, `skipped-bytes`, `too-long` and `unfinished`.
    """

    def __init__(self, card: Card, faults: Faults, clock: IReactorTime) -> None:
        self.card = card
        injector = FaultInjector(UPS_TCP, faults, clock, Counter())
        answers = Answers(card, injector)
        super().__init__(
            injector.counts,
            lambda: _Session(card, answers, injector),
            MAX_SESSIONS,
            lambda: injector.faults.refuses,
        )
