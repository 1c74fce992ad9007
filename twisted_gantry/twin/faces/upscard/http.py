"""The HTTP face of a UPS's management card: commands are POSTed to it, it POSTs the results back.

Source: the UPS card document, sections 1 and 3. Any path is taken. What the document leaves
open is decided in `docs/protocols/ups-card.md`: 101, 102 and 104 come in the answer to the command,
because there is no URL yet; every other result goes to the command's `host`.

It calls nobody but this machine: whoever reaches it could else have it POST to anybody.
"""

from collections import Counter
from collections.abc import Callable, Coroutine
from contextlib import suppress
from ipaddress import ip_address
from typing import Any

from klein import Klein
from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from twisted_gantry.net.http.client import (
    BoundedClient,
    NoAnswer,
    persistent_pool,
    treq_client,
)
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.twin.faces.upscard.card import BUSY_ABOVE, Answer, Answers, Card
from twisted_gantry.twin.faults.flow import PAUSE_ABOVE
from twisted_gantry.twin.faults.http import HttpFaultInjector
from twisted_gantry.twin.faults.settings import UPS_HTTP, Faults, FaultSettings
from twisted_gantry.wire.frames import MAX_OBJECT
from twisted_gantry.wire.upscard.messages import ErrorCode, place_of

_log = Logger()

LIMITS = Limits(body=MAX_OBJECT)
CALLBACK_S = 5.0
"""How long one callback may take."""

_IN_ANSWER = {ErrorCode.JSON_FORMAT, ErrorCode.SESSION_LOSS, ErrorCode.HOST_NO}
_HEADERS = {"Content-Type": "application/json"}


class UpsHttpFace(Service):
    """Serves one card. `client` calls back; `close` ends its connections.

    `counts` tells `commands`, `answered`, `failed`, `error-101` …; of the results `in-answer`,
    `callbacks`, `callback-failed`, `dropped` and `doubled`; `foreign-host` (not this machine, as
    good as none), `wrong-method`, `overloaded`; and what `HttpFaultInjector` and
    `bounded_site` count.
    """

    app = Klein()

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
        self._clock, self._client, self._close = clock, client, close
        self._injector = HttpFaultInjector(UPS_HTTP, faults, clock, self.counts)
        self._answers = Answers(card, self._injector, self._is_host)
        self._results: set[Deferred[None]] = set()

    def site(self) -> IProtocolFactory:
        """Return the factory that serves it."""
        root = self._injector.around(_AnyPath(self.app.resource()))
        return bounded_site(root, self._clock, LIMITS, self.counts)

    def stopService(self) -> Deferred[None]:
        """Call back no more; fires when no connection is left."""
        super().stopService()  # type: ignore[no-untyped-call]
        for result in tuple(self._results):
            result.cancel()
        return self._close()

    # -- one command

    @app.route("/")
    async def command(self, request: Request) -> bytes:
        """Do what a request asks for, and misbehave as it is set."""
        faults = self._injector.faults
        if request.method != b"POST":
            self.counts["wrong-method"] += 1
            request.setHeader(b"Allow", b"POST")
            request.setResponseCode(405)
            return b""
        if faults.http_status is not None:
            return await self._injector.answer(request, b"", faults)
        waiting = len(self._results)
        if waiting >= PAUSE_ABOVE:
            self.counts["overloaded"] += 1
            request.setResponseCode(503)
            return b""
        assert request.content is not None  # set once the request is complete
        self.counts["commands"] += 1
        answer = self._answers.answer(request.content.read(), overloaded=waiting >= BUSY_ABOVE)
        if answer.code in _IN_ANSWER or answer.host is None:
            self.counts["in-answer"] += 1
            request.setHeader(b"Content-Type", b"application/json")
            return await self._injector.answer(request, answer.data, faults)
        self._begin(self._bring(answer, answer.host, faults))
        return b""

    @app.handle_errors(Exception)
    def _(self, request: IRequest, failure: Failure) -> bytes:
        """Answer a mistake of ours with plain HTTP."""
        _log.failure("a request to a card failed", failure=failure)
        request.setResponseCode(500)
        return b""

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

    def _begin(self, bringing: Coroutine[Deferred[Any], Any, None]) -> None:
        result = ensureDeferred(bringing)
        self._results.add(result)

        def over(_: object) -> None:
            self._results.discard(result)

        result.addErrback(_ignore_cancelled)
        result.addErrback(lambda f: _log.failure("a callback of the card failed", failure=f))
        result.addBoth(over)

    async def _bring(self, answer: Answer, host: str, faults: FaultSettings) -> None:
        """POST a result to `host`, at the earliest when its command was answered."""
        messages = self._injector.spoilt(answer.data)
        await deferLater(self._clock, faults.delay)
        for message in messages:
            await self._injector.thawed()
            await self._call_back(host, message)
        self.card.set_password(answer.new_password)

    async def _call_back(self, host: str, data: bytes) -> None:
        self.counts["callbacks"] += 1
        body, patience = self._injector.body(data)
        taken = False
        try:
            with suppress(NoAnswer):
                answer = await self._client.request(
                    "POST", host, headers=_HEADERS, body=body, patience=patience
                )
                taken = 200 <= answer.status < 300
        finally:
            if not taken:
                self.counts["callback-failed"] += 1


def _ignore_cancelled(failure: Failure) -> None:
    failure.trap(CancelledError)


class _AnyPath(Resource):
    """Serves any path as the root of another: the document names none."""

    isLeaf = True

    def __init__(self, root: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._root = root

    def render(self, request: Request) -> Any:
        """Answer one request, whatever its method and path."""
        request.postpath = [b""]
        return self._root.render(request)


def ups_http_face(card: Card, faults: Faults, reactor: Any) -> UpsHttpFace:
    """Return the face of `card`, with a client of its own to call back."""
    pool = persistent_pool(reactor)
    client = BoundedClient(
        treq_client(reactor, pool), reactor, deadline=CALLBACK_S, limit=MAX_OBJECT
    )
    return UpsHttpFace(card, faults, reactor, client, pool.closeCachedConnections)
