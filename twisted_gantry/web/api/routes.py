"""The local API: JSON over HTTP for `gantryctl`, the status page and other programs.

Requests and answers are the types of `wire/local_api.py`; `views.py` makes answers from the core.
"""

from collections.abc import Callable, Sequence

from msgspec import UnsetType
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.server import Request

from twisted_gantry.access.gate import IStranger, person_of
from twisted_gantry.access.people import User
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.commands import door as commands
from twisted_gantry.core.commands.types import CommandType
from twisted_gantry.core.diagnosis import Diagnoses
from twisted_gantry.core.interfaces import IHistory, IRegisterMap, StoreFailed
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import State
from twisted_gantry.net.http.app import App
from twisted_gantry.net.http.arguments import flag_of, limit_of, number_of, read_body
from twisted_gantry.net.http.json import (
    HttpError,
    argument,
    handle_errors,
    reads_chinese,
    refuse_foreign_origin,
    respond,
    respond_error,
)
from twisted_gantry.net.times import times_in
from twisted_gantry.web.api import openapi, views
from twisted_gantry.web.api.alarms import AlarmActions
from twisted_gantry.web.api.audited import who_asks
from twisted_gantry.web.api.calling import Calling
from twisted_gantry.web.api.diagnose import DiagnoseView
from twisted_gantry.web.api.export import Exports
from twisted_gantry.web.api.history import HistoryView
from twisted_gantry.web.api.maintenance import Maintenance
from twisted_gantry.web.api.set_aside import SetAside, check_uplink
from twisted_gantry.web.api.stream import Stream
from twisted_gantry.wire import local_api as shapes


