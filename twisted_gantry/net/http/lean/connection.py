"""A connection: requests are parsed, handed on, and answered in their order."""

from collections import Counter, deque
from typing import Any, Protocol

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer, IReactorTime
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.net import direct
from twisted_gantry.net.addresses import host_of
from twisted_gantry.net.budget import SLICE, Slices
from twisted_gantry.net.http.lean.request import Handler, LeanRequest
from twisted_gantry.net.http.server import LAST_WORDS_S, Limits
from twisted_gantry.net.slots import Progress, Slot

_log = Logger()

MOST_HEAD = 16 * 1024  # bytes of a request line with its headers
MOST_IN_FLIGHT = 64
"""Requests of one connection that wait for their answers; then nothing more is read."""
UNREAD_S = 30.0  # seconds that a peer may leave answers unread
ANSWER_S = 20.0  # seconds after which a request that waits gets the handler's `late`
_WRITE = 64 * 1024  # bytes of answers that are written at once


class Server(Protocol):
    """What a connection needs of its factory. `now` is the clock at the last sweep, `held` the
    bytes of the bodies that come.
    """

    handler: Handler
    path: bytes
    wanted: frozenset[bytes]
    limits: Limits
    clock: IReactorTime
    counts: Counter[str]
    now: float
    held: int
    draining: bool

    def reply(self, body: bytes, end: bytes) -> bytes:
        """Return an answer as bytes for the wire; `end` finishes its headers."""

    def hold(self, size: int) -> None:
        """Count bytes of a body that comes."""

    def made(self, connection: "LeanConnection") -> None: ...

    def lost(self, connection: "LeanConnection") -> None: ...


