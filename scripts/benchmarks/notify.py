"""From an alarm that is raised to the webhook that has its message, over real sockets.

The whole way: the alarm, the plan, the store on the disk, the signature, the POST. Beside it, in
turn: the same body by treq alone.
"""

import statistics
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool

from scripts.benchmarks.alarm import Platform
from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure, on_reactor
from twisted_gantry.config.load import load
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.moments import present
from twisted_gantry.daemon.threads import InThreads
from twisted_gantry.daemon.tree import GantryTree
from twisted_gantry.net.http.client import BoundedClient, persistent_pool, treq_client
from twisted_gantry.notify import plan
from twisted_gantry.store.history.sqlite import open_history
from twisted_gantry.store.opening import open_store

ROUNDS = 60
PACE = 0.05  # seconds, in place of the 10 s after which a message leaves at once


async def work(reactor: Any) -> bool:
    """Measure."""
    print(f"notify: from the alarm to the webhook, median of {ROUNDS}")
    plan.PACE = PACE
    platform = Platform()
    platform.wanted = b'"event"'
    port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(platform)
    url = f"http://127.0.0.1:{port.getHost().port}/hook"
    settings = load(
        f"""
        [gantry]
        id = "G000211001002110010"
        [[notify]]
        kind = "webhook"
        url = "{url}"
        secret = "of-the-benchmark"
        [web]
        listen = "tcp:0:interface=127.0.0.1"
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
            threads=InThreads(*[in_thread] * len(InThreads._fields)),
        )
        tree.startService()
        await deferLater(reactor, 1.0)
        alarms = tree.site.alarms
        for turn in range(ROUNDS):
            await deferLater(reactor, 3 * PACE)
            report = platform.next_report()
            began = time.perf_counter()
            name = f"pc1.alarm-{turn // 2}"  # one alarm alone would be held for flapping
            if turn % 2 == 0:
                alarms.set(name, Severity.WARNING, "overload", "过载")
            else:
                alarms.clear(name)
            took.append((await report - began) * 1000)
            report = platform.next_report()
            began = time.perf_counter()
            await client.request("POST", url, body=platform.bodies[-1])
            bare.append((await report - began) * 1000)
        await tree.stopService()
    await pool.closeCachedConnections()
    await port.stopListening()
    figure("treq alone, the same body", statistics.median(bare), "ms")
    figure("the 95th percentile of the gantry", statistics.quantiles(took, n=20)[-1], "ms")
    figure("ratio to treq alone", statistics.median(took) / statistics.median(bare), "×")
    return bar("alarm to webhook", statistics.median(took), "ms", 200)


def main() -> bool:
    """Run it in a process of its own."""
    return again("notify")


if __name__ == "__main__":
    sys.exit(0 if on_reactor(work) else 1)
