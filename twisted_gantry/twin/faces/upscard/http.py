"""The HTTP face of a UPS's management card: a client POSTs commands, the card POSTs results back.

Source: the UPS card document, sections 1 and 3. Any path is taken. `docs/protocols/ups-card.md`
decides what the document leaves open: 101, 102 and 104 come in the answer to the command, because
the callback URL is not known; every other result goes to the command's `host`.

Callbacks go to this machine alone. Otherwise a client could make the card POST to any host.
"""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from twisted_gantry.net.addresses import is_loopback
from twisted_gantry.net.http.app import App
from twisted_gantry.net.http.client import BoundedClient, NoAnswer, persistent_pool, treq_client
from twisted_gantry.net.http.server import Limits
from twisted_gantry.twin.faces.http import HttpFace, answer_failures, body_of
from twisted_gantry.twin.faces.upscard.card import BUSY_ABOVE, Answers, Card, CardAnswer
from twisted_gantry.twin.faults.flow import PAUSE_ABOVE
from twisted_gantry.twin.faults.http import FaultyRoot
from twisted_gantry.twin.faults.settings import UPS_HTTP, Faults, FaultSettings
from twisted_gantry.wire.frames import MAX_OBJECT
from twisted_gantry.wire.upscard.messages import ErrorCode, place_of

_log = Logger()

CALLBACK_S = 5.0  # how long one callback may take, in seconds

_IN_ANSWER = {ErrorCode.JSON_FORMAT, ErrorCode.SESSION_LOSS, ErrorCode.HOST_NO}
_HEADERS = {"Content-Type": "application/json"}


class UpsHttpFace(HttpFace, Service):
    """Serves one card. `client` calls back; `close` ends its connections.

    `counts` tells `commands`, `answered`, `failed`, `error-101` …; of the results `in-answer`,
    `callbacks`, `callback-failed`, `dropped` and `doubled`; `foreign-host` (another machine, which
    counts as a missing host), `wrong-method` and `overloaded`.
    """

    app, limits = App(), Limits(body=MAX_OBJECT)
    answer_failures(app, UPS_HTTP)

    def __init__(
        self,
        card: Card,
        faults: Faults,
        clock: IReactorTime,
        client: BoundedClient,
        close: Callable[[], Deferred[None]],
    ) -> None:
        super().__init__(UPS_HTTP, faults, clock)
        self.card = card
        self._client, self._close = client, close
        self._answers = Answers(card, self._injector, self._is_host)
        self._results: set[Deferred[None]] = set()

    def resource(self) -> Resource:
        return FaultyRoot(self._injector, _AnyPath(self.app.resource()))

    def stopService(self) -> Deferred[None]:
        """Cancel the callbacks; the Deferred fires when no connection is left."""
        super().stopService()  # type: ignore[no-untyped-call]
        for result in tuple(self._results):
            result.cancel()
        return self._close()

    @app.route("/")
    async def command(self, request: Request) -> bytes:
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
        self.counts["commands"] += 1
        answer = self._answers.answer(body_of(request), overloaded=waiting >= BUSY_ABOVE)
        if answer.code in _IN_ANSWER or answer.host is None:
            self.counts["in-answer"] += 1
            request.setHeader(b"Content-Type", b"application/json")
            return await self._injector.answer(request, answer.data, faults)
        result = ensureDeferred(self._bring(answer, answer.host, faults))
        self._results.add(result)
        result.addErrback(lambda failure: failure.trap(CancelledError))
        result.addErrback(lambda f: _log.failure("a callback of the card failed", failure=f))
        result.addBoth(lambda _: self._results.discard(result))
        return b""

    def _is_host(self, url: str) -> bool:
        try:
            here = is_loopback(place_of(url).host)
        except ValueError:
            return False
        if not here:
            self.counts["foreign-host"] += 1
        return here

    async def _bring(self, answer: CardAnswer, host: str, faults: FaultSettings) -> None:
        """POST a result to `host`, not before its command was answered."""
        messages = self._injector.spoilt(answer.data)
        await deferLater(self._clock, faults.delay + self.card.voice.delay)
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


class _AnyPath(Resource):
    """Serves any path as the root of another resource: the document names no path."""

    isLeaf = True

    def __init__(self, root: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._root = root

    def render(self, request: Request) -> Any:
        request.postpath = [b""]
        return self._root.render(request)


def ups_http_face(card: Card, faults: Faults, reactor: Any) -> UpsHttpFace:
    pool = persistent_pool(reactor)
    treq = treq_client(reactor, pool)
    client = BoundedClient(treq, reactor, deadline=CALLBACK_S, limit=MAX_OBJECT)
    return UpsHttpFace(card, faults, reactor, client, pool.closeCachedConnections)
