"""The operations of the local HTTP API: what the server routes, and the OpenAPI document shows."""

from typing import Any

import msgspec

from twisted_gantry.wire.local_api import (
    DEFAULT_LIMIT,
    MAX_LIMIT,
    AlarmList,
    Audit,
    BackupBody,
    CommandAnswer,
    CommandBody,
    CommandList,
    DropBody,
    Dropped,
    Health,
    History,
    Outbox,
    Points,
    Retried,
    RetryBody,
    SiteView,
)


class Parameter(msgspec.Struct, frozen=True):
    """A query argument; `schema` is JSON Schema."""

    name: str
    schema: dict[str, Any]
    required: bool = False


class Operation(msgspec.Struct, frozen=True):
    """One operation over HTTP; `answer` is a type of JSON answers, or another media type."""

    id: str
    method: str
    path: str
    answer: Any
    summary: str
    parameters: tuple[Parameter, ...]
    body: type[msgspec.Struct] | None


def operation(
    id: str,  # noqa: A002
    call: str,
    answer: Any,
    summary: str,
    *parameters: Parameter,
    body: type[msgspec.Struct] | None = None,
) -> Operation:
    """Return the operation of a `call` such as `get /healthz`."""
    method, path = call.split(" ")
    return Operation(id, method, path, answer, summary, parameters, body)


_FLAG = {"type": "string", "enum": ["0", "1"]}
_MOMENT = {
    "type": "string",
    "description": "RFC 3339 with offset, Unix seconds, or so long ago: 24h",
}
_LIMIT = Parameter("limit", {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT})

OPERATIONS: tuple[Operation, ...] = (
    operation("getHealth", "get /healthz", Health, "Whether the program itself is well"),
    operation("getMetrics", "get /metrics", "text/plain", "Metrics in the format of Prometheus"),
    operation("getSite", "get /api/v1/site", SiteView, "The site, its devices and its uplinks"),
    operation(
        "listPoints",
        "get /api/v1/points",
        Points,
        "The points whose names begin with `prefix`",
        Parameter("prefix", {"type": "string"}),
    ),
    operation(
        "getHistory",
        "get /api/v1/history",
        History,
        "Past values of a point, in at most 2,000 buckets",
        Parameter("point", {"type": "string"}, required=True),
        Parameter("since", _MOMENT),
        Parameter("until", _MOMENT),
        Parameter("step", {"type": "string", "description": "seconds, or a length like 15m"}),
    ),
    operation(
        "listAlarms",
        "get /api/v1/alarms",
        AlarmList,
        "The alarms, newest first",
        Parameter("active", _FLAG),
        _LIMIT,
    ),
    operation("listCommands", "get /api/v1/commands", CommandList, "The commands of each device"),
    operation(
        "runCommand",
        "post /api/v1/commands",
        CommandAnswer,
        "Run a command; the answer comes when its outcome is known",
        body=CommandBody,
    ),
    operation(
        "readStream",
        "get /api/v1/stream",
        "text/event-stream",
        "Changes as server-sent events, until either side ends the stream",
    ),
    operation("listAudit", "get /api/v1/audit", Audit, "The newest entries of the audit", _LIMIT),
    operation(
        "listReports",
        "get /api/v1/outbox",
        Outbox,
        f"Reports that wait or were set aside; {DEFAULT_LIMIT} without a limit",
        Parameter("uplink", {"type": "string"}),
        Parameter("state", {"type": "string", "enum": ["queued", "set-aside"]}),
        Parameter("bodies", _FLAG),
        _LIMIT,
    ),
    operation(
        "retryReports",
        "post /api/v1/outbox/retry",
        Retried,
        "Queue reports again that were set aside",
        body=RetryBody,
    ),
    operation(
        "dropReports",
        "post /api/v1/outbox/drop",
        Dropped,
        "Give up reports that were set aside",
        body=DropBody,
    ),
    operation(
        "backUp",
        "post /api/v1/backup",
        "application/vnd.sqlite3",
        "A copy of the store as of now, or of the history",
        body=BackupBody,
    ),
)
