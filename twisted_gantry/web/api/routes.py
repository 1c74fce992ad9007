"""The local API: JSON over HTTP for `gantryctl`, the status page and other programs.

Questions and answers are the types of `wire/local_api.py`, made in `views.py`.
"""

from collections.abc import Callable

from klein import Klein
from msgspec import UnsetType
from twisted.internet.defer import Deferred
from twisted.web.server import Request

from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.commands import door as commands
from twisted_gantry.core.interfaces import IHistory
from twisted_gantry.core.lasting import lasting
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import State
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.net.http.json import (
    HttpError,
    argument,
    handle_errors,
    refuse_foreign_origin,
    respond,
)
from twisted_gantry.web.api import openapi, views
from twisted_gantry.web.api.audited import who_asks
from twisted_gantry.web.api.bodies import flag_of, limit_of, read_body
from twisted_gantry.web.api.history import HistoryView
from twisted_gantry.web.api.maintenance import Maintenance
from twisted_gantry.web.api.set_aside import change_set_aside, check_uplink, uplinks_meant
from twisted_gantry.web.api.stream import Stream
from twisted_gantry.wire.local_api import (
    AlarmList,
    Audit,
    CommandAnswer,
    CommandBody,
    CommandList,
    DeviceCommands,
    Health,
    Outbox,
    Points,
    Retried,
    RetryBody,
    SiteView,
)


