"""The format of a recording, and listening in on connections and exchanges in memory."""

import contextlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.python.failure import Failure

from tests.support import MemoryNetwork, TestClock, fired
from twisted_gantry.net.http.client import Answer, BoundedClient, NoAnswer
from twisted_gantry.net.record import (
    FORMAT,
    MAX_LINE,
    BrokenRecording,
    Header,
    Line,
    TappedClient,
    TappedEndpoint,
    read_recording,
)

HEADER = Header(gantry_recording=FORMAT, version="1", recording="12345678", part=1, at="")
SECOND = Header(gantry_recording=FORMAT, version="1", recording="12345678", part=2, at="")
OTHER = Header(gantry_recording=FORMAT, version="1", recording="87654321", part=1, at="")
NEWER = Header(gantry_recording=FORMAT + 1, version="9", recording="1", part=1, at="")
LINE = Line(t=1.5, at="", device="ups1", kind="ups-card", way="out", via="tcp", text="{}")


def encoded(*lines: Header | Line | bytes) -> bytes:
    """Return the content of a file."""
    return b"".join(
        each if isinstance(each, bytes) else msgspec.json.encode(each) + b"\n" for each in lines
    )


def test_parts_may_follow_each_other(tmp_path: Path) -> None:
    """The parts of one recording, joined, are read as one."""
    path = tmp_path / "all.jsonl"
    path.write_bytes(encoded(HEADER, LINE, SECOND, LINE))
    assert list(read_recording(path)) == [LINE, LINE]


@pytest.mark.parametrize(
    ("lines", "number", "words"),
    [
        ([], 1, "truncated"),
        ([LINE], 1, "unknown field"),
        ([b"{\n"], 1, "truncated"),
        ([NEWER], 1, "format 2; this program reads 1"),
        ([HEADER, OTHER], 2, "another recording"),
        ([HEADER, LINE, b'{"t": 2}\n'], 3, "missing required field"),
        ([HEADER, encoded(LINE)[:-10]], 2, "truncated"),
        ([HEADER, b"\xff\n"], 2, "malformed"),
        ([HEADER, b"[" * 100_000 + b"\n"], 2, ""),
        ([HEADER, b" " * (MAX_LINE + 1)], 2, "bytes"),
        ([HEADER, b"\n"], 2, "truncated"),
        ([HEADER, encoded(LINE).replace(b"1.5", b"-1")], 2, "before the start"),
        ([HEADER, LINE, encoded(LINE).replace(b"1.5", b"1")], 3, "back in time"),
        ([HEADER, encoded(LINE).replace(b'"text"', b'"odd"')], 2, "unknown field"),
        ([HEADER, encoded(LINE).replace(b'"tcp"', b'"http"')], 2, "without its exchange"),
        ([HEADER, encoded(LINE).replace(b'"text":"{}"', b'"base64":"*"')], 2, "base64"),
        ([HEADER, encoded(LINE).replace(b"}\n", b',"base64":"AA=="}\n')], 2, "both"),
    ],
)
def test_a_broken_file_is_named_by_its_line(
    lines: list[Any], number: int, words: str, tmp_path: Path
) -> None:
    """Whatever is wrong with a file, it is said in which line, and nothing else happens."""
    path = tmp_path / "broken.jsonl"
    path.write_bytes(encoded(*lines))
    with pytest.raises(BrokenRecording, match=f"line {number}: .*{words}") as caught:
        list(read_recording(path))
    assert caught.value.line == number


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(tmp_path: Path, content: bytes) -> None:
    """Reading raises nothing but what it says."""
    path = tmp_path / "any.jsonl"
    path.write_bytes(encoded(HEADER) + content)
    with contextlib.suppress(BrokenRecording):
        list(read_recording(path))


def test_content_is_text_or_bytes() -> None:
    """Bytes that are no text are kept, too."""
    odd = Line(t=0, at="", device="r", kind="relay", way="in", via="tcp", base64="/wA=")
    assert (LINE.data, odd.data) == (b"{}", b"\xff\x00")


# -- listening in


class Ear:
    """A witness that keeps what it hears; `broken`, it raises."""

    def __init__(self) -> None:
        self.heard: list[Any] = []
        self.broken = False

    def _hear(self, *what: Any) -> None:
        if self.broken:
            raise RuntimeError("a witness that fails")
        self.heard.append(what)

    def passed(self, link: int, way: Any, data: bytes) -> None:
        self._hear(link, way, data)

    def link_lost(self, link: int) -> None:
        self._hear(link, "lost")

    def asked(self, exchange: int, method: str, url: str, body: bytes) -> None:
        self._hear(exchange, method, url, body)

    def answered(self, exchange: int, answer: Answer | None, error: str) -> None:
        self._hear(exchange, answer, error)


