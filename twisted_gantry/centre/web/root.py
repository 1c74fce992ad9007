"""The web endpoint of the centre: API, metrics and page behind one gate."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.web.resource import IResource

from twisted_gantry.access.gate import Access, Gate, Switch
from twisted_gantry.access.people import User
from twisted_gantry.access.roles import roles_of
from twisted_gantry.centre.control.cards import CardLists
from twisted_gantry.centre.control.desk import CommandDesk
from twisted_gantry.centre.control.pictures import Pictures
from twisted_gantry.centre.interfaces import IReportStore
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.centre.web import openapi
from twisted_gantry.centre.web.api import CentreApi, Handler
from twisted_gantry.centre.web.call import Call
from twisted_gantry.centre.web.channels import ChannelAnswers
from twisted_gantry.centre.web.cursors import Cursors
from twisted_gantry.centre.web.exports import Exports
from twisted_gantry.centre.web.gantries import Gantries
from twisted_gantry.centre.web.importing import Importing
from twisted_gantry.centre.web.incidents import Incidents
from twisted_gantry.centre.web.lists import Lists, PictureFiles
from twisted_gantry.centre.web.metrics import CentreMetrics
from twisted_gantry.centre.web.orders import Orders
from twisted_gantry.centre.web.overview import Overviews, OwnFaults, Reasons
from twisted_gantry.centre.web.people import People, Tests
from twisted_gantry.centre.web.stream import Streams
from twisted_gantry.centre.web.views import Views
from twisted_gantry.net.histogram import Histogram
from twisted_gantry.net.http.static_files import StaticPage
from twisted_gantry.net.threads import InThread
from twisted_gantry.net.times import times_in
from twisted_gantry.wire.centre_operations import EXPORTS, OPERATIONS
from twisted_gantry.wire.secret import Secret

BODY = 16 * 1024 * 1024
"""Bytes of a body: a workbook of the registry, or a white list of 100,000 cards. For `Limits`."""


@dataclass(frozen=True, kw_only=True)
class CentreParts:
    """What the web of the centre talks to. `now` returns Unix seconds, `token` hexadecimal digits
    that never come again, `reasons` why the process is not well, `own` its
    faults that the database does not have. `targets` send test messages.
    `histograms` are what the process measures, in seconds. Changes of the registry are answered
    `known_after` seconds after their commit.
    """

    store: IReportStore
    sealing: Sealing
    desk: CommandDesk
    cards: CardLists
    pictures: Pictures
    clock: IReactorTime
    now: Callable[[], float]
    token: Callable[[], str]
    in_thread: InThread
    reasons: Reasons = lambda: ((), ())
    own: OwnFaults = tuple
    targets: Tests = field(default_factory=dict)
    histograms: Mapping[str, Callable[[], Histogram | None]] = field(default_factory=dict)
    name: str = ""
    timezone: str = "Asia/Shanghai"
    version: str = ""
    role: str = "all"
    known_after: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """Who may come in: the arguments of `Access`; `hashing` is its `in_thread`."""

    password: Secret | None = None
    token: Secret | None = None
    viewer_password: Secret | None = None
    viewer_token: Secret | None = None
    users: Sequence[User] = ()
    hashing: InThread


@dataclass(frozen=True)
class CentreWeb:
    """The resource, and the streams: a service that the caller starts and stops."""

    resource: IResource
    streams: Streams


def centre_web(
    parts: CentreParts,
    entrance: Entrance,
    http_counts: dict[str, Counter[str]],
    page: StaticPage | None = None,
) -> CentreWeb:
    """Return the web. `http_counts` are the counts of HTTP servers by name; `gate` is added here.

    Raises ValueError for an empty secret or a broken hash, ZoneInfoNotFoundError for an unknown
    time zone.
    """
    access = Access(
        entrance.password,
        entrance.token,
        viewer_password=entrance.viewer_password,
        viewer_token=entrance.viewer_token,
        users=entrance.users,
        clock=parts.clock,
        in_thread=entrance.hashing,
        needed_role=roles_of(OPERATIONS),
    )
    http_counts["gate"] = access.counts
    views = Views(times_in(parts.timezone))
    overviews = Overviews(
        parts.store,
        views,
        name=parts.name,
        version=parts.version,
        role=parts.role,
        reasons=parts.reasons,
        own=parts.own,
    )
    streams = Streams(parts.store, views, overviews, parts.clock, parts.token)
    metrics = CentreMetrics(
        parts.store,
        version=parts.version,
        role=parts.role,
        http_counts=http_counts,
        histograms=parts.histograms,
        streams=streams,
    )
    handlers = _handlers(parts, access.users, views, overviews, streams)
    handlers["getMetrics"] = metrics.answer
    api = CentreApi(handlers, Cursors(parts.sealing), openapi.document(parts.version))
    served: IResource = api.app.resource()
    switched: dict[bytes, IResource] = {}
    if page is not None:
        files: IResource = page.app.resource()
        switched = {name.encode(): files for name in page.first_parts}
    return CentreWeb(Gate(access, Switch(switched, served)), streams)


def _known(parts: CentreParts, change: Handler) -> Handler:
    """Return a handler that answers once the fronts know of the change."""

    async def answer(call: Call) -> Any:
        answered = await change(call)
        if parts.known_after:
            await deferLater(parts.clock, parts.known_after)
        return answered

    return answer


def _handlers(
    parts: CentreParts,
    users: Sequence[User],
    views: Views,
    overviews: Overviews,
    streams: Streams,
) -> dict[str, Handler]:
    store, time = parts.store, views.time
    gantries = Gantries(store, parts.sealing, views)
    incidents = Incidents(store, views)
    orders = Orders(parts.desk, time)
    lists = Lists(parts.cards, time)
    channels = ChannelAnswers(store, time)
    people = People(store, views, users, parts.targets)
    exports = Exports(store, parts.timezone, parts.now, parts.clock, parts.in_thread)
    return {
        "getHealth": overviews.health,
        "getOverview": overviews.overview,
        "getLedger": overviews.ledger,
        "listRefusals": overviews.refusals,
        "listGantries": gantries.listed,
        "getGantry": gantries.one,
        "putGantry": _known(parts, gantries.put),
        "deleteGantry": _known(parts, gantries.delete),
        "importGantries": _known(parts, Importing(store, parts.sealing, parts.in_thread).take),
        "approveGantries": _known(parts, gantries.approve),
        "listReports": gantries.reports,
        "listIncidents": incidents.incidents,
        "getIncident": incidents.incident,
        "listAlarms": incidents.alarms,
        "acknowledgeAlarm": incidents.acknowledge,
        "unacknowledgeAlarm": incidents.unacknowledge,
        "shelveAlarm": incidents.shelve,
        "unshelveAlarm": incidents.unshelve,
        "listMaintenance": incidents.maintenance,
        "beginMaintenance": incidents.begin_maintenance,
        "endMaintenance": incidents.end_maintenance,
        "listCommands": orders.listed,
        "listMethods": orders.methods,
        "previewCommand": orders.preview,
        "runCommand": orders.submit,
        "getCommand": orders.one,
        "listCards": lists.read,
        "putCards": lists.put,
        "importCards": lists.importing,
        "getPicture": PictureFiles(store, parts.pictures, time).read,
        "listChannels": channels.listed,
        "getChannels": channels.one,
        "setChannel": channels.set_channel,
        "readStream": streams.read,
        "listAudit": people.audit,
        "getWhoAmI": people.whoami,
        "listUsers": people.users,
        "testNotify": people.test_notify,
        **{f"export{what.capitalize()}": exports.send for what in EXPORTS},
    }
