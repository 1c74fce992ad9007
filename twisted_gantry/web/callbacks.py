"""The HTTP server to which all UPS cards POST their results.

Decisions: `docs/protocols/ups-card.md`, "Transport" and "Decisions": 200 for a result that a driver
waits for, 4xx for anything else. Any peer may POST here; a result is matched by its session number.
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

from twisted_gantry.core.interfaces import ICallbackHost
from twisted_gantry.net.http.json import HttpError, respond
from twisted_gantry.net.http.routes import ConstantRoutes
from twisted_gantry.net.http.server import WORK, Limits, bounded_site, proved
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

Receiver = Callable[[bytes], bool]


@implementer(ICallbackHost)
class CallbackHost:
    """Hands each result, encoded anew, to the receivers of its path until one takes it.

    Receivers of one path share it on all ports.

    `counts` gains `taken`, `malformed` (400, no result), `unknown-path` (404), `wrong-method`
    (405), `unclaimed` (410: late, repeated, or of an unknown session), `failed` (500), and what
    `bounded_site` counts.
    """

    app = Klein()

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._places: Counter[Place] = Counter()
        self._receivers: dict[bytes, list[Receiver]] = {}

    def register(self, url: str, receiver: Receiver) -> Callable[[], None]:
        """Hand bodies that are POSTed to `url` to `receiver`; returns a call that ends this. Raises
        ValueError unless `url` is an http URL.
        """
        place = place_of(url)
        path = place.path.encode()
        self._places[place] += 1
        self._receivers.setdefault(path, []).append(receiver)

        def unregister() -> None:
            self._places -= Counter([place])
            receivers = self._receivers[path]
            receivers.remove(receiver)
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

    def site(
        self, reactor: IReactorTime, crowded: Callable[[str], object] = lambda address: None
    ) -> IProtocolFactory:
        return bounded_site(self.resource(), reactor, LIMITS, self.counts, crowded=crowded)

    @app.route("/", branch=True)
    def take(self, request: Request) -> bytes:
        try:
            self._take(request)
        except HttpError as error:
            self.counts[error.code] += 1
            raise
        proved(request)
        self.counts["taken"] += 1
        return respond(request, {})

    def _take(self, request: Request) -> None:
        """Hand over a result. Raises HttpError; its code is also the name of the count."""
        receivers = self._receivers.get(request.path)
        if receivers is None:
            raise HttpError(404, "unknown-path", "no card calls back here")
        if request.method != b"POST":
            request.setHeader(b"Allow", b"POST")
            raise HttpError(405, "wrong-method", "results are POSTed")
        assert request.content is not None  # set once the request is complete
        body = request.content.read()
        try:
            # Encoded anew, so that receivers do not decode unknown keys again and again.
            result = decode_reply(body).encode()
        except (WireError, CannotEncode):  # its text may quote the body
            raise HttpError(400, "malformed", "this is no result of a UPS card") from None
        for receiver in receivers:
            try:
                if receiver(result):
                    return
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
