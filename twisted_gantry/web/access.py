"""Who may come in: one gate before every route, so that no route can forget it.

The gate also turns away what klein cannot take (a path, a method or a Host that is no text), and
gives every answer the headers that tell a browser to be careful.
"""

import base64
import binascii
import hmac
import re
from collections import Counter
from ipaddress import ip_address
from urllib.parse import unquote_to_bytes

from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from twisted_gantry.net.addresses import is_loopback
from twisted_gantry.net.json_http import HttpError, header, respond_error
from twisted_gantry.site.secret import Secret

# A person without the password and a probe of an orchestrator may ask this.
OPEN_PATHS = frozenset({b"/healthz"})

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'self'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; object-src 'none'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    ),
}

_HOST = re.compile(r"(?P<name>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(?::[0-9]{1,5})?\Z")
_METHOD = re.compile(rb"[A-Z]{1,20}\Z")


def _name_of(host: str) -> str:
    """Return the name in a Host header, without port and brackets. Raises HttpError (400)."""
    found = _HOST.match(host)
    name = found["name"] if found else ""
    labels = name.removesuffix(".").split(".")
    if found is None or not all(0 < len(label) < 64 for label in labels):
        raise HttpError(400, "bad-host", "the Host header is no name and no address")
    return name.strip("[]").lower()


def _is_local(name: str) -> bool:
    """Tell whether a name cannot be made to point elsewhere: an address, or localhost."""
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost"
    return True


class Access:
    """The rule: with neither `password` nor `token` all may come in, otherwise who knows one.

    `counts` gains `unauthorized`, `foreign-host` and `malformed`. Raises ValueError for an empty
    secret, which would protect nothing.
    """

    def __init__(self, password: Secret | None, token: Secret | None) -> None:
        if any(secret is not None and not secret.reveal() for secret in (password, token)):
            raise ValueError("an empty password or token protects nothing")
        self._password, self._token = password, token
        self.counts: Counter[str] = Counter(dict.fromkeys(_REFUSALS.values(), 0))

    @property
    def is_open(self) -> bool:
        """Whether neither a password nor a token is asked for."""
        return self._password is None and self._token is None

    def check(self, request: Request) -> None:
        """Let a request pass. Raises HttpError (400, 401, 403), counted."""
        try:
            self._check(request)
        except HttpError as error:
            self.counts[_REFUSALS[error.status]] += 1
            raise

    def _check(self, request: Request) -> None:
        _check_text(request)
        host = header(request, "host")
        if not host:
            # HTTP/1.0, as some health checks speak it; klein cannot do without, on a UNIX socket.
            host = "localhost"
            request.requestHeaders.setRawHeaders("Host", [host])
        name = _name_of(host)
        if self.is_open:
            # DNS rebinding: a page of elsewhere whose name was made to point here. With a
            # password such a page has no way to log in; without one, its name gives it away.
            if not _is_local(name):
                raise HttpError(
                    403,
                    "foreign-host",
                    f"without a password this answers to an IP address or localhost, not to {name}",
                )
        elif request.path not in OPEN_PATHS and not self._knows(header(request, "authorization")):
            raise HttpError(401, "unauthorized", "a password or a token is needed")

    def _knows(self, authorization: str) -> bool:
        scheme, _, given = authorization.strip().partition(" ")
        if scheme.lower() == "bearer":
            return _same(self._token, given.strip().encode())
        if scheme.lower() == "basic":
            try:
                decoded = base64.b64decode(given.strip(), validate=True)
            except (binascii.Error, ValueError):
                return False
            return _same(self._password, decoded.partition(b":")[2])
        return False

    def challenges(self) -> list[str]:
        """Return the values of WWW-Authenticate for a 401."""
        basic = ['Basic realm="gantry", charset="UTF-8"'] if self._password is not None else []
        return basic + (['Bearer realm="gantry"'] if self._token is not None else [])


_REFUSALS = {400: "malformed", 401: "unauthorized", 403: "foreign-host"}


def _same(secret: Secret | None, given: bytes) -> bool:
    return secret is not None and hmac.compare_digest(secret.reveal().encode(), given)


def _check_text(request: Request) -> None:
    """Refuse a method or a path that is no text. Raises HttpError (400)."""
    if not _METHOD.match(request.method):
        raise HttpError(400, "bad-method", "the method is no word")
    try:
        unquote_to_bytes(request.path).decode("utf-8")
    except UnicodeDecodeError:
        raise HttpError(400, "bad-path", "the path is not UTF-8") from None


class Gate(Resource):
    """The resource before all others: asks `access`, then lets `inner` answer."""

    isLeaf = True

    def __init__(self, access: Access, inner: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._access, self._inner = access, inner

    def render(self, request: Request) -> bytes | int:
        """Answer, or refuse in the shape of every error."""
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        try:
            self._access.check(request)
        except HttpError as error:
            if error.status == 401:
                challenges = self._access.challenges()
                request.responseHeaders.setRawHeaders("WWW-Authenticate", challenges)
            return respond_error(request, error)
        answer: bytes | int = self._inner.render(request)
        return answer


class Switch(Resource):
    """Picks by the first part of the path; each part sees the whole path."""

    isLeaf = True

    def __init__(self, parts: dict[bytes, IResource], default: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._parts, self._default = parts, default

    def render(self, request: Request) -> bytes | int:
        """Answer by the part that the path belongs to."""
        first = request.postpath[0] if request.postpath else b""
        answer: bytes | int = self._parts.get(first, self._default).render(request)
        return answer


def needs_password(endpoint: str) -> bool:
    r"""Tell whether a server endpoint can be reached from another computer, or might be.

    `endpoint` is a Twisted server endpoint description. Loopback is only believed of `tcp`, `tcp6`
    and `ssl` with `interface=` (colons in it written `\:`), and of `unix`.
    """
    kind, *rest = re.split(r"(?<!\\):", endpoint)
    if kind == "unix":
        return False
    if kind not in ("tcp", "tcp6", "ssl"):
        return True
    interfaces = [part[len("interface=") :] for part in rest if part.startswith("interface=")]
    return len(interfaces) != 1 or not is_loopback(interfaces[0].replace("\\:", ":"))
