"""The ETC platform. Source: the ETC document, sections 1.5 to 1.8, 2.1, 3.1 and 4."""

import itertools
import re
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from twisted.internet.interfaces import IReactorTime
from twisted.web.http import Request as HttpRequest

from twisted_gantry.net.http.app import App
from twisted_gantry.net.http.client import Answer as HttpAnswer
from twisted_gantry.net.http.client import BoundedClient, NoAnswer
from twisted_gantry.twin import times
from twisted_gantry.twin.dialects.dialect import Peer
from twisted_gantry.twin.dialects.registry import voice
from twisted_gantry.twin.faces.etc import entry
from twisted_gantry.twin.faces.etc.sender import EtcSender
from twisted_gantry.twin.faces.etc.values import complaints
from twisted_gantry.twin.faces.http import HttpFace, answer_failures
from twisted_gantry.twin.faults.settings import ETC, Faults
from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.reports import decode_report
from twisted_gantry.wire.json import loads, salvage
from twisted_gantry.wire.numbers import text

REMOTE_URL = "http://127.0.0.1:3699/remotecontrol.do"
MAX_ANSWER = 32 * 1024 * 1024  # a picture, or some seconds of video
KEPT_REQUESTS = 10_000
KEPT_BYTES = 64 * 1024 * 1024  # of bodies: ten thousand of the longest would be ten gigabytes
_MASKED = "***"
_MOST_COMPLAINTS = 5  # about the values of one report


class NotReached(Exception):
    """The gantry did not answer a command; the text says why, and holds no secret."""


@dataclass(frozen=True)
class Received:
    """A request as it came; `answer` is None for an answer outside of the interface.

    `reason` says why it was refused; it is empty if it was not.
    """

    at: float
    headers: dict[str, str]
    body: bytes
    method: str
    answer: etc.Answer | None
    reason: str

    def shown(self) -> dict[str, Any]:
        return {
            "at": times.shown(self.at),
            "headers": self.headers,
            "body": _decoded(self.body),
            "answer": None if self.answer is None else msgspec.to_builtins(self.answer),
            "reason": self.reason or None,
        }


def _decoded(body: bytes, read: Callable[[bytes], Any] = loads) -> Any:
    """Return a body as JSON with its keys as they came, or as text if it is not JSON."""
    try:
        lenient = read(body)  # bounds the depth
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


class Platform(HttpFace):
    """The platform. `now` returns Unix seconds; `clock` is for delays.

    It takes the reports of `gantry_id`, with `any_gantry` those of every gantry. `client` sends
    commands to the gantry's `remotecontrol.do` at `remote_url`; without it the platform cannot
    command. Beyond `rate` requests a second, 0 for any number, the answer is 1005. `counts` tells
    `code-1000` …, each method by its name, `commands`, `commands-lost`, and what `EtcSender`
    counts.
    """

    app, limits = App(), entry.LIMITS
    answer_failures(app, ETC, entry.answer_mistake)

    def __init__(
        self,
        faults: Faults,
        clock: IReactorTime,
        now: Callable[[], float],
        *,
        gantry_id: str,
        auth: str,
        any_gantry: bool = False,
        client: BoundedClient | None = None,
        remote_url: str = REMOTE_URL,
        rate: float = entry.DEFAULT_RATE,
    ) -> None:
        super().__init__(ETC, faults, clock)
        self.cards: etc.CardList | None = None
        self.remote_url = remote_url
        limit, own = entry.Rate(rate, clock.seconds), None if any_gantry else gantry_id
        self.voice = voice(Peer.PLATFORM)
        self._entry = entry.Entry(
            self._injector, self.voice, limit, lambda: self._now(), auth, etc.MONITOR, own
        )
        self._sender = None
        if client is not None:
            self._sender = EtcSender(client, self._injector, now, gantry_id=gantry_id, auth=auth)
        self._now = now
        self._received: deque[Received] = deque()
        self._received_bytes = 0

    def requests(self, method: str = "", limit: int = KEPT_REQUESTS) -> list[dict[str, Any]]:
        """Return at most `limit` received requests, newest first, all or those of one method."""
        found = (each for each in reversed(self._received) if method in ("", each.method))
        return [received.shown() for received in itertools.islice(found, limit)]

    @app.route("/monitor.do", methods=["POST"])
    async def monitor(self, request: HttpRequest) -> bytes:
        return await self._entry.serve(request, self._take, self._keep)

    async def command(self, method: etc.Method, fields: Any, url: str = "") -> Any:
        """Send a signed command to the gantry, and return its JSON answer as it came.

        For a picture the result has `contentType`, `filename`, `size`, `md5` (as the gantry says)
        and `md5Good`. `fields` are not checked, to test how a gantry refuses bad ones. Raises
        NotReached.
        """
        if self._sender is None:
            raise NotReached("this platform has no way to the gantry")
        self.counts["commands"] += 1
        try:
            answer = await self._sender.send(url or self.remote_url, method, fields, MAX_ANSWER)
        except NoAnswer as error:
            self.counts["commands-lost"] += 1
            raise NotReached(str(error)) from None
        if answer.status != 200:
            raise NotReached(f"HTTP {answer.status}")
        if _is_picture(answer):
            return _picture(answer)
        decoded = _decoded(answer.body, lambda body: salvage(body).value)
        if not isinstance(decoded, dict):
            raise NotReached("HTTP 200, but no JSON object")
        return decoded

    def _take(self, request: etc.Request, body: bytes) -> etc.Answer:
        self.counts[request.method.value] += 1
        if request.method is etc.Method.CARDS:
            fields = request.fields
            version = text(fields.get("curVersion") if isinstance(fields, dict) else None) or ""
            if not etc.is_list_version(version) and version != etc.NO_VERSION:
                why = "curVersion is neither 0 nor 14 digits"
                raise etc.EtcRefused(etc.EtcCode.BAD_PARAMETERS, why)
            return etc.card_answer(version, self.cards)
        try:
            report = decode_report(request.method, request.fields)
        except WireError as error:
            raise etc.EtcRefused(etc.EtcCode.BAD_PARAMETERS, str(error)) from None
        wrong = list(itertools.islice(complaints(report), _MOST_COMPLAINTS))
        if wrong:
            raise etc.EtcRefused(etc.EtcCode.BAD_PARAMETERS, "; ".join(wrong))
        return etc.answer(etc.EtcCode.SUCCESS)

    def _keep(
        self, body: bytes, headers: dict[str, str], answer: etc.Answer | None, reason: str
    ) -> None:
        if etc.AUTH_HEADER in headers:
            headers = headers | {etc.AUTH_HEADER: _MASKED}
        now, method = self._now(), _method_of(body)
        self._received.append(Received(now, headers, body, method, answer, reason))
        self._received_bytes += len(body)
        while len(self._received) > KEPT_REQUESTS or self._received_bytes > KEPT_BYTES:
            self._received_bytes -= len(self._received.popleft().body)


def _is_picture(answer: HttpAnswer) -> bool:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind.startswith(("image/", "video/")) or kind == "application/octet-stream"


def _picture(answer: HttpAnswer) -> dict[str, Any]:
    match = re.search(r'filename="?([^";]{1,255})', answer.headers.get("content-disposition", ""))
    given = answer.headers.get(etc.MD5_HEADER, "")
    return {
        "contentType": answer.headers.get("content-type", ""),
        "filename": match[1].strip() if match else "",
        "size": len(answer.body),
        "md5": given,
        "md5Good": given.strip().lower() == etc.digest(answer.body),
    }
