"""The bounded HTTP client: one deadline and one bound for the whole answer, over a pool."""

import traceback
import zlib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectError, ConnectionDone, ConnectionLost
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.python.failure import Failure
from twisted.web.client import HTTPConnectionPool

from twisted_gantry.net.expiry import expiring
from twisted_gantry.net.http.client import (
    Answer,
    BoundedClient,
    CutShort,
    NoAnswer,
    persistent_pool,
    treq_client,
)

_URL = "http://192.0.2.1:8080/post?a=b"
_SECRET = "hunter2"


class Peer:
    """The server's end of one connection in memory."""

    def __init__(self, protocol: Any) -> None:
        self.protocol = protocol
        self.lost = False
        self.transport = StringTransport()
        transport: Any = self.transport
        transport.abortConnection = transport.loseConnection
        protocol.makeConnection(self.transport)

    def asked(self) -> bytes:
        """Return what the client sent since the last call."""
        data: bytes = self.transport.value()
        self.transport.clear()
        return data

    def send(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def answer(self, body: bytes, status: bytes = b"200 OK", *headers: bytes) -> None:
        head = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers]
        self.send(b"\r\n".join([*head, b"", body]))

    def lose(self, reason: Exception | None = None) -> None:
        """End the connection, if it has not ended."""
        if self.lost:
            return
        self.lost = True
        self.protocol.connectionLost(Failure(reason or ConnectionDone()))

    def closes(self) -> bool:
        return bool(self.transport.disconnecting)


class Net:
    """A client over a reactor in memory."""

    def __init__(self) -> None:
        self.reactor = MemoryReactorClock()
        self.pool: HTTPConnectionPool = persistent_pool(self.reactor, per_host=2)
        self.client = BoundedClient(
            treq_client(self.reactor, self.pool), self.reactor, deadline=10.0, limit=1000
        )

    def ask(self, method: str = "GET", url: str = _URL, **details: Any) -> list[Answer | str]:
        """Send a request; the list returned gets the answer, or why there is none."""
        outcome: list[Answer | str] = []

        def failed(failure: Failure) -> None:
            assert isinstance(failure.value, NoAnswer)
            outcome.append(str(failure.value))

        self.client.request(method, url, **details).addCallbacks(outcome.append, failed)
        return outcome

    def accept(self) -> Peer:
        """Accept the last connection that the client asked for."""
        return Peer(self.reactor.tcpClients[-1][2].buildProtocol(None))

    def refuse(self, reason: Exception) -> None:
        """Refuse the connections that the client asks for: one for each address of the host."""
        refused = 0
        connector: Any = None
        while refused < self.connections:
            self.reactor.tcpClients[refused][2].clientConnectionFailed(connector, Failure(reason))
            refused += 1
            self.reactor.advance(0.3)  # the pause before the next address is tried

    @property
    def connections(self) -> int:
        """How many connections the client has asked for."""
        return len(self.reactor.tcpClients)


def only(got: list[Answer | str]) -> Answer:
    """Return the one outcome, which is an answer."""
    [answer] = got
    assert isinstance(answer, Answer)
    return answer


def why(got: list[Answer | str]) -> str:
    """Return the one outcome, which is the reason for no answer."""
    [reason] = got
    assert isinstance(reason, str)
    return reason


@pytest.fixture
def net() -> Iterator[Net]:
    """Return a net; at the end no timer may be left but those of the pool's idle connections."""
    made = Net()
    yield made
    made.pool.closeCachedConnections()
    assert made.reactor.getDelayedCalls() == []


def test_an_answer_is_gathered_whole(net: Net) -> None:
    """An answer has its status, its headers in lower case, and the body put together."""
    got = net.ask("PUT", headers={"binfile-auth": "1", "X": "y"})
    assert net.reactor.tcpClients[0][1] == 8080
    peer = net.accept()
    asked = peer.asked()
    assert asked.startswith(b"PUT /post?a=b HTTP/1.1\r\n")
    assert b"\r\nBinfile-Auth: 1\r\n" in asked
    peer.send(b"HTTP/1.1 207 Odd\r\nX-Two: 1\r\nX-Two: 2\r\nContent-Length: 6\r\n\r\nab")
    peer.send(b"cd")
    assert got == []
    peer.send(b"ef")
    answer = only(got)
    assert (answer.status, answer.body, answer.headers["x-two"]) == (207, b"abcdef", "2")


