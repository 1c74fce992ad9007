"""The operations of the HTTP API of the centre: server, OpenAPI document and roles come of them."""

from functools import partial

from twisted_gantry.wire import centre_api as api
from twisted_gantry.wire import centre_orders as orders
from twisted_gantry.wire.local_api import MAX_LIMIT, NotifyTestBody, NotifyTested
from twisted_gantry.wire.operations import Operation, Parameter, operation

_api = partial(operation, "/api/v1/")

_TEXT = {"type": "string"}
_FLAG = {**_TEXT, "enum": ["0", "1"]}
_MOMENT = {**_TEXT, "description": "RFC 3339 with offset, or Unix seconds"}
_LIMIT = Parameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT})
_AFTER = Parameter("after", {**_TEXT, "description": "`after` of the page before"})
_PAGE = (_LIMIT, _AFTER)
_TIMES = (Parameter("since", _MOMENT), Parameter("until", _MOMENT))
_ROAD, _SECTION = Parameter("road", _TEXT), Parameter("section", _TEXT)
_GANTRY = Parameter("gantry", _TEXT)
_FORMAT = Parameter("format", {**_TEXT, "enum": ["csv", "xlsx"]})
_LANGUAGE = Parameter("lang", {**_TEXT, "enum": ["en", "zh"]})
_TABLE = ("text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet")
_STATE = Parameter(
    "state",
    {
        **_TEXT,
        "enum": [*api.GANTRY_STATES, "pending"],
        "description": "pending: those that wait for a person",
    },
)

EXPORTS = ("gantries", "template", "alarms", "incidents", "reports", "audit")
"""Tables that are sent as CSV or as a workbook."""

