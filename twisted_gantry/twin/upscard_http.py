"""The HTTP face of a UPS's management card: commands are POSTed to it, it POSTs the results back.

Source: `000_ebcda87cd71d876a.txt`, sections 1 and 3. Any path is taken. What the document leaves
open is decided in `ups-card.md`: 101, 102 and 104 come in the answer to the command, because there
is no URL yet; every other result goes to the command's `host`.

It calls nobody but this machine: whoever reaches it could else have it POST to anybody.
"""

from collections import Counter
from collections.abc import Callable
from ipaddress import ip_address
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IProtocolFactory, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from twisted_gantry.net.http_client import Answer as HttpAnswer
from twisted_gantry.net.http_client import (
    BoundedClient,
    NoAnswer,
    persistent_pool,
    treq_client,
)
from twisted_gantry.net.http_server import Limits, bounded_site, cut
from twisted_gantry.twin.faults import UPS_HTTP, Faults
from twisted_gantry.twin.upscard import BUSY_ABOVE, PAUSE_ABOVE, Answer, Answers, Card
from twisted_gantry.wire.frames import MAX_OBJECT
from twisted_gantry.wire.upscard import ErrorCode, place_of

_log = Logger()

LIMITS = Limits(body=MAX_OBJECT)
CALLBACK_S = 5.0
"""How long one callback may take."""

_IN_ANSWER = {ErrorCode.JSON_FORMAT, ErrorCode.SESSION_LOSS, ErrorCode.HOST_NO}
_HEADERS = {"Content-Type": "application/json"}


class UpsHttpFace(Service):
    """Serves one card. `client` calls back; `close` ends its connections.

    `counts` tells `commands`, `answered`, `failed`, `error-101` …; of the results `in-answer`,
    `callbacks`, `callback-failed`, `dropped` and `garbage`; `foreign-host` (not this machine, as
    good as none), `wrong-method`, `http-status`, `overloaded`, `cut`; and what `bounded_site`
    counts.
    """

    def __init__(
        self,
        card: Card,
        faults: Faults,
        clock: IReactorTime,
        client: BoundedClient,
        close: Callable[[], Deferred[None]],
    ) -> None:
        self.card = card
        self.counts: Counter[str] = Counter()
        self._faults, self._clock, self._client, self._close = faults, clock, client, close
        self._answers = Answers(card, faults, UPS_HTTP, self.counts, self._is_host)
        self._due: set[IDelayedCall] = set()
        self._callbacks: set[Deferred[HttpAnswer]] = set()

    def site(self) -> IProtocolFactory:
        """Return the factory that serves it."""
        return bounded_site(_Face(self), self._clock, LIMITS, self.counts)

    def stopService(self) -> Deferred[None]:
        """Call back no more; fires when no connection is left."""
        super().stopService()  # type: ignore[no-untyped-call]
        for call in self._due:
            call.cancel()
        self._due.clear()
        for callback in tuple(self._callbacks):
            callback.cancel()
        return self._close()

    # -- one command

    def take(self, request: Request) -> bytes | int:
        """Do what a request asks for, and misbehave as it is set; returns the answer's body."""
        faults = self._faults.of(UPS_HTTP)
        if faults.refuse:
            return self._cut(request)
        if request.method != b"POST":
            self.counts["wrong-method"] += 1
            request.setHeader(b"Allow", b"POST")
            request.setResponseCode(405)
            return b""
        if faults.http_status is not None:
            self.counts["http-status"] += 1
            request.setResponseCode(faults.http_status)
            return b""
        waiting = len(self._due) + len(self._callbacks)
        if waiting >= PAUSE_ABOVE:
            self.counts["overloaded"] += 1
            request.setResponseCode(503)
            return b""
        assert request.content is not None  # set once the request is complete
        self.counts["commands"] += 1
        answer = self._answers.answer(request.content.read(), overloaded=waiting >= BUSY_ABOVE)
        data = self._spoilt(answer)
        if answer.code in _IN_ANSWER or answer.host is None:
            self.counts["in-answer"] += 1
            return self._answer(request, data or b"", faults.delay)
        self._after(faults.delay, lambda: self._call_back(answer, data))
        return b""

    def _spoilt(self, answer: Answer) -> bytes | None:
        """Return what becomes of the bytes of a result; None: it is lost."""
        faults = self._faults.of(UPS_HTTP)
        if self._faults.strikes(faults.drop):
            self.counts["dropped"] += 1
            return None
        if self._faults.strikes(faults.garbage):
            self.counts["garbage"] += 1
            return b"\xff" + self._faults.garbage()  # 0xFF: never JSON, never UTF-8
        return answer.data

    def _answer(self, request: Request, data: bytes, delay: float) -> bytes | int:
        request.setHeader(b"Content-Type", b"application/json")
        if not delay:
            return data
        gone: list[object] = []
        request.notifyFinish().addErrback(gone.append)

        def answer() -> None:
            if not gone:
                request.write(data)
                request.finish()

        self._after(delay, answer)
        return NOT_DONE_YET

    def _after(self, delay: float, act: Callable[[], None]) -> None:
        """Do something later, at the earliest when the request was answered."""

        def due() -> None:
            self._due.discard(call)
            act()

        call = self._clock.callLater(delay, due)
        self._due.add(call)

    def _cut(self, request: Request) -> int:
        self.counts["cut"] += 1
        request.notifyFinish().addErrback(lambda _: None)
        cut(request)
        return NOT_DONE_YET

    # -- its result

    def _is_host(self, url: str) -> bool:
        try:
            host = place_of(url).host
        except ValueError:
            return False
        try:
            here = ip_address(host).is_loopback
        except ValueError:
            here = host == "localhost"
        if not here:
            self.counts["foreign-host"] += 1
        return here

    def _call_back(self, answer: Answer, data: bytes | None) -> None:
        if data is not None and answer.host is not None:
            self.counts["callbacks"] += 1
            callback = self._client.request("POST", answer.host, headers=_HEADERS, body=data)
            self._callbacks.add(callback)

            def over(result: HttpAnswer | Failure) -> HttpAnswer | Failure:
                self._callbacks.discard(callback)
                return result

            callback.addBoth(over)
            callback.addCallbacks(self._was_taken, self._was_not_taken)
            callback.addErrback(lambda f: _log.failure("a callback of the card failed", failure=f))
        if answer.new_password is not None:
            self.card.set_password(answer.new_password)

    def _was_taken(self, answer: HttpAnswer) -> None:
        if not 200 <= answer.status < 300:
            self.counts["callback-failed"] += 1

    def _was_not_taken(self, failure: Failure) -> None:
        failure.trap(NoAnswer, CancelledError)
        self.counts["callback-failed"] += 1


class _Face(Resource):
    isLeaf = True

    def __init__(self, face: UpsHttpFace) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._face = face

    def render(self, request: Request) -> bytes | int:
        """Answer one request, whatever its method and path."""
        return self._face.take(request)


def ups_http_face(card: Card, faults: Faults, reactor: Any) -> UpsHttpFace:
    """Return the face of `card`, with a client of its own to call back."""
    pool = persistent_pool(reactor)
    client = BoundedClient(
        treq_client(reactor, pool), reactor, deadline=CALLBACK_S, limit=MAX_OBJECT
    )
    return UpsHttpFace(card, faults, reactor, client, pool.closeCachedConnections)
