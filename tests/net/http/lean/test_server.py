"""The lean HTTP server: what it takes, in which order it answers, and what it refuses."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.python.failure import Failure

from tests.net.http.lean.rig import BODY, LIMITS, Rig, bodies, post
from twisted_gantry.net.http.lean.connection import ANSWER_S, MOST_IN_FLIGHT, UNREAD_S
from twisted_gantry.net.http.lean.factory import DRAIN_S
from twisted_gantry.net.http.server import LAST_WORDS_S, Limits


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_request_is_answered_and_the_connection_kept(rig: Rig) -> None:
    """A constant head, the length, the body; the next request comes on the same connection."""
    wire = rig.open()
    written = rig.send(wire, post())
    assert written.startswith(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\n"
    )
    assert b"\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\n" in written
    assert bodies(written) == [(200, BODY)]
    assert bodies(rig.send(wire, post(b"{}"))) == [(200, b"{}")]
    assert wire.is_open


CHUNKED = (
    b"POST /monitor.do HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    b'4\r\n{"a"\r\n5;name=value\r\n:"b"}\r\n0\r\nBinfile-Auth: trailer\r\n\r\n'
)
STREAM = post() + CHUNKED + post(path="http://centre:8098/monitor.do?x=1") + post(b"[]")


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_cuts_do_not_matter(cuts: list[int]) -> None:
    """Pipelined, chunked and absolute requests are the same however the bytes come."""
    rig = Rig()
    wire = rig.open()
    places = [0, *sorted(cuts), len(STREAM)]
    written = b"".join(rig.send(wire, STREAM[a:b]) for a, b in pairwise(places) if a < b)
    assert bodies(written) == [(200, BODY), (200, BODY), (200, BODY), (200, b"[]")]
    assert [each.headers for each in rig.handler.asked] == [{}] * 4
    assert rig.factory.held == 0


def test_answers_keep_the_order_of_the_requests(rig: Rig) -> None:
    """The answer that is ready first waits for those before it."""
    wire = rig.open()
    assert rig.send(wire, post(b"wait 1") + post(b"wait 2") + post(b"now")) == b""
    rig.handler.waiting[1].callback(b"2")
    assert rig.written(wire) == b""
    rig.handler.waiting[0].callback(b"1")
    assert bodies(rig.written(wire)) == [(200, b"1"), (200, b"2"), (200, b"now")]


def test_a_peer_that_closes_its_side_is_answered(rig: Rig) -> None:
    """All its whole requests, then the connection ends."""
    wire = rig.open()
    assert rig.send(wire, post(b"wait 1") + post(b"now") + post()[:20]) == b""
    wire.protocol.readConnectionLost()
    assert (rig.written(wire), wire.is_open) == (b"", True)
    rig.handler.waiting[0].callback(b"1")
    written = rig.written(wire)
    assert (bodies(written), wire.is_open) == ([(200, b"1"), (200, b"now")], False)
    assert rig.counts["unfinished"] == 1
    other = rig.open()
    other.protocol.readConnectionLost()
    assert not other.is_open


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("GET /monitor.do HTTP/1.1", 405),
        ("GET / HTTP/1.1", 404),
        ("POST /other.do HTTP/1.1", 404),
        ("POST /monitor.do/ HTTP/1.1", 404),
        ("POST http://host HTTP/1.1", 404),
        ("DELETE /monitor.do HTTP/1.1", 405),
    ],
)
def test_other_paths_and_methods_are_plain_http(rig: Rig, request_line: str, status: int) -> None:
    """They are answered without the handler, and the connection goes on."""
    wire = rig.open()
    written = rig.send(wire, f"{request_line}\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}".encode())
    assert bodies(written + rig.send(wire, post())) == [(status, b""), (200, BODY)]
    assert (b"Allow: POST" in written) == (status == 405)
    assert len(rig.handler.asked) == 1


@pytest.mark.parametrize(
    ("version", "header", "kept", "said"),
    [
        ("1.1", "X: y", True, b""),
        ("1.1", "Connection: close", False, b"Connection: close"),
        ("1.0", "X: y", False, b"Connection: close"),
        ("1.0", "Connection: keep-alive", True, b"Connection: keep-alive"),
    ],
)
def test_who_keeps_the_connection(
    rig: Rig, version: str, header: str, kept: bool, said: bytes
) -> None:
    """HTTP/1.0 closes unless it is asked, HTTP/1.1 stays unless it is asked."""
    wire = rig.open()
    written = rig.send(wire, post(BODY, header, version=version))
    assert said in written
    assert (b"Connection" in written) == bool(said)
    assert wire.is_open is kept


def test_a_body_that_waits_for_permission(rig: Rig) -> None:
    """`Expect: 100-continue` is answered in its turn; a request that fails gets the refusal."""
    wire = rig.open()
    head, body = post(BODY, "Expect: 100-continue").split(b"\r\n\r\n")
    assert rig.send(wire, head + b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert bodies(rig.send(wire, body)) == [(200, BODY)]
    rig.send(wire, post(b"wait") + head + b"\r\n\r\n")
    rig.handler.waiting[0].callback(b"1")
    assert bodies(rig.written(wire)) == [(200, b"1"), (100, b"")]
    assert bodies(rig.send(wire, body)) == [(200, BODY)]
    other = rig.open()
    refused = rig.send(
        other, b"GET / HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"
    )
    assert bodies(refused) == [(404, b"")]
    assert not other.is_open
    assert bodies(rig.send(rig.open(), post(BODY, "Expect: tea"))) == [(417, b"")]


def test_an_upgrade_is_not_taken(rig: Rig) -> None:
    """A client that offers HTTP/2 gets its answer in HTTP/1.1; the connection ends after that."""
    upgrade = ("Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c")
    for step in (1, 7, 1000):
        wire, data = rig.open(), post(BODY, *upgrade) + b"PRI * HTTP/2.0"
        written = b"".join(
            rig.send(wire, data[at : at + step]) for at in range(0, len(data), step) if wire.is_open
        )
        assert bodies(written) == [(200, BODY)]
        assert not wire.is_open
    chunked = CHUNKED.replace(b"Host: x", b"Host: x\r\nConnection: Upgrade\r\nUpgrade: h2c")
    assert bodies(rig.send(rig.open(), chunked)) == [(400, b"")]


@pytest.mark.parametrize(
    "data",
    [
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"POST /monitor.do HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /monitor.do HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
        b"POST /monitor.do HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n",
        b"POST /monitor.do HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"POST /monitor.do HTTP/1.1\r\nA: b\nC : d\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    ],
)
def test_what_is_no_request_ends_the_connection(rig: Rig, data: bytes) -> None:
    """One answer, 400 or 404, and the end: nothing behind it is read as a request."""
    wire = rig.open()
    written = rig.send(wire, data + post())
    assert [status for status, _ in bodies(written)] in ([400], [404], [405])
    assert not wire.is_open
    assert rig.handler.asked == []


def test_an_answer_before_damage_is_not_lost(rig: Rig) -> None:
    """The requests before the damage are answered first."""
    wire = rig.open()
    assert rig.send(wire, post(b"wait") + b"nonsense\r\n\r\n") == b""
    rig.handler.waiting[0].callback(b"1")
    assert bodies(rig.written(wire)) == [(200, b"1"), (400, b"")]
    assert not wire.is_open


@pytest.mark.parametrize(
    "data",
    [
        b"POST /monitor.do HTTP/1.1\r\nX: " + b"y" * 20_000,
        b"POST /" + b"y" * 20_000,
        b"POST /monitor.do HTTP/1.1\r\n" + b"X: y\r\n" * 4000 + b"\r\n",
        CHUNKED[:-2] + b"X: y\r\n" * 6000,
    ],
)
def test_a_long_head_is_refused(rig: Rig, data: bytes) -> None:
    """Headers are bounded, those behind a body too."""
    wire = rig.open()
    assert 431 in [status for status, _ in bodies(rig.send(wire, data))]
    assert not wire.is_open
    assert rig.counts["long-head"] == 1


def test_a_long_body_is_refused(rig: Rig) -> None:
    """Declared or chunked, over the bound is 413; nothing of it is kept."""
    wire = rig.open()
    assert bodies(rig.send(wire, post(b"x" * 5001)[:80])) == [(413, b"")]
    assert not wire.is_open
    chunked = CHUNKED.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + b"1000\r\n" + b"x" * 4096 + b"\r\n"
    other = rig.open()
    assert rig.send(other, chunked) == b""
    assert rig.factory.held == 4096
    assert bodies(rig.send(other, b"1000\r\n" + b"x" * 4096)) == [(413, b"")]
    assert rig.factory.held == 0


def test_a_body_that_is_not_wanted_is_not_kept(rig: Rig) -> None:
    """Of a stranger's body no more than asked for is in memory."""
    rig.handler.most = 10
    wire = rig.open()
    data = post(b"0123456789" * 300)
    for at in range(0, len(data), 100):
        rig.send(wire, data[at : at + 100])
        assert rig.factory.held <= 110
    assert len(rig.handler.asked[0].body) <= 110


