"""Servers to which the platform may move our reports, and with them our code (`setServer`).

Decisions: `docs/protocols/etc-gantry.md`, "Commands are dangerous".
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from typing import Literal
from urllib.parse import urlsplit

Rule = Literal["listed", "allow", "deny"]

_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Server:
    """A server that reports may go to; None stands for any port, scheme or path."""

    host: str
    port: int | None = None
    scheme: str | None = None
    path: str | None = None

    @classmethod
    def parse(cls, text: str) -> "Server":
        """Read `host`, `host:port` or a URL. Raises ValueError."""
        whole = "://" in text
        parts = urlsplit(text if whole else f"//{text}")
        port = parts.port  # raises ValueError
        odd = parts.username is not None or parts.query or parts.fragment
        if not parts.hostname or odd or any(mark.isspace() for mark in text):
            raise ValueError("no host, host:port or URL")
        if not whole:
            if parts.path:
                raise ValueError("a path needs a whole URL")
            return cls(parts.hostname, port)
        if parts.scheme not in _PORTS:
            raise ValueError("neither http nor https")
        return cls(parts.hostname, port or _PORTS[parts.scheme], parts.scheme, parts.path or "/")

    def fits(self, other: "Server") -> bool:
        """Tell whether `other`, a whole URL, is this server."""
        pairs = zip(astuple(self), astuple(other), strict=True)
        return all(mine is None or mine == theirs for mine, theirs in pairs)


@dataclass(frozen=True)
class ServerPolicy:
    """Where the platform may move our reports to: `home`, the URL of the configuration, and for the
    rule `listed` the `allowed` servers. The file decides, not the last move. An empty `home` is
    none.
    """

    home: str
    rule: Rule = "listed"
    allowed: Sequence[Server] = ()

    def allows(self, url: str) -> bool:
        """Tell whether reports may go to `url`, a whole URL. From https no way leads to http."""
        wanted = Server.parse(url)
        home = replace(Server.parse(self.home), path=None) if self.home else None
        if home is not None and home.scheme == "https" and wanted.scheme != "https":
            return False
        if self.rule != "listed":
            return self.rule == "allow"
        return any(each.fits(wanted) for each in (*self.allowed, *([home] if home else [])))
