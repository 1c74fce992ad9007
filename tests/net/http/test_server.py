"""The bounded HTTP server: sizes, times and numbers, over transports in memory and on loopback."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request

from tests.net.memory import GET, LIMITS, Connection, Server
from twisted_gantry.net.http.server import LAST_WORDS_S, Limits, bounded_site


class Counted(Resource):
    """Answers with the length of the body that it was given."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bodies: list[bytes] = []

    def render(self, request: Request) -> bytes:
        """Note the body, and tell its length."""
        assert request.content is not None
        self.bodies.append(request.content.read())
        return b"%d" % len(self.bodies[-1])


class Slow(Resource):
    """Answers when it is told to."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.waiting: list[Request] = []

    def render(self, request: Request) -> int:
        self.waiting.append(request)
        return NOT_DONE_YET

    def answer(self, text: bytes) -> None:
        request = self.waiting.pop(0)
        request.write(text)
        request.finish()


class Broken(Resource):
    isLeaf = True

    def render(self, request: Request) -> bytes:
        """Raise what a visitor may not see."""
        raise ZeroDivisionError("secret of the house")


def post(body: bytes, length: int | None = None) -> bytes:
    length = len(body) if length is None else length
    return b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % length + body


def chunked(*chunks: bytes) -> bytes:
    """Return a POST whose body comes in chunks."""
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)


def counted() -> tuple[Counted, Server, Connection]:
    """Return a server that notes what it gets, and a client."""
    resource = Counted()
    server = Server(resource)
    return resource, server, server.connect()


def answering_late() -> tuple[Slow, Server, Connection]:
    """Return a server that answers when it is told to, and a client."""
    slow = Slow()
    server = Server(slow)
    return slow, server, server.connect()


def test_a_request_is_answered() -> None:
    """A request within all bounds is answered, and counted."""
    resource, server, client = counted()
    client.send(post(b"x" * 100))
    assert client.statuses() == [200]
    assert client.transport.value().endswith(b"\r\n\r\n100")
    assert resource.bodies == [b"x" * 100]
    assert not client.closes()
    assert server.left_by(client) == {"connections": 1, "requests": 1}


@pytest.mark.parametrize("length", [101, 1 << 20, 10**30])
def test_a_body_that_is_declared_too_long_is_refused(length: int) -> None:
    """A declared length past the bound is 413 before any of the body came."""
    resource, server, client = counted()
    client.send(post(b"", length))
    assert client.statuses() == [413]
    assert b"Connection: close" in client.transport.value()
    assert client.closes()
    assert resource.bodies == []
    assert server.left_by(client) == {"connections": 1, "too-large": 1}
    assert server.still_serves()


def test_a_body_that_was_sent_along_is_refused_once() -> None:
    """A body past the bound that comes with its head is one 413, and reaches no resource."""
    resource, server, client = counted()
    client.send(post(b"x" * 101) + GET)
    assert client.statuses() == [413]
    assert client.closes()
    assert resource.bodies == []
    assert server.left_by(client) == {"connections": 1, "too-large": 1}


def test_all_bodies_together_are_bounded() -> None:
    """What many send at once is 503 past the bound; what is answered, or leaves, makes room."""
    resource = Slow()
    server = Server(resource, Limits(body=100, bodies=270))
    half = post(b"x" * 80, 100)
    first, second, answered = server.connect(), server.connect(), server.connect()
    first.send(half)
    second.send(half)
    answered.send(post(b"x" * 80))
    late = server.connect()
    late.send(post(b"x" * 90, 100))
    assert late.statuses() == [503]
    assert late.closes()
    late.leave()
    resource.answer(b"done")
    again = server.connect()
    again.send(half)
    assert again.statuses() == []
    first.leave()
    last = server.connect()
    last.send(half)
    second.send(b"x" * 20)
    resource.answer(b"done")
    assert (last.statuses(), second.statuses()) == ([], [200])
    assert server.counts["crowded"] == 1


def test_who_sends_most_makes_room() -> None:
    """A crowd that fills the bound does not keep out those who send little."""
    resource = Counted()
    server = Server(resource, Limits(body=100, bodies=250))
    crowd = [server.connect() for _ in range(3)]
    for size, client in zip((70, 90, 80), crowd, strict=True):
        client.send(post(b"x" * size, 100))
    little = server.connect()
    little.send(post(b"x" * 20))
    assert [client.statuses() for client in crowd] == [[], [503], []]
    assert little.statuses() == [200]
    assert resource.bodies == [b"x" * 20]


def test_who_does_not_let_go_is_cut() -> None:
    """After the last words a connection has some seconds; what it still sends is not read."""
    server = Server(Counted(), Limits(body=100, bodies=150, deadline=10))
    client = server.connect()
    cut: list[float] = []
    transport: Any = client.transport
    transport.abortConnection = lambda: cut.append(server.clock.seconds())
    client.send(post(b"x" * 90, 100) + b"x" * 11)
    client.send(post(b"x" * 101))
    assert client.statuses()[-1:] == [413]
    server.clock.advance(2)
    client.send(GET * 5)
    server.clock.advance(1)
    assert cut == [3]
    client.leave()
    assert server.still_serves()


def test_what_was_refused_holds_nothing() -> None:
    """Its body is given up at once, not when its client has gone."""
    server = Server(Counted(), Limits(body=100, bodies=150))
    server.connect().send(chunked(b"x" * 140))
    other = server.connect()
    other.send(post(b"x" * 100))
    assert other.statuses() == [200]


@pytest.mark.parametrize("sizes", [[101], [60, 41], [100, 1], [1] * 101, [99, 1000]])
def test_chunks_that_are_too_long_are_refused(sizes: list[int]) -> None:
    """Chunks that pass the bound together are 413 as soon as they do."""
    resource, server, client = counted()
    client.send(chunked(*(b"x" * size for size in sizes)))
    assert client.statuses() == [413]
    assert client.closes()
    client.send(b"0\r\n\r\n")
    client.leave()
    assert client.statuses() == [413]
    assert resource.bodies == []
    assert server.counts["too-large"] == 1
    assert server.counts["requests"] == 0
    assert server.clock.getDelayedCalls() == []


def test_chunks_within_the_bound_are_taken() -> None:
    """Chunks that reach the bound and do not pass it are a body like another."""
    resource, _, client = counted()
    client.send(chunked(b"x" * 60, b"y" * 40) + b"0\r\n\r\n")
    assert client.statuses() == [200]
    assert resource.bodies == [b"x" * 60 + b"y" * 40]
    client.leave()


@pytest.mark.parametrize(
    ("at_once", "dripped"),
    [
        (b"", b"GET /xxxxxxxxxxxx"),
        (b"GET /", b"xxxxxxxxxxxxxxxx"),
        (GET[:-2], b"X-Long: xxxxxxxxxxx"),
        (GET[:-2], b"A:b\r\nA:b\r\nA:b\r\nA:b\r\n"),
        (post(b"", 100), b"xxxxxxxxxxxxxxxxx"),
        (b"\r\n" + post(b"x", 100), b"xxxxxxxxxxxxxx"),
        (chunked(b"xyz"), b"000000000000000000000"),
    ],
)
def test_a_request_that_drips_is_ended(at_once: bytes, dripped: bytes) -> None:
    """A request has its deadline from its first byte to its last, however its bytes drip in."""
    resource, server, client = counted()
    if at_once:
        client.send(at_once)
    for byte in dripped[:10]:
        assert not client.closes()
        client.send(bytes([byte]))
        server.clock.advance(1.0)
    assert client.closes()
    assert client.statuses() == [408]
    assert b"Connection: close" in client.transport.value()
    assert resource.bodies == []
    assert server.left_by(client) == {"connections": 1, "timeout": 1}
    assert server.still_serves()


def test_a_dripped_chunked_body_is_ended() -> None:
    """Chunks that keep coming, each in time and within the bound, meet the deadline too."""
    _, server, client = counted()
    client.send(chunked())
    for _ in range(9):
        server.clock.advance(1.0)
        client.send(b"1\r\nx\r\n")
    assert client.statuses() == []
    server.clock.advance(1.0)
    assert client.statuses() == [408]
    assert server.left_by(client) == {"connections": 1, "timeout": 1}


def test_a_silent_connection_is_dropped() -> None:
    """Who connects and says nothing is dropped after the deadline, without a word."""
    _, server, client = counted()
    server.clock.advance(9.9)
    assert not client.closes()
    server.clock.advance(0.1)
    assert client.aborted
    assert client.transport.value() == b""
    assert server.left_by(client) == {"connections": 1}
    assert server.still_serves()


def test_the_deadline_begins_with_the_first_byte() -> None:
    """A request has its whole deadline even if the connection was silent before."""
    _, server, client = counted()
    server.clock.advance(9.0)
    client.send(GET[:10])
    server.clock.advance(9.0)
    client.send(GET[10:])
    assert client.statuses() == [200]
    client.leave()
    assert server.clock.getDelayedCalls() == []


def test_a_kept_connection_may_be_used_for_long() -> None:
    """Requests with pauses between them share a connection for longer than any one deadline."""
    _, server, client = counted()
    for number in range(1, 6):
        client.send(post(b"x" * 50)[:30])
        server.clock.advance(8.0)
        client.send(post(b"x" * 50)[30:])
        assert client.statuses() == [200] * number
        server.clock.advance(50.0)
        assert not client.closes()
    assert server.clock.seconds() > 200.0
    assert server.left_by(client) == {"connections": 1, "requests": 5}


def test_the_second_request_of_a_connection_has_a_deadline_too() -> None:
    """On a kept connection, too, a request that drips is ended."""
    _, server, client = counted()
    client.send(GET)
    server.clock.advance(30.0)
    client.send(GET[:10])
    server.clock.advance(9.9)
    assert not client.closes()
    server.clock.advance(0.1)
    assert client.statuses() == [200, 408]
    assert client.closes()
    assert server.left_by(client) == {"connections": 1, "requests": 1, "timeout": 1}


def test_an_idle_connection_is_closed() -> None:
    """A kept connection that is not used is closed after the idle time, and dropped if it hangs."""
    _, server, client = counted()
    client.send(GET)
    server.clock.advance(59.0)
    assert not client.closes()
    server.clock.advance(1.0)
    assert client.closes()
    assert client.statuses() == [200]
    server.clock.advance(60.0)
    assert client.aborted
    client.leave()
    assert server.clock.getDelayedCalls() == []


def test_an_answer_may_take_its_time() -> None:
    """An answer that takes longer than deadline and idle time together is not cut."""
    slow, server, client = answering_late()
    client.send(GET)
    for _ in range(30):
        server.clock.advance(10.0)
    assert not client.closes()
    slow.answer(b"at last")
    assert client.statuses() == [200]
    assert b"at last" in client.transport.value()
    assert server.left_by(client) == {"connections": 1, "requests": 1}


@pytest.mark.parametrize("cut", [1, 10, len(GET)])
@pytest.mark.parametrize("at_once", [False, True])
def test_bytes_behind_a_request_do_not_cut_its_answer(cut: int, at_once: bool) -> None:
    """A next request that comes, whole or in part, while an answer is made waits its turn."""
    slow, server, client = answering_late()
    for data in [GET + GET[:cut]] if at_once else [GET, GET[:cut]]:
        client.send(data)
    server.clock.advance(100.0)
    assert not client.closes()
    slow.answer(b"first")
    server.clock.advance(5.0)
    client.send(GET[cut:] or b"\r\n")
    assert client.statuses() == [200]
    slow.answer(b"second")
    assert client.statuses() == [200, 200]
    client.leave()
    assert server.counts["requests"] == 2
    assert server.counts["timeout"] == 0
    assert server.clock.getDelayedCalls() == []


def test_what_came_behind_a_request_has_its_deadline_from_the_answer_on() -> None:
    """A next request that came in part is ended when the rest does not follow in time."""
    slow, server, client = answering_late()
    client.send(GET)
    client.send(GET[:10])
    server.clock.advance(100.0)
    slow.answer(b"first")
    server.clock.advance(9.9)
    assert not client.closes()
    server.clock.advance(0.1)
    assert client.statuses() == [200, 408]
    assert client.closes()
    client.leave()
    assert server.clock.getDelayedCalls() == []


@pytest.mark.parametrize("declared", [False, True])
def test_a_long_body_needs_no_file(declared: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long body is kept in memory: a client that leaves half-way leaves no file open."""
    monkeypatch.setattr("tempfile.TemporaryFile", lambda: pytest.fail("a file was opened"))
    resource = Counted()
    server = Server(resource, Limits(body=1 << 20))
    client = server.connect()
    body = b"x" * 200_000
    client.send(post(body) if declared else chunked(body) + b"0\r\n\r\n")
    assert client.statuses() == [200]
    assert resource.bodies == [body]
    client.leave()