class LocalApi:
    """Answers for one site. `now` returns Unix seconds; `health` what is wrong with the program.
    With a `clock`, past values are not waited for without end.
    """

    app = App()
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
        clock: IReactorTime | None = None,
        diagnoses: Diagnoses | None = None,
        users: Sequence[User] = (),
        exports: Exports | None = None,
    ) -> None:
        self._exports = exports
        self._users = users
        self._site, self._now, self._version, self._health = site, now, version, health
        self._stream, self._maintenance = stream, maintenance
        self._time = times_in(site.timezone)
        self._history = HistoryView(site.points, history, now, self._time, clock)
        self._ledgers = views.Ledgers(site)
        self._set_aside = SetAside(site, now)
        self._alarms = AlarmActions(site, now, self._time)
        self._calling = Calling(site, now)
        self._diagnose = DiagnoseView(site, diagnoses, self._time)

    @app.route("/healthz", methods=["GET"])
    def healthz(self, request: Request) -> bytes:
        """Return `{"status": "ok"|"failing", "reasons", "notes"}`, 200 or 503. Strangers get no
        reason and no note.
        """
        site = self._site
        failing = [a.en for a in site.alarms.holding("store") if a.severity is Severity.CRITICAL]
        reasons = [*self._health(), *failing]
        # An offline device or platform is only a note: a 503 asks for a restart of the program,
        # which would not help.
        statuses = [each.status for each in site.devices.values()]
        statuses += [each.status for each in site.uplinks.values()]
        statuses += [each.status for each in site.bridges.values()]
        statuses += [each.status for each in site.notify.values()]
        notes = [f"{s.name} is offline" for s in statuses if s.state is State.OFFLINE]
        notes += [alarm.en for alarm in site.alarms.holding("gantry")]
        status = "failing" if reasons else "ok"
        shown = shapes.Health(status, reasons, notes)
        if IStranger.providedBy(request):
            shown = shapes.Health(status)
        return respond(request, shown, 503 if reasons else 200)

    @app.route("/api/openapi.json", methods=["GET"])
    def openapi(self, request: Request) -> bytes:
        return respond(request, openapi.document(self._version))

    @app.route("/api/v1/site", methods=["GET"])
    async def site(self, request: Request) -> bytes:
        site, time = self._site, self._time
        ledgers = await self._ledgers.read()
        uplinks = site.uplinks.items()
        content = shapes.SiteView(
            gantry_id=site.gantry_id,
            name=site.name,
            version=self._version,
            started_at=time(site.started_at),
            devices=[views.device(name, d, time, site.graph) for name, d in site.devices.items()],
            uplinks=[views.uplink(name, each, ledgers[name], time) for name, each in uplinks],
            notify=[
                views.target(name, each, ledgers[each.status.name], time)
                for name, each in site.notify.items()
            ],
            bridges=[views.bridge(name, each, time) for name, each in site.bridges.items()],
        )
        return respond(request, content)

    @app.route("/api/v1/points", methods=["GET"])
    def points(self, request: Request) -> bytes:
        points, time = self._site.points, self._time
        found = points.under(argument(request, "prefix"))
        content = [views.point(each, points.catalogue[each.name], time) for each in found]
        return respond(request, shapes.Points(content))

    @app.route("/api/v1/history", methods=["GET"])
    async def history(self, request: Request) -> bytes:
        return respond(request, await self._history.read(request))

    @app.route("/api/v1/alarms", methods=["GET"])
    async def alarms(self, request: Request) -> bytes:
        return respond(request, await self._alarms.read(request))

    @app.route("/api/v1/alarms/ack", methods=["POST"])
    async def acknowledge(self, request: Request) -> bytes:
        return respond(request, await self._alarms.acknowledge(request))

    @app.route("/api/v1/alarms/unack", methods=["POST"])
    async def unacknowledge(self, request: Request) -> bytes:
        return respond(request, await self._alarms.unacknowledge(request))

    @app.route("/api/v1/alarms/shelve", methods=["POST"])
    async def shelve(self, request: Request) -> bytes:
        return respond(request, await self._alarms.shelve(request))

    @app.route("/api/v1/alarms/unshelve", methods=["POST"])
    async def unshelve(self, request: Request) -> bytes:
        return respond(request, await self._alarms.unshelve(request))

    @app.route("/api/v1/maintenance", methods=["GET"])
    def maintenance(self, request: Request) -> bytes:
        return respond(request, self._alarms.maintenance())

    @app.route("/api/v1/maintenance", methods=["POST"])
    async def maintain(self, request: Request) -> bytes:
        return respond(request, await self._alarms.maintain(request))

    @app.route("/api/v1/maintenance", methods=["DELETE"])
    async def end_maintenance(self, request: Request) -> bytes:
        return respond(request, await self._alarms.end_maintenance(request))

    @app.route("/api/v1/stream", methods=["GET"])
    def stream(self, request: Request) -> bytes | Deferred[bytes]:
        if self._stream is None:
            raise HttpError(404, "not-found", "there is no stream here")
        return self._stream.read(request)

    @app.route("/api/v1/commands", methods=["GET"])
    def commands(self, request: Request) -> bytes:
        devices = [
            shapes.DeviceCommands(
                name, [views.command(each, kind) for each, kind in device.commands.items()]
            )
            for name, device in self._site.devices.items()
        ]
        return respond(request, shapes.CommandList(devices))

    @app.route("/api/v1/interlocks", methods=["GET"])
    def interlocks(self, request: Request) -> bytes:
        return respond(request, shapes.InterlockList(views.interlocks(self._site)))

    @app.route("/api/v1/commands", methods=["POST"])
    async def run_command(self, request: Request) -> bytes:
        """Run a command, and answer when its outcome is known.

        Raises HttpError (409) for a command that asks and is not confirmed. That is a question:
        nothing is done, and nothing is in the audit.

        Otherwise the status is 200 for each outcome, also for `refused`: the request was
        understood, and the outcome is in the audit. The command goes on when its client
        disconnects.
        """
        refuse_foreign_origin(request)
        body = read_body(request, shapes.CommandBody)
        wish = commands.Request(
            target=body.target,
            command=body.command,
            args=body.args,
            who=who_asks(request),
            id=body.id or self._site.door.new_id(),
            confirmed=body.confirm,
            expiry=commands.EXPIRY if isinstance(body.expires, UnsetType) else body.expires,
        )
        if (asking := self._site.door.question(wish)) is not None:
            raise _confirm_needed(wish, asking)
        result = await self._site.door.run(wish)
        answer = shapes.CommandAnswer(
            id=wish.id,
            result=result.result.value,
            detail=result.detail,
            detail_zh=views.detail_zh(result.detail, is_zh=reads_chinese(request)),
            value=result.value,
        )
        return respond(request, answer)

    @app.route("/api/v1/modbus-map", methods=["GET"])
    def modbus_map(self, request: Request) -> bytes:
        for bridge in self._site.bridges.values():
            if IRegisterMap.providedBy(bridge):
                return respond(request, bridge.registers())
        raise HttpError(404, "no-bridge", "there is no [bridge.modbus]")

    @app.route("/api/v1/audit", methods=["GET"])
    async def audit(self, request: Request) -> bytes:
        entries = await self._site.store.audit(_limit_of(request))
        is_zh = reads_chinese(request)
        content = [views.audit_entry(each, self._time, is_zh=is_zh) for each in entries]
        return respond(request, shapes.Audit(content))

    @app.route("/api/v1/outbox", methods=["GET"])
    async def outbox(self, request: Request) -> bytes:
        """Return stored reports, oldest first: of an `uplink` or all, in a `state` or both.

        With `bodies=1`, each report has its body, as it would be sent, and the answer for which it
        was set aside. With `id`, only that report is returned.
        """
        uplink, state = argument(request, "uplink"), argument(request, "state")
        if uplink:
            check_uplink(self._site, uplink)
        if state not in ("", "queued", "set-aside"):
            raise HttpError(400, "bad-state", "state is queued or set-aside")
        limit, bodies = _limit_of(request), flag_of(request, "bodies")
        number = number_of(request, "id")
        if number is None:
            reports = await self._site.store.reports(uplink or None, state or None, limit)
        else:
            one = await self._site.store.report(number)
            reports = [] if one is None else [one]
        shown = [views.report(each, self._time, with_body=bodies) for each in reports]
        return respond(request, shapes.Outbox(shown))

    @app.route("/api/v1/deliveries", methods=["GET"])
    async def deliveries(self, request: Request) -> bytes:
        return respond(request, await self._history.deliveries(self._site))

    @app.route("/api/v1/outbox/retry", methods=["POST"])
    async def retry(self, request: Request) -> bytes:
        return respond(request, await self._set_aside.retry(request))

    @app.route("/api/v1/outbox/drop", methods=["POST"])
    async def drop(self, request: Request) -> bytes:
        return respond(request, await self._set_aside.drop(request))

    @app.route("/api/v1/notify/test", methods=["POST"])
    async def test_notify(self, request: Request) -> bytes:
        """Send a test message. The status is 200 for each outcome, 404 for an unknown target."""
        return respond(request, await self._calling.test(request))

    @app.route("/api/v1/diagnose", methods=["POST"])
    async def diagnose(self, request: Request) -> bytes:
        return respond(request, await self._diagnose.run(request))

    @app.route("/api/v1/diagnose", methods=["GET"])
    def diagnosis(self, request: Request) -> bytes:
        return respond(request, self._diagnose.last(request))

    @app.route("/api/v1/whoami", methods=["GET"])
    def whoami(self, request: Request) -> bytes:
        person = person_of(request)
        return respond(request, shapes.WhoAmI(person.name, person.role.value))

    @app.route("/api/v1/users", methods=["GET"])
    def users(self, request: Request) -> bytes:
        return respond(request, shapes.Users([views.user(each) for each in self._users]))

    @app.route("/api/v1/export/points", methods=["GET"])
    async def export_points(self, request: Request) -> None:
        await self._export(request, "points")

    @app.route("/api/v1/export/alarms", methods=["GET"])
    async def export_alarms(self, request: Request) -> None:
        await self._export(request, "alarms")

    @app.route("/api/v1/export/audit", methods=["GET"])
    async def export_audit(self, request: Request) -> None:
        await self._export(request, "audit")

    @app.route("/api/v1/export/reports", methods=["GET"])
    async def export_reports(self, request: Request) -> None:
        await self._export(request, "reports")

    async def _export(self, request: Request, what: str) -> None:
        if self._exports is None:
            raise HttpError(404, "not-found", "there are no exports here")
        await self._exports.send(request, what)

    @app.route("/api/v1/backup", methods=["POST"])
    async def backup(self, request: Request) -> None:
        if self._maintenance is None:
            raise HttpError(404, "not-found", "there is no backup here")
        await self._maintenance.backup(request)


def _limit_of(request: Request) -> int:
    return limit_of(request, shapes.DEFAULT_LIMIT, shapes.MAX_LIMIT)


def _confirm_needed(wish: commands.Request, kind: CommandType) -> HttpError:
    """Return the question of a command, in both languages."""
    return HttpError(
        409,
        "confirm-needed",
        f"{wish.command} on {wish.target} {kind.danger}; it needs confirm: true",
        f"在 {wish.target} 上执行 {wish.command}：{kind.danger_zh or kind.danger}。"
        "确认执行须带 confirm: true",
    )


@LocalApi.app.handle_errors(StoreFailed)
def _store_failed(self: object, request: IRequest, failure: Failure) -> bytes:
    """Answer 503 with what is wrong with the disk: nothing was done."""
    return respond_error(request, HttpError(503, "store-failed", failure.getErrorMessage()))


handle_errors(LocalApi.app)
