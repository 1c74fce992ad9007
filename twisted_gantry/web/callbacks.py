"""The HTTP server to which all UPS cards POST their results.

Decisions: `docs/protocols/ups-card.md`, "Transport" and "Decisions": 200 for a result that a driver
waits for, 4xx for anything else. A result comes from the address of its card, and names a session.
"""

from collections import Counter
from collections.abc import Callable, Collection
from ipaddress import ip_address

from klein import Klein
from twisted.internet.endpoints import quoteStringArgument
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.logger import Logger
from twisted.web.resource import IResource
from twisted.web.server import Request
from zope.interface import implementer

from twisted_gantry.core.interfaces import ICallbackHost, LateResult
from twisted_gantry.net.addresses import host_of
from twisted_gantry.net.http.json import HttpError, header, respond
from twisted_gantry.net.http.multipart import NotOnePart, content_of
from twisted_gantry.net.http.routes import ConstantRoutes
from twisted_gantry.net.http.server import WORK, Limits, bounded_site, last, proved
from twisted_gantry.net.throttle import FAILURES_WITHIN, Throttle, Throttled
from twisted_gantry.wire.errors import CannotEncode, WireError
from twisted_gantry.wire.frames import MAX_OBJECT
from twisted_gantry.wire.upscard.messages import Place, decode_reply, place_of

_log = Logger()

# A card may open a connection for each result and leave it open: at two a second that makes 60.
LIMITS = Limits(
    body=MAX_OBJECT,
    deadline=10.0,
    idle=30.0,
    connections=256,
    per_address=64,
    reserved=128,
    work=WORK,
)

WRONG = 10
"""Bodies of one address in 60 s that are no awaited result, after which further ones are 429."""

Receiver = Callable[[bytes], bool]
IsSource = Callable[[str], bool]


