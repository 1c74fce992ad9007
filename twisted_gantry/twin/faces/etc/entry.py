"""An entry point of the ETC interface: `monitor.do` of the platform, `remotecontrol.do`."""

from collections.abc import Callable
from dataclasses import dataclass

from attrs import define, field
from twisted.logger import Logger
from twisted.web.http import Request as HttpRequest
from twisted.web.iweb import IRequest

from twisted_gantry.net.http.server import Limits
from twisted_gantry.twin.dialects.dialect import Voice
from twisted_gantry.twin.faces.http import body_of, spoken
from twisted_gantry.twin.faults.http import HttpFaultInjector
from twisted_gantry.twin.faults.settings import FaultSettings
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.pictures import CONTENT_TYPES

_log = Logger()

LIMITS = Limits(body=etc.MAX_BODY, deadline=30.0, idle=60.0, connections=512)
MAX_SKEW_S = 300.0
DEFAULT_RATE = 100.0


@dataclass(frozen=True)
class File:
    """A picture or video as an answer; `name` has the extension of its type."""

    name: str
    content: bytes


Take = Callable[[etc.Request, bytes], etc.Answer | File]
"""Acts on a request whose envelope is valid, and on its body. Raises etc.EtcRefused."""
Keep = Callable[[bytes, dict[str, str], etc.Answer | None, str], None]
"""Stores a request, its answer, None for one outside of the interface, and why it was refused."""
_MOST_REASONS = 100  # that are logged


class Rate:
    """Admits `per_second` requests, 0 for any number, and bursts of five times as many."""

    def __init__(self, per_second: float, seconds: Callable[[], float]) -> None:
        self._per_second, self._seconds = per_second, seconds
        self._most = self._left = max(5 * per_second, 1.0)
        self._last = seconds()

    def allows(self) -> bool:
        if not self._per_second:
            return True
        now = self._seconds()
        gained = max(now - self._last, 0.0) * self._per_second
        self._left, self._last = min(self._left + gained, self._most), now
        if self._left < 1:
            return False
        self._left -= 1
        return True


@define(eq=False)
class Entry:
    """Serves the requests of the face of `injector`, whose counts gain `code-1000` ….

    It answers with `voice`. It takes `methods` of `gantry_id`, None for any gantry, with the code
    `auth`, at most `rate` a second. `now` returns Unix seconds.
    """

    _injector: HttpFaultInjector
    _voice: Voice
    _rate: Rate
    _now: Callable[[], float]
    _auth: str
    _methods: frozenset[etc.Method]
    _gantry_id: str | None
    _logged: set[str] = field(init=False, factory=set)

    async def serve(self, request: HttpRequest, take: Take, keep: Keep | None = None) -> bytes:
        faults = self._injector.faults
        body = body_of(request)
        headers = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        answer, why = self._answer(body, headers, faults, take)
        if isinstance(answer, File):
            return await self._send(answer, request, faults)
        if answer is not None:
            self._injector.counts[f"code-{answer.code}"] += 1
        if keep is not None:
            keep(body, headers, answer, why)
        if answer is None:
            return await self._injector.answer(request, b"", faults)
        request.setHeader(b"Content-Type", b"application/json; charset=utf-8")
        return await spoken(self._voice, self._injector, request, answer.encode(), faults)

    async def _send(self, file: File, request: HttpRequest, faults: FaultSettings) -> bytes:
        self._injector.counts["pictures"] += 1
        headers = {
            "Content-Type": CONTENT_TYPES[file.name.rpartition(".")[2]],
            "Content-Disposition": f"attachment;filename={file.name}",
            etc.MD5_HEADER: etc.digest(file.content),
            etc.AUTH_HEADER: self._auth,
        }
        for name, value in headers.items():
            request.setHeader(name.encode(), value.encode())
        return await self._injector.answer(request, file.content, faults)

    def _answer(
        self, body: bytes, headers: dict[str, str], faults: FaultSettings, take: Take
    ) -> tuple[etc.Answer | File | None, str]:
        """Return the answer, and why the request is refused, empty if it is not."""
        if faults.http_status is not None:
            return None, "a fault: an HTTP status"
        if faults.code is not None:
            return etc.Answer(faults.code, ""), "a fault: a code"
        if faults.busy or not self._rate.allows():
            return etc.answer(etc.EtcCode.TOO_FREQUENT), "too many requests"
        try:
            request = etc.check_request(
                body,
                headers,
                auth=self._auth,
                methods=self._methods,
                gantry_id=self._gantry_id,
                now=self._now(),
                skew=MAX_SKEW_S,
            )
            return take(request, body), ""
        except etc.EtcRefused as refused:
            known = refused.why in self._logged or len(self._logged) >= _MOST_REASONS
            if not known:  # the first of each reason; the counts have all
                face = self._injector.face
                _log.info("{face} refuses a request: {why}", face=face, why=refused.why)
                self._logged.add(refused.why)
            return etc.answer(refused.code), refused.why


def answer_mistake(request: IRequest) -> bytes:
    """Answer 1008, with HTTP 200."""
    request.setResponseCode(200)
    request.setHeader(b"Content-Type", b"application/json; charset=utf-8")
    return etc.answer(etc.EtcCode.UNKNOWN_EXCEPTION).encode()
