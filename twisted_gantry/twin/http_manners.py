"""The manners of a face over HTTP: how a request is received, and how it is answered."""

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.http import Request

from twisted_gantry.net.http_server import cut, hang_up
from twisted_gantry.twin.drip import piece
from twisted_gantry.twin.faults import Settings
from twisted_gantry.twin.manners import Manners

CLOSE_S = 3.0
"""How long a peer may take to read half an answer, before it is cut."""


class HttpManners(Manners):
    """The faults of a face over HTTP. `counts` gains `cut`, `garbage` and `half`."""

    async def received(self, request: Request) -> Settings:
        """Begin with a request; returns the faults under which it is served.

        Waits while the face is frozen; never returns while it refuses.
        """
        faults = await self.thawed()
        if faults.refuse:
            await self.cut_off(request)
        return faults

    async def answer(
        self, request: Request, body: bytes, faults: Settings, *, spoil: bool
    ) -> bytes:
        """Return the body of the answer when it is time; `spoil`: something was done.

        What returns is to be written by the caller; pieces were written before.
        """
        lost = spoil and self._faults.strikes(faults.drop)
        garbage = spoil and not lost and self.strikes(faults.garbage, "garbage")
        half = spoil and not (lost or garbage) and self.strikes(faults.half, "half")
        if faults.delay:
            await deferLater(self.clock, faults.delay)
        await self.thawed()
        if lost:
            return await self.cut_off(request)
        if garbage:
            request.setResponseCode(200)
            body = self.garbage()
        if not half and faults.drip is None:
            return body
        request.setHeader(b"Content-Length", b"%d" % len(body))
        if half:
            body = body[: len(body) // 2]
        if faults.drip is not None:
            body = await self._drip(request, body, faults.drip)
        if half:
            request.write(body)
            hang_up(request)
            await deferLater(self.clock, CLOSE_S)  # klein cancels it when the connection is lost
            return await self.cut_off(request)
        return body

    async def cut_off(self, request: Request) -> bytes:
        """Cut the connection, count it as `cut`, and never answer."""
        self.counts["cut"] += 1
        cut(request)
        gone: Deferred[bytes] = Deferred()  # klein cancels it when the connection is lost
        return await gone

    async def _drip(self, request: Request, body: bytes, rate: float) -> bytes:
        """Write all but the last piece of a body, and return that."""
        size, pause = piece(rate)
        while len(body) > size:
            request.write(body[:size])
            body = body[size:]
            await deferLater(self.clock, pause)
        return body