def test_a_client_that_leaves_before_the_answer() -> None:
    """A client that leaves while its answer is made leaves no timer and no connection behind."""
    slow = Slow()
    server = Server(slow, Limits(connections=1))
    client = server.connect()
    client.send(GET)
    gone: list[object] = []
    slow.waiting[0].notifyFinish().addErrback(gone.append)
    client.leave()
    assert len(gone) == 1
    with pytest.raises(RuntimeError, match="connection was lost"):
        slow.waiting[0].finish()
    assert server.counts == {"connections": 1, "requests": 1}
    assert server.clock.getDelayedCalls() == []
    server.connect().leave()


def test_a_client_that_closes_its_side_is_answered() -> None:
    """All its whole requests, then the connection ends; with `nc -N`, and small firmwares."""
    _, server, client = counted()
    client.send(post(b"x"))
    client.half_close()
    assert (client.statuses(), client.closes()) == ([200], True)
    assert server.left_by(client) == {"connections": 1, "requests": 1}
    slow, server, client = answering_late()
    client.send(GET + GET)
    client.half_close()
    for _ in range(2):
        assert not client.closes()
        slow.answer(b"x")
        server.clock.advance(0)
    assert (client.statuses(), client.closes()) == ([200, 200], True)
    assert server.left_by(client) == {"connections": 1, "requests": 2}


