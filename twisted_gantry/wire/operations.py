"""Operations over HTTP as data; servers, OpenAPI documents and roles are made of them."""

from typing import Any

import msgspec


class Parameter(msgspec.Struct, frozen=True):
    """A query argument; `schema` is JSON Schema."""

    name: str
    schema: dict[str, Any]
    required: bool = False


class Operation(msgspec.Struct, frozen=True):
    """One operation over HTTP; `answer` and `body` are types of JSON, or other media types, one or
    several. `role` is the least that may do it: viewer, operator or admin. `status` is that of an
    answer which is no error.
    """

    id: str
    method: str
    path: str
    answer: Any
    summary: str
    parameters: tuple[Parameter, ...]
    body: Any
    role: str
    status: int = 200


def operation(
    base: str,
    call: str,
    answer: Any,
    summary: str,
    *parameters: Parameter,
    body: Any = None,
    role: str = "",
    status: int = 200,
) -> Operation:
    """Return the operation of a `call` such as `getSite get site`; its path is below `base`.

    Without a `role`, viewers may read, and operators may do all else.
    """
    name, method, path = call.split(" ")
    role = role or ("viewer" if method == "get" else "operator")
    return Operation(name, method, base + path, answer, summary, parameters, body, role, status)