def test_bodies_together_are_bounded(rig: Rig) -> None:
    """Past the bound of all bodies the longest one that comes is refused, 503."""
    first, second, third = rig.open(), rig.open(), rig.open()
    rig.send(first, post(b"x" * 4500)[:-1])
    rig.send(second, post(b"x" * 4000)[:-1])
    rig.send(third, post(b"x" * 1000)[:-1])
    assert bodies(rig.written(first)) == [(503, b"")]
    assert second.is_open
    assert third.is_open
    assert bodies(rig.send(second, b"x")) == [(200, b"x" * 4000)]


def test_a_slow_request_is_ended(rig: Rig) -> None:
    """408 when a request is not whole in time, however its bytes trickle."""
    wire, data = rig.open(), post(b"y" * 30)
    for at in range(len(data) - 20, len(data)):
        rig.send(wire, data[:at] if at == len(data) - 20 else data[at - 1 : at])
        if not wire.is_open:
            break
        rig.pass_time(1)
    assert rig.counts["timeout"] == 1
    assert rig.handler.asked == []


def test_silent_connections_end(rig: Rig) -> None:
    """One that proved nothing goes after the deadline, one that did after the idle time."""
    silent, asked, proved = rig.open(), rig.open("192.0.2.2"), rig.open("192.0.2.3")
    rig.send(asked, post())
    rig.send(proved, post(BODY, "Binfile-Auth: right"))
    rig.pass_time(LIMITS.deadline + 2)
    assert (silent.is_open, asked.is_open, proved.is_open) == (False, False, True)
    rig.pass_time(LIMITS.idle)
    assert not proved.is_open
    assert rig.factory.connections == set()


