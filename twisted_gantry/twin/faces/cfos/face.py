"""A cFos Power Brain, as seen over HTTP: `/cnf?cmd=…` acts on the charging place of the world.

Source: the cFos document. Whatever is wrong with a call is told by a JSON string and HTTP
200, as the vendor does; without the admin password, where it is needed, it is 401.
"""

from collections import Counter
from collections.abc import Callable

from klein import Klein
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import Request
from werkzeug.exceptions import HTTPException

from twisted_gantry.net.http.json import argument, header, respond
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.twin.faces.cfos.calls import MAX_PASSWORD, Calls, Password, Query
from twisted_gantry.twin.faces.cfos.manager import Complaint, Manager, Unauthorized
from twisted_gantry.twin.faults.http import HttpFaultInjector
from twisted_gantry.twin.faults.settings import CFOS, Faults
from twisted_gantry.twin.world.charging import ChargingSite
from twisted_gantry.wire.errors import WireError

_log = Logger()

ADMIN_PASSWORD = "1234abcd"  # noqa: S105 - of the document's example
LIMITS = Limits(body=256 * 1024, deadline=10.0, idle=60.0, connections=64)
_CHALLENGE = b'Basic realm="cFos Power Brain"'
_PAGE = b"<!doctype html><title>cFos Power Brain</title><p>cFos Charging Manager"


class PowerBrain:
    """The Power Brain. `now` gives Unix seconds; `clock` is for delays and times of its own.

    `counts` tells each call by its name with hyphens, `complaints`, `unauthorized` and `busy`, and
    what `HttpFaultInjector` and `bounded_site` count. Raises ValueError for an invalid password.
    """

    app = Klein()

    def __init__(
        self,
        charging: ChargingSite,
        faults: Faults,
        clock: IReactorTime,
        now: Callable[[], float],
        *,
        admin_password: str = ADMIN_PASSWORD,
    ) -> None:
        if not 0 < len(admin_password) <= MAX_PASSWORD:
            raise ValueError(f"the cFos password must have 1 to {MAX_PASSWORD} characters")
        self.counts: Counter[str] = Counter()
        self.manager = Manager(charging, clock.seconds, now)
        self._injector, self._clock = HttpFaultInjector(CFOS, faults, clock, self.counts), clock
        self._password = Password(admin_password)
        self._calls = Calls(self.manager, self._password)

    def site(self) -> IProtocolFactory:
        """Return the factory that serves it."""
        return bounded_site(self.resource(), self._clock, LIMITS, self.counts)

    def resource(self) -> Resource:
        """Return what is served."""
        return self._injector.around(self.app.resource())

    @app.route("/cnf", methods=["GET", "POST"])
    async def cnf(self, request: Request) -> bytes:
        """Answer one call, and misbehave as it is set."""
        return await self._serve(request, lambda: self._call(request))

    @app.route("/ui/en/sim.htm", methods=["GET"])
    async def page(self, request: Request) -> bytes:
        """Serve a page to the admin: clients check the password with it."""
        return await self._serve(request, lambda: self._show_page(request))

    @app.handle_errors(Exception)
    def _(self, request: IRequest, failure: Failure) -> bytes:
        """Answer a wrong path or verb with plain HTTP; a mistake of ours is logged, not told."""
        error = failure.value
        if isinstance(error, HTTPException):
            request.setResponseCode(error.code or 500)
            return b""
        # The request is not logged: its query may hold a password.
        _log.failure("a request to the Power Brain failed", failure=failure)
        return respond(request, "internal error", 500)

    async def _serve(self, request: Request, act: Callable[[], bytes]) -> bytes:
        faults = self._injector.faults
        answer = b""
        if faults.acts:
            answer = act()
        elif faults.http_status is None:
            self.counts["busy"] += 1
            answer = respond(request, "busy", 503)
        return await self._injector.answer(request, answer, faults)

    def _call(self, request: Request) -> bytes:
        cmd = argument(request, "cmd").removesuffix('"')
        self.counts[cmd.replace("_", "-") if cmd in self._calls.known else "unknown-cmd"] += 1
        try:
            return respond(request, self._calls.answer(cmd, self._query(request)))
        except Unauthorized:
            return self._challenge(request)
        except (Complaint, WireError) as error:
            self.counts["complaints"] += 1
            return respond(request, str(error))

    def _show_page(self, request: Request) -> bytes:
        try:
            if not self._is_admin(request):
                return self._challenge(request)
        except Unauthorized:
            return self._challenge(request)
        request.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        return _PAGE

    def _query(self, request: Request) -> Query:
        """Read a request. Raises Unauthorized for a wrong password."""
        assert request.content is not None  # set once the request is complete
        args = {
            name.decode("utf-8", "replace"): values[-1].decode("utf-8", "replace")
            for name, values in request.args.items()
        }
        return Query(args, request.content.read(), self._is_admin(request))

    def _is_admin(self, request: Request) -> bool:
        """Tell whether the password came. Raises Unauthorized for a wrong one."""
        if not header(request, "authorization"):
            return False
        if not self._password.matches(request.getUser(), request.getPassword()):
            raise Unauthorized
        return True

    def _challenge(self, request: Request) -> bytes:
        self.counts["unauthorized"] += 1
        request.setHeader(b"WWW-Authenticate", _CHALLENGE)
        return respond(request, "wrong admin password", 401)
