"""Requests to `remotecontrol.do` while 200 connections stall, beside the same with none."""

import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, serverFromString
from twisted.internet.protocol import Protocol
from twisted.internet.threads import deferToThreadPool
from zope.interface import implementer

from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure, on_reactor
from twisted_gantry.core.alarms import Alarms
from twisted_gantry.core.catalogue import Catalogue
from twisted_gantry.core.commands.door import CommandDoor
from twisted_gantry.core.interfaces import IPlatform, Subject
from twisted_gantry.core.moments import present
from twisted_gantry.core.points import Points
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import Status
from twisted_gantry.net.http.client import BoundedClient, persistent_pool, treq_client
from twisted_gantry.net.http.server import bounded_site, with_backlog
from twisted_gantry.store.opening import open_store
from twisted_gantry.web.remotecontrol.endpoint import (
    Commander,
    RemoteControl,
    RemoteControlSettings,
)
from twisted_gantry.wire.etc.answers import decode_answer
from twisted_gantry.wire.etc.envelope import Method, encode_request, signed_headers
from twisted_gantry.wire.secret import Secret

STALLED, REQUESTS, ROUNDS = 200, 60, 3
GANTRY, AUTH = "G000211001002110010", "benchmark"
HALF = (
    b"POST /remotecontrol.do HTTP/1.1\r\nHost: gantry\r\nContent-Type: application/json\r\n"
    b'Content-Length: 200\r\n\r\n{"gantryId": "G0002110'
)


@implementer(IPlatform)
class Platform(Service):
    """An uplink that can be told to report, and does not."""

    kind = "etc"
    last_delivered = None

    def __init__(self) -> None:
        self.status = Status("etc", time.time)
        self.asked = 0

    def retry(self) -> None:
        """Do nothing."""

    def server(self, subject: Subject) -> str:
        """Return where reports would go."""
        return "http://platform.example/monitor.do"

    def report_now(self, subject: Subject) -> None:
        """Count."""
        self.asked += 1

    def set_period(self, subject: Subject, seconds: float) -> Deferred[None]:
        """Do nothing."""
        return succeed(None)

    def set_server(self, subject: Subject, url: str) -> Deferred[None]:
        """Do nothing."""
        return succeed(None)


class Staller(Protocol):
    """Sends half a request, and stops."""

    lost = False

    def connectionMade(self) -> None:
        """Send it."""
        assert self.transport is not None
        self.transport.write(HALF)

    def connectionLost(self, reason: Any = None) -> None:
        """Note it."""
        self.lost = True


def make_site(folder: Path, reactor: Any) -> Site:
    """Return a site without devices, its store on the disk."""
    store = open_store(folder, reactor, present)
    points = Points(Catalogue(), time.time)
    door = CommandDoor({}, store, reactor, time.time, lambda: uuid.uuid4().hex)
    alarms = Alarms(points, reactor, time.time)
    zone = "Asia/Shanghai"
    return Site(GANTRY, "", zone, time.time(), points, alarms, door, store, {}, {})


async def work(reactor: Any) -> bool:
    """Measure in turn."""
    print(f"stalled: a command's answer while {STALLED} connections stall, {ROUNDS} rounds")
    with tempfile.TemporaryDirectory(dir=".") as name:
        site = make_site(Path(name), reactor)
        control = RemoteControl(
            RemoteControlSettings(listen="", rate=0),
            site,
            [Commander(Secret(AUTH), Platform())],
            clock=reactor,
            now=time.time,
            in_thread=lambda f, *a: deferToThreadPool(reactor, reactor.getThreadPool(), f, *a),
        )
        factory = bounded_site(control.resource(), reactor, control.limits, control.counts)
        where = with_backlog("tcp:0:interface=127.0.0.1", control.limits.connections)
        port: Any = await serverFromString(reactor, where).listen(factory)
        number = port.getHost().port
        pool = persistent_pool(reactor)
        client = BoundedClient(treq_client(reactor, pool), reactor)
        url = f"http://127.0.0.1:{number}/remotecontrol.do"

        async def ask(serial: int) -> float:
            fields = {"updateNow": "1", "serial": str(serial)}  # no body is a replay of another
            body = encode_request(GANTRY, Method.COMPUTER_CONTROL, time.time(), fields)
            began = time.perf_counter()
            answer = await client.request(
                "POST", url, body=body, headers=signed_headers(body, AUTH)
            )
            took = (time.perf_counter() - began) * 1000
            assert decode_answer(answer.body).code == "1000"
            return took

        alone: list[float] = []
        beside: list[float] = []
        serial = 0
        for _ in range(ROUNDS):
            for took, stalled in ((alone, 0), (beside, STALLED)):
                endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", number)
                stallers = await gatherResults(
                    [connectProtocol(endpoint, Staller()) for _ in range(stalled)]
                )
                await pool.closeCachedConnections()  # the first request connects, beside them
                for _ in range(REQUESTS):
                    serial += 1
                    took.append(await ask(serial))
                assert not any(each.lost for each in stallers), "they were dropped too early"
                for each in stallers:
                    each.transport.abortConnection()
        await pool.closeCachedConnections()
        await port.stopListening()
        await site.store.close()
    figure("median, none stalled", statistics.median(alone), "ms")
    figure(f"median, {STALLED} stalled", statistics.median(beside), "ms")
    figure("the slowest, none stalled", max(alone), "ms")
    slower = statistics.quantiles(beside, n=20)[-1] - statistics.quantiles(alone, n=20)[-1]
    figure("added to the 95th percentile", slower, "ms")
    return bar(
        "the slowest, added to the median with none stalled",
        max(beside) - statistics.median(alone),
        "ms",
        100,
    )


def main() -> bool:
    """Run it in a process of its own."""
    return again("stalled")


if __name__ == "__main__":
    sys.exit(0 if on_reactor(work) else 1)