def test_half_a_request_of_a_client_that_closes_its_side_is_dropped() -> None:
    """Nothing more can come."""
    _, server, client = counted()
    client.send(GET)
    client.send(GET[:10])
    client.half_close()
    assert (client.statuses(), client.closes(), client.aborted) == ([200], True, False)
    server.clock.advance(LAST_WORDS_S)
    assert client.aborted
    assert server.left_by(client)["unfinished"] == 1


@pytest.mark.parametrize("closes", [True, False], ids=["closes", "waits"])
def test_a_body_that_ends_short_is_taken_where_that_is_wanted(closes: bool) -> None:
    """A peer that counts wrong, and then closes its side or waits for its answer, has one."""
    resource = Counted()
    server = Server(resource, short_bodies=True)
    client = server.connect()
    client.send(post(b"{}", 9))
    if closes:
        client.half_close()
    else:
        server.clock.advance(LIMITS.deadline)
    server.clock.advance(0)
    assert resource.bodies == [b"{}"]
    assert (client.statuses(), client.closes()) == ([200], True)
    assert server.left_by(client) == {"connections": 1, "requests": 1, "short": 1}


@pytest.mark.parametrize("sent", [post(b"", 9), chunked(b"x"), GET[:10]])
def test_what_is_no_short_body_is_dropped_as_ever(sent: bytes) -> None:
    """Nothing came of the body, its length was not stated, or its headers are not whole."""
    resource = Counted()
    server = Server(resource, short_bodies=True)
    client = server.connect()
    client.send(sent)
    client.half_close()
    assert (resource.bodies, client.statuses(), client.closes()) == ([], [], True)
    server.clock.advance(LAST_WORDS_S)
    assert server.left_by(client)["unfinished"] == 1
    slow = server.connect()
    slow.send(sent)
    server.clock.advance(LIMITS.deadline)
    assert slow.statuses() == [408]
    server.clock.advance(LAST_WORDS_S)
    server.left_by(slow)


