"""The OpenAPI 3.1 document of all that the gantry serves over HTTP, at `/api/openapi.json`.

It is made from the types and operations in `wire/local_api.py`, `wire/local_operations.py` and
`wire/twin_api.py`. The ETC interface is added here; docs/protocols/etc-gantry.md describes it.
"""

from collections.abc import Mapping

from twisted_gantry.wire import local_api, local_diagnosis, local_registers, twin_api
from twisted_gantry.wire.etc import envelope
from twisted_gantry.wire.etc.envelope import FIELDS_KEY, MONITOR, REMOTE_CONTROL, Method
from twisted_gantry.wire.etc.reports import Cabinet, Computer
from twisted_gantry.wire.local_api import EVENTS
from twisted_gantry.wire.local_operations import OPERATIONS
from twisted_gantry.wire.openapi import (
    ANY_OBJECT,
    REF,
    TEXT,
    Json,
    components_of,
    content_of,
    document_of,
    paths_of,
    types_of,
)


def _object(**fields: Json) -> Json:
    return {"type": "object", "properties": fields, "required": list(fields)}


def _twin() -> Json:
    """Return the paths of the twin, which asks for no secret and has no roles."""
    server = [{"url": "http://127.0.0.1:8081"}]
    paths = paths_of(twin_api.OPERATIONS, {}, "twin", security=[], servers=server)
    for methods in paths.values():
        for each in methods.values():
            each.pop("x-role", None)
    return paths


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
    "cabinetId": TEXT,
    "rebootIp": TEXT,
    "rebootPort": {"type": "string", "pattern": "^[0-9]{1,5}$"},
    "unlockDoorId": {"type": "string", "enum": ["1", "2"]},
    "airId": {"type": "string", "pattern": "^[0-9]{1,2}$"},
    "airOperate": {"type": "string", "enum": ["1", "2"]},
    "autoRefrigerationTemp": TEXT,
    "autoHeatingTemp": TEXT,
    "mode": {"type": "string", "enum": ["0", "1", "2", "3"]},
    "isDoorDefend": {"type": "string", "enum": ["0", "1"]},
    "onOff": {"type": "string", "enum": ["0", "1"]},
    "testStartStop": {"type": "string", "enum": ["0", "1"]},
}
_FIELDS: Mapping[Method, Json] = {
    Method.COMPUTER_STATUS: {"type": "array", "items": {"$ref": REF.format(name="Computer")}},
    Method.CABINET_STATUS: {"$ref": REF.format(name="Cabinet")},
    Method.CARDS: {"type": "object", "properties": {"curVersion": TEXT}},
    Method.COMPUTER_CONTROL: {"type": "object", "properties": dict(_STEERING)},
    Method.CABINET_CONTROL: {"type": "object", "properties": {**_STEERING, **_COMMANDS}},
    Method.PICTURE: {
        "type": "object",
        "properties": {"cabinetId": TEXT, "doorOpenTime": TEXT},
        "required": ["doorOpenTime"],
    },
}
_ANSWER: Json = {
    "type": "object",
    "properties": {
        "code": {"type": "string", "enum": [str(code.value) for code in envelope.EtcCode]},
        "msg": {"type": "string", "maxLength": 40},
        "data": ANY_OBJECT,
        "batterysTestResult": ANY_OBJECT,
    },
    "required": ["code", "msg"],
}


def _envelope(method: Method) -> Json:
    return _object(
        gantryId={"type": "string", "maxLength": 20},
        method={"type": "string", "enum": [method.value]},
        timeStamp=_STAMP,
        version={"type": "string", "enum": [envelope.VERSION]},
        **{FIELDS_KEY[method]: _FIELDS[method]},
    )


def _call(name: str, text: str, methods: frozenset[Method], port: int) -> Json:
    bodies = [_envelope(method) for method in sorted(methods)]
    names = (envelope.MD5_HEADER, envelope.AUTH_HEADER)
    headers = [{"name": n, "in": "header", "required": True, "schema": TEXT} for n in names]
    responses: Json = {
        "200": {
            "description": "every answer of the protocol, also a refusal",
            "content": content_of(_ANSWER),
        },
        "default": {"description": "plain HTTP: 405, 408, 413"},
    }
    if Method.PICTURE in methods:
        file = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
        responses["200"]["content"] |= {"image/*": file, "video/*": file}
    return {
        "post": {
            "operationId": name,
            "tags": ["etc"],
            "summary": text,
            "security": [],
            "servers": [{"url": f"http://127.0.0.1:{port}"}],
            "parameters": headers,
            "requestBody": {"required": True, "content": content_of({"oneOf": bodies})},
            "responses": responses,
        }
    }


def document(version: str) -> Json:
    """Return the document. Servers that listen on ports of their own are named at their paths."""
    paths = {
        **paths_of(OPERATIONS, EVENTS, "gantry"),
        "/remotecontrol.do": _call(
            "commandGantry", "A command of the ETC platform", REMOTE_CONTROL, 3699
        ),
        "/monitor.do": _call("uploadStatus", "An upload of a cabinet below", MONITOR, 8082),
        **_twin(),
    }
    types = types_of((*OPERATIONS, *twin_api.OPERATIONS)) | {Computer, Cabinet, *EVENTS.values()}
    modules = (local_api, local_diagnosis, local_registers, twin_api)
    return document_of("twisted_gantry", version, paths, components_of(types, modules))
