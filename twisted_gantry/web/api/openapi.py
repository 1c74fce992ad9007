"""The OpenAPI 3.1 document of all that the gantry serves over HTTP, at `/api/openapi.json`.

It is made from the types of `wire/local_api.py` and `wire/twin_api.py`; the ETC interface, whose
bodies are described by their own document, is added by hand.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import UNSET

from twisted_gantry.wire import local_api
from twisted_gantry.wire.etc.envelope import (
    AUTH_HEADER,
    FIELDS_KEY,
    MD5_HEADER,
    MONITOR,
    REMOTE_CONTROL,
    VERSION,
    EtcCode,
    Method,
)
from twisted_gantry.wire.etc.reports import Cabinet, Computer
from twisted_gantry.wire.local_api import (
    EVENTS,
    OPERATIONS,
    ErrorAnswer,
    Operation,
    Parameter,
    Shape,
)
from twisted_gantry.wire.twin_api import OPERATIONS as TWIN_OPERATIONS

Json = dict[str, Any]

_REF = "#/components/schemas/{name}"
_TEXT: Json = {"type": "string"}
_MAP: Json = {"type": "object"}
_OPEN = ("/healthz",)
"""What needs no secret, beside the files of the page."""


def _object(**fields: Json) -> Json:
    """Return an object all of whose fields are always there."""
    return {"type": "object", "properties": fields, "required": list(fields)}


def _list(item: Json) -> Json:
    return {"type": "array", "items": item}


def _types(operations: Iterable[Operation]) -> set[Any]:
    """Return the types that operations name; media types are none."""
    found = set[Any]({ErrorAnswer, *EVENTS.values()})
    for each in operations:
        named = (each.answer, each.body, *(answer for _, answer in each.more.values()))
        found |= {one for one in named if isinstance(one, type) and one is not dict}
    return found


def _schema(named: Any) -> Json:
    """Return the schema of an answer: a reference to a component, itself, or any object."""
    if isinstance(named, dict):
        return named
    return {"$ref": _REF.format(name=named.__name__)} if isinstance(named, type) else _MAP


def _answer(text: str, named: Any) -> Json:
    if isinstance(named, str):
        file = {"type": "string"} if named.startswith("text/") else {}
        content: Json = {named: {"schema": file or {"type": "string", "format": "binary"}}}
        if named == "text/event-stream":
            content[named]["x-events"] = {name: _schema(event) for name, event in EVENTS.items()}
        return {"description": text, "content": content}
    return {"description": text, "content": {"application/json": {"schema": _schema(named)}}}


def _parameter(parameter: Parameter) -> Json:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "schema": parameter.schema,
    }


def _operation(operation: Operation, tag: str, servers: list[Json]) -> Json:
    """Return one operation as the document has it."""
    answers = {str(status): _answer(*each) for status, each in operation.more.items()}
    found: Json = {
        "operationId": operation.id,
        "tags": [tag],
        "summary": operation.summary,
        "parameters": [_parameter(each) for each in operation.parameters],
        "responses": {
            "200": _answer("the answer", operation.answer),
            **answers,
            "default": _answer("refused", ErrorAnswer),
        },
    }
    if operation.body is not None:
        content = {"application/json": {"schema": _schema(operation.body)}}
        found["requestBody"] = {"required": True, "content": content}
    if operation.path in _OPEN or servers:
        found["security"] = []
    if servers:
        found["servers"] = servers
    return found


def _paths(operations: Iterable[Operation], tag: str, *servers: Json) -> Json:
    paths: Json = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method] = _operation(each, tag, list(servers))
    return paths


def _completed(schemas: Json) -> Json:
    """Say of answers that every member is always there, unless it may be unset."""
    for each in vars(local_api).values():
        if isinstance(each, type) and issubclass(each, Shape) and each.__name__ in schemas:
            members = msgspec.structs.fields(each)
            always = [one.encode_name for one in members if one.default is not UNSET]
            schemas[each.__name__]["required"] = always
    return schemas


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
        "code": {"type": "string", "enum": [str(code.value) for code in EtcCode]},
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


def _call(name: str, text: str, methods: frozenset[Method], port: int) -> Json:
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
            "operationId": name,
            "tags": ["etc"],
            "summary": text,
            "security": [],
            "servers": [{"url": f"http://127.0.0.1:{port}"}],
            "parameters": headers,
            "requestBody": {
                "required": True,
                "content": {"application/json": {"schema": {"oneOf": bodies}}},
            },
            "responses": responses,
        }
    }


def document(version: str) -> Json:
    """Return the document. Servers that listen on ports of their own are named at their paths."""
    types = _types([*OPERATIONS, *TWIN_OPERATIONS])
    ordered = sorted({*types, Computer, Cabinet}, key=lambda each: str(each.__name__))
    _, schemas = msgspec.json.schema_components(ordered, ref_template=_REF)
    commanded = _call("command", "What the ETC platform commands", REMOTE_CONTROL, 3699)
    uploaded = _call("upload", "What cabinets below us upload", MONITOR, 8082)
    return {
        "openapi": "3.1.0",
        "info": {"title": "twisted_gantry", "version": version},
        "servers": [{"url": "/"}],
        "security": [{"basic": []}, {"token": []}],
        "paths": {
            **_paths(OPERATIONS, "gantry"),
            "/remotecontrol.do": commanded,
            "/monitor.do": uploaded,
            **_paths(TWIN_OPERATIONS, "twin", {"url": "http://127.0.0.1:8081"}),
        },
        "components": {
            "schemas": _portable(_completed(schemas)),
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