async def test_a_half_closed_socket_is_answered() -> None:
    """The end of what the client sends comes with its request."""
    counts: Counter[str] = Counter()
    async with listening(Counted(), Limits(), counts) as (reactor, endpoint):
        client: Reader = await connectProtocol(endpoint, Reader())
        client.send(post(b"x" * 100))
        client.transport.loseWriteConnection()  # type: ignore[union-attr]
        assert b" 200 OK" in await client.ended.addTimeout(10, reactor)


def test_a_request_that_is_broken_off_is_counted() -> None:
    """A connection that is lost within a request counts as unfinished."""
    server = Server(Counted())
    for data in (GET[:10], post(b"x", 2), chunked(b"x")):
        client = server.connect()
        client.send(data)
        client.leave()
    assert server.counts == {"connections": 3, "unfinished": 3}
    assert server.still_serves()


def test_connections_past_the_bound_make_room() -> None:
    """Past the bound the oldest silent connection makes room, and none that is answered."""
    slow = Slow()
    server = Server(slow)
    clients = [server.connect() for _ in range(3)]
    clients[0].send(GET)
    last = server.connect()
    assert [each.aborted for each in clients] == [False, True, False]
    for each in (clients[2], last):
        each.send(GET)
    assert server.knock(IPv4Address("TCP", "192.0.2.1", 1)) is None
    assert server.counts == {"connections": 4, "evicted": 1, "requests": 3, "refused": 1}
    for _ in range(3):
        slow.answer(b"late")
    for client in (*clients, last):
        client.leave()
    assert [each.statuses() for each in (*clients, last)] == [[200], [], [200], [200]]
    assert server.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    "data",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n",
        b"hello\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9 x\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 1000 + b"\r\n",
        b"GET / HTTP/1.1\r\nA: " + b"x" * 100_000 + b"\r\n\r\n",
        b"GET /" + b"x" * 100_000,
        b"POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + b"f" * 2000 + b"\r\n",
    ],
)
def test_what_is_no_request_is_refused(data: bytes) -> None:
    """What breaks the rules of HTTP is refused with a 4xx, and the connection closes."""
    _, server, client = counted()
    client.send(data)
    assert client.closes()
    assert all(400 <= status < 500 for status in client.statuses())
    client.leave()
    assert server.counts["requests"] == 0
    assert server.still_serves()


