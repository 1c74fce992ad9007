"""A connection to the Modbus server: requests in turn, bounded in number, work and time."""

import time
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.net.budget import Budget
from twisted_gantry.net.slots import Progress, Slot
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire import modbus as wire
from twisted_gantry.wire.errors import BadMessage

_log = Logger()

IDLE_S = 300.0
"""Seconds without a whole request after which a connection ends."""
A_TURN = 8
"""Requests that a connection has answered in one turn of the reactor."""
TIRED_S = 0.02
"""Seconds for which no requests are read once the work of all connections is used up."""
MOST_WRITES = 8
"""Writes of one connection that may be under way."""
MOST_WAITING = 256 * 1024
"""Bytes of requests that may wait: reading pauses meanwhile, and one chunk is 64 KiB."""


class Answers(Protocol):
    """What answers: at once, or later for a write."""

    def answer(self, frame: bytes, host: str) -> bytes | Deferred[bytes]: ...


@implementer(IPushProducer)
class ModbusConnection(TwistedProtocol):
    """Takes pipelined requests. `work` is the CPU time that all connections share; `count` notes an
    event, and `gone` is told the end.
    """

    transport: Any

    def __init__(
        self,
        answers: Answers,
        slot: Slot,
        clock: IReactorTime,
        work: Budget,
        count: Callable[[str], None],
        gone: Callable[["ModbusConnection"], object],
    ) -> None:
        self._answers, self._slot, self._work = answers, slot, work
        self._count, self._gone = count, gone
        self._idle, self._next = Timer(clock, self._too_idle), Timer(clock, self._go_on)
        self._heard = bytearray()
        self._writes: set[Deferred[bytes]] = set()
        self._unread = self._closed = False

    def abortConnection(self) -> None:
        self.transport.abortConnection()

    def connectionMade(self) -> None:
        self._slot.close = self.abortConnection
        self.transport.registerProducer(self, True)
        if hasattr(self.transport, "setTcpKeepAlive"):
            self.transport.setTcpKeepAlive(True)
            self.transport.setTcpNoDelay(True)
        self._idle.start(IDLE_S)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """End; a command that is under way goes on, and is in the audit."""
        self._closed = True
        self._idle.cancel()
        self._next.cancel()
        self._heard.clear()
        self._slot.free()
        self._gone(self)

    def dataReceived(self, data: bytes) -> None:
        self._slot.reached(Progress.BEGUN)
        self._heard += data
        if len(self._heard) > MOST_WAITING:
            self._end("too-many-requests")
        elif not self._next.running:
            self._go_on()

    # -- a client that does not read its answers

    def pauseProducing(self) -> None:  # noqa: N802
        self._unread = True
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:  # noqa: N802
        self._unread = False
        if not self._next.running:
            self._go_on()

    def stopProducing(self) -> None:  # noqa: N802
        """Do nothing: the connection is lost, and is told so."""

    # -- requests

    def _go_on(self) -> None:
        if self._work.left <= 0:
            self.transport.pauseProducing()
            self._next.start(TIRED_S)
            return
        began, answered = time.thread_time(), 0
        try:
            for frame in wire.frames(self._heard):
                self._take(frame)
                answered += 1
                if answered >= A_TURN or self._unread or self._closed:
                    break
        except BadMessage as error:
            _log.debug("a client of the Modbus server: {error}", error=str(error))
            self._end("not-modbus")
            return
        rested = self._work.charge(time.thread_time() - began)
        if self._closed or self._unread:
            return
        if answered >= A_TURN or not rested:
            self.transport.pauseProducing()
            self._next.start(0 if rested else TIRED_S)
        else:
            self.transport.resumeProducing()

    def _take(self, frame: bytes) -> None:
        self._slot.reached(Progress.WHOLE)
        self._idle.start(IDLE_S)
        if len(self._writes) >= MOST_WRITES:
            self._count("too-many-writes")
            self._end("dropped")
            return
        answer = self._answers.answer(frame, self._slot.host)
        if isinstance(answer, bytes):
            self.transport.write(answer)
            return
        self._writes.add(answer)
        writing = answer

        def done(reply: bytes) -> None:
            self._writes.discard(writing)
            if not self._closed:
                self.transport.write(reply)

        answer.addCallback(done)
        answer.addErrback(lambda failure: _log.failure("the Modbus server failed", failure))

    def _end(self, event: str) -> None:
        self._count(event)
        self._closed = True
        self.abortConnection()

    def _too_idle(self) -> None:
        self._end("idle")
