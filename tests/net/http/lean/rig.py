"""A lean server in memory: connections without a socket, and a handler that answers when told."""

from collections import Counter
from collections.abc import Collection
from io import BytesIO
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from twisted_gantry.net.http.lean.connection import LeanConnection
from twisted_gantry.net.http.lean.factory import LeanFactory
from twisted_gantry.net.http.lean.request import Answer, LeanRequest
from twisted_gantry.net.http.server import Limits
from twisted_gantry.net.slots import Slots

LIMITS = Limits(body=5000, bodies=9000, deadline=10, idle=100, connections=8, work=1.0)
BODY = b'{"a":"b"}'


class Echo:
    """Answers a request with its body; one whose body begins with `wait` when it is told."""

    path, late = b"/monitor.do", b"late"
    wanted: Collection[bytes] = (b"binfile-auth",)

    def __init__(self) -> None:
        self.asked: list[LeanRequest] = []
        self.waiting: list[Deferred[bytes]] = []
        self.most = 5000

    def most_body(self, request: LeanRequest) -> int:
        return self.most

    def answer(self, request: LeanRequest) -> Answer:
        self.asked.append(request)
        if request.body.startswith(b"raise"):
            raise RuntimeError("a mistake in the handler")
        if request.headers.get(b"binfile-auth") == b"right":
            request.proved()
        if request.body.startswith(b"wait"):
            self.waiting.append(Deferred())
            return self.waiting[-1]
        return request.body


class Wire(StringTransport):
    """What the server wrote, and how the connection ended."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True
        self.protocol.connectionLost(None)

    def loseConnection(self) -> None:
        if not self.disconnecting:
            super().loseConnection()  # type: ignore[no-untyped-call]
            self.protocol.connectionLost(None)

    protocol: Any = None

    @property
    def is_open(self) -> bool:
        return not (self.disconnecting or self.aborted)


class Rig:
    """A server with its connections; `send` returns what the server wrote since."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.clock, self.handler = Clock(), Echo()
        self.counts: Counter[str] = Counter()
        slots = Slots(
            self.clock,
            connections=limits.connections,
            per_address=limits.per_address,
            reserved=limits.reserved,
            work=limits.work,
            counts=self.counts,
        )
        self.factory = LeanFactory(
            self.handler, limits, self.clock, self.counts, lambda host: slots, lambda: 0.0
        )
        self.factory.startFactory()

    def connect(self, host: str = "192.0.2.1") -> Wire | None:
        address = IPv4Address("TCP", host, 4000)
        connection: LeanConnection | None = self.factory.buildProtocol(address)
        if connection is None:
            return None
        made: Any = Wire
        wire: Wire = made(peerAddress=address)
        wire.protocol = connection
        wire.protocol.makeConnection(wire)
        return wire

    def open(self, host: str = "192.0.2.1") -> Wire:
        wire = self.connect(host)
        assert wire is not None
        return wire

    def send(self, wire: Wire, data: bytes) -> bytes:
        wire.protocol.dataReceived(data)
        return self.written(wire)

    def written(self, wire: Wire) -> bytes:
        written = bytes(wire.io.getvalue())
        wire.io = BytesIO()
        return written

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.advance(1)


def post(
    body: bytes = BODY, *headers: str, path: str = "/monitor.do", version: str = "1.1"
) -> bytes:
    """Return a request in bytes."""
    lines = [f"POST {path} HTTP/{version}", "Host: x", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def bodies(written: bytes) -> list[tuple[int, bytes]]:
    """Return the status and the body of each answer."""
    found = []
    while written:
        head, _, rest = written.partition(b"\r\n\r\n")
        lines = head.split(b"\r\n")
        length = next((int(e[15:]) for e in lines if e.startswith(b"Content-Length:")), 0)
        found.append((int(lines[0].split()[1]), rest[:length]))
        written = rest[length:]
    return found
