"""Sends bytes to a relay, each over a connection of its own, and sees them confirmed."""

from collections.abc import Callable
from functools import partial
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure

from twisted_gantry.net.connecting import NotReached, connected
from twisted_gantry.net.timers import Timer

# Seconds: to connect; for the answer that confirms; and for a connection to stand after the bytes
# where no answer is expected.
CONNECT_PATIENCE = 5.0
ANSWER_PATIENCE = 5.0
SETTLE = 1.0
LONGEST_BYTES = 256


class NotConfirmed(Exception):
    """The bytes were sent; whether the relay took them is unknown."""


class _Saying(Protocol):
    """One connection to a relay, for one message at most."""

    def __init__(self, confirm: bytes, clock: IReactorTime) -> None:
        self._confirm, self._got = confirm, b""
        self._late = Timer(clock, self._patience_over)
        self._patience = ANSWER_PATIENCE if confirm else SETTLE
        self._ended: Deferred[None] | None = None

    def say(self, data: bytes) -> Deferred[None]:
        """Send; the Deferred fires once that is confirmed, or fails with NotConfirmed."""
        transport: Any = self.transport
        self._late.start(self._patience)
        ended = self._ended = Deferred(self._cancelled)
        transport.write(data)
        return ended

    def leave(self) -> None:
        transport: Any = self.transport
        transport.loseConnection()

    def dataReceived(self, data: bytes) -> None:
        if self._confirm and self._ended is not None:
            self._got = (self._got + data)[-2 * LONGEST_BYTES :]
            if self._confirm in self._got:
                self._end(None)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        in_order = not self._confirm and reason.check(ConnectionDone) is not None
        self._end(None if in_order else NotConfirmed("the relay closed without its answer"))

    def _patience_over(self) -> None:
        silent = NotConfirmed(f"no answer of the relay within {self._patience:g} s")
        self._end(silent if self._confirm else None)

    def _end(self, wrong: NotConfirmed | None) -> None:
        ended = self._over()
        if ended is None:
            return
        self.leave()
        if wrong is None:
            ended.callback(None)
        else:
            ended.errback(wrong)

    def _cancelled(self, _: object) -> None:
        self._over()
        transport: Any = self.transport
        transport.abortConnection()

    def _over(self) -> Deferred[None] | None:
        """End the wait; returns the Deferred that was waited for."""
        self._late.cancel()
        ended, self._ended = self._ended, None
        return ended


@define(eq=False, slots=False)
class RelayLink:
    """Sends bytes to a relay. `confirm` is its answer, empty for a relay without one."""

    _endpoint: IStreamClientEndpoint
    _confirm: bytes
    _clock: IReactorTime
    # Such a relay has room for one connection.
    _lock: DeferredLock = field(factory=DeferredLock, init=False)

    async def reach(self) -> None:
        """Connect, and send nothing. Raises NotReached."""
        await self._lock.acquire()
        try:
            (await self._connect()).leave()
        finally:
            self._lock.release()

    async def say(self, data: bytes, wanted: Callable[[], bool] = lambda: True) -> None:
        """Send once, and wait for the confirmation. Raises NotReached or NotConfirmed. `wanted` is
        asked right before the bytes leave: what nobody waits for any more is not sent.
        """
        await self._lock.acquire()
        try:
            connection = await self._connect()
            if not wanted():
                connection.leave()
                raise NotReached("it expired before the relay was reached")
            await connection.say(data)
        finally:
            self._lock.release()

    async def _connect(self) -> _Saying:
        make = partial(_Saying, self._confirm, self._clock)
        made: _Saying = await connected(self._endpoint, make, self._clock, CONNECT_PATIENCE)
        return made
