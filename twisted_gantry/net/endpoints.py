"""Endpoint descriptions as operators write them (`tcp:8080:interface=127.0.0.1`), checked."""

import re
from typing import Any

from twisted.internet.endpoints import clientFromString, serverFromString, wrapClientTLS

from twisted_gantry.net.addresses import is_loopback
from twisted_gantry.net.tls import ClientTls

_COLON = re.compile(r"(?<!\\):")
_WITH_PORT = frozenset({"tcp", "tcp4", "tcp6", "ssl", "tls"})
_TLS = frozenset({"ssl", "tls"})
# What a server endpoint `ssl:` has that is not of its port, and what a client endpoint may have.
_FILES = frozenset({"privateKey", "certKey", "extraCertChain"})
_OF_CLIENT = frozenset({"host", "port", "hostname", "timeout", "bindAddress"})
_ANY = frozenset({"", "0.0.0.0", r"\:\:"})  # noqa: S104 - recognised, not bound


def wrong_server(text: str, example: str) -> str:
    """Return the error in a server endpoint, empty if none; `example` is for the text."""
    return _wrong(text, f"no server endpoint such as {example}", _server, 0)


def wrong_client(text: str, example: str) -> str:
    """Return the error in a client endpoint, empty if none; `example` is for the text."""
    return _wrong(text, f"no client endpoint such as {example}", client_endpoint, 1)


def client_endpoint(reactor: Any, text: str, tls: ClientTls | None = None) -> Any:
    """Return a client endpoint; one of `tls:` or `ssl:` verifies its host by `tls`. Raises what
    Twisted raises for a wrong description, ValueError for options of TLS that are settings here.
    """
    kind, *rest = _COLON.split(text)
    if kind not in _TLS:
        return clientFromString(reactor, text)
    unknown = {each.partition("=")[0] for each in rest if "=" in each} - _OF_CLIENT
    if unknown:
        raise ValueError(f"{', '.join(sorted(unknown))}: the files are ca, client_cert, client_key")
    name = _plain(_option(text, "hostname") or _option(text, "host") or rest[0])
    plain = [each for each in rest if not each.startswith("hostname=")]
    endpoint = clientFromString(reactor, ":".join(["tcp", *plain]))
    creator = (tls or ClientTls()).creatorForNetloc(name.encode("idna"), 0)
    return wrapClientTLS(creator, endpoint, reactor)


def place_of(text: str) -> tuple[str, int] | None:
    """Return host and port of a valid client endpoint; None of one that has none."""
    kind, *rest = _COLON.split(text)
    if kind not in _WITH_PORT:
        return None
    positional = [each for each in rest if "=" not in each]
    host = _option(text, "host") or "".join(positional[:1])
    port = _port(text, 1)
    return None if port is None else (_plain(host), port)


def port_of(text: str) -> int | None:
    """Return the port of a server endpoint; None of one that has none."""
    return _port(text, 0)


def without_tls(text: str) -> tuple[str, dict[str, str]]:
    """Return a server endpoint without what `ssl:` adds, and the files that are named for that.
    Raises ValueError for options of TLS that cannot be chosen.
    """
    kind, *rest = _COLON.split(text)
    if kind != "ssl":
        return text, {}
    given = dict(each.split("=", 1) for each in rest if "=" in each)
    if len(rest) > len(given) + 1:
        raise ValueError("options are written name=value")
    if other := given.keys() & {"sslmethod", "dhParameters"}:
        raise ValueError(f"{', '.join(sorted(other))} cannot be chosen; leave it out")
    files = {key: _plain(given[key]) for key in given.keys() & _FILES}
    plain = [each for each in rest if each.partition("=")[0] not in _FILES]
    return ":".join(["tcp", *plain]), files


def for_the_group(text: str) -> str:
    """Return a server endpoint: a UNIX socket without a `mode` gets 660, owner and group."""
    is_socket = _COLON.split(text)[0] == "unix"
    return f"{text}:mode=660" if is_socket and not _option(text, "mode") else text


def split_endpoint(text: str) -> tuple[str, list[str], dict[str, str]]:
    """Return the kind of an endpoint, its positional arguments and its named ones, unescaped."""
    kind, *rest = _COLON.split(text)
    positional = [_plain(each) for each in rest if "=" not in each]
    named = dict(each.split("=", 1) for each in rest if "=" in each)
    return kind, positional, {name: _plain(value) for name, value in named.items()}


def is_local(text: str) -> bool:
    r"""Tell whether only this computer reaches a server endpoint: `unix`; `tcp`, `tcp6` and `ssl`
    with a loopback address as `interface=` (colons in it written `\:`).
    """
    kind, *rest = _COLON.split(text)
    if kind == "unix":
        return True
    if kind not in {"tcp", "tcp6", "ssl"}:
        return False
    interfaces = [part[len("interface=") :] for part in rest if part.startswith("interface=")]
    return len(interfaces) == 1 and is_loopback(_plain(interfaces[0]))


def same_port(one: str, other: str) -> bool:
    """Tell whether two valid server endpoints cannot both listen."""
    ports = {_port(one, 0), _port(other, 0)}
    if len(ports) > 1 or ports & {None, 0}:
        return False
    interfaces = {_option(one, "interface"), _option(other, "interface")}
    return len(interfaces) == 1 or bool(interfaces & _ANY)


def _server(reactor: Any, text: str) -> None:
    serverFromString(reactor, without_tls(text)[0])


def _plain(text: str) -> str:
    return text.replace("\\:", ":").replace("\\\\", "\\")


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