def _plain(status: bytes, more: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\n%bContent-Length: 0\r\n" % (status, more)


_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_NOT_FOUND = _plain(b"404 Not Found")
_NOT_ALLOWED = _plain(b"405 Method Not Allowed", b"Allow: POST\r\n")
_BAD_REQUEST = _plain(b"400 Bad Request")
_TOO_LARGE = _plain(b"413 Content Too Large")
_LONG_HEAD = _plain(b"431 Request Header Fields Too Large")
_TIMEOUT = _plain(b"408 Request Timeout")
_CROWDED = _plain(b"503 Service Unavailable")
_EXPECTATION = _plain(b"417 Expectation Failed")
_CLOSE = b"Connection: close\r\n\r\n"
_KEEP = b"Connection: keep-alive\r\n\r\n"  # HTTP/1.0 closes without it
_END = b"\r\n"


class _Exchange:
    """A request that waits for its answer; `reply` are the bytes for the wire once they are there.
    `end` finishes the headers.
    """

    __slots__ = ("end", "reply", "since")

    def __init__(self, end: bytes, since: float, reply: bytes = b"") -> None:
        self.end, self.since, self.reply = end, since, reply


class _Held:
    """Why a connection is not read, each for itself."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport
        self.reasons: set[str] = set()

    def hold(self, why: str) -> None:
        if not self.reasons:
            self._transport.pauseProducing()
        self.reasons.add(why)

    def release(self, why: str) -> bool:
        """Return whether the connection is read again."""
        if why not in self.reasons:
            return False
        self.reasons.discard(why)
        if not self.reasons:
            self._transport.resumeProducing()
        return not self.reasons

    # The slices know a transport.
    def pauseProducing(self) -> None:  # noqa: N802
        self.hold("work")

    def resumeProducing(self) -> None:  # noqa: N802
        self.release("work")


@implementer(IPushProducer, IHalfCloseableProtocol)
class LeanConnection(TwistedProtocol):
    """One connection. The methods `on_…` are called by the parser."""

    transport: Any

    def __init__(self, server: Server, slot: Slot) -> None:
        self._server, self._slot = server, slot
        self._parser = HttpRequestParser(self)
        self._pending: deque[_Exchange] = deque()
        self._out: list[bytes] = []
        self._receiving = self._feeding = self._closing = self._unread = False
        self._begun = self._lost = self._lingers = False
        self._since = self._unread_since = server.now
        self._unparsed = 0
        self._fresh()

    def _fresh(self) -> None:
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._length = -1
        self._expects = b""
        self._request: LeanRequest | None = None
        self._refusal = b""
        self._upgrading = False
        self._pieces: list[bytes] = []
        self._size = self._most = 0

    # -- the transport

    def connectionMade(self) -> None:
        self.peer = host_of(self.transport.getPeer())
        self._slot.close = self.abort
        self._reading = _Held(self.transport)
        server = self._server
        self._slices = Slices(server.clock, self._feed, self._slot.pay, self._flooded)
        self._slices.transport = self._reading
        self.transport.registerProducer(self, True)
        server.made(self)

    def dataReceived(self, data: bytes) -> None:
        if not self._begun:
            self._begun = True
            self._slot.reached(Progress.BEGUN)
        slices = self._slices
        if len(data) <= SLICE and self._slot.is_proved and not slices.waiting:
            self._feed(data)  # it would cost as much to look at what it costs
        else:
            slices.take(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._slices.drop()
        self._slot.free()
        self._server.counts["unfinished"] += self._receiving
        self._closing = self._lost = True
        self._drop_body()
        self._pending.clear()
        self._server.lost(self)

    def readConnectionLost(self) -> None:  # noqa: N802
        """The peer sends no more: answer what came whole, and close."""
        self._server.counts["unfinished"] += self._receiving
        self._lingers = False
        self._close()

    def writeConnectionLost(self) -> None:  # noqa: N802
        """Wait until the peer closes, too."""

    def pauseProducing(self) -> None:  # noqa: N802
        """The peer does not read its answers."""
        if not self._unread:
            self._unread, self._unread_since = True, self._server.now
            self._reading.hold("unread")

    def resumeProducing(self) -> None:  # noqa: N802
        self._unread = False
        self._release("unread")
        self._flush()

    def stopProducing(self) -> None:  # noqa: N802
        """The transport closes: what it has is all that it gets."""

    def abort(self) -> None:
        self.transport.abortConnection()

    abortConnection = abort

    def _release(self, why: str) -> None:
        if self._reading.release(why):
            self._since = self._server.now  # our pause is no slowness of the peer

    def _flooded(self) -> None:
        self._slot.flooded()
        self.abort()

    # -- requests

    def _feed(self, data: bytes) -> None:
        if self._closing:
            return
        self._feeding = True
        try:
            if self._upgrading:
                self._feed_unparsed(data)
            else:
                self._parser.feed_data(data)
        except HttpParserUpgrade as upgrade:
            self._feed_unparsed(data[upgrade.args[0] :])
        except HttpParserError as error:
            if not self._closing:
                self._parsed_badly(error)
        finally:
            self._feeding = False
        if self._receiving and self._request is None:
            self._unparsed += len(data)
            if self._unparsed > MOST_HEAD:
                self._refuse("long-head", _LONG_HEAD)
        self._flush()

    def _feed_unparsed(self, data: bytes) -> None:
        """Take the body of a request that offers another protocol, where the parser ends. We stay
        with HTTP/1.1, and close after the answer: what follows may be anything.
        """
        if self._closing or not self._upgrading:
            return self._close()
        if self._length < 0:  # chunked
            return self._refuse("bad-request", _BAD_REQUEST)
        self.on_body(data[: self._length - self._size])
        if self._size == self._length:
            self._upgrading = False
            self.on_message_complete()
        return None

    def _parsed_badly(self, error: HttpParserError) -> None:
        cause = error.__context__
        if cause is not None:
            failure = Failure(cause)
            _log.failure("a request could not be served", failure)
            self._server.counts["failed"] += 1
            self.abort()
            return
        self._refuse("bad-request", _BAD_REQUEST)

    def on_message_begin(self) -> None:
        self._receiving = True
        self._since = self._server.now
        self._unparsed = 0

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._request is not None:
            self._trailer(len(name) + len(value))
            return
        name = name.lower()
        if name in self._server.wanted:
            known = self._headers.get(name)
            self._headers[name] = value if known is None else known + b", " + value
        elif name == b"content-length":
            self._length = int(value[:20])
        elif name == b"expect":
            self._expects = value.lower()

    def _trailer(self, size: int) -> None:
        """Skip a header behind a chunked body; the bytes of a head are counted in slices."""
        self._unparsed += size + 2
        if self._unparsed > MOST_HEAD and not self._closing:
            self._refuse("long-head", _LONG_HEAD)

    def on_headers_complete(self) -> None:
        if self._closing:
            return
        server, method, url = self._server, self._parser.get_method(), self._url
        request = self._request = LeanRequest(self._headers, self.peer, self._slot)
        if url != server.path and _path_of(url) != server.path:
            self._refusal = _NOT_FOUND
        elif method != b"POST":
            self._refusal = _NOT_ALLOWED
        else:
            self._most = server.handler.most_body(request)
            self._upgrading = self._parser.should_upgrade()
        if self._length > server.limits.body:
            self._refuse("too-large", _TOO_LARGE)
        elif self._expects and not self._closing:
            self._expected()

    def _expected(self) -> None:
        if self._expects != b"100-continue":
            self._refuse("bad-request", _EXPECTATION)
        elif self._refusal:
            self._refuse("", self._refusal)
        elif self._parser.get_http_version() != "1.0":
            self._say(_CONTINUE)

    def on_body(self, data: bytes) -> None:
        if self._closing:
            return
        self._size += len(data)
        server = self._server
        if self._size > server.limits.body:
            self._refuse("too-large", _TOO_LARGE)
        elif self._size - len(data) < self._most and not self._refusal:
            self._pieces.append(data)
            server.hold(len(data))

    def on_message_complete(self) -> None:
        if self._closing or self._upgrading:
            return
        request, server = self._request, self._server
        assert request is not None  # the headers are complete
        pieces = self._pieces
        request.body = body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        server.held -= len(body)
        self._receiving = False
        server.counts["requests"] += 1
        refusal, end = self._refusal, self._end()
        if not self._slot.is_proved:
            self._slot.reached(Progress.WHOLE)
        self._fresh()
        if refusal:
            self._say(refusal + end)
        else:
            self._ask(request, end)
        if end is _CLOSE:
            self._close()

    def _end(self) -> bytes:
        """Return what ends the headers of the answer to the present request."""
        parser = self._parser
        if self._server.draining or parser.should_upgrade() or not parser.should_keep_alive():
            return _CLOSE
        return _END if parser.get_http_version() == "1.1" else _KEEP

    def _ask(self, request: LeanRequest, end: bytes) -> None:
        server = self._server
        answer = server.handler.answer(request)
        if isinstance(answer, bytes):
            self._say(server.reply(answer, end))
            return
        if answer.called and isinstance(answer.result, bytes):
            self._say(server.reply(answer.result, end))
            return
        exchange = _Exchange(end, server.now)
        self._pending.append(exchange)
        self._slot.answering = True
        answer.addCallbacks(self._answered, self._failed, (exchange,), {}, (exchange,))
        if len(self._pending) >= MOST_IN_FLIGHT:
            self._reading.hold("in flight")

    def _failed(self, failure: Failure, exchange: _Exchange) -> None:
        _log.failure("a request could not be answered", failure)
        self._server.counts["failed"] += 1
        self._answered(self._server.handler.late, exchange)

    def _answered(self, answer: bytes, exchange: _Exchange) -> None:
        if not exchange.reply:
            exchange.reply = self._server.reply(answer, exchange.end)
            if not self._feeding and self._pending and self._pending[0] is exchange:
                self._flush()

    def _say(self, reply: bytes) -> None:
        """Send bytes after the answers that are still due."""
        if self._pending:
            self._pending.append(_Exchange(b"", self._server.now, reply))
        else:
            self._out.append(reply)

    def _flush(self) -> None:
        """Write what is due, in the order of the requests."""
        pending, out = self._pending, self._out
        if self._lost or not (pending or out or self._closing):
            return
        if not (pending or self._unread or self._closing):  # most answers
            data = out[0] if len(out) == 1 else b"".join(out)
            out.clear()
            direct.write(self.transport, data)
            return
        while not self._unread:
            size = sum(map(len, out))
            while pending and pending[0].reply and size < _WRITE:
                reply = pending.popleft().reply
                size += len(reply)
                out.append(reply)
            if not size:
                break
            data = out[0] if len(out) == 1 else b"".join(out)
            out.clear()
            direct.write(self.transport, data)  # may call pauseProducing
        if not pending:
            self._slot.answering = False
            if self._closing and not out:
                self._hang_up()
                return
        if len(pending) <= MOST_IN_FLIGHT // 2:
            self._release("in flight")

    # -- ends

    def _refuse(self, why: str, refusal: bytes) -> None:
        """Answer a request that is not read to its end, and close the connection."""
        if why:
            self._server.counts[why] += 1
        self._say(refusal + _CLOSE)
        self._close(linger=True)

    def _close(self, linger: bool = False) -> None:
        """Take no more requests, and close the connection after the answers that are due. With
        `linger` the peer is still sending: what comes is dropped for a while, because a socket that
        is closed with unread bytes takes the last answer with it.
        """
        if not self._closing:
            self._closing, self._since, self._lingers = True, self._server.now, linger
            self._receiving = False
            self._drop_body()
            if not linger:
                self._reading.hold("closing")
        if not self._feeding:
            self._flush()

    def _hang_up(self) -> None:
        self.transport.unregisterProducer()
        if self._lingers and isinstance(self.transport, FileDescriptor):
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def _drop_body(self) -> None:
        self._server.held -= sum(map(len, self._pieces))
        self._pieces = []

    def crowd_out(self) -> None:
        """Refuse the request that comes: the bodies of all are too large."""
        self._refuse("crowded", _CROWDED)

    @property
    def held(self) -> int:
        """The bytes of the body that comes."""
        return sum(map(len, self._pieces))

    def sweep(self, now: float) -> None:
        """Look at the deadlines."""
        limits = self._server.limits
        waited = now - self._since
        if self._unread:
            if now - self._unread_since > UNREAD_S:
                self._server.counts["not-reading"] += 1
                self.abort()
        elif self._pending:
            self._answer_late(now - ANSWER_S)
        elif self._closing:
            if waited > LAST_WORDS_S:
                self.abort()
        elif self._receiving:
            if waited > limits.deadline and not self._reading.reasons:
                self._refuse("timeout", _TIMEOUT)
        elif waited > (limits.idle if self._slot.is_proved else limits.deadline):
            self._close()

    def _answer_late(self, before: float) -> None:
        server, late = self._server, False
        for exchange in self._pending:
            if exchange.since <= before and not exchange.reply:
                server.counts["late"] += 1
                exchange.reply = server.reply(server.handler.late, exchange.end)
                late = True
        if late:
            self._since = server.now
            self._flush()

    def drain(self) -> None:
        """Read no more; the answers that are due are sent."""
        self._close()

    def give_up(self) -> None:
        """Answer all that waits with the handler's `late`."""
        self._answer_late(self._server.now)


def _path_of(url: bytes) -> bytes:
    """Return the path of a target, which may be absolute and may have a query."""
    if url[:7].lower() == b"http://" or url[:8].lower() == b"https://":
        url = b"/" + url.split(b"/", 3)[3] if url.count(b"/") > 2 else b"/"
    return url.partition(b"?")[0]
