"""Operations over HTTP as data; servers, OpenAPI documents and roles are made of them."""

from typing import Any

import msgspec


class Parameter(msgspec.Struct, frozen=True):
    """A query argument; `schema` is JSON Schema."""

    name: str
    schema: dict[str, Any]
    required: bool = False


class Operation(msgspec.Struct, frozen=True):
    """One operation over HTTP; `answer` is a type of JSON answers, or other media types, one or
    several. `role` is the least that may do it: viewer, operator or admin.
    """

    id: str
    method: str
    path: str
    answer: Any
    summary: str
    parameters: tuple[Parameter, ...]
    body: type[msgspec.Struct] | None
    role: str


def operation(
    base: str,
    call: str,
    answer: Any,
    summary: str,
    *parameters: Parameter,
    body: type[msgspec.Struct] | None = None,
    role: str = "",
) -> Operation:
    """Return the operation of a `call` such as `getSite get site`; its path is below `base`.

    Without a `role`, viewers may read, and operators may do all else.
    """
    name, method, path = call.split(" ")
    role = role or ("viewer" if method == "get" else "operator")
    return Operation(name, method, base + path, answer, summary, parameters, body, role)
