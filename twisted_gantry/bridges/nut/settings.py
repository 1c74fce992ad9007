"""`[bridge.nut]`: the settings of the NUT server and of its users."""

import re
from typing import Annotated, Any, Literal

import msgspec

from twisted_gantry.access.secrets import wrong_secret
from twisted_gantry.bridges.nut.commands import wrong_names
from twisted_gantry.net.endpoints import wrong_server
from twisted_gantry.net.pem import LATER, Pem, pair, wrong_pem
from twisted_gantry.wire.secret import Secret

LONGEST_PASSWORD = 400  # bytes
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,40}")


class NutUser(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[[bridge.nut.user]]`: who may log in. With `upsmon` it counts as a computer that the UPS
    feeds; a primary may also force the shutdown of the others. The password may be a hash.
    """

    name: str
    password: Secret
    upsmon: Literal["primary", "secondary"] | None = None
    instcmds: tuple[str, ...] = ()


class NutSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[bridge.nut]`. `low_runtime` is in seconds. With `certificate` and `key`, PEM files,
    STARTTLS works.
    """

    listen: str = "tcp:3493:interface=127.0.0.1"
    allowed_clients: tuple[str, ...] = ()
    low_runtime: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 300.0
    certificate: Pem | None = None
    key: Pem | None = None
    user: tuple[NutUser, ...] = ()

    @property
    def tls(self) -> Any:
        """The options of a TLS server; None without a certificate."""
        if self.certificate is None or self.key is None:
            return None
        return pair(self.certificate, self.key).options()


def wrong_nut_listen(endpoint: str) -> str:
    """Return what is wrong with the endpoint; TLS begins later, by STARTTLS."""
    if endpoint.startswith("ssl:"):
        return "TLS begins by STARTTLS: listen at tcp:…, and set certificate and key"
    return wrong_server(endpoint, "tcp:3493:interface=127.0.0.1")


def wrong_name(name: str) -> str:
    """Return what is wrong with the name of a user: clients send it as one word."""
    return "" if _NAME.fullmatch(name) else "1 to 40 letters, digits, or ._@-"


def wrong_password(password: Secret) -> str:
    """Return what is wrong with a password. Clients send it bare: one word, nothing escaped."""
    text = password.reveal()
    bare = text.isprintable() and not any(each in text for each in ' "\\#')
    if not bare or len(text.encode()) > LONGEST_PASSWORD:
        return f"NUT has no password with blanks, quotes, # or \\, or over {LONGEST_PASSWORD} bytes"
    return wrong_secret(password)


def wrong_nut(settings: NutSettings) -> dict[tuple[str | int, ...], str]:
    """Return what is wrong with settings beyond single values, by the place."""
    wrong: dict[tuple[str | int, ...], str] = {}
    certificate, key = settings.certificate, settings.key
    if (certificate is None) != (key is None):
        missing = "key" if key is None else "certificate"
        wrong[missing,] = "is missing: certificate and key belong together"
    elif certificate is not None and key is not None and LATER not in (certificate, key):
        wrong["key",] = wrong_pem(lambda: pair(certificate, key))
    names = [user.name for user in settings.user]
    for at, user in enumerate(settings.user):
        twice = f"another user is named {user.name!r}" if user.name in names[:at] else ""
        wrong["user", at, "name"] = wrong_name(user.name) or twice
        wrong["user", at, "password"] = wrong_password(user.password)
        wrong["user", at, "instcmds"] = wrong_names(user.instcmds)
    return {place: text for place, text in wrong.items() if text}