@pytest.mark.parametrize("status", [b"400 Bad", b"404 Not Found", b"500 Oops", b"503 Busy"])
def test_an_error_status_is_an_answer(net: Net, status: bytes) -> None:
    """An HTTP error is an answer: what it means is for the caller to say."""
    got = net.ask()
    net.accept().answer(b"why", status)
    assert (only(got).status, only(got).body) == (int(status[:3]), b"why")


@pytest.mark.parametrize("status", [b"301 Moved", b"302 Found", b"307 Moved", b"308 Moved"])
def test_redirects_are_not_followed(net: Net, status: bytes) -> None:
    """A redirect is an answer like another: credentials do not go where a server points."""
    got = net.ask(headers={"Authorization": "x"})
    net.accept().answer(b"", status, b"Location: http://192.0.2.2/")
    assert only(got).status == int(status[:3])
    assert net.connections == 1


def test_a_body_without_a_length_ends_with_the_connection(net: Net) -> None:
    """A server of HTTP/1.0 ends its answer by closing: that is a whole answer."""
    got = net.ask()
    peer = net.accept()
    peer.send(b"HTTP/1.0 200 OK\r\n\r\nabc")
    peer.lose()
    assert only(got).body == b"abc"


def test_a_body_that_is_cut_short_is_no_answer(net: Net) -> None:
    """A connection that is lost before the declared length has come is no answer."""
    for reason in (ConnectionDone(), ConnectionLost()):
        got = net.ask()
        peer = net.accept()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabc")
        peer.lose(reason)
        assert got == ["the connection was lost within the answer"]


@pytest.mark.parametrize("end", ["lost", "long", "late"])
def test_the_part_that_came_is_kept(net: Net, end: str) -> None:
    """An answer that did not come whole tells its status, headers and the part within the bound."""
    caught: list[Failure] = []
    net.client.request("GET", _URL).addErrback(caught.append)
    peer = net.accept()
    peer.send(b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 5000\r\n\r\n" + b"abc" * 300)
    if end == "lost":
        peer.lose()
    elif end == "long":
        peer.send(b"abc" * 100)
    else:
        net.reactor.advance(10.0)
    [failure] = caught
    assert isinstance(failure.value, CutShort)
    answer = failure.value.answer
    assert (answer.status, answer.headers["x-a"]) == (200, "b")
    assert answer.body == (b"abc" * 400)[: 1000 if end == "long" else 900]
    peer.lose()


def test_a_head_alone_is_no_part(net: Net) -> None:
    """Without a byte of the body there is nothing to keep."""
    caught: list[Failure] = []
    net.client.request("GET", _URL).addErrback(caught.append)
    peer = net.accept()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n")
    peer.lose()
    assert [type(failure.value) for failure in caught] == [NoAnswer]


@pytest.mark.parametrize("size", [1001, 100_000])
def test_a_body_past_the_bound_is_refused(net: Net, size: int) -> None:
    """A body past the bound is no answer, and the connection is closed without reading on."""
    got = net.ask()
    peer = net.accept()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * size)
    assert got == ["an answer of over 1000 bytes"]
    assert peer.closes()
    peer.send(b"x" * 1000)
    peer.lose()
    assert len(got) == 1


def test_chunks_past_the_bound_are_refused(net: Net) -> None:
    """The bound holds for a body that comes in chunks without a length, too."""
    got = net.ask()
    peer = net.accept()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    for _ in range(10):
        peer.send(b"64\r\n" + b"x" * 100 + b"\r\n")
    assert got == []
    peer.send(b"1\r\nx\r\n")
    assert got == ["an answer of over 1000 bytes"]
    assert peer.closes()
    peer.lose()


