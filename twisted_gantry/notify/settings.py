"""`[[notify]]`: the keys that all kinds share, and what is wrong with their values."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

from twisted_gantry.net.addresses import is_loopback
from twisted_gantry.net.http.proxy import Proxy
from twisted_gantry.net.pem import Pem, TlsSettings
from twisted_gantry.net.tls import Seen
from twisted_gantry.notify.quiet import Quiet
from twisted_gantry.notify.texts import Wording
from twisted_gantry.wire.secret import Secret

DAY = 86_400.0
_Name = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}\Z",
        description="letters, digits, _ and -, a letter or a digit first, at most 32",
    ),
]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=7 * DAY)]


class CalledSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What every target has. Times are seconds; `repeat` and `escalate_after` 0 are never."""

    name: _Name = ""
    min_severity: Literal["warning", "critical"] | None = None
    delay: _Seconds = 0.0
    repeat: _Seconds = 0.0
    escalate_after: _Seconds = 0.0
    escalate_to: str = ""
    language: Literal["en", "zh"] = "zh"
    quiet: str = ""


class ReachedSettings(CalledSettings, frozen=True, kw_only=True):
    """What a target on the network has besides: a proxy, and the keys of `[tls]`."""

    proxy: Secret | None = None
    ca: Pem | None = None
    client_cert: Pem | None = None
    client_key: Pem | None = None

    def files(self) -> TlsSettings:
        return TlsSettings(ca=self.ca, client_cert=self.client_cert, client_key=self.client_key)

    def through(self) -> Proxy | None:
        return None if self.proxy is None else Proxy.parse(self.proxy.reveal())


@dataclass(frozen=True)
class Means:
    """What a sender is given of its surroundings. `now` returns Unix seconds; `keys` are further
    texts that no error may show.
    """

    reactor: Any
    now: Callable[[], float]
    wording: Wording
    keys: tuple[Secret, ...] = field(default=(), repr=False)
    certificate_seen: Seen = lambda *_: None


# -- checks of single values: what is wrong, empty if nothing is


def wrong_quiet(text: str) -> str:
    try:
        if text:
            Quiet.parse(text)
    except ValueError as error:
        return str(error)
    return ""


def wrong_proxy(proxy: Secret | None) -> str:
    try:
        if proxy is not None:
            Proxy.parse(proxy.reveal())
    except ValueError as error:
        return str(error)
    return ""


def wrong_url(url: Secret) -> str:
    """Check the URL of a webhook; the text does not show the URL, which may hold a key."""
    try:
        parts = urlsplit(url.reveal())
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return "must be http(s)://host/…"
    if parts.username is not None or parts.password is not None:
        return "must not hold a user or a password"
    if not url.reveal().isascii() or not url.reveal().isprintable() or " " in url.reveal():
        return "must have its special characters written as %XX"
    return "" if usable else "must be http(s)://host/…"


def wrong_keyed_url(url: Secret) -> str:
    """Check a URL that is a secret itself: the key needs TLS on its way to another machine."""
    wrong = wrong_url(url)
    parts = urlsplit(url.reveal()) if not wrong else urlsplit("")
    if not wrong and parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return "must be https: the URL holds the key of the robot, which http shows to everybody"
    return wrong


LONG = 20  # characters of a part of a path that may be a key


def keys_in(url: Secret, *, last: bool = False) -> tuple[Secret, ...]:
    """Return the parts of a URL that may be keys: a password, values of the query, long parts of
    the path; with `last` also the last part of the path.
    """
    try:
        parts = urlsplit(url.reveal())
    except ValueError:
        return ()
    path = [each for each in parts.path.split("/") if each]
    found = [value for _, value in parse_qsl(parts.query)]
    found += [unquote(parts.password)] if parts.password else []
    found += [each for each in path if len(each) >= LONG]
    found += path[-1:] if last and not parts.query else []
    return tuple(Secret(each) for each in dict.fromkeys(found) if len(each) >= 6)