class Echo(Protocol):
    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class Client(Protocol):
    def __init__(self) -> None:
        self.got = b""
        self.lost = False

    def dataReceived(self, data: bytes) -> None:
        self.got += data

    def connectionLost(self, reason: Any = None) -> None:
        self.lost = True


def connected(ear: Ear) -> tuple[TestClock, MemoryNetwork, Any]:
    """Return a client that is listened in on, connected to an echo."""
    clock = TestClock()
    network = MemoryNetwork(clock, Factory.forProtocol(Echo))
    endpoint = TappedEndpoint(network, ear)
    assert repr(endpoint) == repr(network)
    [client] = fired(endpoint.connect(Factory.forProtocol(Client)))
    return clock, network, client


def test_a_connection_is_heard_both_ways() -> None:
    """The caller gets its own protocol, and the witness every byte, in its order."""
    ear = Ear()
    clock, network, client = connected(ear)
    assert type(client) is Client
    transport: Any = client.transport
    transport.write(b"one")
    transport.writeSequence([b"t", b"wo"])
    clock.settle()
    assert client.got == b"onetwo"
    network.cut()
    assert client.lost
    out = [(1, "out", b"one"), (1, "out", b"two")]
    assert ear.heard[:2] == out
    assert ear.heard[-1] == (1, "lost")
    assert b"".join(each[2] for each in ear.heard[2:-1]) == b"onetwo"


def test_the_transport_is_whole() -> None:
    """What a driver asks of its transport beside writing is still there."""
    _, network, client = connected(Ear())
    assert client.transport.getPeer() is not None
    client.transport.abortConnection()
    network.flush()
    assert client.lost


def test_a_refused_connection_is_refused() -> None:
    """A failure to connect reaches the caller as it is."""
    clock = TestClock()
    network = MemoryNetwork(clock, Factory.forProtocol(Echo))
    network.reachable = False
    [failure] = fired(TappedEndpoint(network, Ear()).connect(Factory.forProtocol(Client)))
    assert isinstance(failure, Failure)


def test_a_witness_that_fails_harms_nobody(logged_failures: list[Failure]) -> None:
    """What is listened to goes on, and the failure is logged once."""
    ear = Ear()
    clock, network, client = connected(ear)
    ear.broken = True
    for _ in range(3):
        client.transport.write(b"x")
        clock.settle()
    assert client.got == b"xxx"
    network.cut()
    assert len(logged_failures) == 1
    logged_failures.clear()


class Stub(BoundedClient):
    """A client whose answers a test gives."""

    def __init__(self) -> None:
        self.asked: list[Any] = []
        self.answers: list[Deferred[Answer]] = []

    def request(self, method: str, url: str, **more: Any) -> Deferred[Answer]:
        self.asked.append((method, url, more))
        self.answers.append(Deferred())
        return self.answers[-1]


def test_an_exchange_is_heard() -> None:
    """The request goes out as it was, the answer comes back as it was, no header is told of."""
    ear, stub = Ear(), Stub()
    client = TappedClient(stub, ear)
    got = fired(client.request("POST", "http://a/b?c", headers={"K": "v"}, body=b"x", limit=9))
    lost = fired(client.request("GET", "http://a/"))
    assert stub.asked[0] == (
        "POST",
        "http://a/b?c",
        {"headers": {"K": "v"}, "body": b"x", "limit": 9},
    )
    answer = Answer(200, {"a": "b"}, b"yes")
    stub.answers[0].callback(answer)
    stub.answers[1].errback(NoAnswer("why"))
    assert got == [answer]
    assert lost[0].check(NoAnswer)
    assert ear.heard == [
        (1, "POST", "http://a/b?c", b"x"),
        (2, "GET", "http://a/", b""),
        (1, answer, ""),
        (2, None, "why"),
    ]


def test_an_exchange_can_be_given_up() -> None:
    """To cancel reaches the client beneath, and is heard."""
    ear, stub = Ear(), Stub()
    asking = TappedClient(stub, ear).request("GET", "http://a/")
    got = fired(asking)
    asking.cancel()
    assert got[0].check(CancelledError)
    assert ear.heard[-1] == (1, None, "CancelledError")
