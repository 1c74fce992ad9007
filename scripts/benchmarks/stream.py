"""The event stream with 100 readers of whom 50 never read: what it keeps, and what the others get.

The readers are in a process of their own, on plain sockets.
"""

import json
import selectors
import socket
import sys
import tempfile
import time
import uuid
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import psutil
from twisted.internet.endpoints import serverFromString
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.utils import getProcessOutputAndValue

from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure, on_reactor
from twisted_gantry.core.alarms import Alarms
from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.core.commands.door import CommandDoor
from twisted_gantry.core.moments import present
from twisted_gantry.core.points import Points
from twisted_gantry.core.site import Site
from twisted_gantry.net.http.event_stream import STALLED as STALLED_FOR
from twisted_gantry.net.http.server import Limits, bounded_site, with_backlog
from twisted_gantry.store.history.sqlite import open_history
from twisted_gantry.store.opening import open_store
from twisted_gantry.web.api.stream import Stream
from twisted_gantry.web.root import web_resource
from twisted_gantry.wire.reading import Quality

READING, STALLED = 50, 50
POINTS = 200
# The readers stay until those that do not read were cut off, and a while more.
WATCH = STALLED_FOR + 15.0
REQUEST = b"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"
# What the kernel takes for a reader that stops: little, so that the server's own bound is tried.
STALLED_WINDOW = 4096


def connect(port: int, window: int | None = None) -> socket.socket:
    """Return a connection that has asked for the stream."""
    connection = socket.socket()
    if window is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
    connection.connect(("127.0.0.1", port))
    connection.sendall(REQUEST)
    return connection


class Numbers:
    """The ids of the events that one reader got, as they came."""

    def __init__(self) -> None:
        self.got: list[int] = []
        self.delays: list[float] = []
        self.snapshots = self.bytes = 0
        self._rest = b""

    def take(self, data: bytes) -> None:
        """Take bytes of the answer."""
        now = time.time()
        self.bytes += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if line.startswith(b"id: "):
                self.got.append(int(line.rpartition(b"-")[2]))
            elif line == b"event: snapshot":
                self.snapshots += 1
            elif line.startswith(b'data: {"point":"pc1.p0"') and self.got:
                value = json.loads(line[6:])["value"]
                self.delays.append(now - value)

    @property
    def missing(self) -> int:
        """How many ids between the first and the last did not come, or came twice."""
        steps = zip(self.got, self.got[1:], strict=False)
        return sum(after != before + 1 for before, after in steps)


def read_all(port: int) -> None:
    """Read with some connections, leave others alone; print what came."""
    selector = selectors.DefaultSelector()
    stalled = [connect(port, STALLED_WINDOW) for _ in range(STALLED)]
    readers: dict[socket.socket, Numbers] = {}
    for _ in range(READING):
        connection = connect(port)
        connection.setblocking(False)
        readers[connection] = Numbers()
        selector.register(connection, selectors.EVENT_READ)
    lost = 0
    end = time.monotonic() + WATCH
    while (left := end - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            waiting = key.fileobj
            assert isinstance(waiting, socket.socket)
            data = waiting.recv(1 << 16)
            if data:
                readers[waiting].take(data)
            else:
                lost += 1
                selector.unregister(waiting)
    found = {
        "events": [len(each.got) - 1 for each in readers.values()],
        "missing": sum(each.missing for each in readers.values()),
        "snapshots": sum(each.snapshots for each in readers.values()),
        "bytes": max(each.bytes for each in readers.values()),
        "lost": lost,
        "delays": sorted(delay for each in readers.values() for delay in each.delays),
    }
    print(json.dumps(found))
    for each in (*stalled, *readers):
        each.close()


def make_site(folder: Path, reactor: Any) -> Site:
    """Return a site of one device with many points, its store on the disk."""
    store = open_store(folder, reactor, present)
    points = Points(Catalogue(), time.time)
    points.declare(
        "pc1", [PointType(f"p{i}", "V", f"Point {i}", f"测点{i}") for i in range(POINTS)]
    )
    door = CommandDoor({}, store, reactor, time.time, lambda: uuid.uuid4().hex)
    alarms = Alarms(points, reactor, time.time)
    return Site("G0", "", "Asia/Shanghai", time.time(), points, alarms, door, store, {}, {})


async def work(reactor: Any) -> bool:
    """Measure."""
    print(f"stream: {READING} readers beside {STALLED} that do not read, {WATCH:g} s")
    random = Random(1)
    with tempfile.TemporaryDirectory(dir=".") as name:
        folder = Path(name)
        site = make_site(folder, reactor)
        history = open_history(folder, reactor, time.time, 90.0)
        stream = Stream(site, reactor)
        resource = web_resource(
            site,
            history=history,
            now=time.time,
            version="",
            password=None,
            token=None,
            http_counts={},
            health=list,
            stream=stream,
        )
        stream.startService()
        limits = Limits(connections=256)
        where = with_backlog("tcp:0:interface=127.0.0.1", limits.connections)
        factory = bounded_site(resource, reactor, limits, Counter())
        port: Any = await serverFromString(reactor, where).listen(factory)

        def change() -> None:
            values = {f"p{i}": (random.uniform(0, 400), Quality.GOOD) for i in range(1, POINTS)}
            site.points.update("pc1", {"p0": (time.time(), Quality.GOOD), **values})

        changing = LoopingCall(change)
        changing.start(0.5)
        await deferLater(reactor, 2.0)
        process = psutil.Process()
        before = most = process.memory_info().rss
        used = sum(process.cpu_times()[:2])

        def look() -> None:
            nonlocal most
            most = max(most, process.memory_info().rss)

        looking = LoopingCall(look)
        looking.start(0.2)
        out, err, code = await getProcessOutputAndValue(
            sys.executable, [__file__, "readers", str(port.getHost().port)], env=None
        )
        used = sum(process.cpu_times()[:2]) - used
        looking.stop()
        changing.stop()
        assert code == 0, err.decode()
        await stream_end(stream, port)
        await site.store.close()
        await history.close()
    found = json.loads(out)
    told = min(found["events"])
    figure("events to each reader, a second", told / WATCH, "")
    figure("of a core", used / WATCH * 100, "%")
    delays = found["delays"]
    figure("from the reading to the reader, median", delays[len(delays) // 2] * 1000, "ms")
    figure("the 95th percentile of that", delays[len(delays) * 95 // 100] * 1000, "ms")
    unread = found["bytes"] * STALLED / 2**20
    figure("what those that did not read would have had queued", unread, "MiB")
    return all(
        [
            bar("resident memory grows at most by", (most - before) / 2**20, "MiB", 20),
            bar("gaps in what the others got", found["missing"] + found["lost"], "", 0),
            bar(
                "snapshots that the others got in place of events",
                found["snapshots"] - READING,
                "",
                0,
            ),
            bar(
                "cut off of those that did not read",
                stream.counts["stalled"],
                "",
                STALLED,
                least=True,
            ),
        ]
    )


async def stream_end(stream: Stream, port: Any) -> None:
    """Stop what serves."""
    stream.stopService()
    await port.stopListening()


def main() -> bool:
    """Run it in a process of its own."""
    return again("stream")


if __name__ == "__main__":
    if sys.argv[1:2] == ["readers"]:
        read_all(int(sys.argv[2]))
        sys.exit(0)
    sys.exit(0 if on_reactor(work) else 1)
