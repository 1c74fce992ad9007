"""The OpenAPI 3.1 document of all that the gantry serves over HTTP, at `/api/openapi.json`.

It is made from the types and operations in `wire/local_api.py`, `wire/local_operations.py` and
`wire/twin_api.py`. The ETC interface is added here; docs/protocols/etc-gantry.md describes it.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from twisted_gantry.wire import local_api, twin_api
from twisted_gantry.wire.etc import envelope
from twisted_gantry.wire.etc.envelope import FIELDS_KEY, MONITOR, REMOTE_CONTROL, Method
from twisted_gantry.wire.etc.reports import Cabinet, Computer
from twisted_gantry.wire.local_api import EVENTS, ErrorAnswer, Health, Shape
from twisted_gantry.wire.local_operations import OPERATIONS
from twisted_gantry.wire.operations import Operation

Json = dict[str, Any]

_REF = "#/components/schemas/{name}"
_TEXT: Json = {"type": "string"}
_MAP: Json = {"type": "object"}


def _object(**fields: Json) -> Json:
    return {"type": "object", "properties": fields, "required": list(fields)}


def _schema(kind: Any) -> Json:
    """Return the schema of a type: a reference to a component, or any object."""
    named = isinstance(kind, type) and issubclass(kind, msgspec.Struct)
    return {"$ref": _REF.format(name=kind.__name__)} if named else _MAP


def _content(schema: Json, media: str = "application/json", **more: Json) -> Json:
    return {media: {"schema": schema, **more}}


def _answer(answer: Any) -> Json:
    if answer == "text/event-stream":
        return _content(_TEXT, answer, **{"x-events": {n: _schema(e) for n, e in EVENTS.items()}})
    if isinstance(answer, tuple):
        return {kind: content for each in answer for kind, content in _answer(each).items()}
    if isinstance(answer, str):
        text = answer.startswith("text/")
        return _content(_TEXT if text else {"type": "string", "format": "binary"}, answer)
    return _content(_schema(answer))


def _parameters(operation: Operation) -> list[Json]:
    in_path = re.findall(r"{(\w+)}", operation.path)
    return [
        *({"name": name, "in": "path", "required": True, "schema": _TEXT} for name in in_path),
        *(
            {"name": each.name, "in": "query", "required": each.required, "schema": each.schema}
            for each in operation.parameters
        ),
    ]


def _operation(operation: Operation, tag: str) -> Json:
    answer = _answer(operation.answer)
    found: Json = {
        "operationId": operation.id,
        "tags": [tag],
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": {
            "200": {"description": "the answer", "content": answer},
            "default": {"description": "refused", "content": _content(_schema(ErrorAnswer))},
        },
    }
    if operation.body is not None:
        found["requestBody"] = {"required": True, "content": _content(_schema(operation.body))}
    if operation.answer is Health:
        found["responses"]["503"] = {"description": "something fails", "content": answer}
        found["security"] = []
    if tag == "twin":
        found |= {"security": [], "servers": [{"url": "http://127.0.0.1:8081"}]}
    elif operation.answer is not Health:
        found["x-role"] = operation.role
    return found


def _paths(operations: Iterable[Operation], tag: str) -> Json:
    paths: Json = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method] = _operation(each, tag)
    return paths


def _components() -> Json:
    """Return the schemas of all types; an answer has each member that cannot be unset."""
    types: set[Any] = {ErrorAnswer, Computer, Cabinet, *EVENTS.values()}
    for each in (*OPERATIONS, *twin_api.OPERATIONS):
        types |= {kind for kind in (each.answer, each.body) if "$ref" in _schema(kind)}
    ordered = sorted(types, key=lambda kind: str(kind.__name__))
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REF)
    for kind in (*vars(local_api).values(), *vars(twin_api).values()):
        if isinstance(kind, type) and issubclass(kind, Shape) and kind.__name__ in schemas:
            members = msgspec.structs.fields(kind)
            always = [each.encode_name for each in members if each.default is not UNSET]
            schemas[kind.__name__]["required"] = always
    return {name: _portable(schema) for name, schema in schemas.items()}


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
    Method.COMPUTER_STATUS: {"type": "array", "items": {"$ref": _REF.format(name="Computer")}},
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
        "code": {"type": "string", "enum": [str(code.value) for code in envelope.EtcCode]},
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
        version={"type": "string", "enum": [envelope.VERSION]},
        **{FIELDS_KEY[method]: _FIELDS[method]},
    )


def _call(name: str, text: str, methods: frozenset[Method], port: int) -> Json:
    bodies = [_envelope(method) for method in sorted(methods)]
    names = (envelope.MD5_HEADER, envelope.AUTH_HEADER)
    headers = [{"name": n, "in": "header", "required": True, "schema": _TEXT} for n in names]
    responses: Json = {
        "200": {
            "description": "every answer of the protocol, also a refusal",
            "content": _content(_ANSWER),
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
            "requestBody": {"required": True, "content": _content({"oneOf": bodies})},
            "responses": responses,
        }
    }


def document(version: str) -> Json:
    """Return the document. Servers that listen on ports of their own are named at their paths."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "twisted_gantry", "version": version},
        "servers": [{"url": "/"}],
        "security": [{"basic": []}, {"token": []}],
        "paths": {
            **_paths(OPERATIONS, "gantry"),
            "/remotecontrol.do": _call(
                "commandGantry", "A command of the ETC platform", REMOTE_CONTROL, 3699
            ),
            "/monitor.do": _call("uploadStatus", "An upload of a cabinet below", MONITOR, 8082),
            **_paths(twin_api.OPERATIONS, "twin"),
        },
        "components": {
            "schemas": _components(),
            "securitySchemes": {
                "basic": {"type": "http", "scheme": "basic"},
                "token": {"type": "http", "scheme": "bearer"},
            },
        },
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