class LocalApi:
    """Answers for one site.

    `now` returns Unix seconds; `health` what is wrong with the program itself, a text each.
    """

    app = Klein()
    app.url_map.merge_slashes = False  # a path with an empty part is unknown, not redirected

    def __init__(
        self,
        site: Site,
        history: IHistory,
        now: Callable[[], float],
        version: str,
        health: Callable[[], list[str]],
        stream: Stream | None = None,
        maintenance: Maintenance | None = None,
    ) -> None:
        self._site, self._now, self._version, self._health = site, now, version, health
        self._stream, self._maintenance = stream, maintenance
        self._time = views.times_in(site.timezone)
        self._history = HistoryView(site.points, history, now, self._time)
        self._ledgers = views.Ledgers(site)

    @app.route("/healthz", methods=["GET"])
    def healthz(self, request: Request) -> bytes:
        """Return `{"status": "ok"|"failing", "reasons", "notes"}`, 200 or 503."""
        site = self._site
        failing = [a.en for a in site.alarms.active("store") if a.severity is Severity.CRITICAL]
        reasons = [*self._health(), *failing]
        # A device or a platform that is offline is no failure of this program: a restart, which is
        # what a 503 is for, would mend nothing. It is worth a note.
        statuses = [each.status for each in site.devices.values()]
        statuses += [each.status for each in site.uplinks.values()]
        notes = [f"{s.name} is offline" for s in statuses if s.state is State.OFFLINE]
        notes += [alarm.en for alarm in site.alarms.active("gantry")]
        status = "failing" if reasons else "ok"
        return respond(request, Health(status, reasons, notes), 503 if reasons else 200)

    @app.route("/api/openapi.json", methods=["GET"])
    def openapi(self, request: Request) -> bytes:
        """Return the OpenAPI document of all that the gantry serves."""
        return respond(request, openapi.document(self._version))

    @app.route("/api/v1/site", methods=["GET"])
    async def site(self, request: Request) -> bytes:
        """Return the site, its devices and its uplinks."""
        site, time = self._site, self._time
        ledgers = await self._ledgers.read()
        content = SiteView(
            site.gantry_id,
            [views.device(name, each, time) for name, each in site.devices.items()],
            [views.uplink(name, each, ledgers[name], time) for name, each in site.uplinks.items()],
            site.name,
            self._version,
            time(site.started_at),
        )
        return respond(request, content)

    @app.route("/api/v1/points", methods=["GET"])
    def points(self, request: Request) -> bytes:
        """Return the points whose names begin with `prefix`, in the order of the catalogue."""
        points, time = self._site.points, self._time
        found = points.under(argument(request, "prefix"))
        content = [views.point(each, points.catalogue[each.name], time) for each in found]
        return respond(request, Points(content))

    @app.route("/api/v1/history", methods=["GET"])
    async def history(self, request: Request) -> bytes:
        """Return what a point was, in at most 2,000 buckets."""
        return respond(request, await self._history.read(request))

    @app.route("/api/v1/alarms", methods=["GET"])
    def alarms(self, request: Request) -> bytes:
        """Return the alarms, newest first; with `active=1` those that are not cleared.

        `limit` may bound how many; without it, all that are remembered.
        """
        only_active = flag_of(request, "active")
        found = [each for each in self._site.alarms.all() if each.active or not only_active]
        if argument(request, "limit"):
            found = found[: limit_of(request)]
        return respond(request, AlarmList([views.alarm(each, self._time) for each in found]))

    @app.route("/api/v1/stream", methods=["GET"])
    def stream(self, request: Request) -> bytes | Deferred[bytes]:
        """Return what changes, as server-sent events, for as long as the client stays."""
        if self._stream is None:
            raise HttpError(404, "not-found", "there is no stream here")
        return self._stream.read(request)

    @app.route("/api/v1/commands", methods=["GET"])
    def commands(self, request: Request) -> bytes:
        """Return which device can do what."""
        devices = [
            DeviceCommands(
                name, [views.command(each, kind) for each, kind in device.commands.items()]
            )
            for name, device in self._site.devices.items()
        ]
        return respond(request, CommandList(devices))

    @app.route("/api/v1/commands", methods=["POST"])
    async def run_command(self, request: Request) -> bytes:
        """Do a command and return `{"id", "result", "detail", "value"}` when its outcome is known.

        Every outcome is a 200, also `refused` for a target or a command that there is not: the
        question was understood, and the answer is in the audit. A client that goes away does not
        stop the command.
        """
        refuse_foreign_origin(request)
        body = read_body(request, CommandBody)
        wish = commands.Request(
            target=body.target,
            command=body.command,
            args=body.args,
            who=who_asks(request),
            id=body.id or self._site.door.new_id(),
            confirmed=body.confirm,
            expiry=commands.EXPIRY if isinstance(body.expires, UnsetType) else body.expires,
        )
        result = await self._site.door.run(wish)
        answer = CommandAnswer(result.result.value, wish.id, result.detail, result.value)
        return respond(request, answer)

    @app.route("/api/v1/audit", methods=["GET"])
    async def audit(self, request: Request) -> bytes:
        """Return the last `limit` entries of the audit, newest first."""
        entries = await self._site.store.audit(limit_of(request))
        content = [views.audit_entry(each, self._time) for each in entries]
        return respond(request, Audit(content))

    @app.route("/api/v1/outbox", methods=["GET"])
    async def outbox(self, request: Request) -> bytes:
        """Return stored reports, oldest first: what waits, what was refused.

        `uplink` and `state` may be left out, and then choose nothing; with `bodies=1` what each
        says is there too, as it would be sent.
        """
        uplink, state = argument(request, "uplink"), argument(request, "state")
        if uplink:
            check_uplink(self._site, uplink)
        if state not in ("", "queued", "set-aside"):
            raise HttpError(400, "bad-state", "state is queued or set-aside")
        limit, bodies = limit_of(request), flag_of(request, "bodies")
        reports = await self._site.store.reports(uplink or None, state or None, limit)
        shown = [views.report(each, self._time, with_body=bodies) for each in reports]
        return respond(request, Outbox(shown))

    @app.route("/api/v1/outbox/retry", methods=["POST"])
    async def retry(self, request: Request) -> bytes:
        """Queue what was set aside again and try now; return `{"retried": <how many>}`."""
        refuse_foreign_origin(request)
        body = read_body(request, RetryBody)
        chosen = uplinks_meant(self._site, body.uplink)
        retried = await lasting(self._retry(chosen, body.ids, who_asks(request)))
        return respond(request, Retried(retried))

    @app.route("/api/v1/outbox/drop", methods=["POST"])
    async def drop(self, request: Request) -> bytes:
        """Give up reports that were set aside; return `{"dropped": <how many>}`."""
        return await self._upkeep().drop(request)

    @app.route("/api/v1/backup", methods=["POST"])
    async def backup(self, request: Request) -> None:
        """Send a copy of the store, or of the history: an SQLite database."""
        await self._upkeep().backup(request)

    def _upkeep(self) -> Maintenance:
        if self._maintenance is None:
            raise HttpError(404, "not-found", "there is no upkeep here")
        return self._maintenance

    async def _retry(self, uplinks: list[str], ids: list[int] | None, who: str) -> int:
        return sum([await self._retry_one(uplink, ids, who) for uplink in uplinks])

    async def _retry_one(self, uplink: str, ids: list[int] | None, who: str) -> int:
        """Queue an uplink's reports again, with an entry in the audit."""
        site = self._site
        args = {} if ids is None else {"ids": ids}
        entry = AuditEntry(site.door.new_id(), self._now(), who, uplink, "outbox-retry", args)
        retry = site.store.retry_reports
        count = await change_set_aside(site, entry, retry, ids, "reports queued again")
        # Also when nothing was set aside: what waits out a pause is then tried now.
        site.uplinks[uplink].retry()
        return count


handle_errors(LocalApi.app)
