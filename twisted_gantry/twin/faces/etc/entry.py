"""An entry point of the ETC interface, as the twin serves it.

The platform's `monitor.do` and the cabinet's `remotecontrol.do` share it.
"""

from collections.abc import Callable

from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request as HttpRequest
from twisted.web.iweb import IRequest
from werkzeug.exceptions import HTTPException

from twisted_gantry.net.http.server import Limits
from twisted_gantry.twin.faults.http import HttpFaultInjector
from twisted_gantry.twin.faults.settings import FaultSettings
from twisted_gantry.wire.etc import envelope as etc

_log = Logger()

LIMITS = Limits(body=etc.MAX_BODY, deadline=30.0, idle=60.0, connections=512)
MAX_SKEW_S = 300.0
DEFAULT_RATE = 100.0

Take = Callable[[bytes, dict[str, str]], etc.Answer]
"""Acts on a body with its headers (names in lower case). Raises etc.Refused."""
Keep = Callable[[bytes, dict[str, str], etc.Answer | None], None]
"""Remembers a request, and its answer unless that was none of the interface's."""


class Rate:
    """How many requests are taken: `per_second`, 0 for any number, after a burst of five times it.

    `seconds` is a monotonic clock.
    """

    def __init__(self, per_second: float, seconds: Callable[[], float]) -> None:
        self._per_second, self._seconds = per_second, seconds
        self._most = self._left = max(5 * per_second, 1.0)
        self._last = seconds()

    def allows(self) -> bool:
        """Tell whether one more is taken, and count it."""
        if not self._per_second:
            return True
        now = self._seconds()
        gained = max(now - self._last, 0.0) * self._per_second
        self._left, self._last = min(self._left + gained, self._most), now
        if self._left < 1:
            return False
        self._left -= 1
        return True


class Entry:
    """Serves the requests of one face of the twin.

    The counts of `injector` gain `code-1000` ….
    """

    def __init__(self, injector: HttpFaultInjector, rate: float) -> None:
        self._injector, self._counts = injector, injector.counts
        self._rate = Rate(rate, injector.clock.seconds)
        self._said: set[etc.Code] = set()

    async def serve(self, request: HttpRequest, take: Take, keep: Keep | None = None) -> bytes:
        """Answer one request, and misbehave as it is set."""
        faults = self._injector.faults
        assert request.content is not None  # set once the request is complete
        body = request.content.read()
        headers = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in request.requestHeaders.getAllRawHeaders()
        }
        answer = self._answer(body, headers, faults, take)
        if answer is not None:
            self._counts[f"code-{answer.code}"] += 1
        if keep is not None:
            keep(body, headers, answer)
        if answer is None:
            return await self._injector.answer(request, b"", faults)
        request.setHeader(b"Content-Type", b"application/json; charset=utf-8")
        return await self._injector.answer(request, answer.encode(), faults)

    def _answer(
        self, body: bytes, headers: dict[str, str], faults: FaultSettings, take: Take
    ) -> etc.Answer | None:
        if faults.http_status is not None:
            return None
        if faults.code is not None:
            return etc.Answer(faults.code, "")
        if faults.busy or not self._rate.allows():
            return etc.answer(etc.Code.TOO_FREQUENT)
        try:
            return take(body, headers)
        except etc.Refused as refused:
            if refused.code not in self._said:  # the counts tell of the others
                _log.info(
                    "{face} refuses a request: {why}", face=self._injector.face, why=refused.why
                )
            self._said.add(refused.code)
            return etc.answer(refused.code)


def answer_failure(face: str, request: IRequest, failure: Failure) -> bytes:
    """Answer a wrong path or verb with plain HTTP, and a mistake of ours with 1008."""
    error = failure.value
    if isinstance(error, HTTPException):
        request.setResponseCode(error.code or 500)
        return b""
    _log.failure("a request to {face} failed", failure=failure, face=face)
    request.setHeader(b"Content-Type", b"application/json; charset=utf-8")
    return etc.answer(etc.Code.UNKNOWN_EXCEPTION).encode()
