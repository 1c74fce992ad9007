"""The Fogslink front of the centre beside asyncio + uvloop + msgspec, and 15,000 sessions.

Three processes: the server, the load on a core of its own, and this one, which measures the server
from outside. Rounds of both servers alternate; a ratio is that of the medians. The load fills no
server with heartbeats, so that their ratio is that of the answers in a CPU second, each server on
one core. For durable packs it is that of the rates: a writer thread and a disk take part.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil
from cryptography.fernet import Fernet
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString

from scripts.benchmarks.fogslink_load import API_KEY, eq_sn
from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure, on_reactor
from twisted_gantry.centre.fronts.cloud import CloudFront, CloudLimits
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.registry import Registry
from twisted_gantry.centre.store import registry as stored
from twisted_gantry.centre.store.opening import SQLITE, engine_of, open_store
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.net import interpreter
from twisted_gantry.net.clock import make_monotonic
from twisted_gantry.net.lean_loop import make_lean
from twisted_gantry.net.open_files import open_files
from twisted_gantry.testing.centre_store import open_memory
from twisted_gantry.wire.secret import Secret

DEVICES, SESSIONS = 100, 15_000
ROUNDS, ROUND_S, WATCH_S = 3, 4.0, 20.0
HERE = Path(__file__).parent
OURS, PEER = (
    [sys.executable, str(HERE / "centre_cloud.py"), "--serve"],
    [sys.executable, str(HERE / "peers" / "fogslink.py")],
)


async def serve(reactor: Any, devices: int, database: str) -> None:
    """Serve until killed; prints the port. `database` is a folder for SQLite, the URL of a
    PostgreSQL, or empty for SQLite in memory.
    """
    open_files(devices + 500)
    make_monotonic(reactor)  # as the centre has its reactor
    make_lean(reactor)
    store = opened(reactor, database)
    sealing = Sealing(Fernet.generate_key().decode())
    gantries = [
        Gantry(f"G{number:017d}", eq_sn=eq_sn(number), api_key=Secret(API_KEY))
        for number in range(devices)
    ]
    await store.write(lambda session: stored.put(session, gantries, sealing))
    registry = Registry(store, sealing, reactor)
    await registry.refresh()
    endpoint = serverFromString(reactor, "tcp:0:interface=127.0.0.1:backlog=4096")
    limits = CloudLimits(connections=devices + 1000, per_address=devices)
    front = CloudFront(
        reactor, "bench", endpoint, store, registry, "bench", time.time, limits=limits
    )
    front.startService()
    registry.startService()
    interpreter.settle()  # as the service does
    print(front.listener.port, flush=True)
    await Deferred()


def opened(reactor: Any, database: str) -> Any:
    if not database:
        return open_memory(time.time)
    is_url = database.startswith("postgresql:")
    url = Secret(database if is_url else SQLITE)
    return open_store(engine_of(url, Path(database)), Filing("bench"), reactor)


@contextmanager
def serving(command: Sequence[str], core: int | None) -> Iterator[tuple[int, psutil.Process]]:
    """Run a server; yields its port and its process."""
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            port = int(server.stdout.readline())
            process = psutil.Process(server.pid)
            if core is not None:
                for thread in process.threads():
                    os.sched_setaffinity(thread.id, {core})
            yield port, process
        finally:
            server.kill()


def loaded(port: int, server: psutil.Process, kind: str, number: int, seconds: float) -> Any:
    """Load a server; returns what the load counted, with `cpu`, the server's share of a core, and
    `bytes`, the memory that each connection of the second half took.
    """
    command = [sys.executable, str(HERE / "fogslink_load.py"), str(port), kind, str(number)]
    pipe = subprocess.PIPE
    with subprocess.Popen([*command, str(seconds)], stdin=pipe, stdout=pipe, text=True) as load:
        try:
            assert load.stdin is not None
            assert load.stdout is not None
            os.sched_setaffinity(load.pid, {(os.cpu_count() or 1) - 1})
            said(load.stdout.readline(), "half")
            half = server.memory_info().rss
            load.stdin.write("go\n")
            load.stdin.flush()
            said(load.stdout.readline(), "up")
            said(load.stdout.readline(), "began")
            before, began = sum(server.cpu_times()[:2]), time.perf_counter()
            shown = json.loads(load.stdout.readline())
            shown["cpu"] = (sum(server.cpu_times()[:2]) - before) / (time.perf_counter() - began)
            shown["bytes"] = (server.memory_info().rss - half) / (number - number // 2)
            return shown
        finally:
            load.kill()


def said(line: str, wanted: str) -> None:
    if line.strip() != wanted:
        raise RuntimeError(f"the load says {line!r} in place of {wanted!r}")


def rounds(
    kind: str, ours: Sequence[str], rounds: int, seconds: float, core: int | None
) -> tuple[float, float]:
    """Return the ratios of our medians to the peer's: of the rates, and of those a CPU second. The
    servers have one `core`, or all.
    """
    found: dict[bool, list[Any]] = {True: [], False: []}
    for _ in range(rounds):
        for command, mine in ((ours, True), (PEER, False)):
            with serving(command, core) as (port, process):
                found[mine].append(loaded(port, process, kind, DEVICES, seconds))
    for mine in (True, False):
        for each in found[mine]:
            each["per cpu"] = each["rate"] / each["cpu"]
            name = "ours" if mine else "peer"
            figure(name, each["rate"], f"/s, {each['per cpu']:,.0f} a CPU second")
    rate, per_cpu = (
        median(each[name] for each in found[True]) / median(each[name] for each in found[False])
        for name in ("rate", "per cpu")
    )
    return rate, per_cpu


def heartbeats(number: int, seconds: float) -> bool:
    print(f"heartbeats: {DEVICES} devices, one in flight each")
    rate, per_cpu = rounds("heartbeats", [*OURS, str(DEVICES)], number, seconds, 0)
    figure("the same by rates", rate, "x")
    return bar("heartbeats to asyncio + uvloop + msgspec", per_cpu, "x", 0.6, least=True)


def packs(number: int, seconds: float) -> bool:
    print(f"durable packs of 50: {DEVICES} devices, pipelined")
    with tempfile.TemporaryDirectory() as folder:
        rate, per_cpu = rounds("packs", [*OURS, str(DEVICES), folder], number, seconds, None)
    figure("the same by CPU seconds", per_cpu, "x")
    return bar("durable packs to the peer without a store", rate, "x", 0.1, least=True)


def sessions(seconds: float) -> bool:
    print(f"{SESSIONS:,} sessions with heartbeats")
    with serving([*OURS, str(SESSIONS)], 0) as (port, process):
        shown = loaded(port, process, "sessions", SESSIONS, seconds)
    figure("heartbeats answered", shown["rate"], "/s")
    return all(
        [
            bar("sessions lost", shown["lost"], "", 0),
            bar("of a core", shown["cpu"] * 100, "%", 25),
            bar("memory a session", shown["bytes"] / 1000, "kB", 8),
        ]
    )


def main() -> bool:
    """Run it in a process of its own."""
    return again("centre_cloud")


def program() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("what", nargs="*")
    parser.add_argument("--serve", type=int)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--seconds", type=float)
    given = parser.parse_args()
    if given.serve:
        on_reactor(lambda reactor: serve(reactor, given.serve, "".join(given.what)))
        return 0
    wanted = given.what or ["heartbeats", "packs", "sessions"]
    met = True
    if "heartbeats" in wanted:
        met = heartbeats(given.rounds, given.seconds or ROUND_S) and met
    if "packs" in wanted:
        met = packs(given.rounds, given.seconds or ROUND_S) and met
    if "sessions" in wanted:
        met = sessions(given.seconds or WATCH_S) and met
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(program())