@given(
    st.lists(
        st.binary(max_size=100)
        | st.sampled_from([GET, GET[:9], post(b"x"), chunked(b"x"), b"\r\n\r\n", b"0\r\n\r\n"]),
        max_size=6,
    )
)
@settings(max_examples=60, derandomize=True)
def test_any_bytes_are_survived(pieces: list[bytes]) -> None:
    """Whatever comes, nothing is raised, the next client is served, and no timer is left."""
    _, server, client = counted()
    for piece in pieces:
        if not client.closes():
            client.send(piece)
    client.leave()
    assert server.still_serves()


def test_random_bytes_are_counted() -> None:
    """A mebibyte of random bytes ends the connection, counts as unfinished, and is survived."""
    server = Server(Counted())
    noise = random.Random(3).randbytes(1 << 20)
    client = server.connect()
    for start in range(0, len(noise), 65536):
        if not client.closes():
            client.send(noise[start : start + 65536])
    assert client.closes()
    assert server.left_by(client) == {"connections": 1, "unfinished": 1}
    assert server.still_serves()


def test_a_fault_of_ours_is_not_shown(logged_failures: list[Failure]) -> None:
    """A resource that fails is 500 without a trace of why; the log has it."""
    broken: Any = Broken
    server = Server(broken())
    client = server.connect()
    client.send(GET)
    assert client.statuses() == [500]
    assert b"secret" not in client.transport.value()
    assert b"Traceback" not in client.transport.value()
    client.leave()
    assert [failure.type for failure in logged_failures] == [ZeroDivisionError]
    logged_failures.clear()