def test_chunks_that_cannot_be_read_are_told(net: Net) -> None:
    """A server that pads the sizes of its chunks did not lose the connection."""
    got = net.ask()
    peer = net.accept()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0x2 \r\nok\r\n0\r\n\r\n")
    peer.lose()
    assert got == ["the chunks of the answer cannot be read"]


@pytest.mark.parametrize(
    "lengths", [b"Content-Length: -5", b"Content-Length: 5\r\nContent-Length: 6"]
)
def test_a_head_that_cannot_be_read_is_told(net: Net, lengths: bytes) -> None:
    """A length that is none is a mistake of the server; its words are told."""
    got = net.ask()
    peer = net.accept()
    peer.send(b"HTTP/1.1 200 OK\r\n" + lengths + b"\r\n\r\nabcde")
    peer.lose()
    [told] = got
    assert str(told).startswith("the head of the answer cannot be read: ")


def test_a_body_at_the_bound_is_taken(net: Net) -> None:
    """A body of just the bound is taken; a request may have a bound of its own."""
    got = net.ask()
    net.accept().answer(b"x" * 1000)
    assert len(only(got).body) == 1000
    net.pool.closeCachedConnections()
    got = net.ask(limit=5000)
    net.accept().answer(b"x" * 5000)
    assert len(only(got).body) == 5000
    net.pool.closeCachedConnections()
    got = net.ask(limit=10)
    net.accept().answer(b"x" * 11)
    assert got == ["an answer of over 10 bytes"]


@pytest.mark.parametrize("coding", [b"gzip", b"gzip, gzip", b"br", b"x-own"])
def test_a_packed_answer_is_refused(net: Net, coding: bytes) -> None:
    """No packed answer is asked for, and none is unpacked: a small one may unpack to gigabytes."""
    packer = zlib.compressobj(wbits=31)
    packed = packer.compress(b"x" * 100_000) + packer.flush()
    got = net.ask()
    peer = net.accept()
    assert b"accept-encoding" not in peer.transport.value().lower()
    peer.answer(packed, b"200 OK", b"Content-Encoding: " + coding)
    assert got == ["a compressed answer, which was not asked for"]


def test_an_answer_that_is_packed_as_it_is_is_taken(net: Net) -> None:
    """`identity` is no packing."""
    got = net.ask()
    peer = net.accept()
    peer.answer(b"plain", b"200 OK", b"Content-Encoding: identity")
    assert only(got).body == b"plain"


def test_cookies_are_not_kept(net: Net) -> None:
    """A server that sets cookies gets none back, and cannot make our requests grow."""
    net.ask()
    peer = net.accept()
    peer.answer(b"", b"200 OK", b"Set-Cookie: a=" + b"b" * 1000 + b"; Max-Age=999999")
    peer.transport.clear()
    net.ask()
    assert b"GET" in peer.transport.value()
    assert b"cookie" not in peer.transport.value().lower()
    peer.answer(b"")


def test_the_deadline_covers_a_dripping_body(net: Net) -> None:
    """However a body drips, the deadline ends the exchange and closes the connection."""
    got = net.ask()
    peer = net.accept()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n")
    for _ in range(9):
        net.reactor.advance(1.0)
        peer.send(b"x")
    assert got == []
    net.reactor.advance(1.0)
    assert got == ["no end of the answer within 10 s"]
    assert peer.closes()
    peer.send(b"x")
    peer.lose()
    assert len(got) == 1


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-"])
def test_the_deadline_covers_the_head(net: Net, sent: bytes) -> None:
    """A server that does not finish the head of its answer meets the same deadline."""
    got = net.ask()
    peer = net.accept()
    if sent:
        peer.send(sent)
    net.reactor.advance(9.9)
    assert got == []
    net.reactor.advance(0.1)
    assert got == ["no answer within 10 s"]
    assert peer.closes()
    peer.lose()


