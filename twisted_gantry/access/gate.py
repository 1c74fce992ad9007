"""Authentication in one gate before every route, so that no route can forget it.

The gate also refuses requests that a page of another site makes a browser send, and those that
klein cannot take (a path, a method or a Host that is not text). Every answer gets security headers.
"""

import base64
import re
from collections import Counter
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import unquote_to_bytes

from twisted.internet.defer import CancelledError, ensureDeferred, execute
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request
from zope.interface import Interface, alsoProvides

from twisted_gantry.access.guesses import TooManyGuesses
from twisted_gantry.access.people import (
    LOCAL,
    OPERATOR,
    VIEWER,
    Person,
    Role,
    User,
    same_name,
)
from twisted_gantry.access.roles import READING, NeededRole, by_method
from twisted_gantry.access.secrets import ANYBODY, Secrets, Wanted
from twisted_gantry.net.addresses import group_of, host_of
from twisted_gantry.net.endpoints import is_local
from twisted_gantry.net.http.json import HttpError, header, refuse_foreign_origin, respond_error
from twisted_gantry.net.http.server import last, proved
from twisted_gantry.net.threads import InThread
from twisted_gantry.wire.secret import Secret

OPEN_PATHS = frozenset({b"/healthz"})
"""Paths that need no password: an orchestrator probes them. `IStranger` gets no details."""


class IPerson(Interface):
    """The `Person` whom the gate found to ask: a component of the request."""


class IStranger(Interface):
    """A request to one of `OPEN_PATHS` without the password that is configured."""


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
    """Return the name in a Host header without port and brackets. Raises HttpError (400)."""
    found = _HOST.match(host)
    name = found["name"] if found else ""
    labels = name.removesuffix(".").split(".")
    if found is None or not all(0 < len(label) < 64 for label in labels):
        raise HttpError(400, "bad-host", "the Host header is no name and no address")
    return name.strip("[]").lower()


def _is_local(name: str) -> bool:
    """Tell whether a name is an address or localhost, which DNS cannot make point elsewhere."""
    try:
        ip_address(name)
    except ValueError:
        return name == "localhost"
    return True


class Access:
    """Checks the secret of each request; without a configured secret all are let in.

    `password` and `token` give all rights; the `viewer_` ones only read. `users` have their own
    passwords, with their names, or tokens. Each secret may be a hash (`access.passwords`), which
    `in_thread(f, …)` checks. With a `clock`, an account or address that guesses waits before its
    next secret is looked at. `needed_role` tells what a request is for.

    `counts` gains the refusals. Raises ValueError for an empty secret and for a broken hash.
    """

    def __init__(
        self,
        password: Secret | None,
        token: Secret | None,
        *,
        viewer_password: Secret | None = None,
        viewer_token: Secret | None = None,
        users: Sequence[User] = (),
        clock: IReactorTime | None = None,
        in_thread: InThread = execute,
        needed_role: NeededRole = by_method,
    ) -> None:
        shared = (User(OPERATOR, password, token), User(VIEWER, viewer_password, viewer_token))
        self.users = [each for each in (*shared, *users) if each.password or each.token]
        """Who may come in: the shared secrets that are configured, then the accounts."""
        self._needed_role = needed_role
        self._secrets = Secrets(_wanted(self.users), in_thread, clock)
        self.counts: Counter[str] = Counter(dict.fromkeys(_COUNTED.values(), 0))

    @property
    def is_open(self) -> bool:
        """Whether no secret is configured."""
        return not self._secrets.schemes

    async def check(self, request: Request) -> None:
        """Let a request pass. Raises HttpError (400, 401, 403, 415, 429), counted."""
        try:
            await self._check(request)
        except HttpError as error:
            self.counts[_COUNTED[error.code]] += 1
            raise

    async def _check(self, request: Request) -> None:
        _check_text(request)
        host = header(request, "host")
        if not host:
            # Health checks may speak HTTP/1.0 without a Host; klein needs one on a UNIX socket.
            host = "localhost"
            request.requestHeaders.setRawHeaders("Host", [host])
        name = _name_of(host)
        if self.is_open:
            # DNS rebinding: the name of another site's page was made to point here. With a
            # password that page cannot log in; without one it is told by its name.
            if not _is_local(name):
                why = (
                    f"without a password this answers to an IP address or localhost, not to {name}:"
                    " set [web] password or token"
                )
                raise HttpError(403, "foreign-host", why)
        elif request.path not in OPEN_PATHS or header(request, "authorization"):
            person = await self._person_of(request)
            proved(request)
            _note_person(request, person)
            _check_role(request, person, self._needed_role)
        else:
            alsoProvides(request, IStranger)
        if request.method not in READING:
            _refuse_forged(request)
        if self.is_open:
            _note_person(request, LOCAL)
            proved(request)

    async def _person_of(self, request: Request) -> Person:
        """Return who asks. Raises HttpError (401, 429)."""
        authorization = header(request, "authorization")
        needed = HttpError(401, "unauthorized", "a password or a token is needed")
        if not authorization:
            raise needed  # no guess: browsers send this before they ask for the password
        host = host_of(request.getClientAddress())
        scheme, account, given = _given(authorization)
        try:
            person = await self._secrets.person_of(scheme, given, group_of(host), account)
        except TooManyGuesses as error:
            last(request)
            request.setHeader("Retry-After", f"{error.seconds:.0f}")
            raise HttpError(429, "too-many-guesses", str(error)) from None
        if person is None:
            raise needed
        return person

    def challenges(self) -> list[str]:
        """Return the values of WWW-Authenticate for a 401."""
        schemes = self._secrets.schemes
        basic = ['Basic realm="gantry", charset="UTF-8"'] if "basic" in schemes else []
        return basic + (['Bearer realm="gantry"'] if "bearer" in schemes else [])


