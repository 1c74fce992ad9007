"""Our `monitor.do`: cabinets below us upload to it and ask it for the white list.

Source: the ETC document, sections 1.5 to 1.8, 3.1 and 4; decisions: `docs/protocols/etc-gantry.md`,
"Receiving from cabinets below us". We are the platform of these cabinets: the same checks in the
same order, but an upload with a wrong time stamp is taken with our time (1003 is for commands).
"""

from collections.abc import Callable
from typing import Annotated, Any

from klein import Klein
from msgspec import Meta, field
from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import Request

from twisted_gantry.core.interfaces import IEdgeKeeper, IUploader, NotKept, StoreFailed
from twisted_gantry.core.site import Site
from twisted_gantry.core.stored import StoredCard
from twisted_gantry.net.http.file_stream import Client
from twisted_gantry.net.http.server import WORK, Limits
from twisted_gantry.net.outage import Cause, outage
from twisted_gantry.net.turns import each_made, in_turns
from twisted_gantry.web.entry_point import EntryPoint, EntrySettings, encoded
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.answers import trouble_of
from twisted_gantry.wire.etc.computers import LONGEST_ID
from twisted_gantry.wire.etc.envelope import EtcCode, EtcRefused
from twisted_gantry.wire.etc.uploads import reports_of, upload_id
from twisted_gantry.wire.numbers import text
from twisted_gantry.wire.secret import Secret, shown

PATH = "/monitor.do"
LIMITS = Limits(
    body=etc.MAX_BODY, deadline=30.0, connections=128, per_address=32, reserved=64, work=WORK
)
AUTH_FAILURES = 10  # wrong codes of one address in 60 s
_MOST_REPORTS = 16  # cabinets in one upload
# Anybody may cause these, so that they concern only a device at that address.
_OF_STRANGERS = frozenset({EtcCode.NOT_ALLOWED, EtcCode.TOO_FREQUENT})

TakeComputers = Callable[..., None]
"""Takes the fields of a `computerStatusUpdate`, and `clock_good`. Raises ValueError."""

Id = Annotated[str, Meta(pattern=f"^[A-Za-z0-9_-]{{1,{LONGEST_ID}}}$")]


class MonitorSettings(EntrySettings, frozen=True, kw_only=True):
    """The keys of `[monitor]`; `max_clock_skew` is seconds. A cabinet sends two requests in 300 s,
    and one with each alarm. `computers` are the ids of computers that are expected to upload.
    """

    auth: Secret
    max_clock_skew: Annotated[float, Meta(ge=0, le=31_536_000)] = 300.0
    computers: Annotated[list[Id], Meta(max_length=32)] = field(default_factory=list)


def _card(stored: StoredCard) -> etc.Card:
    return etc.Card(stored.card_id, stored.valid_time, stored.invalid_time)


