"""Endpoint descriptions as operators write them (`tcp:8080:interface=127.0.0.1`), checked."""

import re
from typing import Any

from twisted.internet.endpoints import clientFromString, serverFromString

_COLON = re.compile(r"(?<!\\):")
_WITH_PORT = frozenset({"tcp", "tcp4", "tcp6", "ssl", "tls"})
_ANY = frozenset({"", "0.0.0.0", r"\:\:"})  # noqa: S104 - recognised, not bound


def wrong_server(text: str, example: str) -> str:
    """Return the error in a server endpoint, empty if none; `example` is for the text."""
    return _wrong(text, f"no server endpoint such as {example}", serverFromString, 0)


def wrong_client(text: str, example: str) -> str:
    """Return the error in a client endpoint, empty if none; `example` is for the text."""
    return _wrong(text, f"no client endpoint such as {example}", clientFromString, 1)


def same_port(one: str, other: str) -> bool:
    """Tell whether two valid server endpoints cannot both listen."""
    ports = {_port(one, 0), _port(other, 0)}
    if len(ports) > 1 or ports & {None, 0}:
        return False
    interfaces = {_option(one, "interface"), _option(other, "interface")}
    return len(interfaces) == 1 or bool(interfaces & _ANY)


def _wrong(text: str, complaint: str, parse: Any, at: int) -> str:
    try:
        parse(None, text)
    except TypeError:  # with a text about Python's arguments
        return f"{complaint}; it is {text!r}"
    except Exception as error:  # endpoints are plugins, and fail in many ways
        return f"{complaint}: {error}; it is {text!r}"
    port = _port(text, at)
    if port is not None and not at <= port <= 65_535:
        return f"{complaint}: a port is {at} to 65535; it is {text!r}"
    return ""


def _port(text: str, at: int) -> int | None:
    """Return the port: the named one, or the positional argument `at`; None without one."""
    kind, *rest = _COLON.split(text)
    if kind not in _WITH_PORT:
        return None
    positional = [each for each in rest if "=" not in each]
    port = _option(text, "port") or "".join(positional[at : at + 1])
    return int(port) if re.fullmatch(r"-?[0-9]{1,9}", port) else None


def _option(text: str, name: str) -> str:
    given = dict(each.split("=", 1) for each in _COLON.split(text)[1:] if "=" in each)
    return given.get(name, "")