def test_the_deadline_covers_the_request(net: Net) -> None:
    """A request whose body is not taken in time ends with the same words as a late answer."""
    got = net.ask("POST", body=b"x" * 100)
    peer = net.accept()
    assert peer.asked().endswith(b"\r\n\r\n")  # the body follows in another turn
    net.reactor.advance(10.0)
    assert got == ["no answer within 10 s"]
    assert peer.closes()
    peer.lose()


def test_what_has_expired_is_not_sent(net: Net) -> None:
    """A connection that is ready when the command has expired carries no byte of the request."""
    with expiring(net.reactor.seconds() + 5.0):
        in_time = net.ask(url="http://192.0.2.1/")
        peer = net.accept()
        late = net.ask(url="http://192.0.2.2/")
    assert peer.asked().startswith(b"GET ")
    net.reactor.rightNow += 6.0  # the process was stopped: input is served before timers
    other = net.accept()
    assert other.asked() == b""
    assert other.closes()
    assert why(late) == "expired before there was a connection; not sent"
    peer.answer(b"ok")
    assert only(in_time).body == b"ok"
    other.lose()


def test_a_server_that_hangs_up_within_the_request_says_so(net: Net) -> None:
    """A connection that is closed while the body is on its way is told in the same words."""
    got = net.ask("POST", body=b"x" * 100)
    net.accept().lose()
    assert got == ["the exchange failed: the connection was closed"]


def test_the_deadline_covers_the_connection(net: Net) -> None:
    """A connection that is not made in time ends the exchange with what it waited for."""
    got = net.ask()
    net.reactor.advance(10.0)
    assert why(got)


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nx"])
def test_a_cancelled_request_stops(net: Net, sent: bytes) -> None:
    """Cancelling fails with CancelledError, before the answer and within, and closes."""
    caught: list[Failure] = []
    exchange = net.client.request("GET", _URL)
    exchange.addErrback(caught.append)
    peer = net.accept()
    peer.send(sent)
    exchange.cancel()
    assert [failure.type for failure in caught] == [CancelledError]
    assert peer.closes()
    peer.lose()


def test_a_refused_connection_says_so(net: Net) -> None:
    """A host that refuses the connection is told from one that does not answer."""
    got = net.ask()
    net.refuse(ConnectError(string="refused by the host"))
    assert why(got).startswith("no connection: ")
    assert "refused by the host" in why(got)


@pytest.mark.parametrize("reason", [ConnectionDone(), ConnectionLost()])
def test_a_server_that_hangs_up_says_so(net: Net, reason: Exception) -> None:
    """A connection that is closed before any answer is told in words, without class names."""
    got = net.ask()
    net.accept().lose(reason)
    assert got == ["the exchange failed: the connection was closed"]