@implementer(ICallbackHost)
class CallbackHost:
    """Hands each result, encoded anew, to the receivers of its path and source until one takes it.
    What is no result goes to all of them as it came: the one that waits tells it.

    Receivers of one path share it on all ports. `foreign(host)` is called for a host that is the
    source of no receiver, and for one that keeps guessing at sessions.

    `counts` gains `taken`, `foreign-source` (403), `malformed` (400, no result), `unknown-path`
    (404), `wrong-method` (405), `late` (410: or repeated), `unclaimed` (410: its session is not
    known), `throttled` (429: too many of these), `failed` (500), and what `bounded_site` counts.
    """

    app = Klein()

    def __init__(
        self, clock: IReactorTime, foreign: Callable[[str], object] = lambda host: None
    ) -> None:
        self.counts: Counter[str] = Counter()
        self._clock, self._foreign = clock, foreign
        self._throttle = Throttle(clock, failures=WRONG)
        self._places: Counter[Place] = Counter()
        self._receivers: dict[bytes, list[tuple[Receiver, IsSource]]] = {}

    def register(
        self, url: str, receiver: Receiver, is_source: Callable[[str], bool]
    ) -> Callable[[], None]:
        """Hand bodies that are POSTed to `url` from the hosts of `is_source` to `receiver`; returns
        a call that ends this. Raises ValueError unless `url` is an http URL.
        """
        place = place_of(url)
        path, entry = place.path.encode(), (receiver, is_source)
        self._places[place] += 1
        self._receivers.setdefault(path, []).append(entry)

        def unregister() -> None:
            self._places -= Counter([place])
            receivers = self._receivers[path]
            receivers.remove(entry)
            if not receivers:
                del self._receivers[path]

        return unregister

    def places(self) -> list[Place]:
        """Return the registered places, sorted by port."""
        return sorted(self._places, key=lambda place: (place.port, place.host, place.path))

    def endpoints(self, local_addresses: Collection[str]) -> list[str]:
        """Return the server endpoint strings to listen on, none without a registration.
        `local_addresses` are the IP addresses of this machine. A port is opened at the hosts of its
        URLs if all are ours, else on every interface: a name, or the address of a router, does not
        tell by which interface the card comes.
        """
        hosts: dict[int, set[str]] = {}
        for place in self.places():
            hosts.setdefault(place.port, set()).add(place.host)
        own = {_normal(address) for address in local_addresses}
        found: list[str] = []
        for port, names in hosts.items():
            at = {_own(name, own) for name in names}
            given = sorted(address for address in at if address)
            if "" not in at:
                found += [_endpoint(port, address) for address in given]
            elif any(":" in name for name in names):
                found.append(_endpoint(port, "::"))  # takes IPv4, too
            else:
                found.append(f"tcp:{port}")
        return found

    def resource(self) -> IResource:
        return ConstantRoutes(
            self.app, lambda failure: _log.failure("a request of a UPS card failed", failure)
        )

    def site(self, crowded: Callable[[str], object] = lambda address: None) -> IProtocolFactory:
        """Return the factory for all ports. The sources of the receivers are no strangers."""
        return bounded_site(
            self.resource(),
            self._clock,
            LIMITS,
            self.counts,
            crowded=crowded,
            is_known=self._is_source,
            short_bodies=True,  # a card may count wrong; what is no result is told as such
        )

    def _is_source(self, host: str) -> bool:
        return any(test(host) for each in self._receivers.values() for _, test in each)

    @app.route("/", branch=True)
    def take(self, request: Request) -> bytes:
        try:
            self._take(request)
        except HttpError as error:
            self.counts[error.code] += 1
            if error.code not in {"failed", "late"}:
                self._count_wrong(request, error.code)
            raise
        proved(request)
        self.counts["taken"] += 1
        return respond(request, {})

    def _count_wrong(self, request: Request, code: str) -> None:
        """Count what is no result. Raises HttpError (429) once a host has sent too much of that,
        and closes its connection; its right results are taken all the same.
        """
        host = host_of(request.getClientAddress())
        if code == "foreign-source":
            self._foreign(host)
        try:
            self._throttle.failed(host)
        except Throttled:
            self._foreign(host)
            self.counts["throttled"] += 1
            last(request)
            request.setHeader(b"Retry-After", b"%d" % FAILURES_WITHIN)
            raise HttpError(429, "throttled", "too much that is no result") from None

    def _take(self, request: Request) -> None:
        """Hand over a result. Raises HttpError; its code is also the name of the count."""
        receivers = self._receivers.get(request.path)
        if receivers is None:
            raise HttpError(404, "unknown-path", "no card calls back here")
        if request.method != b"POST":
            request.setHeader(b"Allow", b"POST")
            raise HttpError(405, "wrong-method", "results are POSTed")
        host = host_of(request.getClientAddress())
        own = [receiver for receiver, is_source in receivers if is_source(host)]
        if not own:
            raise HttpError(403, "foreign-source", "this is the address of no card")
        assert request.content is not None  # set once the request is complete
        body = request.content.read()
        try:
            body = content_of(header(request, "content-type"), body)
        except NotOnePart as error:
            raise HttpError(400, "malformed", str(error)) from None
        try:
            # Encoded anew, so that receivers do not decode unknown keys again and again.
            result = decode_reply(body).encode()
        except (WireError, CannotEncode):  # its text may quote the body
            for receiver in own:
                receiver(body)  # its device tells what came
            raise HttpError(400, "malformed", "this is no result of a UPS card") from None
        for receiver in own:
            try:
                if receiver(result):
                    return
            except LateResult:
                raise HttpError(410, "late", "this result is late, or came before") from None
            except Exception:
                if not self.counts["failed"]:  # a peer that found the way may repeat it
                    _log.failure("a result of a UPS card could not be taken")
                raise HttpError(500, "failed", "see the log of the program") from None
        raise HttpError(410, "unclaimed", "nobody waits for this result")


def _normal(address: str) -> str:
    """Return an address in its normal form, empty for a text that is none."""
    try:
        return str(ip_address(address.partition("%")[0]))
    except ValueError:
        return ""


def _own(host: str, own: Collection[str]) -> str:
    """Return the address of `host` if it is ours, else an empty text."""
    address = "127.0.0.1" if host == "localhost" else _normal(host)
    return address if address in own or (address and ip_address(address).is_loopback) else ""


def _endpoint(port: int, address: str) -> str:
    if ":" in address:
        return f"tcp6:{port}:interface={quoteStringArgument(address)}"
    return f"tcp:{port}:interface={address}"
