"""The OpenAPI 3.1 document of all that the gantry serves over HTTP, at `/api/openapi.json`.

What a client may send is taken from the types that check it; answers are described here, and the
tests hold what is served against it.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.core.status import State
from twisted_gantry.web.api.bodies import DEFAULT_LIMIT, MOST, CommandBody, RetryBody
from twisted_gantry.web.api.maintenance import BackupBody, DropBody
from twisted_gantry.wire.etc.envelope import (
    AUTH_HEADER,
    FIELDS_KEY,
    MD5_HEADER,
    MONITOR,
    REMOTE_CONTROL,
    VERSION,
    Code,
    Method,
)
from twisted_gantry.wire.etc.reports import Cabinet, Computer
from twisted_gantry.wire.reading import Quality

Json = dict[str, Any]

_REF = "#/components/schemas/{name}"
_TEXT: Json = {"type": "string"}
_WHOLE: Json = {"type": "integer"}
_TIME: Json = {"type": ["string", "null"], "description": "RFC 3339 with offset, milliseconds"}
_COUNT: Json = {"type": ["integer", "null"]}
_VALUE: Json = {"type": ["number", "string", "boolean", "null"]}
_MAP: Json = {"type": "object"}


def _enum(values: Any) -> Json:
    return {"type": "string", "enum": [each.value for each in values]}


def _object(**fields: Json) -> Json:
    """Return an object all of whose fields are always there."""
    return {"type": "object", "properties": fields, "required": list(fields)}


def _list(item: Json) -> Json:
    return {"type": "array", "items": item}


_ERROR = _object(error=_object(code=_TEXT, message=_TEXT))
_LEDGER = _object(
    created=_WHOLE,
    delivered=_WHOLE,
    queued=_WHOLE,
    setAside=_WHOLE,
    dropped=_WHOLE,
    bytes=_WHOLE,
    oldest=_TIME,
)
_DEVICE = _object(
    name=_TEXT, kind=_TEXT, state=_enum(State), since=_TIME, lastError={"type": ["string", "null"]}
)
_UPLINK = _object(
    name=_TEXT,
    state=_enum(State),
    since=_TIME,
    lastError={"type": ["string", "null"]},
    queued=_COUNT,
    setAside=_COUNT,
    lastDelivered=_TIME,
    ledger={"anyOf": [_LEDGER, {"type": "null"}]},
)
_POINT = _object(
    point=_TEXT,
    value=_VALUE,
    unit=_TEXT,
    quality=_enum(Quality),
    at=_TIME,
    label=_object(en=_TEXT, zh=_TEXT),
)
_ALARM = _object(
    alarm=_TEXT,
    source=_TEXT,
    severity=_enum(Severity),
    message=_TEXT,
    messageZh=_TEXT,
    raisedAt=_TIME,
    clearedAt=_TIME,
)
_COMMAND = _object(
    command=_TEXT,
    en=_TEXT,
    zh=_TEXT,
    arguments=_list(
        _object(
            name=_TEXT,
            type=_TEXT,
            required={"type": "boolean"},
            secret={"type": "boolean"},
            choices=_list(_TEXT),
        )
    ),
    danger=_TEXT,
    dangerZh=_TEXT,
    locked=_TEXT,
    lockedZh=_TEXT,
)
_AUDIT = _object(
    id=_TEXT,
    at=_TIME,
    who=_TEXT,
    target=_TEXT,
    command=_TEXT,
    args=_MAP,
    result=_TEXT,
    detail=_TEXT,
)
_REPORT = _object(
    id=_WHOLE,
    uplink=_TEXT,
    kind=_TEXT,
    subject=_TEXT,
    state=_TEXT,
    createdAt=_TIME,
    urgent={"type": "boolean"},
    tries=_WHOLE,
    reason=_TEXT,
    bytes=_WHOLE,
)


_NUMBER: Json = {"type": "number"}
_BUCKET: Json = {
    "type": "array",
    "prefixItems": [_TIME, _NUMBER, _NUMBER, _NUMBER],
    "minItems": 4,
    "maxItems": 4,
}
_MOMENT = _TEXT | {"description": "RFC 3339 with offset, Unix seconds, or so long ago: 24h"}
_LENGTH = _TEXT | {"description": "seconds, or a length like 15m"}


def _query(name: str, schema: Json) -> Json:
    return {"name": name, "in": "query", "required": False, "schema": schema}


_LIMIT = _query("limit", {"type": "integer", "minimum": 1, "maximum": MOST})
_FLAG: Json = {"type": "string", "enum": ["0", "1"]}


def _answer(text: str, schema: Json) -> Json:
    return {"description": text, "content": {"application/json": {"schema": schema}}}


def _get(text: str, schema: Json, *parameters: Json, **more: Json) -> Json:
    responses = {"200": _answer("the answer", schema), "default": _answer("refused", _ERROR)}
    return {"get": {"summary": text, "parameters": list(parameters), "responses": responses | more}}


def _post(text: str, body: str, schema: Json) -> Json:
    content = {"application/json": {"schema": {"$ref": _REF.format(name=body)}}}
    responses = {"200": _answer("the answer", schema), "default": _answer("refused", _ERROR)}
    return {
        "post": {
            "summary": text,
            "requestBody": {"required": True, "content": content},
            "responses": responses,
        }
    }


def _download(text: str, body: str) -> Json:
    """Describe a POST that is answered with an SQLite database."""
    file = {"application/vnd.sqlite3": {"schema": {"type": "string", "format": "binary"}}}
    found = _post(text, body, {})
    found["post"]["responses"]["200"]["content"] = file
    return found


_LOCAL: Json = {
    "/healthz": _get(
        "Whether the program itself is well",
        _object(status=_TEXT, reasons=_list(_TEXT), notes=_list(_TEXT)),
        **{
            "503": _answer(
                "it is not", _object(status=_TEXT, reasons=_list(_TEXT), notes=_list(_TEXT))
            )
        },
    ),
    "/api/v1/site": _get(
        "The site, its devices and its uplinks",
        _object(
            gantryId=_TEXT,
            name=_TEXT,
            version=_TEXT,
            startedAt=_TIME,
            devices=_list(_DEVICE),
            uplinks=_list(_UPLINK),
        ),
    ),
    "/api/v1/points": _get(
        "The points whose names begin with `prefix`",
        _object(points=_list(_POINT)),
        _query("prefix", _TEXT),
    ),
    "/api/v1/history": _get(
        "What a point was, in at most 2,000 buckets: [time, min, mean, max]",
        _object(
            point=_TEXT,
            unit=_TEXT,
            since=_TIME,
            until=_TIME,
            step=_NUMBER,
            samples=_list(_BUCKET),
        ),
        _query("point", _TEXT) | {"required": True},
        _query("since", _MOMENT),
        _query("until", _MOMENT),
        _query("step", _LENGTH),
    ),
    "/api/v1/alarms": _get(
        "The alarms, newest first", _object(alarms=_list(_ALARM)), _query("active", _FLAG), _LIMIT
    ),
    "/api/v1/commands": _get(
        "Which device can do what",
        _object(devices=_list(_object(target=_TEXT, commands=_list(_COMMAND)))),
    )
    | _post(
        "Do a command; the answer comes when its outcome is known",
        "CommandBody",
        _object(id=_TEXT, result=_enum(Outcome), detail=_TEXT, value=_VALUE),
    ),
    "/api/v1/stream": {
        "get": {
            "summary": "What changes, as server-sent events",
            "responses": {
                "200": {
                    "description": "until either side ends it",
                    "content": {"text/event-stream": {"schema": _TEXT}},
                },
                "default": _answer("refused", _ERROR),
            },
        }
    },
    "/api/v1/audit": _get("The newest entries", _object(entries=_list(_AUDIT)), _LIMIT),
    "/api/v1/outbox": _get(
        f"What waits and what was refused; {DEFAULT_LIMIT} without a limit",
        _object(reports=_list(_REPORT)),
        _query("uplink", _TEXT),
        _query("state", {"type": "string", "enum": ["queued", "set-aside"]}),
        _query("bodies", _FLAG),
        _LIMIT,
    ),
    "/api/v1/outbox/retry": _post(
        "Queue again what was set aside", "RetryBody", _object(retried=_WHOLE)
    ),
    "/api/v1/outbox/drop": _post("Give up what was set aside", "DropBody", _object(dropped=_WHOLE)),
    "/api/v1/backup": _download("A copy of the store as of now, or of the history", "BackupBody"),
}

# -- the ETC gantry interface

_STAMP: Json = {"type": "string", "pattern": "^[0-9]{1,12}$", "description": "Unix seconds"}
_SERVER: Json = {"type": "string", "description": "[scheme://]host[:port]/path"}
_STEERING: Mapping[str, Json] = {
    "updateNow": {"type": "string", "enum": ["1"]},
    "setServer": _SERVER,
    "setFrequency": {"type": "string", "pattern": "^[0-9]{1,5}$", "description": "5 to 86400 s"},
}
_COMMANDS: Mapping[str, Json] = {
    "cmd": {"type": "string", "enum": ["1", "2", "3", "4", "5", "6", "8", "9", "10"]},
    "cabinetId": _TEXT,
    "rebootIp": _TEXT,
    "rebootPort": {"type": "string", "pattern": "^[0-9]{1,5}$"},
    "unlockDoorId": {"type": "string", "enum": ["1", "2"]},
    "airId": {"type": "string", "pattern": "^[0-9]{1,2}$"},
    "airOperate": {"type": "string", "enum": ["1", "2"]},
    "autoRefrigerationTemp": _TEXT,
    "autoHeatingTemp": _TEXT,
    "mode": {"type": "string", "enum": ["0", "1", "2", "3"]},
    "isDoorDefend": {"type": "string", "enum": ["0", "1"]},
    "onOff": {"type": "string", "enum": ["0", "1"]},
    "testStartStop": {"type": "string", "enum": ["0", "1"]},
}
_FIELDS: Mapping[Method, Json] = {
    Method.COMPUTER_STATUS: _list({"$ref": _REF.format(name="Computer")}),
    Method.CABINET_STATUS: {"$ref": _REF.format(name="Cabinet")},
    Method.CARDS: {"type": "object", "properties": {"curVersion": _TEXT}},
    Method.COMPUTER_CONTROL: {"type": "object", "properties": dict(_STEERING)},
    Method.CABINET_CONTROL: {"type": "object", "properties": {**_STEERING, **_COMMANDS}},
    Method.PICTURE: {
        "type": "object",
        "properties": {"cabinetId": _TEXT, "doorOpenTime": _TEXT},
        "required": ["doorOpenTime"],
    },
}
_ANSWER: Json = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "enum": [str(code.value) for code in Code]},
        "msg": {"type": "string", "maxLength": 40},
        "data": _MAP,
        "batterysTestResult": _MAP,
    },
    "required": ["code", "msg"],
}


def _envelope(method: Method) -> Json:
    return _object(
        gantryId={"type": "string", "maxLength": 20},
        method={"type": "string", "enum": [method.value]},
        timeStamp=_STAMP,
        version={"type": "string", "enum": [VERSION]},
        **{FIELDS_KEY[method]: _FIELDS[method]},
    )


def _call(text: str, methods: frozenset[Method]) -> Json:
    bodies = [_envelope(method) for method in sorted(methods)]
    headers = [
        {"name": name, "in": "header", "required": True, "schema": _TEXT}
        for name in (MD5_HEADER, AUTH_HEADER)
    ]
    responses: Json = {
        "200": _answer("every answer of the protocol, also a refusal", _ANSWER),
        "default": {"description": "plain HTTP: 405, 408, 413"},
    }
    if Method.PICTURE in methods:
        file = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
        responses["200"]["content"] |= {"image/*": file, "video/*": file}
    return {
        "post": {
            "summary": text,
            "parameters": headers,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"oneOf": bodies}}},
            },
            "responses": responses,
        }
    }


def document(version: str) -> Json:
    """Return the document. `remotecontrol.do` and `monitor.do` listen on ports of their own."""
    _, components = msgspec.json.schema_components(
        [CommandBody, RetryBody, DropBody, BackupBody, Computer, Cabinet], ref_template=_REF
    )
    etc = {
        "/remotecontrol.do": _call("What the ETC platform commands", REMOTE_CONTROL)
        | {"servers": [{"url": "http://127.0.0.1:3699"}]},
        "/monitor.do": _call("What cabinets below us upload", MONITOR)
        | {"servers": [{"url": "http://127.0.0.1:8082"}]},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "twisted_gantry", "version": version},
        "servers": [{"url": "/"}],
        "paths": {**_LOCAL, **etc},
        "components": {"schemas": _portable(components)},
    }


def _portable(schema: Any) -> Any:
    r"""Write what ends a pattern as JSON Schema does: `$`, where Python has `\Z`."""
    if isinstance(schema, dict):
        return {
            key: value.replace(r"\Z", "$")
            if key == "pattern" and isinstance(value, str)
            else _portable(value)
            for key, value in schema.items()
        }
    return [_portable(each) for each in schema] if isinstance(schema, list) else schema
