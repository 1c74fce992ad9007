"""What `remotecontrol.do` and our `monitor.do` have in common: checks, codes, counts and the log.

Source: the ETC document, sections 1.5 to 1.8; decisions: `docs/protocols/etc-gantry.md`. A wrong
request of the interface is answered with HTTP 200 and a code. Another path or method, a long body
and a slow one are plain HTTP.
"""

import math
from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Annotated

import msgspec
from klein import Klein
from msgspec import Meta
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import Request

from twisted_gantry.net.addresses import host_of
from twisted_gantry.net.http.file_stream import Client
from twisted_gantry.net.http.json import header
from twisted_gantry.net.http.multipart import NotOnePart, content_of
from twisted_gantry.net.http.routes import ConstantRoutes
from twisted_gantry.net.http.seldom_log import SeldomLog
from twisted_gantry.net.http.server import last, proved
from twisted_gantry.net.pem import Pem
from twisted_gantry.net.slots import Allowed
from twisted_gantry.net.throttle import Throttle, Throttled
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.secret import Secret

Act = Callable[[etc.Request, bytes, str, Secret], Awaitable[etc.Answer | None]]
"""Does a checked request, given with its body, the host it came from and the code that came with
it. Raises etc.EtcRefused.
"""


class EntrySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys that both entry points have in the configuration. `listen` is a server endpoint;
    `allowed_clients` are addresses or networks, none for all; `rate` is requests a second of one
    address, 0 for no bound. With an `ssl:` endpoint clients need a certificate of `client_ca`, or
    with one of the SHA-256 fingerprints `allowed_certificates`; with both, of both.
    """

    listen: str
    allowed_clients: list[str] = []
    rate: Annotated[float, Meta(ge=0, le=10_000)] = 20.0
    client_ca: Pem | None = None
    allowed_certificates: list[str] = []


class EntryPoint:
    """Checks requests and answers them with what `act` makes of them.

    `codes` are those that are taken. `methods` are those of the interface; `gantry_id` None takes
    any. After `auth_failures` wrong codes of one address in 60 s (0: no bound) further ones are
    1005. `now` returns Unix seconds. The listener looks at `allowed`: others are closed when they
    connect. `messages` are texts for refusals that replace the document's. With `forms` the one
    part of `multipart/form-data` is taken for the body; with `reports` damaged bodies are repaired.
    `on_refused` is called with each refusal, the body and the host it came from. `counts` gains
    `code-1000` … and `failed`.

    Raises ValueError for an allowed client that is no network.
    """

    def __init__(
        self,
        name: str,
        methods: Collection[etc.Method],
        settings: EntrySettings,
        *,
        codes: Sequence[Secret],
        gantry_id: str | None,
        auth_failures: int,
        clock: IReactorTime,
        now: Callable[[], float],
        messages: Mapping[etc.EtcCode, str] = MappingProxyType({}),
        forms: bool = False,
        reports: bool = False,
        on_refused: Callable[[etc.EtcRefused, bytes, str], None] = lambda *_: None,
    ) -> None:
        self.counts: Counter[str] = Counter()
        self.log = SeldomLog(name, clock)
        self._methods, self._codes, self._gantry_id, self._now = methods, codes, gantry_id, now
        self._messages, self._forms, self._reports = messages, forms, reports
        self._on_refused = on_refused
        self._throttle = Throttle(clock, rate=settings.rate, failures=auth_failures)
        self.allowed = Allowed(settings.allowed_clients)

    def resource(self, app: Klein) -> IResource:
        return ConstantRoutes(app, self.log.fault)

    async def answer(self, request: Request, client: Client, act: Act) -> etc.Answer | None:
        """Return the answer to a request, None where `act` has answered it already. Fails with
        CancelledError once `client` has gone, and with nothing else.
        """
        host = host_of(request.getClientAddress())
        assert request.content is not None  # set once the request is complete
        body = request.content.read()
        try:
            code = self._code_of(request, host)
            answer = await act(self._checked(request, body, code), body, host, code)
        except etc.EtcRefused as refused:
            self.log.refused(refused.code, host, str(refused))
            self._on_refused(refused, body, host)
            answer = etc.answer(refused.code, msg=self._messages.get(refused.code, ""))
        except Exception as error:
            if client.gone and isinstance(error, CancelledError):
                raise
            self.log.fault(Failure())
            self.counts["failed"] += 1
            answer = etc.answer(etc.EtcCode.UNKNOWN_EXCEPTION)
        if answer is not None:
            self.counts[f"code-{answer.code}"] += 1
        return answer

    def _code_of(self, request: Request, host: str) -> Secret:
        """Return the code of a request, before its body is looked at. Raises etc.EtcRefused."""
        given = header(request, etc.AUTH_HEADER)
        right = [code for code in self._codes if etc.same_code(given, code.reveal())]
        try:
            if not right:
                self._failed(request, host)
                raise etc.EtcRefused(etc.EtcCode.NOT_ALLOWED, f"wrong or missing {etc.AUTH_HEADER}")
            proved(request)
            self._throttle.admit(host)
        except Throttled as error:
            raise etc.EtcRefused(etc.EtcCode.TOO_FREQUENT, str(error)) from None
        return right[0]

    def _checked(self, request: Request, body: bytes, code: Secret) -> etc.Request:
        """Return a request whose envelope is right but for its time. Raises etc.EtcRefused."""
        try:
            content = content_of(header(request, "content-type"), body) if self._forms else body
        except NotOnePart as error:
            raise etc.EtcRefused(etc.EtcCode.BAD_PARAMETERS, str(error)) from None
        headers = {name: header(request, name) for name in (etc.MD5_HEADER, etc.AUTH_HEADER)}
        if content != body and headers[etc.MD5_HEADER].strip().lower() == etc.digest(body):
            headers[etc.MD5_HEADER] = etc.digest(content)  # the digest is that of the whole form
        return etc.check_request(
            content,
            headers,
            auth=code.reveal(),
            methods=self._methods,
            gantry_id=self._gantry_id,
            now=self._now(),
            skew=math.inf,
            reports=self._reports,
        )

    def _failed(self, request: Request, host: str) -> None:
        """Count a wrong code. Raises Throttled."""
        try:
            self._throttle.failed(host)
        except Throttled:
            last(request)
            raise


def encoded(request: Request, answer: etc.Answer) -> bytes:
    """Return the body of an answer, and set its headers."""
    request.setHeader(b"Content-Type", b"application/json; charset=utf-8")
    request.setHeader(b"Cache-Control", b"no-store")
    return answer.encode()
