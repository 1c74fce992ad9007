"""`remotecontrol.do`: the ETC platform commands the gantry.

Source: the ETC document, sections 1.4 to 1.8, 2.2, 3.2 and 3.3; decisions:
`docs/protocols/etc-gantry.md`. Whatever is wrong with a request of the interface is an answer with
HTTP 200 and one of its codes; another path, another verb, a long body and a slow one are plain
HTTP.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta
from twisted.internet.defer import ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from twisted_gantry.core.interfaces import IPlatform, WrongSetting
from twisted_gantry.core.secret import Secret
from twisted_gantry.core.site import Site
from twisted_gantry.net.addresses import host_of, network
from twisted_gantry.net.http.json import HttpError, header, respond_error
from twisted_gantry.net.http.server import Limits, cut
from twisted_gantry.web.file_stream import Client, InThread
from twisted_gantry.web.remotecontrol.commands import Ask, RemoteCommands
from twisted_gantry.web.remotecontrol.guard import Guard
from twisted_gantry.web.remotecontrol.pictures import Pictures
from twisted_gantry.web.remotecontrol.servers import Rule, Server, may_move, with_home
from twisted_gantry.web.seldom_log import SeldomLog
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.commands import decode_control, decode_picture_request
from twisted_gantry.wire.etc.envelope import Answer, EtcCode, EtcRefused, Method, answer

_log = Logger()

PATH = b"/remotecontrol.do"
# A platform behind one address has its share, and no single address can take all.
LIMITS = Limits(body=etc.MAX_BODY, deadline=10.0, idle=60.0, connections=512, per_address=256)


class RemoteControlSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The keys of `[remotecontrol]`.

    `max_clock_skew` and `image_window` are seconds, `rate` requests a second of one address (0: any
    number), `auth_failures` wrong codes of one address in 60 s (0: any number). `auth` None is the
    code of the uplink.
    """

    listen: str
    auth: Secret | None = None
    allowed_clients: list[str] = []
    max_clock_skew: Annotated[float, Meta(ge=1, le=31_536_000)] = 300.0
    rate: Annotated[float, Meta(ge=0, le=10_000)] = 20.0
    auth_failures: Annotated[int, Meta(ge=0, le=1000)] = 10
    remote_set_server: Rule = "listed"
    allowed_servers: list[str] = []
    images: str = ""
    image_window: Annotated[float, Meta(ge=0, le=3600)] = 10.0


def wrong_settings(settings: RemoteControlSettings) -> Iterator[WrongSetting]:
    """Yield what is wrong with values whose types are right."""
    for key, texts, read, what in (
        ("allowed_clients", settings.allowed_clients, network, "address or network"),
        ("allowed_servers", settings.allowed_servers, Server.parse, "host, host:port or URL"),
    ):
        for text in texts:
            try:
                read(text)
            except ValueError:
                yield WrongSetting(key, f"no {what}: {text[:100]!r}")


def may_report_to(settings: RemoteControlSettings | None, home: str) -> Callable[[str], bool]:
    """Return what tells whether a server that the platform set once is one that it still may set.

    `home` is the URL of the uplink's configuration. Without `[remotecontrol]` none is. Raises
    ValueError for wrong settings.
    """
    if settings is None:
        return lambda url: False
    allowed = with_home([Server.parse(each) for each in settings.allowed_servers], home)
    return lambda url: may_move(url, home, settings.remote_set_server, allowed)


