"""A small site with an event stream, and readers of it that need no socket."""

import json
import zlib
from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from tests.web.small_site import SmallSite
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.web.api.stream import GATHER, Stream
from twisted_gantry.web.root import web_resource
from twisted_gantry.wire.reading import Quality

PATH = "/api/v1/stream"
PEER = IPv4Address("TCP", "192.0.2.7", 5555)
GOOD = Quality.GOOD


@dataclass
class Event:
    name: str
    data: Any
    id: str

    @property
    def number(self) -> int:
        return int(self.id.partition("-")[2])


class FullTransport(StringTransport):
    """A transport that has enough after every piece of 1 KiB or more."""

    def writeSequence(self, data: Any) -> None:
        """Take it, and ask for no more."""
        super().writeSequence(data)  # type: ignore[no-untyped-call]
        producer: Any = self.producer
        if sum(map(len, data)) > 1024:
            producer.pauseProducing()


class Listener:
    def __init__(
        self,
        rig: "Rig",
        last_id: str = "",
        method: str = "GET",
        transport: Any = None,
        takes: str = "",
    ) -> None:
        self.transport: Any = transport or StringTransport(peerAddress=PEER)
        self.protocol = rig.factory.buildProtocol(PEER)
        self.protocol.makeConnection(self.transport)
        extra = f"Last-Event-ID: {last_id}\r\n" if last_id else ""
        extra += f"Accept-Encoding: {takes}\r\n" if takes else ""
        request = f"{method} {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\n{extra}\r\n"
        self.protocol.dataReceived(request.encode())
        rig.clock.advance(0)

    @property
    def head(self) -> str:
        """The head of the answer."""
        head: bytes = self.transport.value().partition(b"\r\n\r\n")[0]
        return head.decode()

    @property
    def body(self) -> str:
        """What came of the answer, unpacked."""
        if "content-encoding: gzip" in self.head.lower():
            return zlib.decompressobj(zlib.MAX_WBITS + 16).decompress(self.sent).decode()
        return self.sent.decode()

    @property
    def sent(self) -> bytes:
        """What came of the answer, its chunks joined."""
        rest = self.transport.value().partition(b"\r\n\r\n")[2]
        body = b""
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            body += rest[: int(size, 16)]
            rest = rest[int(size, 16) + 2 :]
        return body

    @property
    def events(self) -> list[Event]:
        found = []
        for block in self.body.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line)
            if "data" in fields:
                event = Event(fields["event"], json.loads(fields["data"]), fields.get("id", ""))
                found.append(event)
        return found

    def news(self) -> list[Event]:
        """Return the events that came since this was called last."""
        events = self.events
        seen, self._seen = getattr(self, "_seen", 0), len(events)
        return events[seen:]

    def pause(self) -> None:
        """Let the transport be full, as that of a reader that stopped is."""
        self.transport.producer.pauseProducing()

    def resume(self) -> None:
        """Let all that was written have left."""
        self.transport.producer.resumeProducing()

    def hang_up(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))


class Rig:
    """A small site with a stream."""

    def __init__(self, small: SmallSite, clock: Any = None) -> None:
        self.small, self.clock, self.points = small, small.clock, small.site.points
        self.http_clock = Clock()
        self.stream = Stream(small.site, clock or small.clock)
        self.resource = web_resource(
            small.site,
            history=small.history,
            now=small.now,
            version="1.2.3",
            password=None,
            token=None,
            http_counts=small.http_counts,
            health=list,
            stream=self.stream,
        )
        self.factory: Any = bounded_site(
            self.resource, self.http_clock, Limits(connections=1000), self.stream.counts
        )
        self.stream.startService()

    def set(self, value: Any, name: str = "input_voltage_r", quality: Quality = GOOD) -> None:
        self.points.update("ups1", {name: (value, quality)})

    def told(self, value: Any, name: str = "input_voltage_r") -> None:
        """Let a reading bring a value, and wait until it is told."""
        self.set(value, name)
        self.clock.advance(GATHER)


def names(events: list[Event]) -> list[str]:
    """Return the names of events."""
    return [event.name for event in events]
