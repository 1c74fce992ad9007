"""A file as the body of an answer, at the pace of its client."""

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.web.server import Request
from zope.interface import implementer

from twisted_gantry.access.secrets import InThread
from twisted_gantry.net.http.server import cut
from twisted_gantry.net.timers import Timer

STALLED = 30.0  # seconds in which a client has to take what was written, or its connection is cut
_CHUNK = 64 * 1024


class Client:
    """The client of a request; `gone` once it has hung up."""

    def __init__(self, request: Request) -> None:
        self.gone = False
        request.notifyFinish().addErrback(self._left)

    def _left(self, _: object) -> None:
        self.gone = True


@implementer(IPushProducer)
class FileStream:
    """Sends a file as fast as the client takes it; a client that takes nothing is cut off."""

    def __init__(
        self, request: Request, client: Client, clock: IReactorTime, in_thread: InThread
    ) -> None:
        self._request, self._client, self._in_thread = request, client, in_thread
        self._waiting: Deferred[None] | None = None
        self._paused, self._stopped = False, False
        self._late = Timer(clock, self._cut)

    async def send(self, descriptor: int, size: int) -> bool:
        """Write `size` bytes of the open file and finish the request. A file that turns out shorter
        than its Content-Length cuts the connection. Returns whether the client took all of it.
        """
        request: Any = self._request
        request.registerProducer(self, True)
        at = 0
        try:
            while at < size and not self._over:
                length = min(_CHUNK, size - at)
                chunk: bytes = await self._in_thread(os.pread, descriptor, length, at)
                if not chunk:
                    break
                if not self._over:
                    request.write(chunk)
                    at += len(chunk)
                await self._until_taken()
        finally:
            if not self._over:
                request.unregisterProducer()
                if at < size:
                    self._cut()
        if self._over:
            return False
        request.finish()
        return True

    @property
    def _over(self) -> bool:
        return self._stopped or self._client.gone

    async def _until_taken(self) -> None:
        if self._paused and not self._over:
            self._waiting = Deferred()
            self._late.start(STALLED)
            await self._waiting

    def _cut(self) -> None:
        cut(self._request)
        self.stopProducing()

    def pauseProducing(self) -> None:  # noqa: N802
        self._paused = True

    def resumeProducing(self) -> None:  # noqa: N802
        self._paused = False
        self._go_on()

    def stopProducing(self) -> None:  # noqa: N802
        self._stopped = True
        self._go_on()

    def _go_on(self) -> None:
        self._late.cancel()
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)
