"""An HTTP server with bounds on the number, the size and the time of its requests.

Twisted does not bound a body (twisted #4898, #10191), and each byte resets its `Site(timeout=)`.
Here a request has `deadline` seconds from its first byte to its last.
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any

from twisted.internet.interfaces import (
    IAddress,
    IHalfCloseableProtocol,
    IProtocolFactory,
    IReactorTime,
)
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.http import Request as HttpRequest
from twisted.web.resource import IResource
from twisted.web.server import Request, Site
from zope.interface import implementer

from twisted_gantry.net.addresses import host_of
from twisted_gantry.net.budget import Slices
from twisted_gantry.net.slots import EVERYBODY, Allowed, Progress, Slot, Slots
from twisted_gantry.net.timers import Timer


@dataclass(frozen=True)
class Limits:
    """What a client may ask of a server: bytes, seconds, connections. `bodies` bounds what all
    requests together hold of their bodies. `per_address` bounds the connections without a proof of
    one IPv4 address or IPv6 /64, 0 for no such bound; `reserved` connections are not for strangers
    (`net/slots.py`). `work` is the CPU time a second that the connections of an address may
    cost without a proof, 0 for no such bound.
    """

    body: int = 64 * 1024
    bodies: int = 32 * 1024 * 1024
    deadline: float = 10.0
    idle: float = 60.0
    connections: int = 64
    per_address: int = 0
    reserved: int = 0
    work: float = 0.0


_BLANKS = re.compile(rb"([A-Z]{1,20}) +(/[^\r\n]* [^\r\n]*?) +(HTTP/1\.[01]) *")
_ABSOLUTE = re.compile(rb"https?://(?:[^/?#@]*@)?([^/?#@]+)(.*)", re.IGNORECASE | re.DOTALL)
WORK = 0.1
"""`Limits.work` of a server that strangers reach: a tenth of a core."""
LAST_WORDS_S = 3.0
"""Seconds that a peer has to take the last answer before its connection is dropped."""


def _last_words(status: bytes) -> bytes:
    return b"HTTP/1.1 " + status + b"\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class _Held:
    """Bytes of bodies that a server holds; the requests in `coming` are not yet whole."""

    def __init__(self) -> None:
        self.size = 0
        self.coming: set[_BoundedRequest] = set()


class _BoundedRequest(Request):
    """Refuses a body of over `limits.body` bytes, declared or chunked: 413. When all bodies
    together pass `limits.bodies`, the request that has sent most is refused, 503.
    """

    limits: Limits
    counts: Counter[str]
    held: _Held
    short_bodies = False
    _got = 0
    _refused = False

    def gotLength(self, length: int | None) -> None:
        # With 0 Twisted keeps the body in memory, where it is bounded. The file that it would make
        # of a long body stays open when the client leaves half-way.
        super().gotLength(0)  # type: ignore[no-untyped-call]
        if length is not None and length > self.limits.body:
            self._refuse("too-large", b"413 Request Entity Too Large")
        elif length and self.short_bodies:
            self._tell(lambda guard: guard.body_begins(self))

    def end_short(self) -> bool:
        """Take the body as it came, though more was stated. Returns whether anything came."""
        if self._refused or not self._got:
            return False
        self.counts["short"] += 1
        channel: Any = self.channel
        channel.allContentReceived()
        return True

    def handleContentChunk(self, data: bytes) -> None:
        if self._refused:
            return
        self._got += len(data)
        self.held.size += len(data)
        self.held.coming.add(self)
        if self._got > self.limits.body:
            self._refuse("too-large", b"413 Request Entity Too Large")
            return
        while self.held.size > self.limits.bodies and not self._refused:
            greatest = max(self.held.coming, key=lambda each: each._got)
            greatest._refuse("crowded", b"503 Service Unavailable")
        if not self._refused:
            super().handleContentChunk(data)  # type: ignore[no-untyped-call]

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        if self._refused:
            return
        if getattr(self.channel, "_waitingForTransport", False):
            # The client reads no answers, which would pile up here. The name is private.
            self.counts["not-reading"] += 1
            self._tell(_Guard.request_refused)
            self._tell(_Guard.abortConnection)
            return
        self._tell(_Guard.request_complete)
        self.held.coming.discard(self)
        self.counts["requests"] += 1
        if absolute := _ABSOLUTE.fullmatch(path):  # RFC 9112, 3.2.2: its host replaces Host
            host, path = absolute.groups()
            self.requestHeaders.setRawHeaders(b"Host", [host])
            path = path if path.startswith(b"/") else b"/" + path
        super().requestReceived(command, path, version)  # type: ignore[no-untyped-call]

    def finish(self) -> None:
        self._tell(_Guard.request_answered)
        self._let_go()
        super().finish()  # type: ignore[no-untyped-call]

    def connectionLost(self, reason: Failure) -> None:
        self._let_go()
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _let_go(self) -> None:
        self.held.size -= self._got
        self.held.coming.discard(self)
        self._got = 0

    def _tell(self, news: "Callable[[_Guard], None]") -> None:
        guard: object = getattr(getattr(self, "channel", None), "transport", None)
        if isinstance(guard, _Guard):
            news(guard)

    def _refuse(self, why: str, status: bytes) -> None:
        self._refused = True
        self._let_go()
        self.content = BytesIO()
        self.counts[why] += 1
        channel: Any = self.channel
        channel.transport.write(_last_words(status))
        channel.loseConnection()
        self._tell(_Guard.request_refused)


@implementer(IHalfCloseableProtocol)
class _Guard(ProtocolWrapper):
    """Stands between the transport and the HTTP channel, and watches the clock. A peer that closes
    its side behind a request gets the answer.
    """

    factory: "_BoundedFactory"
    slot: Slot
    _slices: Slices | None = None
    _receiving = _closing = _is_last = False
    endless = False  # whether the answer under way has no end
    _body: _BoundedRequest | None = None  # the request whose body comes, where it may end short

    def makeConnection(self, transport: object) -> None:
        self.slot.close = self.abortConnection
        clock = self.factory.reactor
        if self.factory.limits.work:
            self._slices = Slices(clock, self._feed, self.slot.pay, self._flooded)
            self._slices.transport = transport
        self._deadline = Timer(self.factory.reactor, self._time_out)
        self._closed = Timer(self.factory.reactor, self.abortConnection)
        self._answered = Timer(self.factory.reactor, self._answered_last)
        super().makeConnection(transport)  # type: ignore[no-untyped-call]
        self._begin()

    def dataReceived(self, data: bytes) -> None:
        self.slot.reached(Progress.BEGUN)
        if self._slices is None:
            self._feed(data)
        else:
            self._slices.take(data)

    def _feed(self, data: bytes) -> None:
        if self._closing:
            return
        if not self._receiving and not self.slot.answering:
            self._begin()  # with the first byte, however long the connection was silent
        self._receiving = True
        super().dataReceived(data)  # type: ignore[no-untyped-call]

    def _flooded(self) -> None:
        self.slot.flooded()
        self.abortConnection()

    def body_begins(self, request: _BoundedRequest) -> None:
        self._body = request

    def request_complete(self) -> None:
        self._receiving, self.slot.answering = False, True
        self._body = None
        self.slot.reached(Progress.WHOLE)
        self._deadline.cancel()

    def request_answered(self) -> None:
        self.slot.answering = False
        if self._receiving:
            self._begin()
        if self._is_last:
            self._answered.start(0)  # the end of the answer is written first

    def request_refused(self) -> None:
        self._receiving = False
        self._close_soon()

    def readConnectionLost(self) -> None:  # noqa: N802
        """Close once all requests that are whole have been answered: nothing more comes."""
        self._is_last = True
        self._end_short()
        if self.endless:
            self.abortConnection()
        elif not self._closing:
            self._answered_last()

    def writeConnectionLost(self) -> None:  # noqa: N802
        self.abortConnection()

    def _answered_last(self) -> None:
        if not self.slot.answering:
            self.loseConnection()  # type: ignore[no-untyped-call]
            self._close_soon()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._deadline.cancel()
        self._closed.cancel()
        self._answered.cancel()
        self.slot.free()
        if self._slices is not None:
            self._slices.drop()
        if self._receiving:
            self.factory.counts["unfinished"] += 1
        super().connectionLost(reason)  # type: ignore[no-untyped-call]

    def _begin(self) -> None:
        self._deadline.start(self.factory.limits.deadline)

    def _end_short(self) -> bool:
        return self._body is not None and self._body.end_short()

    def _time_out(self) -> None:
        if self._body is not None:
            self._is_last = True
        if self._end_short():
            return
        if self._receiving:
            self.factory.counts["timeout"] += 1
            self.write(_last_words(b"408 Request Timeout"))  # type: ignore[no-untyped-call]
            self.loseConnection()  # type: ignore[no-untyped-call]
            self._close_soon()
        else:
            self.abortConnection()
        self._receiving = False

    def _close_soon(self) -> None:
        self._closing = True
        self._deadline.cancel()
        self._closed.start(LAST_WORDS_S)

    def abortConnection(self) -> None:
        self.transport.abortConnection()  # type: ignore[union-attr]


class _BoundedFactory(WrappingFactory):
    """Gives each connection a place, or refuses it."""

    noisy = False
    protocol = _Guard

    def __init__(
        self, site: Site, limits: Limits, reactor: IReactorTime, counts: Counter[str], slots: Slots
    ) -> None:
        super().__init__(site)  # type: ignore[no-untyped-call]
        self.limits, self.reactor, self.counts, self._slots = limits, reactor, counts, slots

    def buildProtocol(self, addr: IAddress | None) -> Any:
        slot = self._slots.admit(host_of(addr))
        if slot is None:
            return None
        guard: Any = super().buildProtocol(addr)
        guard.slot = slot
        return guard


class _BlankTaker(HTTPChannel):
    """Takes a request line with raw blanks in its target, as people write it from documents."""

    def lineReceived(self, line: bytes) -> None:
        found = _BLANKS.fullmatch(line)
        if found is not None:  # no header looks like that
            line = b"%b %b %b" % (found[1], found[2].strip().replace(b" ", b"%20"), found[3])
        super().lineReceived(line)  # type: ignore[no-untyped-call]


class _QuietSite(Site):
    """A site without an access log."""

    noisy = False

    def log(self, request: HttpRequest) -> None:
        pass


def cut(request: HttpRequest) -> None:
    """Drop the connection of a request at once, with what is still to be written."""
    channel: Any = request.channel
    channel.transport.abortConnection()


def hang_up(request: HttpRequest) -> None:
    """Close the connection of a request after what was written, also in the middle of an answer."""
    channel: Any = request.channel
    channel.loseConnection()


def proved(request: HttpRequest) -> None:
    """Note that a request is authenticated: its connection is kept when others crowd the server,
    and its address is no stranger from now on.
    """
    guard: object = getattr(getattr(request, "channel", None), "transport", None)
    if isinstance(guard, _Guard):
        guard.slot.reached(Progress.PROVED)


def endless(request: HttpRequest) -> None:
    """Note that an answer has no end: it ends when the client closes its side."""
    guard: object = getattr(getattr(request, "channel", None), "transport", None)
    if isinstance(guard, _Guard):
        guard.endless = True


def last(request: HttpRequest) -> None:
    """Close the connection of a request after its answer: the peer asks too often."""
    channel: Any = request.channel
    if channel is not None:
        channel.persistent = False
        request.setHeader(b"Connection", b"close")


def with_backlog(endpoint: str, connections: int) -> str:
    """Return a server endpoint description whose backlog is `connections`. Of more than Twisted's
    50 that come at once the kernel drops some, which try again after a second. A description with
    its own `backlog=`, or of a kind without one, stays as it is.
    """
    kind, *rest = re.split(r"(?<!\\):", endpoint)
    if kind not in {"tcp", "tcp6", "ssl"} or any(each.startswith("backlog=") for each in rest):
        return endpoint
    return f"{endpoint}:backlog={connections}"


def bounded_site(
    resource: IResource,
    reactor: IReactorTime,
    limits: Limits,
    counts: Counter[str],
    *,
    allowed: Allowed = EVERYBODY,
    crowded: Callable[[str], object] = lambda address: None,
    is_known: Callable[[str], bool] = lambda host: False,
    raw_blanks: bool = False,
    short_bodies: bool = False,
) -> IProtocolFactory:
    """Return a factory that serves `resource` within `limits` to the `allowed` clients. The body of
    a form is not parsed: `request.args` are those of the query alone. `counts` gains `requests`,
    `too-large`, `crowded`, `timeout`, `unfinished`, `not-reading`, and what `Slots` counts.
    `crowded(address)` and `is_known(host)` are called as by `Slots`. With `raw_blanks` a target may
    have blanks, which are taken for `%20`. With `short_bodies` a body that has fewer bytes than its
    Content-Length is taken as it came, once the peer closes or says nothing more; counts `short`.
    """
    slots = Slots(
        reactor,
        connections=limits.connections,
        per_address=limits.per_address,
        reserved=limits.reserved,
        work=limits.work,
        counts=counts,
        allowed=allowed,
        crowded=crowded,
        is_known=is_known,
    )
    shared = {"limits": limits, "counts": counts, "held": _Held(), "short_bodies": short_bodies}
    quiet: Any = _QuietSite  # its __init__ has no annotations
    site = quiet(
        resource,
        requestFactory=type("BoundRequest", (_BoundedRequest,), shared),
        timeout=limits.idle,
        reactor=reactor,
        # Twisted would make an e-mail message of each Content-Type, a third of a POST's time.
        parsePOSTFormSubmission=False,
    )
    site.displayTracebacks = False
    if raw_blanks:
        site.protocol = _BlankTaker
    return _BoundedFactory(site, limits, reactor, counts, slots)
