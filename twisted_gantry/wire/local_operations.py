"""The operations of the local HTTP API: what the server routes, and the OpenAPI document shows."""

from functools import partial

from twisted_gantry.wire import local_api as api
from twisted_gantry.wire.local_diagnosis import DiagnoseBody, DiagnosisView
from twisted_gantry.wire.local_registers import RegisterMap
from twisted_gantry.wire.operations import Operation, Parameter, operation

_api = partial(operation, "/api/v1/")

_TEXT = {"type": "string"}
_FLAG = {**_TEXT, "enum": ["0", "1"]}
_MOMENT = {**_TEXT, "description": "RFC 3339 with offset, Unix seconds, or so long ago: 24h"}
_PREFIX = Parameter("prefix", _TEXT)
_ACTIVE = Parameter("active", _FLAG)
_LIMIT = Parameter("limit", {"type": "integer", "minimum": 1, "maximum": api.MAX_LIMIT})

OPERATIONS: tuple[Operation, ...] = (
    operation("/", "getHealth get healthz", api.Health, "Whether the program itself is well"),
    operation("/", "getMetrics get metrics", "text/plain", "Metrics in the format of Prometheus"),
    _api("getSite get site", api.SiteView, "The site, its devices and its uplinks"),
    _api(
        "listPoints get points",
        api.Points,
        "The points whose names begin with `prefix`",
        _PREFIX,
    ),
    _api(
        "getHistory get history",
        api.History,
        "Past values of a point, in at most 2,000 buckets",
        Parameter("point", {"type": "string"}, required=True),
        Parameter("since", _MOMENT),
        Parameter("until", _MOMENT),
        Parameter("step", {"type": "string", "description": "seconds, or a length like 15m"}),
    ),
    _api(
        "listAlarms get alarms",
        api.AlarmList,
        "The alarms of a year, newest first; with `active=1` the active ones, most urgent first",
        _ACTIVE,
        Parameter("since", _MOMENT),
        Parameter("until", _MOMENT),
        _LIMIT,
    ),
    _api(
        "acknowledgeAlarm post alarms/ack",
        api.AlarmView,
        "Note that a person has seen an alarm",
        body=api.AckBody,
    ),
    _api(
        "unacknowledgeAlarm post alarms/unack",
        api.AlarmView,
        "Take an acknowledgement back",
        body=api.UnackBody,
    ),
    _api(
        "shelveAlarm post alarms/shelve",
        api.AlarmView,
        "Call nobody for an alarm for some time; smoke and flood are never muted",
        body=api.ShelveBody,
    ),
    _api(
        "unshelveAlarm post alarms/unshelve",
        api.AlarmView,
        "Call people again for an alarm",
        body=api.UnackBody,
    ),
    _api("listMaintenance get maintenance", api.MaintenanceList, "Devices under maintenance"),
    _api(
        "beginMaintenance post maintenance",
        api.MaintenanceView,
        "Call nobody for the alarms of a device for some time",
        body=api.MaintainBody,
    ),
    _api(
        "endMaintenance delete maintenance",
        api.MaintenanceView,
        "End the maintenance of a device",
        Parameter("device", {"type": "string"}, required=True),
    ),
    _api("listCommands get commands", api.CommandList, "The commands of each device"),
    _api(
        "listInterlocks get interlocks", api.InterlockList, "The interlocks, and where each stands"
    ),
    _api(
        "runCommand post commands",
        api.CommandAnswer,
        "Run a command; the answer comes when its outcome is known",
        body=api.CommandBody,
    ),
    _api(
        "readStream get stream",
        "text/event-stream",
        "Changes as server-sent events, until either side ends the stream",
    ),
    _api("getModbusMap get modbus-map", RegisterMap, "The registers of the Modbus server"),
    _api("listAudit get audit", api.Audit, "The newest entries of the audit", _LIMIT),
    _api(
        "listReports get outbox",
        api.Outbox,
        f"Reports that wait or were set aside; {api.DEFAULT_LIMIT} without a limit",
        Parameter("uplink", {"type": "string"}),
        Parameter("state", {"type": "string", "enum": ["queued", "set-aside"]}),
        Parameter("bodies", _FLAG),
        Parameter("id", {"type": "integer", "minimum": 1}),
        _LIMIT,
    ),
    _api(
        "getDeliveries get deliveries",
        api.DeliveriesView,
        "What became of the reports of the last day, by uplink",
    ),
    _api(
        "retryReports post outbox/retry",
        api.Retried,
        "Queue reports again that were set aside",
        body=api.RetryBody,
    ),
    _api(
        "dropReports post outbox/drop",
        api.Dropped,
        "Give up reports that were set aside",
        body=api.DropBody,
        role="admin",
    ),
    _api("getWhoAmI get whoami", api.WhoAmI, "Who asks, and with which role"),
    _api("listUsers get users", api.Users, "Who may come in, without any secret", role="admin"),
    _api(
        "testNotify post notify/test",
        api.NotifyTested,
        "Send a test message to a target; the answer comes when its outcome is known",
        body=api.NotifyTestBody,
    ),
    _api(
        "diagnose post diagnose",
        DiagnosisView,
        "Try the way to a device or an uplink: name, connection, TLS, one exchange",
        body=DiagnoseBody,
    ),
    _api(
        "getDiagnosis get diagnose",
        DiagnosisView,
        "The last diagnosis of a device or an uplink, also one that runs",
        Parameter("name", {"type": "string"}, required=True),
    ),
    *(
        _api(
            f"export{what.capitalize()} get export/{what}",
            ("text/csv", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
            f"{text} as CSV or as a workbook",
            Parameter("format", {**_TEXT, "enum": ["csv", "xlsx"]}),
            Parameter("since", _MOMENT),
            Parameter("until", _MOMENT),
            *more,
            Parameter("lang", {**_TEXT, "enum": ["en", "zh"]}),
        )
        for what, text, more in (
            ("points", "A row a time, a column a point", (Parameter("step", _TEXT), _PREFIX)),
            ("alarms", "The alarms that were raised in a time", ()),
            ("audit", "The audit of a time", ()),
            ("reports", "The stored reports of a time, with their bodies", ()),
        )
    ),
    _api(
        "backUp post backup",
        "application/vnd.sqlite3",
        "A copy of the store as of now, or of the history",
        body=api.BackupBody,
        role="admin",
    ),
)
