"""What the faces over HTTP share: counters, fault injection, bounds, and answers to failures."""

from collections import Counter
from collections.abc import Callable
from typing import ClassVar

from klein import Klein
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from werkzeug.exceptions import HTTPException

from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.twin.dialects.dialect import Voice
from twisted_gantry.twin.faults.http import FaultyRoot, HttpFaultInjector
from twisted_gantry.twin.faults.settings import Faults, FaultSettings

_log = Logger()


class HttpFace:
    """Serves `app` within `limits`, under the faults of `face`; `clock` is for delays."""

    app: ClassVar[Klein]
    limits: ClassVar[Limits]

    def __init__(self, face: str, faults: Faults, clock: IReactorTime) -> None:
        self.counts: Counter[str] = Counter()
        self._clock = clock
        self._injector = HttpFaultInjector(face, faults, clock, self.counts)

    def resource(self) -> Resource:
        return FaultyRoot(self._injector, self.app.resource())

    def site(self) -> IProtocolFactory:
        clock, limits = self._clock, self.limits
        return bounded_site(self.resource(), clock, limits, self.counts, raw_blanks=True)


def body_of(request: Request) -> bytes:
    assert request.content is not None  # set once the request is complete
    body: bytes = request.content.read()
    return body


async def spoken(
    voice: Voice,
    injector: HttpFaultInjector,
    request: Request,
    message: bytes,
    faults: FaultSettings,
) -> bytes:
    """Return what the caller writes of an answer in its dialect, when due, under the faults."""
    body = voice.say(message)
    if voice.delay:
        await deferLater(injector.clock, voice.delay)
    answered = await injector.answer(request, body, faults)
    if answered is not body or not body:  # an answer that a fault has changed
        return answered
    if not voice.in_chunks:
        request.setHeader(b"Content-Length", b"%d" % voice.length(body))
        return answered
    request.write(body[: len(body) // 2])
    return body[len(body) // 2 :]


def answer_failures(
    app: Klein, face: str, mistake: Callable[[IRequest], bytes] = lambda request: b""
) -> None:
    """Answer a wrong path or verb of `app` with plain HTTP, and a mistake of ours by `mistake`."""

    @app.handle_errors(Exception)
    def _(self: object, request: IRequest, failure: Failure) -> bytes:
        error = failure.value
        if isinstance(error, HTTPException):
            request.setResponseCode(error.code or 500)
            return b""
        # The log does not show the request: its query may hold a password.
        _log.failure("a request to {face} failed", failure=failure, face=face)
        request.setResponseCode(500)
        return mistake(request)
