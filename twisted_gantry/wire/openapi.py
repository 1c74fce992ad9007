"""The OpenAPI 3.1 document of an HTTP API, made from its types and its operations."""

import re
from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any

import msgspec
from msgspec import UNSET

from twisted_gantry.wire.json import is_struct
from twisted_gantry.wire.local_api import ErrorAnswer, Health, Shape
from twisted_gantry.wire.operations import Operation

Json = dict[str, Any]
Events = Mapping[str, type[msgspec.Struct]]
"""What a stream sends, by the names of its events."""

REF = "#/components/schemas/{name}"
TEXT: Json = {"type": "string"}
ANY_OBJECT: Json = {"type": "object"}
_BYTES: Json = {"type": "string", "format": "binary"}


def schema_of(kind: Any) -> Json:
    """Return the schema of a type: a reference to a component, or any object."""
    return {"$ref": REF.format(name=kind.__name__)} if is_struct(kind) else ANY_OBJECT


def content_of(schema: Json, media: str = "application/json", **more: Json) -> Json:
    """Return what an answer or a body is, by its media type."""
    return {media: {"schema": schema, **more}}


def paths_of(operations: Iterable[Operation], events: Events, tag: str, **more: Any) -> Json:
    """Return the paths of `operations`; `more` are members that each of them has."""
    paths: Json = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method] = _operation(each, events, tag) | more
    return paths


def components_of(types: Iterable[Any], modules: Iterable[ModuleType]) -> Json:
    """Return the schemas of `types` and of all that they hold. An answer, which is a `Shape` of
    `modules`, has each member that cannot be unset.
    """
    wanted = {kind for kind in types if is_struct(kind)} | {ErrorAnswer}
    ordered = sorted(wanted, key=lambda kind: str(kind.__name__))
    _, schemas = msgspec.json.schema_components(ordered, ref_template=REF)
    for module in modules:
        for kind in vars(module).values():
            if is_struct(kind) and issubclass(kind, Shape) and kind.__name__ in schemas:
                members = msgspec.structs.fields(kind)
                always = [each.encode_name for each in members if each.default is not UNSET]
                schemas[kind.__name__]["required"] = always
    return {name: _portable(schema) for name, schema in schemas.items()}


def types_of(operations: Iterable[Operation]) -> set[Any]:
    """Return the types of answers and bodies."""
    return {kind for each in operations for kind in (each.answer, each.body) if is_struct(kind)}


SECURITY: Json = {
    "basic": {"type": "http", "scheme": "basic"},
    "token": {"type": "http", "scheme": "bearer"},
}


def document_of(title: str, version: str, paths: Json, schemas: Json) -> Json:
    """Return a document whose paths need a password or a token, where they do not say otherwise."""
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in SECURITY],
        "paths": paths,
        "components": {"schemas": schemas, "securitySchemes": SECURITY},
    }


def _media(kind: Any, events: Events) -> Json:
    """Return an answer or a body: a type of JSON, or other media types, one or several."""
    if kind == "text/event-stream":
        return content_of(TEXT, kind, **{"x-events": {n: schema_of(e) for n, e in events.items()}})
    if isinstance(kind, tuple):
        return {name: content for each in kind for name, content in _media(each, events).items()}
    if isinstance(kind, str):
        return content_of(TEXT if kind.startswith("text/") else _BYTES, kind)
    return content_of(schema_of(kind))


def _parameters(operation: Operation) -> list[Json]:
    in_path = re.findall(r"{(\w+)}", operation.path)
    return [
        *({"name": name, "in": "path", "required": True, "schema": TEXT} for name in in_path),
        *(
            {"name": each.name, "in": "query", "required": each.required, "schema": each.schema}
            for each in operation.parameters
        ),
    ]


def _operation(operation: Operation, events: Events, tag: str) -> Json:
    answer = _media(operation.answer, events)
    is_health = is_struct(operation.answer) and issubclass(operation.answer, Health)
    found: Json = {
        "operationId": operation.id,
        "tags": [tag],
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": {
            str(operation.status): {"description": "the answer", "content": answer},
            "default": {"description": "refused", "content": content_of(schema_of(ErrorAnswer))},
        },
    }
    if operation.body is not None:
        found["requestBody"] = {"required": True, "content": _media(operation.body, events)}
    if is_health:
        found["responses"]["503"] = {"description": "something fails", "content": answer}
        found["security"] = []
    else:
        found["x-role"] = operation.role
    return found


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
