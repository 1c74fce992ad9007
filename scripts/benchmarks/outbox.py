"""Durable stores of reports, 50 in flight: the writer thread beside adbapi, in the same run."""

import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.enterprise.adbapi import ConnectionPool
from twisted.internet.defer import Deferred, gatherResults

from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure, on_reactor
from twisted_gantry.core.moments import present
from twisted_gantry.core.stored import Cap
from twisted_gantry.store import outbox
from twisted_gantry.store.opening import open_store
from twisted_gantry.store.schema import FILE, open_database

IN_FLIGHT, ROUNDS = 50, 5
REPORTS = {"writer thread": 10_000, "adbapi": 1_500}
BODY = b"x" * 2048
CAP = Cap(10**12, 10**9)


async def measure(reactor: Any, folder: Path, name: str) -> float:
    """Return reports a second."""
    close: Any
    if name == "adbapi":
        open_database(folder, time.time)[0].close()
        pool = ConnectionPool(
            "sqlite3",
            str(folder / FILE),
            check_same_thread=False,
            cp_reactor=reactor,
            cp_min=1,
            cp_max=1,  # more connections only wait for each other's lock
            cp_openfun=lambda db: db.execute("PRAGMA synchronous = FULL"),
        )
        pool.start()

        def add() -> Deferred[Any]:
            row = ("etc", "cabinetStatusUpdate", "cabinet 1", BODY, present(), False, CAP)
            added: Deferred[Any] = pool.runInteraction(outbox.add, *row)
            return added

        close = pool.close
    else:
        store = open_store(folder, reactor, present)

        def add() -> Deferred[Any]:
            return store.add_report("etc", "cabinetStatusUpdate", "cabinet 1", BODY, False, CAP)

        close = store.close
    left = REPORTS[name]

    async def lane() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            await add()

    began = time.perf_counter()
    await gatherResults([Deferred.fromCoroutine(lane()) for _ in range(IN_FLIGHT)])
    took = time.perf_counter() - began
    closed = close()
    if closed is not None:
        await closed
    return REPORTS[name] / took


async def work(reactor: Any) -> bool:
    """Measure both in turn."""
    print(f"outbox: durable stores of 2 kB, {IN_FLIGHT} in flight, median of {ROUNDS} rounds")
    rates: dict[str, list[float]] = {name: [] for name in REPORTS}
    for _ in range(ROUNDS):
        for name, found in rates.items():
            # On the disk that holds the checkout: a folder in memory would flatter both.
            with tempfile.TemporaryDirectory(dir=".") as folder:
                found.append(await measure(reactor, Path(folder), name))
    for name, found in rates.items():
        figure(f"{name}: reports stored", statistics.median(found), "/s")
    ratios = [a / b for a, b in zip(*rates.values(), strict=True)]
    return bar("writer thread to adbapi", statistics.median(ratios), "×", 8, least=True)


def main() -> bool:
    """Run it in a process of its own."""
    return again("outbox")


if __name__ == "__main__":
    sys.exit(0 if on_reactor(work) else 1)
