"""A cFos Power Brain over HTTP: `/cnf?cmd=…` acts on the charging place of the world.

Source: the cFos document. As the vendor does, an error of a call is a JSON string with HTTP 200;
a missing or wrong admin password is HTTP 401.
"""

from collections.abc import Callable

from twisted.internet.interfaces import IReactorTime
from twisted.web.server import Request

from twisted_gantry.net.http.app import App
from twisted_gantry.net.http.json import argument, header, respond
from twisted_gantry.net.http.server import Limits
from twisted_gantry.twin.dialects.dialect import Peer
from twisted_gantry.twin.dialects.registry import voice
from twisted_gantry.twin.faces.cfos.calls import MAX_PASSWORD, Calls, Password, Query
from twisted_gantry.twin.faces.cfos.manager import Complaint, Manager, Unauthorized
from twisted_gantry.twin.faces.http import HttpFace, answer_failures, body_of, spoken
from twisted_gantry.twin.faults.settings import CFOS, Faults
from twisted_gantry.twin.world.charging import ChargingSite
from twisted_gantry.wire.errors import WireError

ADMIN_PASSWORD = "1234abcd"  # noqa: S105 - of the document's example
_CHALLENGE = b'Basic realm="cFos Power Brain"'
_PAGE = b"<!doctype html><title>cFos Power Brain</title><p>cFos Charging Manager"


class PowerBrain(HttpFace):
    """The Power Brain. `now` returns Unix seconds. Raises ValueError for an invalid password.

    `counts` tells each call by its name with hyphens, `complaints`, `unauthorized` and `busy`.
    """

    app = App()
    limits = Limits(body=256 * 1024, deadline=10.0, idle=60.0, connections=64)
    answer_failures(app, CFOS, lambda request: respond(request, "internal error", 500))

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
        super().__init__(CFOS, faults, clock)
        self.voice = voice(Peer.CFOS)
        self.manager = Manager(charging, clock.seconds, now)
        self._password = Password(admin_password)
        self._calls = Calls(self.manager, self._password)

    @app.route("/cnf", methods=["GET", "POST"])
    async def cnf(self, request: Request) -> bytes:
        return await self._serve(request, self._call)

    @app.route("/ui/en/sim.htm", methods=["GET"])
    async def page(self, request: Request) -> bytes:
        """Serve a page to the admin; clients check the password with it."""
        return await self._serve(request, self._show_page)

    async def _serve(self, request: Request, act: Callable[[Request], bytes]) -> bytes:
        faults = self._injector.faults
        answer = b""
        if faults.acts:
            try:
                answer = act(request)
            except Unauthorized:
                self.counts["unauthorized"] += 1
                request.setHeader(b"WWW-Authenticate", _CHALLENGE)
                answer = respond(request, "wrong admin password", 401)
        elif faults.http_status is None:
            self.counts["busy"] += 1
            answer = respond(request, "busy", 503)
        return await spoken(self.voice, self._injector, request, answer, faults)

    def _call(self, request: Request) -> bytes:
        cmd = argument(request, "cmd").removesuffix('"')
        self.counts[cmd.replace("_", "-") if cmd in self._calls.known else "unknown-cmd"] += 1
        try:
            return respond(request, self._calls.answer(cmd, self._query(request)))
        except (Complaint, WireError) as error:
            self.counts["complaints"] += 1
            return respond(request, str(error))

    def _show_page(self, request: Request) -> bytes:
        if not self._is_admin(request):
            raise Unauthorized
        request.setHeader(b"Content-Type", b"text/html; charset=utf-8")
        return _PAGE

    def _query(self, request: Request) -> Query:
        args = {
            name.decode("utf-8", "replace"): values[-1].decode("utf-8", "replace")
            for name, values in request.args.items()
        }
        return Query(args, body_of(request), self._is_admin(request))

    def _is_admin(self, request: Request) -> bool:
        """Tell whether the request has the password. Raises Unauthorized for a wrong one."""
        if not header(request, "authorization"):
            return False
        if not self._password.matches(request.getUser(), request.getPassword()):
            raise Unauthorized
        return True