OPERATIONS: tuple[Operation, ...] = (
    operation("/", "getHealth get healthz", api.CentreHealth, "Whether the process itself is well"),
    operation("/", "getMetrics get metrics", "text/plain", "Metrics in the format of Prometheus"),
    _api("getOverview get overview", api.Overview, "Gantries by state, incidents, the ledger"),
    _api(
        "listGantries get gantries",
        api.GantryList,
        "The gantries that match all arguments; those without a value come last",
        _STATE,
        _ROAD,
        _SECTION,
        Parameter("q", {**_TEXT, "description": "part of an id, a name or a stake"}),
        Parameter("mainsOff", _FLAG),
        Parameter("sort", {**_TEXT, "enum": list(api.SORTS)}),
        *_PAGE,
    ),
    _api("getGantry get gantries/{id}", api.GantryView, "A gantry"),
    _api(
        "putGantry put gantries/{id}",
        api.GantryView,
        "Add a gantry to the registry, or change its entry",
        body=api.GantryBody,
        role="admin",
    ),
    _api(
        "deleteGantry delete gantries/{id}",
        api.GantryView,
        "Remove a gantry from the registry; its reports stay until they are old",
        role="admin",
    ),
    _api(
        "importGantries post gantries/import",
        api.Imported,
        "Add and change the gantries of a CSV file or a workbook, which is the body",
        Parameter("dryRun", _FLAG),
        body=_TABLE,
        role="admin",
    ),
    _api(
        "approveGantries post gantries/approve",
        api.Approved,
        "Let gantries in that registered themselves",
        body=api.ApproveBody,
        role="admin",
    ),
    _api(
        "listReports get gantries/{id}/reports",
        api.ReportsOfGantry,
        "The stored reports of a gantry, newest first",
        Parameter("method", _TEXT),
        *_TIMES,
        *_PAGE,
    ),
    _api(
        "listIncidents get incidents",
        api.IncidentList,
        "Incidents, the most urgent first; with `active=1` those that last",
        Parameter("active", _FLAG),
        _ROAD,
        _SECTION,
        *_TIMES,
        *_PAGE,
    ),
    _api("getIncident get incidents/{id}", api.IncidentView, "An incident"),
    _api(
        "listAlarms get alarms",
        api.GantryAlarms,
        "The alarms of a year, newest first; with `active=1` those that last",
        Parameter("active", _FLAG),
        _GANTRY,
        _ROAD,
        _SECTION,
        Parameter("incident", _TEXT),
        *_TIMES,
        *_PAGE,
    ),
    _api(
        "acknowledgeAlarm post alarms/ack",
        api.GantryAlarms,
        "Note that a person has seen an alarm, or all of an incident",
        body=api.AcknowledgeBody,
    ),
    _api(
        "unacknowledgeAlarm post alarms/unack",
        api.GantryAlarms,
        "Take an acknowledgement back",
        body=api.UnmuteBody,
    ),
    _api(
        "shelveAlarm post alarms/shelve",
        api.GantryAlarms,
        "Call nobody for some time; smoke and flood are never muted",
        body=api.ShelveAlarmBody,
    ),
    _api(
        "unshelveAlarm post alarms/unshelve",
        api.GantryAlarms,
        "Call people again",
        body=api.UnmuteBody,
    ),
    _api("listMaintenance get maintenance", api.PlaceMaintenances, "Where people work"),
    _api(
        "beginMaintenance post maintenance",
        api.PlaceMaintenance,
        "Call nobody for a gantry, a road or a section for some time",
        body=api.MaintainPlaceBody,
    ),
    _api(
        "endMaintenance delete maintenance",
        api.PlaceMaintenance,
        "End the maintenance of a gantry, a road or a section",
        _GANTRY,
        _ROAD,
        _SECTION,
    ),
    _api("listCommands get commands", orders.OrderList, "The commands, newest first", *_PAGE),
    _api("listMethods get commands/methods", orders.MethodList, "What may be ordered"),
    _api(
        "previewCommand post commands/preview",
        orders.OrderPreview,
        "What a command would do",
        body=orders.OrderBody,
    ),
    _api(
        "runCommand post commands",
        orders.OrderTaken,
        "Order a command of gantries; 202, and the outcomes come one by one",
        body=orders.OrderBody,
        status=202,
    ),
    _api(
        "getCommand get commands/{id}",
        orders.OrderView,
        "A command, and page by page its outcome at each gantry",
        *_PAGE,
    ),
    _api("getLedger get ledger", api.CentreLedger, "The ledger of reports", _TIMES[0]),
    _api(
        "listRefusals get refusals",
        api.RefusedList,
        "Who was refused at `monitor.do`, why, and when last",
        _GANTRY,
        _LIMIT,
    ),
    _api(
        "listCards get cards",
        orders.CardsList,
        "The white lists, and which gantry has which",
        _ROAD,
        *_PAGE,
    ),
    _api("putCards put cards", orders.CardsView, "Set a white list", body=orders.CardsBody),
    _api(
        "importCards post cards/import",
        orders.CardsView,
        "Set a white list by a CSV file or a workbook, which is the body",
        _ROAD,
        Parameter("version", _TEXT),
        body=_TABLE,
    ),
    _api(
        "getPicture get pictures/{gantry}",
        ("image/jpeg", "application/octet-stream", "application/json"),
        "The picture of a door that opened `at` a time; without `at` the list of those kept here",
        Parameter("at", {**_MOMENT, "description": "when the door opened"}),
        Parameter("cabinet", _TEXT),
    ),
    _api(
        "listChannels get channels",
        orders.ChannelsList,
        "The gantries with a Fogslink device",
        _ROAD,
        *_PAGE,
    ),
    _api("getChannels get channels/{gantry}", orders.ChannelValues, "The channels of a gantry"),
    _api(
        "setChannel post channels/{gantry}",
        orders.OrderTaken,
        "Set the period or the type of a channel; 202, and its outcome stands with the channels",
        body=orders.SetChannelBody,
        status=202,
    ),
    _api(
        "readStream get stream",
        "text/event-stream",
        "Changes as server-sent events, until either side ends the stream",
    ),
    _api("listAudit get audit", api.CentreAudit, "The audit, newest first", *_TIMES, *_PAGE),
    _api("getWhoAmI get whoami", api.CentrePerson, "Who asks, with which role and roads"),
    _api("listUsers get users", api.CentreUsers, "Who may come in", role="admin"),
    _api(
        "testNotify post notify/test",
        NotifyTested,
        "Send a test message to a target; the answer comes when its outcome is known",
        body=NotifyTestBody,
    ),
    *(
        _api(
            f"export{what.capitalize()} get export/{what}",
            _TABLE,
            f"The {what} as CSV or as a workbook",
            _FORMAT,
            _LANGUAGE,
            *more,
        )
        for what, more in (
            ("gantries", (_STATE, _ROAD, _SECTION, Parameter("q", _TEXT))),
            ("template", ()),
            ("alarms", (_GANTRY, _ROAD, *_TIMES)),
            ("incidents", (_ROAD, *_TIMES)),
            ("reports", (Parameter("gantry", _TEXT, required=True), *_TIMES)),
            ("audit", _TIMES),
        )
    ),
)
EVENTS: dict[str, type] = {
    "overview": api.Overview,
    "gantry": api.GantryView,
    "incident": api.IncidentView,
    "gone": api.Gone,
}
"""Events of the stream beside `snapshot` and `live`, which are those of the gantry's."""