def test_a_request_that_waits_for_ever_is_answered(rig: Rig) -> None:
    """After `ANSWER_S` the answer is the handler's `late`; what comes then is dropped."""
    wire = rig.open()
    rig.send(wire, post(b"wait"))
    rig.pass_time(int(ANSWER_S) + 2)
    assert bodies(rig.written(wire)) == [(200, b"late")]
    rig.handler.waiting[0].callback(b"1")
    assert rig.written(wire) == b""
    assert bodies(rig.send(wire, post())) == [(200, BODY)]


def test_requests_in_flight_are_bounded(rig: Rig) -> None:
    """With many answers due nothing more is read until half of them are given."""
    wire = rig.open()
    rig.send(wire, post(b"wait") * MOST_IN_FLIGHT)
    assert wire.producerState == "paused"
    for each in rig.handler.waiting[: MOST_IN_FLIGHT // 2 - 1]:
        each.callback(b"1")
    assert wire.producerState == "paused"
    rig.handler.waiting[MOST_IN_FLIGHT // 2 - 1].callback(b"1")
    assert wire.producerState == "producing"


def test_a_peer_that_does_not_read_is_not_served(rig: Rig) -> None:
    """Answers wait, no request is read meanwhile, and the connection is cut after a while."""
    wire = rig.open()
    wire.protocol.pauseProducing()
    assert wire.producerState == "paused"
    assert rig.send(wire, post()) == b""
    wire.protocol.resumeProducing()
    assert bodies(rig.written(wire)) == [(200, BODY)]
    other = rig.open()
    other.protocol.pauseProducing()
    rig.pass_time(int(UNREAD_S) + 2)
    assert other.aborted
    assert rig.counts["not-reading"] == 1


def test_a_mistake_of_the_handler_ends_one_connection(
    rig: Rig, logged_failures: list[Failure]
) -> None:
    """A handler that raises is logged; the others go on."""
    wire, other = rig.open(), rig.open()
    rig.send(wire, post(b"raise"))
    assert wire.aborted
    assert rig.counts["failed"] == 1
    assert [each.type for each in logged_failures] == [RuntimeError]
    logged_failures.clear()
    assert bodies(rig.send(other, post())) == [(200, BODY)]


def test_the_stop_answers_what_is_in_flight(rig: Rig) -> None:
    """Idle connections close at once, those with requests when these are answered."""
    idle, busy, half = rig.open(), rig.open(), rig.open()
    rig.send(busy, post(b"wait"))
    rig.send(half, post()[:-1])
    drained: list[object] = []
    rig.factory.drain().addCallback(drained.append)
    assert (idle.is_open, busy.is_open, half.is_open) == (False, True, False)
    assert drained == []
    rig.handler.waiting[0].callback(b"1")
    assert bodies(rig.written(busy)) == [(200, b"1")]
    assert not busy.is_open
    assert drained == [None]


def test_the_stop_does_not_wait_for_ever(rig: Rig) -> None:
    """What is not answered in time gets `late`."""
    wire = rig.open()
    rig.send(wire, post(b"wait"))
    drained: list[object] = []
    rig.factory.drain().addCallback(drained.append)
    rig.pass_time(int(DRAIN_S) + 1)
    assert bodies(rig.written(wire)) == [(200, b"late")]
    assert drained == [None]


def test_a_flood_of_a_stranger_is_cut() -> None:
    """Work without a proof has a budget; a connection with a proof does not share it."""
    rig = Rig(Limits(body=5000, bodies=9000, deadline=10, idle=100, connections=8, work=1e-6))
    wire = rig.open()
    rig.send(wire, post() * 40)
    assert wire.aborted
    assert rig.counts["flooded"] == 1
    assert rig.connect() is None
    rig.pass_time(2)
    proved = rig.open()
    rig.send(proved, post(BODY, "Binfile-Auth: right") * 40)
    assert proved.is_open


def test_last_words_are_bounded(rig: Rig) -> None:
    """A connection that stays open after its last answer is dropped."""
    wire = rig.open()
    wire.loseConnection = lambda: None  # type: ignore[method-assign]
    rig.send(wire, post(BODY, "Connection: close"))
    rig.pass_time(int(LAST_WORDS_S) + 2)
    assert wire.aborted
