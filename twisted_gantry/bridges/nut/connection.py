"""A connection to the NUT server: lines in turn, bounded in length, work, time and answers."""

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.bridges.nut.session import NutSession
from twisted_gantry.net.slots import Progress, Slot
from twisted_gantry.net.timers import Timer
from twisted_gantry.wire.nut import MAX_LINE, NutCode

_log = Logger()

IDLE_S = 600.0
"""Seconds after which a silent client is gone; upsmon asks every 5 s, upslog every 30 s."""
MAX_PENDING = 256 * 1024
"""Bytes of requests that may wait: reading pauses meanwhile, and one chunk is 64 KiB."""
A_TURN = 32
"""Requests that are answered in one turn of the reactor."""


@implementer(IPushProducer)
class NutConnection(Protocol):
    """Hands each line to the session. The next line waits for the answer, and for a client that
    does not read. `tls` are the options of STARTTLS, None for none; `count` notes an event.
    """

    transport: Any

    def __init__(
        self,
        session: NutSession,
        slot: Slot,
        clock: IReactorTime,
        tls: Any,
        count: Callable[[str], None],
        gone: Callable[["NutConnection"], None],
    ) -> None:
        self.session = session
        self._slot, self._tls, self._count, self._gone = slot, tls, count, gone
        self._idle, self._next = Timer(clock, self._too_idle), Timer(clock, self._go_on)
        self._pending = bytearray()
        self._answering = self._unread = self._closed = False

    def abortConnection(self) -> None:
        self.transport.abortConnection()

    def connectionMade(self) -> None:
        self._slot.close = self.abortConnection
        self.transport.registerProducer(self, True)
        if hasattr(self.transport, "setTcpKeepAlive"):
            self.transport.setTcpKeepAlive(True)
        self._idle.start(IDLE_S)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._closed = True
        self._idle.cancel()
        self._next.cancel()
        self._slot.free()
        self._gone(self)

    def dataReceived(self, data: bytes) -> None:
        self._slot.reached(Progress.BEGUN)
        self._pending += data
        if len(self._pending) > MAX_PENDING:
            self._count("too-many-requests")
            self.abortConnection()
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

    # -- lines

    def _go_on(self) -> None:
        """Answer the lines that are there, one after another; the address pays for the work."""
        began = time.thread_time()
        self._answer_lines()
        if not (self._slot.pay(time.thread_time() - began) or self._closed):
            self._slot.flooded()
            self.abortConnection()

    def _answer_lines(self) -> None:
        for _ in range(A_TURN):
            if self._answering or self._unread or self._closed or self.session.leaving:
                return
            end = self._pending.find(b"\n", 0, MAX_LINE + 1)
            if end < 0 and len(self._pending) > MAX_LINE:
                self._count("too-long")
                self._say(f"ERR {NutCode.TOO_LONG}\n")
                self._leave()
                return
            if end < 0:
                self.transport.resumeProducing()
                return
            line = bytes(self._pending[:end])
            del self._pending[: end + 1]
            self._answer(line)
        if not (self._closed or self.session.leaving):
            self.transport.pauseProducing()
            self._next.start(0)

    def _answer(self, line: bytes) -> None:
        self._slot.reached(Progress.WHOLE)
        self._idle.start(IDLE_S)
        self._answering = self._slot.answering = True
        answer = ensureDeferred(self.session.answer(line))
        answer.addCallbacks(self._answered, self._failed)
        if self._answering:
            self.transport.pauseProducing()
            answer.addCallback(lambda _: self._go_on())
        answer.addErrback(lambda failure: _log.failure("the NUT server failed", failure))

    def _answered(self, answer: str) -> None:
        self._answering = self._slot.answering = False
        if self._closed:
            return
        if self.session.proved:
            self._slot.reached(Progress.PROVED)
        self._say(answer)
        if self.session.leaving:
            self._leave()
        elif self.session.starts_tls:
            self._start_tls()

    def _failed(self, failure: Failure) -> None:
        """Close: the fault is ours, and the client cannot know what became of its request."""
        self._answering = self._slot.answering = False
        _log.failure("a request cannot be answered", failure)
        if not self._closed:
            self.abortConnection()

    def _start_tls(self) -> None:
        """Begin TLS. What came before it in the clear could be anybody's, and ends the session."""
        self.session.starts_tls = False
        if self._pending:
            self._count("clear-text-before-tls")
            self.abortConnection()
            return
        self.session.tls = True
        self.transport.startTLS(self._tls)

    def _say(self, answer: str) -> None:
        self.transport.write(answer.encode("utf-8", "surrogateescape"))

    def _leave(self) -> None:
        self.session.leaving = True
        self._idle.start(1.0)  # a client that does not read is not waited for
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def _too_idle(self) -> None:
        self._count("idle")
        self.abortConnection()
