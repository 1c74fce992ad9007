"""Reports a second at `monitor.do`: durable in both engines, and without a store.

The front has one core; the load, and PostgreSQL, have the other one. The peers are in `peers/`.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from scripts.benchmarks.centre_load import AUTH, Connections, cpu_seconds, requests
from scripts.benchmarks.report import figure, goal
from tests.centre import postgres

HERE = Path(__file__).parent
ROUNDS, DURABLE, UNSTORED, CLIENTS, WARM_UP = 5, 5000, 8000, 1000, 2000
ROUNDS = int(os.environ.get("ROUNDS", ROUNDS))


@contextmanager
def served(*command: str) -> Iterator[tuple[int, int]]:
    """Run a server on the first core; yields its port and its process."""
    cores = sorted(os.sched_getaffinity(0) | {0})
    taskset = ("taskset", "--cpu-list", str(cores[0]))
    environment = {**os.environ, "PYTHONPATH": str(HERE.parents[1])}
    running = subprocess.Popen(
        [*taskset, *command], env=environment, text=True, stdout=subprocess.PIPE
    )
    assert running.stdout is not None
    try:
        yield int(running.stdout.readline()), running.pid
    finally:
        running.terminate()
        running.wait()


def ours(which: str, place: str = "") -> tuple[str, ...]:
    return (sys.executable, str(HERE / "centre_front.py"), which, place)


def rates(servers: Mapping[str, tuple[int, int]], number: int, clients: int) -> dict[str, float]:
    """Return the median of the reports a second at each server, measured in turn, and print it with
    the CPU time that the server's process used for one.
    """
    loads = {name: Connections(port, clients) for name, (port, _) in servers.items()}
    for each in loads.values():
        each.send(requests(WARM_UP))
    found: dict[str, list[float]] = {name: [] for name in servers}
    used: dict[str, list[float]] = {name: [] for name in servers}
    for _ in range(ROUNDS):
        for name, load in loads.items():
            sent, before = requests(number), cpu_seconds(servers[name][1])
            found[name].append(number / load.send(sent))
            used[name].append((cpu_seconds(servers[name][1]) - before) / number * 1e6)
    for name, load in loads.items():
        load.close()
        figure(f"{name}", statistics.median(found[name]), "/s")
        figure(f"{name}: CPU of its process for one", statistics.median(used[name]), "µs")
    first, *_, last = (statistics.median(each) for each in used.values())
    figure("CPU of the last one to that of the first", last / first, "times")
    return {name: statistics.median(each) for name, each in found.items()}


def durable() -> bool:
    """Measure both engines beside aiohttp and asyncpg on the same PostgreSQL."""
    print(f"monitor.do, durable: {ROUNDS} rounds of {DURABLE} reports, {CLIENTS} connections")
    peer = (sys.executable, str(HERE / "peers" / "monitor_aiohttp.py"))
    with ExitStack() as stack:
        url = postgres.new_database()
        folder = stack.enter_context(tempfile.TemporaryDirectory(dir="."))
        servers = {
            "the centre on PostgreSQL": stack.enter_context(served(*ours("postgresql", url))),
            "the centre on SQLite, FULL": stack.enter_context(served(*ours("sqlite", folder))),
            "aiohttp + asyncpg on PostgreSQL": stack.enter_context(served(*peer, url)),
        }
        postgresql, sqlite, other = rates(servers, DURABLE, CLIENTS).values()
    met = goal("PostgreSQL, to aiohttp + asyncpg", postgresql / other, 2.0, 4.0)
    return goal("SQLite, to aiohttp + asyncpg on PostgreSQL", sqlite / other, 2.0, 5.0) and met


def unstored() -> bool:
    """Measure the front alone beside Node."""
    print(f"monitor.do, without a store: {ROUNDS} rounds of {UNSTORED} reports, 50 connections")
    node = shutil.which("node")
    with ExitStack() as stack:
        servers = {"the centre": stack.enter_context(served(*ours("none")))}
        if node is None:
            print("  no node on this machine: the front is measured alone")
        else:
            peer = (node, str(HERE / "peers" / "monitor_node.js"), AUTH)
            servers["Node http"] = stack.enter_context(served(*peer))
        found = rates(servers, UNSTORED, 50)
    if node is None:
        return True
    return goal("without a store, to Node http", found["the centre"] / found["Node http"], 0.8, 1.5)


def work(which: list[str]) -> bool:
    """Measure what is named, or all."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)
    rows = {"durable": durable, "unstored": unstored}
    met = [row() for name, row in rows.items() if not which or name in which]
    return all(met)


if __name__ == "__main__":
    sys.exit(0 if work(sys.argv[1:]) else 1)
