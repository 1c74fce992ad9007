"""The ETC platform, as a gantry sees it: `POST /monitor.do`, and what it received.

Source: `001_3191ba0a590d87d6.txt` (v0.37), sections 1.5 to 1.8, 2.1, 3.1 and 4.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request as HttpRequest
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException

from twisted_gantry.net.http_server import Limits, bounded_site
from twisted_gantry.twin.faults import ETC, Faults
from twisted_gantry.twin.faults import Settings as FaultSettings
from twisted_gantry.wire import etc
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.etc_reports import decode_report
from twisted_gantry.wire.lenient import loads

_log = Logger()

MAX_SKEW_S = 300.0
KEPT_REQUESTS = 10_000
KEPT_BYTES = 64 * 1024 * 1024  # of bodies: ten thousand of the longest would be ten gigabytes
LIMITS = Limits(body=etc.MAX_BODY, deadline=30.0, idle=60.0, connections=512)
# China has had no summer time since 1991, and a small machine may have no zone database.
CHINA = timezone(timedelta(hours=8))
_MASKED = "***"


@dataclass(frozen=True)
class Received:
    """A request as it came; `answer` None: the answer was none of the interface's."""

    at: float
    headers: dict[str, str]
    body: bytes
    method: str
    answer: etc.Answer | None

    def shown(self) -> dict[str, Any]:
        """Return it as the control API shows it."""
        return {
            "at": datetime.fromtimestamp(self.at, CHINA).isoformat(timespec="milliseconds"),
            "headers": self.headers,
            "body": _decoded(self.body),
            "answer": None if self.answer is None else msgspec.to_builtins(self.answer),
        }


def _decoded(body: bytes) -> Any:
    """Return a body as JSON with its keys as they came; as text if it is none."""
    try:
        lenient = loads(body)  # it bounds the depth
    except WireError:
        return body.decode("utf-8", "replace")
    try:
        return msgspec.json.decode(body)
    except ValueError:
        return lenient


def _method_of(body: bytes) -> str:
    try:
        fields = loads(body)
    except WireError:
        return ""
    method = fields.get("method") if isinstance(fields, dict) else None
    return method if isinstance(method, str) else ""


class Platform:
    """The platform. `now` gives Unix seconds; `clock` is for delays.

    `counts` tells `code-1000` …, each method by its name, `cut`, `garbage` and `http-status`, and
    what `bounded_site` counts.
    """

    app = Klein()

    def __init__(
        self,
        faults: Faults,
        clock: IReactorTime,
        now: Callable[[], float],
        *,
        gantry_id: str,
        auth: str,
    ) -> None:
        self.cards: etc.CardList | None = None
        self.counts: Counter[str] = Counter()
        self._faults, self._clock, self._now = faults, clock, now
        self._gantry_id, self._auth = gantry_id, auth
        self._received: deque[Received] = deque()
        self._received_bytes = 0

    def site(self) -> IProtocolFactory:
        """Return the factory that serves it."""
        return bounded_site(self.app.resource(), self._clock, LIMITS, self.counts)

    def requests(self, method: str = "", limit: int = KEPT_REQUESTS) -> list[dict[str, Any]]:
        """Return what was received, newest first; of one method, if it is given."""
        found: list[dict[str, Any]] = []
        for received in reversed(self._received):
            if len(found) >= limit:
                break
            if not method or received.method == method:
                found.append(received.shown())
        return found

    @app.route("/monitor.do", methods=["POST"])
    async def monitor(self, request: HttpRequest) -> bytes:
        """Take one request, and misbehave as it is set."""
        faults = self._faults.of(ETC)
        if faults.refuse:
            return await self._cut(request)
        assert request.content is not None  # set once the request is complete
        body = request.content.read()
        headers = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        answer = self._answer(body, headers, faults)
        self._keep(body, headers, answer)
        lost = answer is not None and faults.code is None and not faults.busy
        drop = lost and self._faults.strikes(faults.drop)
        garbage = lost and not drop and self._faults.strikes(faults.garbage)
        if faults.delay:
            await deferLater(self._clock, faults.delay)
        if drop:
            return await self._cut(request)
        if answer is None:
            self.counts["http-status"] += 1
            request.setResponseCode(faults.http_status or 503)
            return b""
        request.setHeader(b"Content-Type", b"application/json; charset=utf-8")
        if garbage:
            self.counts["garbage"] += 1
            return b"\xff" + self._faults.garbage()  # 0xFF: never JSON, never UTF-8
        return answer.encode()

    @app.handle_errors(Exception)
    def _(self, request: IRequest, failure: Failure) -> bytes:
        """Answer a wrong path or verb with plain HTTP, and a mistake of ours with 1008."""
        error = failure.value
        if isinstance(error, HTTPException):
            request.setResponseCode(error.code or 500)
            return b""
        _log.failure("a request to the platform failed", failure=failure)
        return etc.answer(etc.Code.UNKNOWN_EXCEPTION).encode()

    def _answer(
        self, body: bytes, headers: dict[str, str], faults: FaultSettings
    ) -> etc.Answer | None:
        if faults.http_status is not None:
            return None
        if faults.code is not None:
            return etc.Answer(faults.code, "")
        if faults.busy:
            return etc.answer(etc.Code.TOO_FREQUENT)
        try:
            return self._take(
                etc.check_request(
                    body,
                    headers,
                    auth=self._auth,
                    methods=etc.MONITOR,
                    gantry_id=self._gantry_id,
                    now=self._now(),
                    skew=MAX_SKEW_S,
                )
            )
        except etc.Refused as refused:
            _log.info("the platform refuses a request: {why}", why=refused.why)
            return etc.answer(refused.code)

    def _take(self, request: etc.Request) -> etc.Answer:
        """Take a request whose envelope is in order. Raises etc.Refused."""
        self.counts[request.method.value] += 1
        if request.method is etc.Method.CARDS:
            fields = request.fields
            version = fields.get("curVersion") if isinstance(fields, dict) else None
            if not isinstance(version, str) or not (
                version == etc.NO_VERSION or etc.is_list_version(version)
            ):
                raise etc.Refused(etc.Code.BAD_PARAMETERS, "curVersion is neither 0 nor 14 digits")
            return etc.card_answer(version, self.cards)
        try:
            decode_report(request.method, request.fields)
        except WireError as error:
            raise etc.Refused(etc.Code.BAD_PARAMETERS, str(error)) from None
        return etc.answer(etc.Code.SUCCESS)

    def _keep(self, body: bytes, headers: dict[str, str], answer: etc.Answer | None) -> None:
        if answer is not None:
            self.counts[f"code-{answer.code}"] += 1
        if etc.AUTH_HEADER in headers:
            headers = headers | {etc.AUTH_HEADER: _MASKED}
        self._received.append(Received(self._now(), headers, body, _method_of(body), answer))
        self._received_bytes += len(body)
        while len(self._received) > KEPT_REQUESTS or self._received_bytes > KEPT_BYTES:
            self._received_bytes -= len(self._received.popleft().body)

    async def _cut(self, request: HttpRequest) -> bytes:
        """Cut the connection, and never answer."""
        self.counts["cut"] += 1
        channel: Any = request.channel
        channel.transport.abortConnection()
        gone: Deferred[bytes] = Deferred()  # klein cancels it when the connection is lost
        return await gone
