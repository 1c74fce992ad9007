"""The flow of bytes through one session of the twin, under the faults of its face.

Messages go out in their order. Reading pauses while the peer does not read, while bytes wait for
their turn, and while too much waits: for its time, or for the end of `frozen`.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.logger import Logger
from zope.interface import implementer

from twisted_gantry.net.budget import Slices
from twisted_gantry.net.timers import Timer
from twisted_gantry.twin.faults.drip import piece
from twisted_gantry.twin.faults.injection import CLOSE_S, FaultInjector

_log = Logger()

PAUSE_ABOVE = 64  # messages that may wait for a `delay`; above, reading pauses
MOST_UNREAD = 64 * 1024  # bytes that a frozen session buffers; above, reading pauses


@dataclass
class _Message:
    """A message to be sent from `due` on; `data` None closes the session."""

    due: float
    data: bytes | None
    drip: float | None = None
    sent: Callable[[], None] | None = None


@implementer(IPushProducer)
class Flow:
    """The flow of one session; its owner calls `lost` at the end. The counts gain `refused`."""

    def __init__(
        self, injector: FaultInjector, transport: Any, receive: Callable[[bytes], None]
    ) -> None:
        self.closed = False
        self._injector, self._transport = injector, transport
        self._slices = Slices(injector.clock, receive, lambda seconds: True, self.abort)
        self._slices.transport = _Turns(self)
        self._seconds = injector.clock.seconds
        self._unread = b""
        self._thawing: Deferred[None] | None = None
        self._waiting: deque[_Message] = deque()
        self._due = Timer(injector.clock, self._go_on)
        self._cut = Timer(injector.clock, self.abort)
        self._full = self._paused = self._busy = False
        transport.registerProducer(self, True)

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    def received(self, data: bytes) -> None:
        if self.closed:
            return
        faults = self._injector.faults
        if faults.frozen:
            self._unread += data
            self._go_on()
        elif faults.refuse:
            self._injector.counts["refused"] += 1
            self.abort()
        else:
            self._slices.take(data)

    def send(self, data: bytes, sent: Callable[[], None] | None = None, delay: float = 0.0) -> None:
        """Send a message after the waiting ones, and after `delay` and that of the faults, in s.

        `sent` is called once it is written or dropped.
        """
        faults = self._injector.faults
        self._queue(_Message(self._seconds() + faults.delay + delay, data, faults.drip, sent))

    def close(self, *, at_once: bool = False) -> None:
        if at_once:
            self._clear()
        self._queue(_Message(self._seconds(), None))

    def busy(self, busy: bool) -> None:
        """Note whether bytes that were received wait for their turn."""
        self._busy = busy
        self._update_reading()

    def abort(self) -> None:
        self.closed = True
        self._slices.drop()
        self._transport.abortConnection()

    def lost(self) -> None:
        self.closed = True
        self._slices.drop()
        self._due.cancel()
        self._cut.cancel()
        thawing, self._thawing = self._thawing, None
        if thawing is not None:
            thawing.cancel()
        self._unread = b""
        self._clear()

    def _queue(self, message: _Message) -> None:
        self._waiting.append(message)
        self._go_on()

    def _go_on(self) -> None:
        """Take the buffered bytes, and send the messages that are due, in their order."""
        self._due.cancel()
        if self._injector.faults.frozen:
            self._wait_for_thaw()
            self._update_reading()
            return
        unread, self._unread = self._unread, b""
        if unread:
            self.received(unread)
        while not self.closed and self._waiting and self._waiting[0].due <= self._seconds():
            self._send(self._waiting[0])
        if self.closed:
            return
        if self._waiting:
            self._due.start(self._waiting[0].due - self._seconds())
        self._update_reading()

    def _wait_for_thaw(self) -> None:
        if self._thawing is None:
            self._thawing = self._injector.thaw()
            self._thawing.addCallbacks(self._thawed, lambda failure: failure.trap(CancelledError))
            self._thawing.addErrback(lambda f: _log.failure("a session failed", failure=f))

    def _thawed(self, _: None) -> None:
        self._thawing = None
        self._go_on()

    def _send(self, message: _Message) -> None:
        data = message.data
        if data is None:
            self._lose()
            return
        if message.drip is not None:
            size, pause = piece(message.drip)
            data, message.data = data[:size], data[size:]
            message.due = self._seconds() + pause
        if data:
            self._transport.write(data)
        if message.drip is None or not message.data:
            self._drop_first()

    def _drop_first(self) -> None:
        sent = self._waiting.popleft().sent
        if sent is not None:
            sent()

    def _clear(self) -> None:
        while self._waiting:
            self._drop_first()

    def _lose(self) -> None:
        self.closed = True
        self._slices.drop()
        self._due.cancel()
        self._clear()
        self._transport.unregisterProducer()  # TLS would wait for it
        self._transport.loseConnection()
        self._cut.start(CLOSE_S)  # a peer that reads nothing would keep the connection open

    def pauseProducing(self) -> None:  # noqa: N802 - IPushProducer's
        self._full = True
        self._update_reading()

    def resumeProducing(self) -> None:  # noqa: N802 - IPushProducer's
        self._full = False
        self._update_reading()

    def stopProducing(self) -> None:  # noqa: N802 - IPushProducer's
        """Do nothing: the connection is about to be lost."""

    def _update_reading(self) -> None:
        much = len(self._waiting) > PAUSE_ABOVE or len(self._unread) >= MOST_UNREAD
        pause = self._full or self._busy or much
        if self.closed or pause == self._paused:
            return
        self._paused = pause
        if pause:
            self._transport.pauseProducing()
        else:
            self._transport.resumeProducing()


class _Turns:
    """The transport as the slices of a flow see it: the flow has other reasons to pause, too."""

    def __init__(self, flow: Flow) -> None:
        self._flow = flow

    def pauseProducing(self) -> None:  # noqa: N802
        self._flow.busy(True)

    def resumeProducing(self) -> None:  # noqa: N802
        self._flow.busy(False)
