"""Fault injection for a face over HTTP: the receipt of a request, and its answer."""

from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from twisted_gantry.net.http.server import cut, hang_up
from twisted_gantry.twin.faults.drip import piece
from twisted_gantry.twin.faults.injection import CLOSE_S, FaultInjector
from twisted_gantry.twin.faults.settings import FaultSettings

_log = Logger()


class HttpFaultInjector(FaultInjector):
    """Fault injection over HTTP. `counts` gains `cut`, `http-status`, `garbage` and `half`."""

    async def answer(self, request: HttpRequest, body: bytes, faults: FaultSettings) -> bytes:
        """Return what the caller writes of an answer, when due; empty with `http_status`."""
        lost = faults.acts and self._faults.strikes(faults.drop)
        garbage = faults.acts and not lost and self.strikes(faults.garbage, "garbage")
        half = faults.acts and not (lost or garbage) and self.strikes(faults.half, "half")
        if faults.delay:
            await deferLater(self.clock, faults.delay)
        await self.thawed()
        if faults.http_status is not None:
            self.counts["http-status"] += 1
            request.setResponseCode(faults.http_status)
            return b""
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

    async def cut_off(self, request: HttpRequest) -> bytes:
        self.cut(request)
        gone: Deferred[bytes] = Deferred()  # klein cancels it when the connection is lost
        return await gone

    def cut(self, request: HttpRequest) -> None:
        self.counts["cut"] += 1
        cut(request)

    async def _drip(self, request: HttpRequest, body: bytes, rate: float) -> bytes:
        size, pause = piece(rate)
        while len(body) > size:
            request.write(body[:size])
            body = body[size:]
            await deferLater(self.clock, pause)
            await self.thawed()
        return body


class FaultyRoot(Resource):
    """Serves `root` unless the face is frozen or refuses."""

    isLeaf = True

    def __init__(self, injector: HttpFaultInjector, root: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._injector, self._root = injector, root

    def render(self, request: Request) -> Any:
        faults = self._injector.faults
        if faults.frozen:
            waiting = self._injector.thaw()
            waiting.addCallback(lambda _: request.render(self))
            waiting.addErrback(_log_failure)
            request.notifyFinish().addErrback(lambda _: waiting.cancel())
            return NOT_DONE_YET
        if faults.refuse:
            request.notifyFinish().addErrback(lambda _: None)
            self._injector.cut(request)
            return NOT_DONE_YET
        return self._root.render(request)


def _log_failure(failure: Failure) -> None:
    if not failure.check(CancelledError):  # the client has gone
        _log.failure("a request to a face of the twin failed", failure=failure)
