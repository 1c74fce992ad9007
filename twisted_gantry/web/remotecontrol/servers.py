"""Servers to which the platform may move our reports, and with them our code (`setServer`).

Decisions: `docs/protocols/etc-gantry.md`, "Commands are dangerous".
"""

from collections.abc import Sequence
from dataclasses import astuple, dataclass
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


def with_home(allowed: Sequence[Server], home: str) -> tuple[Server, ...]:
    """Return the allowed servers and the host of `home`, the URL of the configuration if any."""
    host = urlsplit(home).hostname
    return (*allowed, Server(host)) if host else tuple(allowed)


def may_move(url: str, current: str, rule: Rule, allowed: Sequence[Server]) -> bool:
    """Tell whether the platform may move our reports from `current` to `url`."""
    if rule != "listed":
        return rule == "allow"
    wanted = Server.parse(url)
    own = urlsplit(current).hostname
    return wanted.host == own or any(each.fits(wanted) for each in allowed)