class Monitor:
    """Takes uploads for the devices of `site` that are uploaders. `clock` is for how often an
    address may come, `now` returns Unix seconds. `counts` gains what `EntryPoint` counts, the
    methods by their names, and `clock-skew`. `computers` takes the reports of computers. Raises
    ValueError for an allowed client that is no network.
    """

    limits = LIMITS
    app = Klein()

    def __init__(
        self,
        settings: MonitorSettings,
        site: Site,
        clock: IReactorTime,
        now: Callable[[], float],
        computers: TakeComputers,
    ) -> None:
        self._computers = computers
        self._site, self._skew, self._now = site, settings.max_clock_skew, now
        self._clock = clock
        self._auth = settings.auth
        self._entry = EntryPoint(
            "monitor.do",
            etc.MONITOR,
            settings,
            codes=[settings.auth],
            gantry_id=None,
            auth_failures=AUTH_FAILURES,
            clock=clock,
            now=now,
            forms=True,
            reports=True,
            on_refused=self._refused,
        )
        self.counts, self.allowed = self._entry.counts, self._entry.allowed

    def resource(self) -> IResource:
        return self._entry.resource(self.app)

    @app.route(PATH, methods=["POST"])
    async def serve(self, request: Request) -> bytes | None:
        answer = await self._entry.answer(request, Client(request), self._take)
        return None if answer is None else encoded(request, answer)

    async def _take(
        self, request: etc.Request, body: bytes, host: str, _code: Secret
    ) -> etc.Answer:
        self.counts[request.method.value] += 1
        if request.method is etc.Method.CABINET_STATUS:
            self._take_uploads(request, host)
            await self._edges_kept()
            await self._prove()
            return etc.answer(EtcCode.SUCCESS)
        below = [each.uploads_as[0] for each in self._uploaders()]
        if request.gantry_id not in {etc.same_id(self._site.gantry_id), *below}:
            raise EtcRefused(EtcCode.BAD_PARAMETERS, "an unknown gantryId")
        if request.method is etc.Method.CARDS:
            return await self._cards(request.fields)
        good = self._clock_good(request)
        try:
            self._computers(request.fields, clock_good=good)
        except ValueError as error:
            raise EtcRefused(EtcCode.BAD_PARAMETERS, str(error)[:200]) from None
        self.counts["clock-skew"] += not good
        await self._prove()
        return etc.answer(EtcCode.SUCCESS)

    def _uploaders(self) -> list[IUploader]:
        devices: list[Any] = list(self._site.devices.values())
        return [each for each in devices if IUploader.providedBy(each)]

    def _clock_good(self, request: etc.Request) -> bool:
        stamp = request.time_stamp
        return stamp is not None and abs(stamp - self._now()) <= self._skew

    def _take_uploads(self, request: etc.Request, host: str) -> None:
        """Take the reports of one cabinet or several. Raises EtcRefused if none is taken."""
        refusals = []
        of_gantry = [each.uploads_as for each in self._uploaders()]
        ids = [each[1] for each in of_gantry if each[0] == request.gantry_id]
        reports = reports_of(request.fields, ids)[:_MOST_REPORTS]
        for fields in reports:
            try:
                self._take_upload(request, fields)
            except ValueError as error:
                refusals.append(EtcRefused(EtcCode.BAD_PARAMETERS, str(error)[:200]))
        if len(refusals) == len(reports):
            raise refusals[0] if refusals else EtcRefused(EtcCode.BAD_PARAMETERS, "no report")
        for refused in refusals:
            self._entry.log.refused(refused.code, host, str(refused))

    def _take_upload(self, request: etc.Request, fields: Any) -> None:
        which = (request.gantry_id, upload_id(fields))
        device = next((each for each in self._uploaders() if each.uploads_as == which), None)
        if device is None:
            raise ValueError(f"no device uploads as {str(which)[:80]}")
        good = self._clock_good(request)
        self.counts["clock-skew"] += not good
        try:
            device.uploaded(fields, clock_good=good, repaired=bool(request.repairs))
        except ValueError as error:
            told = str(error)[:200]
            en, zh = f"an upload is refused: {told}", f"上报被拒绝：{told}"
            other = "another cabinet" in told
            cause = Cause.WRONG_IDENTITY if other else Cause.MALFORMED
            device.upload_refused(outage(cause, en=en, zh=zh))
            raise

    def _refused(self, refused: EtcRefused, body: bytes, host: str) -> None:
        """Tell the device that a refused request seems to come from; the log has each refusal."""
        devices = self._uploaders()
        concerned = [each for each in devices if each.host == host]
        if not concerned and refused.code not in _OF_STRANGERS and len(devices) == 1:
            concerned = devices
        came = shown(body, self._auth)
        en = f"an upload from {host} is refused: {refused}; it is {came!r}"
        zh = f"{host} 的上报被拒绝：{refused}；内容为{came!r}"
        reason = outage(Cause(trouble_of(refused.code, refused.why)), en=en, zh=zh)
        for each in concerned:
            each.upload_refused(reason)

    async def _edges_kept(self) -> None:
        """Wait until the edges of an upload are on the disk: 1000 says that they are."""
        uplinks: list[Any] = list(self._site.uplinks.values())
        try:
            for uplink in uplinks:
                if IEdgeKeeper.providedBy(uplink):
                    await uplink.kept()
        except NotKept as error:
            raise EtcRefused(EtcCode.UNKNOWN_EXCEPTION, str(error)) from None

    async def _prove(self) -> None:
        """Raise EtcRefused (1008) unless the disk works. The upload was taken, and what it means is
        told; the cabinet keeps it all the same, and uploads it again.
        """
        try:
            await self._site.store.prove()
        except StoreFailed as error:
            self.counts["not-stored"] += 1
            reason = f"taken, but not kept: {error}"
            raise EtcRefused(EtcCode.UNKNOWN_EXCEPTION, reason) from None

    async def _cards(self, fields: Any) -> etc.Answer:
        current = text(fields.get("curVersion") if isinstance(fields, dict) else None) or ""
        if not (current == etc.NO_VERSION or etc.is_list_version(current)):
            raise EtcRefused(EtcCode.BAD_PARAMETERS, "curVersion is neither 0 nor 14 digits")
        version, stored = await self._site.store.cards()
        if version == etc.NO_VERSION:
            return etc.card_answer(current, None)
        if version <= current:
            return etc.card_answer(current, None)
        cards = await in_turns(self._clock, each_made(_card, stored))
        return etc.card_answer(current, etc.CardList(version, tuple(cards)))