class Reader(Protocol):
    """A client on a real socket: gathers what comes until the connection ends."""

    def __init__(self) -> None:
        self.got = b""
        self.ended: Deferred[bytes] = Deferred()

    def send(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)

    def dataReceived(self, data: bytes) -> None:
        self.got += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended.callback(self.got)


@asynccontextmanager
async def listening(
    resource: Resource, limits: Limits, counts: Counter[str]
) -> AsyncIterator[tuple[Any, TCP4ClientEndpoint]]:
    """Serve a resource on loopback; yields the reactor and where to connect."""
    from twisted.internet import reactor as loop

    reactor: Any = loop
    site = bounded_site(resource, reactor, limits, counts)
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(site)
    try:
        yield reactor, TCP4ClientEndpoint(reactor, "127.0.0.1", port.getHost().port)
    finally:
        await port.stopListening()


async def test_on_real_sockets() -> None:
    """On loopback, noise is survived, a silent connection makes room for one past the bound."""
    counts: Counter[str] = Counter()
    async with listening(Counted(), Limits(connections=2), counts) as (reactor, endpoint):
        noisy: Reader = await connectProtocol(endpoint, Reader())
        noisy.send(random.Random(4).randbytes(1 << 16) + b"\r\n\r\n")
        await noisy.ended.addTimeout(10, reactor)
        assert counts["unfinished"] == 1

        first: Reader = await connectProtocol(endpoint, Reader())
        first.send(GET)
        while b" 200 OK" not in first.got:
            await deferLater(reactor, 0.01)
        silent: Reader = await connectProtocol(endpoint, Reader())
        third: Reader = await connectProtocol(endpoint, Reader())
        assert await silent.ended.addTimeout(10, reactor) == b""
        assert counts["evicted"] == 1
        last = GET.replace(b"Host: a", b"Host: a\r\nConnection: close")
        for reader in (first, third):
            reader.send(last)
        answers = await gatherResults([first.ended, third.ended]).addTimeout(10, reactor)
        assert [answer.count(b" 200 OK") for answer in answers] == [2, 1]
        assert counts == {"connections": 4, "evicted": 1, "unfinished": 1, "requests": 3}


class Big(Resource):
    isLeaf = True

    def render(self, request: Request) -> bytes:
        return b"x" * 1024 * 1024


async def test_who_asks_on_and_does_not_read_is_cut_off() -> None:
    """Answers do not pile up for a client that pipelines requests and reads none of them."""
    counts: Counter[str] = Counter()
    big: Any = Big
    async with listening(big(), Limits(), counts) as (reactor, endpoint):
        client: Reader = await connectProtocol(endpoint, Reader())
        assert client.transport is not None
        client.transport.pauseProducing()  # type: ignore[attr-defined]
        for _ in range(100):
            client.send(GET * 10)
            await deferLater(reactor, 0.01)
            if counts["not-reading"]:
                break
        assert counts["not-reading"] == 1
        assert counts["requests"] < 100
        client.transport.abortConnection()  # type: ignore[attr-defined]
        await client.ended
