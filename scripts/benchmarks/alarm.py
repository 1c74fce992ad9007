"""From the card's answer that shows a mains failure to the report's bytes at the platform.

A whole gantry with its store on the disk, over real sockets; the poll is left out: the clock
begins when the card writes its answer. Beside it, in turn: the same body by treq alone.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool

from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure, on_reactor
from twisted_gantry.config.load import load
from twisted_gantry.core.moments import present
from twisted_gantry.daemon.threads import InThreads
from twisted_gantry.daemon.tree import GantryTree
from twisted_gantry.net.http.client import BoundedClient, persistent_pool, treq_client
from twisted_gantry.store.history.sqlite import open_history
from twisted_gantry.store.opening import open_store
from twisted_gantry.twin.service import ON_FREE_PORTS, TwinSettings, build_twin

ROUNDS = 60
ANSWER = b'{"code":"1000","msg":"ok"}'


class Wire(Protocol):
    """A platform that reads no more than it must, and tells when a report has come whole."""

    def __init__(self, took: Callable[[bytes], None]) -> None:
        self._took, self._buffer = took, b""

    def dataReceived(self, data: bytes) -> None:
        """Answer each request."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = next(
            int(line.split(b":")[1])
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"content-length")
        )
        if len(rest) < length:
            return
        self._took(rest[:length])
        self._buffer = rest[length:]
        assert self.transport is not None
        self.transport.write(
            b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(ANSWER) + ANSWER
        )


class Platform(Factory):
    """Remembers when the last body came."""

    noisy = False

    def __init__(self) -> None:
        self.bodies: list[bytes] = []
        self.wanted = b"cabinetStatus"  # within a body that is waited for
        self.waiting: Deferred[float] | None = None

    def buildProtocol(self, addr: Any) -> Wire:
        """Accept."""
        return Wire(self.took)

    def took(self, body: bytes) -> None:
        """Note a body."""
        moment = time.perf_counter()
        self.bodies.append(body)
        if self.waiting is not None and self.wanted in body:
            waiting, self.waiting = self.waiting, None
            waiting.callback(moment)

    def next_report(self) -> Deferred[float]:
        """Return when the next body comes that is waited for."""
        self.waiting = Deferred()
        return self.waiting


async def work(reactor: Any) -> bool:
    """Measure."""
    print(f"alarm: from the card's answer to the report on the wire, median of {ROUNDS}")
    loopback = "tcp:0:interface=127.0.0.1"
    twin = build_twin(TwinSettings(**ON_FREE_PORTS), reactor, time.time)
    twin.startService()
    answered: list[float] = []
    card = twin.cards["ups1"]
    perform = card.perform

    def timed(cmd: str) -> str:
        value = perform(cmd)
        answered.append(time.perf_counter())  # the reply is written right after
        return value

    card.perform = timed  # type: ignore[method-assign]
    platform = Platform()
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(platform)
    url = f"http://127.0.0.1:{port.getHost().port}/monitor.do"
    settings = load(
        f"""
        [gantry]
        id = "G000211001002110010"
        [[device]]
        name = "ups1"
        kind = "ups-card"
        address = "tcp:127.0.0.1:{twin.port("ups-tcp")}"
        poll = 0.1
        [[cabinet]]
        id = "1"
        elec = ["ups1"]
        ups = ["ups1"]
        [uplink.etc]
        url = "{url}"
        auth = "123456"
        [web]
        listen = "{loopback}"
        """
    )
    took: list[float] = []
    bare: list[float] = []
    pool = persistent_pool(reactor)
    client = BoundedClient(treq_client(reactor, pool), reactor)
    in_thread = partial(deferToThreadPool, reactor, reactor.getThreadPool())
    with tempfile.TemporaryDirectory(dir=".") as folder:
        tree = GantryTree(
            settings,
            store=open_store(Path(folder), reactor, present),
            history=open_history(Path(folder), reactor, time.time, 90.0),
            reactor=reactor,
            now=time.time,
            random=Random(1),
            threads=InThreads(*[in_thread] * 5),
        )
        tree.startService()
        await deferLater(reactor, 1.5)
        for turn in range(ROUNDS):
            # Past the second in which changes are gathered, so that this one goes at once.
            await deferLater(reactor, 1.1 + (turn % 10) / 100)
            report = platform.next_report()
            twin.world.change({"mains.voltage": 0 if turn % 2 == 0 else 220})
            changed = time.perf_counter()
            arrived = await report
            first = next(moment for moment in answered if moment >= changed)
            took.append((arrived - first) * 1000)
            report = platform.next_report()
            began = time.perf_counter()
            await client.request("POST", url, body=platform.bodies[-1])
            bare.append((await report - began) * 1000)
        await tree.stopService()
    await pool.closeCachedConnections()
    await port.stopListening()
    await twin.stopService()
    figure("treq alone, the same body", statistics.median(bare), "ms")
    figure("the 95th percentile of the gantry", statistics.quantiles(took, n=20)[-1], "ms")
    figure("ratio to treq alone", statistics.median(took) / statistics.median(bare), "×")
    return bar("card's answer to report on the wire", statistics.median(took), "ms", 50)


def main() -> bool:
    """Run it in a process of its own."""
    return again("alarm")


if __name__ == "__main__":
    sys.exit(0 if on_reactor(work) else 1)
