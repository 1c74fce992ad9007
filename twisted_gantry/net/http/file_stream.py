"""The body of an answer at the pace of its client, such as that of a file."""

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.web.server import Request
from zope.interface import implementer

from twisted_gantry.net.http.server import cut
from twisted_gantry.net.threads import InThread
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
class BodyStream:
    """Sends the body of an answer as fast as the client takes it; a client that takes nothing is
    cut off. `close` comes after the last `write`.
    """

    def __init__(self, request: Request, client: Client, clock: IReactorTime) -> None:
        self._request: Any = request
        self._client = client
        self._waiting: Deferred[None] | None = None
        self._paused, self._stopped = False, False
        self._late = Timer(clock, self._cut)
        self._request.registerProducer(self, True)

    @property
    def over(self) -> bool:
        """Whether nobody is there to take more."""
        return self._stopped or self._client.gone

    async def write(self, chunk: bytes) -> None:
        """Write a part of the body, and wait until the client has room for the next."""
        if chunk and not self.over:
            self._request.write(chunk)
        if self._paused and not self.over:
            self._waiting = Deferred()
            self._late.start(STALLED)
            await self._waiting

    def close(self, *, whole: bool) -> bool:
        """End the answer, or cut the connection of one that is not `whole`; returns whether the
        client took all of it.
        """
        if self.over:
            return False
        self._request.unregisterProducer()
        if not whole:
            self._cut()
            return False
        self._request.finish()
        return True

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


async def send_file(stream: BodyStream, in_thread: InThread, descriptor: int, size: int) -> bool:
    """Write `size` bytes of an open file and finish the answer. A file that turns out shorter than
    its Content-Length cuts the connection. Returns whether the client took all of it.
    """
    at = 0
    try:
        while at < size and not stream.over:
            chunk: bytes = await in_thread(os.pread, descriptor, min(_CHUNK, size - at), at)
            if not chunk:
                break
            at += len(chunk)
            await stream.write(chunk)
    finally:
        whole = stream.close(whole=at >= size)
    return whole