# The name of the count for each code of an error.
_COUNTED = {
    "bad-method": "malformed",
    "bad-path": "malformed",
    "bad-host": "malformed",
    "bad-content-type": "foreign-origin",
    "foreign-origin": "foreign-origin",
    "foreign-host": "foreign-host",
    "unauthorized": "unauthorized",
    "too-many-guesses": "throttled",
    "read-only": "read-only",
    "forbidden": "forbidden",
}


def person_of(request: Request) -> Person:
    """Return who asks. Raises TypeError for a request that no gate has let pass."""
    found = request.getComponent(IPerson)
    if not isinstance(found, Person):
        raise TypeError("no gate has let this request pass")
    return found


def _check_role(request: Request, person: Person, needed_role: NeededRole) -> None:
    """Refuse what the role does not allow. Raises HttpError (403)."""
    # Of the path as it is routed, each part decoded.
    needed = needed_role(request.method, b"/" + b"/".join(request.postpath or []))
    if person.role.allows(needed):
        return
    if person.role is Role.VIEWER and request.method not in READING:
        raise HttpError(403, "read-only", "this password or token is for reading alone")
    raise HttpError(403, "forbidden", f"{person.name} is {person.role}; this is for {needed}s")


def _note_person(request: Request, person: Person) -> None:
    request.setComponent(IPerson, person)


def _wanted(users: Sequence[User]) -> dict[str, list[Wanted]]:
    """Return the secrets by their scheme; the shared passwords go with any name."""
    wanted: dict[str, list[Wanted]] = {"basic": [], "bearer": []}
    for user in users:
        person = user.person
        account = ANYBODY if person in (OPERATOR, VIEWER) else same_name(person.name)
        if user.password is not None:
            wanted["basic"].append(Wanted(person, user.password, account))
        if user.token is not None:
            wanted["bearer"].append(Wanted(person, user.token))
    return {scheme: each for scheme, each in wanted.items() if each}


def _given(authorization: str) -> tuple[str, str, bytes]:
    """Return scheme, account and secret of a header; without a scheme nothing fits."""
    scheme, _, given = authorization.strip().partition(" ")
    scheme, given = scheme.lower(), given.strip()
    if scheme != "basic":
        return scheme, ANYBODY, given.encode()
    try:
        name, colon, password = base64.b64decode(given, validate=True).partition(b":")
    except ValueError:
        return "", ANYBODY, b""
    account = same_name(name.decode("utf-8", "replace"))
    return (scheme, account, password) if colon else ("", ANYBODY, b"")


_NO_FORMS = frozenset(
    {
        "",
        "application/json",
        "text/csv",
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    }
)
"""What a page of another site cannot send without our leave."""


def _refuse_forged(request: Request) -> None:
    """Refuse requests that another site's page makes a browser send. Raises HttpError (403, 415).
    The browser adds the password itself. Without our leave such a page can send a form, but neither
    JSON nor a table. Programs send neither Origin nor Sec-Fetch-Site, and need no Content-Type.
    """
    refuse_foreign_origin(request)
    if not (header(request, "sec-fetch-site") or header(request, "origin")):
        return
    kind = header(request, "content-type").partition(";")[0].strip().lower()
    if kind not in _NO_FORMS:
        raise HttpError(415, "bad-content-type", "the body must be application/json")


def _check_text(request: Request) -> None:
    """Refuse a method or a path that is not text. Raises HttpError (400)."""
    if not _METHOD.match(request.method):
        raise HttpError(400, "bad-method", "the method is no word")
    try:
        unquote_to_bytes(request.path).decode("utf-8")
    except UnicodeDecodeError:
        raise HttpError(400, "bad-path", "the path is not UTF-8") from None


class Gate(Resource):
    """Lets `inner` answer the requests that pass `access`."""

    isLeaf = True

    def __init__(self, access: Access, inner: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._access, self._inner = access, inner

    def render(self, request: Request) -> int:
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        checking = ensureDeferred(self._access.check(request))
        request.notifyFinish().addErrback(lambda _: checking.cancel())
        checking.addCallback(lambda _: request.render(self._inner))
        checking.addErrback(self._refuse, request)
        checking.addErrback(request.processingFailed)
        return NOT_DONE_YET

    def _refuse(self, failure: Failure, request: Request) -> None:
        if failure.check(CancelledError):
            return  # the client has gone
        error = failure.value
        if not isinstance(error, HttpError):
            failure.raiseException()
        if error.status == 401:
            request.responseHeaders.setRawHeaders("WWW-Authenticate", self._access.challenges())
        body = respond_error(request, error)
        request.setHeader("Content-Length", str(len(body)))
        request.write(body)
        request.finish()


class Switch(Resource):
    """Picks a resource by the first part of the path; the resource sees the whole path."""

    isLeaf = True

    def __init__(self, parts: dict[bytes, IResource], default: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._parts, self._default = parts, default

    def render(self, request: Request) -> bytes | int:
        first = request.postpath[0] if request.postpath else b""
        answer: bytes | int = self._parts.get(first, self._default).render(request)
        return answer


def needs_password(endpoint: str) -> bool:
    """Tell whether a server endpoint may be reachable from another computer."""
    return not is_local(endpoint)
