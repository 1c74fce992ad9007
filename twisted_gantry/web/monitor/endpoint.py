"""Our `monitor.do`: what cabinets below us upload to, and where they ask for the white list.

Source: the ETC document, sections 1.5 to 1.8, 3.1 and 4; decisions: `docs/protocols/etc-gantry.md`,
"Receiving from cabinets below us". We are the platform there: the same checks in the same order,
but a time stamp that is off is taken with our reception time (1003 answers commands only).
"""

import math
from collections import Counter
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from twisted.internet.defer import CancelledError, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from twisted_gantry.core.interfaces import IUploader
from twisted_gantry.core.secret import Secret
from twisted_gantry.core.site import Site
from twisted_gantry.net.addresses import host_of, network
from twisted_gantry.net.http.json import header
from twisted_gantry.net.http.server import Limits
from twisted_gantry.web.remotecontrol.guard import Guard
from twisted_gantry.web.seldom_log import SeldomLog
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.uploads import upload_id

_log = Logger()

PATH = b"/monitor.do"
# A cabinet, or several behind one address, have their share whoever else holds connections.
LIMITS = Limits(body=etc.MAX_BODY, deadline=30.0, connections=128, per_address=32)
"""What the server of `monitor.do` is to be bounded by."""
# Wrong codes of one address in a minute.
AUTH_FAILURES = 10

Seconds = Annotated[float, msgspec.Meta(ge=0, le=31_536_000)]


class MonitorSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of `[monitor]`.

    `listen` is an endpoint; `allowed_clients` are addresses or networks, none for all;
    `max_clock_skew` is seconds, `rate` requests a second of one address (0: any number): a cabinet
    sends two in 300 s, and one with each alarm.
    """

    listen: str
    auth: Secret
    allowed_clients: list[str] = []
    max_clock_skew: Seconds = 300.0
    rate: Annotated[float, msgspec.Meta(ge=0, le=10_000)] = 20.0


class Monitor:
    """Takes uploads for the devices of `site` that are uploaders.

    `clock` is for how often an address may come, `now` returns Unix seconds. `counts` tells
    `code-1000` …, the methods by their names, `clock-skew` and `failed`. Raises ValueError for an
    allowed client that is no network.
    """

    limits = LIMITS

    def __init__(
        self,
        settings: MonitorSettings,
        site: Site,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._settings, self._site, self._now = settings, site, now
        allowed = [network(each) for each in settings.allowed_clients]
        self._guard = Guard(clock, rate=settings.rate, auth_failures=AUTH_FAILURES, allowed=allowed)
        self._log = SeldomLog("monitor.do", clock)

    def resource(self) -> IResource:
        """Return the resource; its server is to be bounded by LIMITS."""
        resource: IResource = _MonitorDo(self)
        return resource

    async def answer(self, request: Request) -> etc.Answer:
        """Return the answer to a request; it fails with nothing, but when it is cancelled."""
        host = host_of(request.getClientAddress())
        try:
            answer = await self._take(self._checked(request, host))
        except etc.EtcRefused as refused:
            self._log.refused(refused.code, host, str(refused))
            answer = etc.answer(refused.code, msg=_MESSAGES.get(refused.code, ""))
        except CancelledError:
            raise
        except Exception:
            self._log.fault(Failure())
            self.counts["failed"] += 1
            answer = etc.answer(etc.EtcCode.UNKNOWN_EXCEPTION)
        self.counts[f"code-{answer.code}"] += 1
        return answer

    def _checked(self, request: Request, host: str) -> etc.Request:
        """Return a request whose envelope is in order. Raises etc.EtcRefused."""
        self._guard.admit(host)
        assert request.content is not None  # set once the request is complete
        headers = {name: header(request, name) for name in (etc.MD5_HEADER, etc.AUTH_HEADER)}
        try:
            return etc.check_request(
                request.content.read(),
                headers,
                auth=self._settings.auth.reveal(),
                methods=etc.MONITOR,
                gantry_id=None,
                now=self._now(),
                skew=math.inf,
            )
        except etc.EtcRefused as refused:
            if refused.code is etc.EtcCode.NOT_ALLOWED:
                raise self._guard.wrong_code(host, refused) from None
            raise

    async def _take(self, request: etc.Request) -> etc.Answer:
        """Do what is asked. Raises etc.EtcRefused."""
        self.counts[request.method.value] += 1
        if request.method is etc.Method.CABINET_STATUS:
            self._take_upload(request)
            return etc.answer(etc.EtcCode.SUCCESS)
        if request.gantry_id not in self._gantry_ids():
            raise etc.EtcRefused(etc.EtcCode.BAD_PARAMETERS, "a gantryId of nobody here")
        if request.method is etc.Method.CARDS:
            return await self._cards(request.fields)
        raise etc.EtcRefused(
            etc.EtcCode.CONTROL_FAILED, "no device here takes reports of computers"
        )

    def _uploaders(self) -> list[IUploader]:
        devices: list[Any] = list(self._site.devices.values())
        return [each for each in devices if IUploader.providedBy(each)]

    def _gantry_ids(self) -> set[str]:
        return {self._site.gantry_id, *(each.uploads_as[0] for each in self._uploaders())}

    def _take_upload(self, request: etc.Request) -> None:
        good = abs(request.time_stamp - self._now()) <= self._settings.max_clock_skew
        try:
            which = (request.gantry_id, upload_id(request.fields))
            device = next((each for each in self._uploaders() if each.uploads_as == which), None)
            if device is None:
                raise etc.EtcRefused(
                    etc.EtcCode.BAD_PARAMETERS, f"no device uploads as {str(which)[:80]}"
                )
            self.counts["clock-skew"] += not good
            device.uploaded(request.fields, clock_good=good)
        except ValueError as error:
            raise etc.EtcRefused(etc.EtcCode.BAD_PARAMETERS, str(error)[:200]) from None

    async def _cards(self, fields: Any) -> etc.Answer:
        current = fields.get("curVersion") if isinstance(fields, dict) else None
        current = current.strip() if isinstance(current, str) else ""
        if not (current == etc.NO_VERSION or etc.is_list_version(current)):
            raise etc.EtcRefused(
                etc.EtcCode.BAD_PARAMETERS, "curVersion is neither 0 nor 14 digits"
            )
        version, stored = await self._site.store.cards()
        if version == etc.NO_VERSION:
            return etc.card_answer(current, None)
        cards = tuple(etc.Card(c.card_id, c.valid_time, c.invalid_time) for c in stored)
        return etc.card_answer(current, etc.CardList(version, cards))


_MESSAGES = {etc.EtcCode.CONTROL_FAILED: "本站没有接收工控机数据的设备"}


class _MonitorDo(Resource):
    """The one path. Anything else is answered by plain HTTP; klein would log each odd path."""

    isLeaf = True

    def __init__(self, monitor: Monitor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._monitor = monitor

    def render(self, request: Request) -> bytes | int:
        """Answer one request, whatever its method."""
        if request.path != PATH:
            request.setResponseCode(404)
            return b""
        if request.method != b"POST":
            request.setResponseCode(405)
            request.setHeader(b"Allow", b"POST")
            return b""
        answering = ensureDeferred(self._monitor.answer(request))
        request.notifyFinish().addErrback(lambda _: answering.cancel())
        answering.addCallback(_respond, request).addErrback(_log_failure)
        return NOT_DONE_YET


def _respond(answer: etc.Answer, request: Request) -> None:
    request.setHeader(b"Content-Type", b"application/json; charset=utf-8")
    request.write(answer.encode())
    request.finish()


def _log_failure(failure: Failure) -> None:
    if not failure.check(CancelledError):  # the client has gone
        _log.failure("an answer of monitor.do failed", failure=failure)
