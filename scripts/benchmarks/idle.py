"""An idle gantry with one card at 2 s, beside an empty twistd that has the same libraries."""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from twisted.internet.task import deferLater

from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure, on_reactor
from twisted_gantry.twin.service import ON_FREE_PORTS, TwinSettings, build_twin

SETTLE, WATCH = 15.0, 40.0
TWISTD = str(Path(sys.executable).parent / "twistd")
EMPTY = """
import automat, klein, msgspec, prometheus_client, psutil, sqlite3, treq, uuid
import zoneinfo, zope.interface
from klein import Klein
from treq.client import HTTPClient
from twisted.application.internet import ClientService
from twisted.application.service import Application
from twisted.web.client import Agent, HTTPConnectionPool
from twisted.web.server import Site
application = Application("empty")
"""


def config(ups: int, etc: int) -> str:
    """Return the configuration of the idle gantry."""
    return f"""
[gantry]
id = "G000211001002110010"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:127.0.0.1:{ups}"
[[device]]
name = "pc1"
kind = "computer"
[[cabinet]]
id = "1"
elec = ["ups1"]
ups = ["ups1"]
[uplink.etc]
url = "http://127.0.0.1:{etc}/monitor.do"
auth = "123456"
[web]
listen = "tcp:0:interface=127.0.0.1"
"""


async def work(reactor: Any) -> bool:
    """Measure both at the same time."""
    print(f"idle: one card at 2 s, watched for {WATCH:g} s")
    twin = build_twin(TwinSettings(**ON_FREE_PORTS), reactor, time.time)
    twin.startService()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "empty.tac").write_text(EMPTY)
        (folder / "site.toml").write_text(config(twin.port("ups-tcp"), twin.port("etc")))
        common = [TWISTD, "--nodaemon", "--pidfile=", "--logfile", "/dev/null"]
        gantry = subprocess.Popen([*common, "gantry", "--config", "site.toml"], cwd=folder)
        empty = subprocess.Popen([*common, "--python", "empty.tac"], cwd=folder)
        try:
            await deferLater(reactor, SETTLE)
            watched = psutil.Process(gantry.pid)
            before, began = sum(watched.cpu_times()[:2]), time.perf_counter()
            await deferLater(reactor, WATCH)
            used = sum(watched.cpu_times()[:2]) - before
            share = used / (time.perf_counter() - began) * 100
            resident = watched.memory_info().rss / 2**20
            reference = psutil.Process(empty.pid).memory_info().rss / 2**20
        finally:
            for each in (gantry, empty):
                each.terminate()
                each.wait()
    await twin.stopService()
    figure("empty twistd with the same libraries, resident", reference, "MiB")
    return all(
        [
            bar("gantry, resident", resident, "MiB", 80),
            bar("gantry to empty twistd, resident", resident / reference, "×", 1.35),
            bar("gantry, of a core", share, "%", 2),
        ]
    )


def main() -> bool:
    """Run it in a process of its own."""
    return again("idle")


if __name__ == "__main__":
    sys.exit(0 if on_reactor(work) else 1)