@pytest.mark.parametrize(
    "noise", [b"hello\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"\x00" * 100 + b"\r\n"]
)
def test_what_is_no_http_is_no_answer(net: Net, noise: bytes) -> None:
    """A server that does not speak HTTP is no answer."""
    got = net.ask()
    peer = net.accept()
    peer.send(noise)
    peer.lose()
    assert why(got)


@given(st.lists(st.binary(max_size=60), max_size=4), st.booleans())
@settings(derandomize=True)
def test_any_answer_bytes_are_survived(pieces: list[bytes], head: bool) -> None:
    """Whatever a server sends, the request ends once: with an answer or with NoAnswer."""
    net = Net()
    got = net.ask()
    peer = net.accept()
    for piece in ([b"HTTP/1.1 200 OK\r\n"] if head else []) + pieces:
        if not peer.closes():
            peer.send(piece)
    net.reactor.advance(10.0)
    peer.lose()
    assert len(got) == 1


def test_sequential_requests_share_a_connection(net: Net) -> None:
    """A connection that is kept serves one request after another."""
    got = net.ask()
    peer = net.accept()
    for number in range(5):
        peer.answer(b"%d" % number)
        assert only(got).body == b"%d" % number
        assert net.connections == 1
        assert peer.asked().startswith(b"GET ")
        got = net.ask()
        assert net.connections == 1
    peer.answer(b"last")
    assert not peer.closes()


def test_a_request_is_never_repeated(net: Net) -> None:
    """A request that met the close of a kept connection is not sent again: its owner decides."""
    net.ask()
    peer = net.accept()
    peer.answer(b"")
    got = net.ask()
    assert net.connections == 1
    peer.lose()
    assert got == ["the exchange failed: the connection was closed"]
    assert net.connections == 1


def test_a_failed_exchange_spoils_no_later_one(net: Net) -> None:
    """After an exchange that failed, the next one has a connection of its own."""
    net.ask()
    peer = net.accept()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nold")
    net.reactor.advance(10.0)
    got = net.ask()
    assert net.connections == 2
    peer.lose()
    net.accept().answer(b"new")
    assert only(got).body == b"new"


def test_an_idle_connection_is_let_go(net: Net) -> None:
    """A connection that nobody uses is closed by us, before a server would do it."""
    net.ask()
    peer = net.accept()
    peer.answer(b"")
    net.reactor.advance(29.0)
    assert not peer.closes()
    net.reactor.advance(1.0)
    assert peer.closes()
    net.ask()
    assert net.connections == 2
    net.accept().answer(b"")
    peer.lose()


@pytest.mark.parametrize(
    "url",
    [
        "http://admin:hunter2@192.0.2.1/x",
        "http://admin:hunter2@host:notaport/",
        "http://admin:hunter2@[::bad/",
        "http://admin:hunter2@/",
        "ftp://admin:hunter2@host/",
        "http://ad min:hunter2@192.0.2.1/",
        "http://admin:hunter2@-bad-.example/",
        "http://admin:hunter2@" + "a" * 80 + "/",
        "http://admin:hunter2@host/\ud800",
        "http://admin:hunter2@a..b/",
        "http://admin:hunter2\x00@host/",
        "//admin:hunter2@host",
        "",
    ],
)
def test_a_url_that_cannot_be_used_is_not_shown(net: Net, url: str) -> None:
    """A URL that cannot be used is NoAnswer, which shows neither user nor password."""
    headers = {"Authorization": f"Basic {_SECRET}"}
    failures: list[Failure] = []
    net.client.request("GET", url, headers=headers).addErrback(failures.append)
    net.reactor.advance(10.0)
    assert [failure.type for failure in failures] == [NoAnswer]
    for told in (
        str(failures[0].value),
        repr(failures[0].value),
        failures[0].getErrorMessage(),
        "".join(traceback.format_exception(failures[0].value)),
    ):
        assert _SECRET not in told
        assert "admin" not in told
        assert told.strip()


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {"Bad Name": _SECRET}),
        ("GET", {"A\r\nB": _SECRET}),
        ("GET", {"A": _SECRET + "\ud800"}),
        ("GE T", {"A": _SECRET}),
        ("", {"A": _SECRET}),
        ("П", {"A": _SECRET}),
    ],
)
def test_a_request_that_cannot_be_made_fails(
    net: Net, method: str, headers: dict[str, str]
) -> None:
    """A method or a header that HTTP cannot carry is NoAnswer, without the header's value."""
    got = net.ask(method, headers=headers)
    assert _SECRET not in why(got)


def test_a_header_cannot_bring_another(net: Net) -> None:
    """A line break in the value of a header does not make a second header of it."""
    net.ask(headers={"A": "b\r\nInjected: c"})
    peer = net.accept()
    assert b"\r\nInjected:" not in peer.asked()
    peer.answer(b"")


def test_failures_do_not_show_headers_or_url(net: Net) -> None:
    """What goes wrong on the way shows neither the query of the URL nor a header."""
    for spoil in (
        lambda peer: peer.send(b"nonsense\r\n\r\n"),
        lambda peer: peer.lose(ConnectionLost()),
        lambda peer: peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 1001),
        lambda peer: net.reactor.advance(10.0),
    ):
        got = net.ask(url=f"http://192.0.2.1/?key={_SECRET}", headers={"Authorization": _SECRET})
        peer = net.accept()
        assert _SECRET.encode() in peer.asked()
        spoil(peer)
        peer.lose()
        assert _SECRET not in why(got)
