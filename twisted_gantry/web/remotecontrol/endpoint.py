"""`remotecontrol.do`: the ETC platform commands the gantry.

Source: the ETC document, sections 1.4 to 1.8, 2.2, 3.2 and 3.3; decisions:
`docs/protocols/etc-gantry.md`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated
from zoneinfo import ZoneInfo

from klein import Klein
from msgspec import Meta, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Request

from twisted_gantry.core.interfaces import IPlatform
from twisted_gantry.core.lasting import lasting
from twisted_gantry.core.site import Site
from twisted_gantry.net.http.file_stream import Client
from twisted_gantry.net.http.server import WORK, Limits, cut
from twisted_gantry.net.threads import InThread
from twisted_gantry.web.entry_point import EntryPoint, EntrySettings, encoded
from twisted_gantry.web.remotecontrol.cameras import picture_below
from twisted_gantry.web.remotecontrol.commands import Ask, RemoteCommands, Steered
from twisted_gantry.web.remotecontrol.pictures import Pictures
from twisted_gantry.web.remotecontrol.servers import Rule, Server, ServerPolicy
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.commands import decode_control, decode_picture_request
from twisted_gantry.wire.etc.envelope import Answer, EtcCode, EtcRefused, Method
from twisted_gantry.wire.secret import Secret

PATH = "/remotecontrol.do"
LIMITS = Limits(
    body=etc.MAX_BODY,
    deadline=10.0,
    idle=60.0,
    connections=512,
    per_address=256,
    reserved=128,
    work=WORK,
)


class RemoteControlSettings(EntrySettings, frozen=True, kw_only=True):
    """The keys of `[remotecontrol]`. `max_clock_skew` and `image_window` are seconds,
    `auth_failures` wrong codes of one address in 60 s (0: no bound). `auth` None is the code of the
    uplink.
    """

    auth: Secret | None = None
    max_clock_skew: Annotated[float, Meta(ge=1, le=31_536_000)] = 300.0
    auth_failures: Annotated[int, Meta(ge=0, le=1000)] = 10
    remote_set_server: Rule = "listed"
    allowed_servers: list[str] = field(default_factory=list)
    images: str = ""
    image_window: Annotated[float, Meta(ge=0, le=3600)] = 10.0


def wrong_servers(servers: Sequence[str]) -> str:
    """Return what is wrong with `allowed_servers`, empty if nothing is."""
    wrong = [repr(text[:100]) for text in servers if not _is_server(text)]
    return f"no host, host:port or URL: {', '.join(wrong)}" if wrong else ""


def _is_server(text: str) -> bool:
    try:
        Server.parse(text)
    except ValueError:
        return False
    return True


def server_policy(settings: RemoteControlSettings | None, home: str) -> ServerPolicy:
    """Return where reports may go; `home` is the URL of the uplink's configuration. Without
    `[remotecontrol]` they go nowhere else. Raises ValueError for wrong settings.
    """
    if settings is None:
        return ServerPolicy(home, "deny")
    allowed = [Server.parse(each) for each in settings.allowed_servers]
    return ServerPolicy(home, settings.remote_set_server, allowed)


@dataclass(frozen=True)
class Commander:
    """A platform that may command: its code, the uplink that it steers, and the name of that.

    `home` is the URL that the configuration has reports go to: they may always be moved back.
    """

    auth: Secret
    platform: IPlatform | None = None
    name: str = ""
    home: str = ""


class RemoteControl:
    """Answers the platforms that may command, each told by its code.

    `now` returns Unix seconds; `in_thread` runs a blocking function. `counts` gains what
    `EntryPoint` counts, `picture`, `picture-cut`, `replayed`, and `hung-up` for clients that left
    before their answer. The HTTP server uses `counts` and `limits`, too. Raises ValueError for
    wrong settings.
    """

    limits = LIMITS
    app = Klein()

    def __init__(
        self,
        settings: RemoteControlSettings,
        site: Site,
        commanders: Sequence[Commander],
        *,
        clock: IReactorTime,
        now: Callable[[], float],
        in_thread: InThread,
    ) -> None:
        self._skew, self._now = settings.max_clock_skew, now
        several = len(commanders) > 1
        self._steered = {
            each.auth: Steered(
                each.platform, server_policy(settings, each.home), each.name if several else ""
            )
            for each in commanders
        }
        self._clock = clock
        self._zone = ZoneInfo(site.timezone)
        self._entry = EntryPoint(
            "remotecontrol.do",
            etc.REMOTE_CONTROL,
            settings,
            codes=[each.auth for each in commanders],
            gantry_id=site.gantry_id,
            auth_failures=settings.auth_failures,
            clock=clock,
            now=now,
        )
        self.counts, self.allowed = self._entry.counts, self._entry.allowed
        self._commands = RemoteCommands(
            site,
            clock=clock,
            now=now,
            skew=settings.max_clock_skew,
            replayed=lambda: self.counts.update(["replayed"]),
            fault=self._entry.log.fault,
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
            below=partial(picture_below, site),
        )

    def resource(self) -> IResource:
        return self._entry.resource(self.app)

    @app.route(PATH, methods=["POST"])
    def serve(self, request: Request) -> Deferred[bytes | None]:
        """Answer one request; what it began goes on when its client leaves."""
        return lasting(self._serve(request))

    async def _serve(self, request: Request) -> bytes | None:
        client = Client(request)

        async def act(wanted: etc.Request, body: bytes, host: str, code: Secret) -> Answer | None:
            try:
                if wanted.method is Method.PICTURE:
                    await self._send_picture(wanted, request, client, code)
                    return None
                return await self._command(wanted, body, host, self._steered[code])
            except BadMessage as error:
                raise EtcRefused(EtcCode.BAD_PARAMETERS, str(error)) from None

        answer = await self._entry.answer(request, client, act)
        if answer is None:
            return None
        if client.gone:
            self.counts["hung-up"] += 1
            return None
        if request.startedWriting:
            cut(request)  # half a picture cannot become an answer
            return None
        return encoded(request, answer)

    async def _send_picture(
        self, wanted: etc.Request, request: Request, client: Client, code: Secret
    ) -> None:
        picture = decode_picture_request(wanted.fields, self._zone)
        self._commands.check_cabinet(picture.cabinet_id)
        self._check_time(wanted.time_stamp)
        whole = await self._pictures.send(picture, request, client, code.reveal())
        self.counts["picture" if whole else "picture-cut"] += 1

    async def _command(
        self, wanted: etc.Request, body: bytes, host: str, steered: Steered
    ) -> Answer:
        is_cabinet = wanted.method is Method.CABINET_CONTROL
        control = decode_control(wanted.fields, cabinet=is_cabinet)
        asked = self._clock.seconds()
        who = " ".join(filter(None, ("remotecontrol", host, steered.name)))
        ask = Ask(wanted.method, control, body, who, asked, steered)
        self._commands.check(ask)
        self._check_time(wanted.time_stamp)
        return await self._commands.run(ask)

    def _check_time(self, time_stamp: float | None) -> None:
        """Check the age of a request, last as in the document. Raises EtcRefused (1003)."""
        off = math.inf if time_stamp is None else time_stamp - self._now()
        if abs(off) > self._skew:
            raise EtcRefused(EtcCode.CLOCK_SKEW, f"timeStamp is off by {off:.0f} s")
