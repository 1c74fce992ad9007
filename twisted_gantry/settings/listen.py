"""Where tables listen: the endpoints of the file and of the command line, with their TLS."""

from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec

from twisted_gantry.net.tls_server import ServerTls
from twisted_gantry.settings.sources import NotYet, path_of
from twisted_gantry.settings.tables import ConfigError, Document, Problem
from twisted_gantry.settings.tls import fingerprints


class Listening(Protocol):
    """The settings of what listens: a struct with `listen`."""

    def wrong_listen(self) -> str: ...  # what is wrong with `listen`, empty if nothing is


_L = TypeVar("_L", bound=Listening)


def moved(table: _L, endpoint: str, option: str) -> _L:
    """Return a table that listens where an option says. Raises ConfigError."""
    struct: Any = table
    changed: _L = msgspec.structs.replace(struct, listen=endpoint)
    if problem := changed.wrong_listen():
        raise ConfigError([Problem(option, None, "", problem)])
    return changed


def option_tls(endpoint: str, option: str) -> ServerTls | None:
    """Read the files that the endpoint of an option names. Raises ConfigError."""
    try:
        return ServerTls.read(endpoint, Path)
    except ValueError as error:
        raise ConfigError([Problem(option, None, "", str(error))]) from None


def server_tls(document: Document, name: str, table: Any, folder: Path) -> ServerTls | None:
    """Read the files of a listener, if it has any; mistakes are noted in `document`."""
    ca, allowed = getattr(table, "client_ca", None), getattr(table, "allowed_certificates", [])
    if not table.listen.startswith("ssl:"):
        for key, given in (("client_ca", ca), ("allowed_certificates", allowed)):
            document.complain((name, key), 'needs listen = "ssl:…"' if given else "")
        return None
    try:
        return ServerTls.read(table.listen, partial(path_of, folder), ca, fingerprints(allowed))
    except ValueError as error:
        place = (name, "listen")
        if not (isinstance(error, NotYet) and document.not_yet(place, error)):
            document.wrong(place, str(error))
        return None