class RemoteControl:
    """Answers the platform, whose code is `auth`; it may steer `platform`, if there is one.

    `home` is the URL that the configuration has reports go to: they may always be moved back.
    `now` returns Unix seconds; `in_thread` runs a blocking function. `counts` gains `code-1000` …,
    `picture`, `picture-cut`, `replayed`, and `hung-up` for clients that left before their answer.
    `counts` and `limits` are for the HTTP server, too. Raises ValueError for wrong settings.
    """

    limits = LIMITS

    def __init__(
        self,
        settings: RemoteControlSettings,
        site: Site,
        platform: IPlatform | None,
        *,
        auth: Secret,
        clock: IReactorTime,
        now: Callable[[], float],
        in_thread: InThread,
        home: str = "",
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._log = SeldomLog("remotecontrol.do", clock)
        self._site, self._auth, self._skew = site, auth, settings.max_clock_skew
        self._now, self._zone = now, ZoneInfo(site.timezone)
        self._guard = Guard(
            clock,
            rate=settings.rate,
            auth_failures=settings.auth_failures,
            allowed=[network(each) for each in settings.allowed_clients],
        )
        self._commands = RemoteCommands(
            site,
            platform,
            rule=settings.remote_set_server,
            allowed=with_home([Server.parse(each) for each in settings.allowed_servers], home),
            clock=clock,
            now=now,
            replayed=lambda: self.counts.update(["replayed"]),
            fault=self._log.fault,
        )
        self._pictures = Pictures(
            settings.images,
            [each.id for each in site.cabinets],
            site.gantry_id,
            self._zone,
            settings.image_window,
            clock=clock,
            now=now,
            in_thread=in_thread,
        )

    def resource(self) -> IResource:
        """Return what the endpoint serves."""
        return _Entry(self)

    async def serve(self, request: Request) -> None:
        """Answer one request, whatever is in it."""
        client, host = Client(request), host_of(request.getClientAddress())
        try:
            given = await self._take(request, client, host)
        except EtcRefused as refused:
            self._log.refused(refused.code, host, str(refused))
            given = answer(refused.code)
        except Exception:
            self._log.fault(Failure())
            given = answer(EtcCode.UNKNOWN_EXCEPTION)
        if given is None:
            return
        self.counts[f"code-{given.code}"] += 1
        if client.gone:
            self.counts["hung-up"] += 1
        elif request.startedWriting:
            cut(request)  # half a picture cannot become an answer
        else:
            request.setHeader(b"Content-Type", b"application/json; charset=utf-8")
            request.setHeader(b"Cache-Control", b"no-store")
            request.write(given.encode())
            request.finish()

    async def _take(self, request: Request, client: Client, host: str) -> Answer | None:
        """Return the answer; None when a picture was sent instead. Raises EtcRefused."""
        self._guard.admit(host)
        assert request.content is not None  # set once the request is complete
        body = request.content.read()
        headers = {name: header(request, name) for name in (etc.MD5_HEADER, etc.AUTH_HEADER)}
        auth = self._auth.reveal()
        try:
            wanted = etc.check_request(
                body,
                headers,
                auth=auth,
                methods=etc.REMOTE_CONTROL,
                gantry_id=self._site.gantry_id,
                now=self._now(),
                skew=math.inf,  # looked at last, after the method's own fields
            )
        except EtcRefused as refused:
            if refused.code is EtcCode.NOT_ALLOWED:
                raise self._guard.wrong_code(host, refused) from None
            raise
        try:
            if wanted.method is Method.PICTURE:
                picture = decode_picture_request(wanted.fields, self._zone)
                self._commands.check_cabinet(picture.cabinet_id)
                self._check_time(wanted.time_stamp)
                whole = await self._pictures.send(picture, request, client, auth)
                self.counts["picture" if whole else "picture-cut"] += 1
                return None
            is_cabinet = wanted.method is Method.CABINET_CONTROL
            control = decode_control(wanted.fields, cabinet=is_cabinet)
        except BadMessage as error:
            raise EtcRefused(EtcCode.BAD_PARAMETERS, str(error)) from None
        ask = Ask(wanted.method, control, body, f"remotecontrol {host}")
        self._commands.check(ask)
        self._check_time(wanted.time_stamp)
        return await self._commands.run(ask)

    def _check_time(self, time_stamp: int) -> None:
        """Refuse what was signed too long ago, or by another clock. Raises EtcRefused (1003)."""
        off = time_stamp - self._now()
        if abs(off) > self._skew:
            raise EtcRefused(EtcCode.CLOCK_SKEW, f"timeStamp is off by {off:.0f} s")


class _Entry(Resource):
    """The one path; all else is plain HTTP."""

    isLeaf = True

    def __init__(self, control: RemoteControl) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._control = control

    def render(self, request: Request) -> bytes | int:
        """Answer when the outcome is known."""
        if request.path != PATH:
            return respond_error(request, HttpError(404, "not-found", "there is no such path"))
        if request.method != b"POST":
            request.setHeader(b"Allow", b"POST")
            return respond_error(request, HttpError(405, "method-not-allowed", "POST alone"))
        serving = ensureDeferred(self._control.serve(request))
        serving.addErrback(_lost)
        return NOT_DONE_YET


def _lost(failure: Failure) -> None:
    _log.failure("an answer of remotecontrol.do was lost", failure=failure)
