"""A year of 200 points, each changing every 10 s: its size, a query of it, and the roll-up.

What is as old as the samples that are kept (7 days) is recorded and rolled up by the program's own
path, `add` and `step`. The minutes before (to 60 days), and the quarters of an hour before those,
would take an hour that way: they are generated as entries and packed by the program's own packer.
The reference is what one writes first: a table with a row for each quarter of an hour.
"""

import argparse
import os
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall, deferLater

from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure, on_reactor
from twisted_gantry.core.history import Sample
from twisted_gantry.core.recorder import HOLD_INTERVALS, INTERVAL
from twisted_gantry.store.history import rollup as history_rollup
from twisted_gantry.store.history import tiers
from twisted_gantry.store.history.blocks import WHOLE, Entry, pack_entries
from twisted_gantry.store.history.schema import FILE, open_database
from twisted_gantry.store.history.sqlite import SqliteHistory, Upkeep, open_history
from twisted_gantry.store.history.tiers import DAY, HOUR, HOURS, MINUTE, QUARTER, RAW
from twisted_gantry.store.writer import InlineWriter

POINTS, PERIOD = 200, 10
NAMES = [f"ups{n // 25 + 1}.point_{n % 25}" for n in range(POINTS)]
END = 1_795_219_200 * 1000 // DAY * DAY
"""The last midnight (UTC) of the year, ms; what follows is left to the measured roll-up."""
HOLD = HOLD_INTERVALS * INTERVAL
QUERIES, REFERENCE_POINTS = 15, 20
BUSY_HOURS = 4
PROBE = 0.001


class Signals:
    """The signals of the points: each wanders, with one decimal, as a device sends it."""

    def __init__(self) -> None:
        self._random = Random(1)
        self._levels = [self._random.uniform(20, 400) for _ in NAMES]

    def samples(self, begin: int, seconds: int) -> Iterator[list[Sample]]:
        """Return the samples of a time that begins at `begin` (ms), a batch a second."""
        random, levels = self._random, self._levels
        for second in range(seconds):
            batch = []
            for n in range(second % PERIOD, POINTS, PERIOD):
                levels[n] += random.gauss(0, 0.3)
                at = begin / 1000 + second + random.random() * 0.2
                batch.append(Sample(NAMES[n], at, round(levels[n], 1)))
            yield batch

    def entries(self, point: int, count: int, spread: float) -> Iterator[Entry]:
        """Return entries, `spread` from the least to the greatest value of one."""
        random, level = self._random.random, self._levels[point]
        for number in range(count):
            level += (random() - 0.5) * spread
            low, high = round(level - random() * spread, 1), round(level + random() * spread, 1)
            yield Entry(number, WHOLE, low, low + random() * (high - low), high)
        self._levels[point] = level


def now_of(deferred: Deferred[Any]) -> Any:
    """Return the result of a Deferred of an inline writer."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    if hasattr(results[0], "raiseException"):
        results[0].raiseException()
    return results[0]


def generate(folder: Path, days: int, signals: Signals) -> None:
    """Fill a history with the days before END."""
    end = END // DAY
    raw_from = end - min(days, RAW.keep // HOURS)
    minute_from = end - min(days, MINUTE.keep // HOURS)
    db = condensed(folder, (end - days, minute_from, raw_from), signals)
    record(db, raw_from, end, signals)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()


def condensed(folder: Path, days: tuple[int, int, int], signals: Signals) -> sqlite3.Connection:
    """Return a new history with the quarters of an hour of some days: from the first, and with
    minutes from the second, to the third.
    """
    db, _ = open_database(folder, time.time)
    db.executemany("INSERT INTO point (name) VALUES (?)", [(name,) for name in NAMES])
    first, minute_from, end = days
    for day in range(first, end):
        db.execute("BEGIN")
        for point in range(1, POINTS + 1):
            if day < minute_from:
                body = pack_entries(signals.entries(point - 1, HOURS * 4, 1.5))
                tiers.put(db, QUARTER, day, point, body)
        if day >= minute_from:
            for hour in range(day * HOURS, (day + 1) * HOURS):
                for point in range(1, POINTS + 1):
                    body = pack_entries(signals.entries(point - 1, 60, 0.4))
                    tiers.put(db, MINUTE, hour, point, body)
                tiers.mark(db, MINUTE, hour)
            for point in range(1, POINTS + 1):
                history_rollup.condense_point(db, day, point)
        tiers.mark(db, QUARTER, day)
        db.execute("COMMIT")
    return db


def record(db: sqlite3.Connection, first: int, end: int, signals: Signals) -> None:
    """Record days by the program's own path."""
    now = [0.0]
    history = SqliteHistory(InlineWriter(db), lambda: now[0], HOLD)
    began, count = time.perf_counter(), 0
    for hour in range(first * HOURS, end * HOURS):
        batch = [sample for each in signals.samples(hour * HOUR, 3600) for sample in each]
        now_of(history.add(batch))
        count += len(batch)
        now[0] = (hour + 1) * HOUR / 1000 + history_rollup.GRACE / 1000
        while now_of(history.step()):
            pass
    figure("recorded and rolled up", count / (time.perf_counter() - began), "samples/s")


def sizes(folder: Path) -> float:
    """Print what the tiers hold; returns the size of the file in GB."""
    db = sqlite3.connect(folder / FILE)
    for tier in tiers.TIERS:
        query = f"SELECT count(*), total(length(body)) FROM {tier.table}"
        blocks, size = db.execute(query).fetchone()
        per = 3600 // PERIOD if tier is RAW else tier.span // tier.step
        figure(f"{tier.table}: {blocks:,} blocks, MB", size / 1e6, "MB")
        figure(
            f"{tier.table}: bytes {'a sample' if tier is RAW else 'an entry'}",
            size / blocks / per,
            "B",
        )
    db.close()
    return (
        sum(
            (folder / (FILE + end)).stat().st_size
            for end in ("", "-wal", "-shm")
            if (folder / (FILE + end)).exists()
        )
        / 1e9
    )


def forget(path: Path) -> None:
    """Have the system drop its cache of a file."""
    descriptor = os.open(path, os.O_RDONLY)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    os.close(descriptor)


async def queries(reactor: Any, folder: Path, days: int) -> tuple[float, float, int]:
    """Return the medians of cold and warm queries in ms, and the most buckets of one."""
    cold: list[float] = []
    warm: list[float] = []
    most = 0
    since, until = END / 1000 - days * 86_400, END / 1000
    for n in range(QUERIES):
        forget(folder / FILE)
        history = open_history(folder, reactor, lambda: until, HOLD)
        for times in (cold, warm):
            began = time.perf_counter()
            series = await history.query(NAMES[n * 13 % POINTS], since, until, None)
            times.append((time.perf_counter() - began) * 1000)
        most = max(most, len(series.buckets))
        await history.close()
    return max(cold), statistics.median(warm), most


def reference(folder: Path, days: int) -> tuple[float, float, float]:
    """Return ms of a cold and of a warm query of plain rows, and the bytes of a row."""
    path, random = folder / "rows.db", Random(2)
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA page_size = 8192")
    db.execute("PRAGMA journal_mode = WAL")
    db.execute(
        "CREATE TABLE quarter (point INTEGER, at INTEGER, min REAL, mean REAL, max REAL,"
        " PRIMARY KEY (point, at)) WITHOUT ROWID"
    )
    end = END // QUARTER.step
    first = end - days * HOURS * 4
    db.execute("BEGIN")
    for at in range(first, end):  # as time goes on, for all points
        rows = [
            (point, at * 900, round(random.random() * 100, 1), random.random(), 300.5)
            for point in range(REFERENCE_POINTS)
        ]
        db.executemany("INSERT INTO quarter VALUES (?,?,?,?,?)", rows)
    db.execute("COMMIT")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    cold: list[float] = []
    warm: list[float] = []
    step = max(900, days * 86_400 // 2000)
    for n in range(QUERIES):
        forget(path)
        db = sqlite3.connect(path)
        for times in (cold, warm):
            began = time.perf_counter()
            db.execute(
                "SELECT at / ?, min(min), avg(mean), max(max) FROM quarter WHERE point = ?"
                " GROUP BY at / ?",
                (step, n % REFERENCE_POINTS, step),
            ).fetchall()
            times.append((time.perf_counter() - began) * 1000)
        db.close()
    size = path.stat().st_size / ((end - first) * REFERENCE_POINTS)
    return max(cold), statistics.median(warm), size


class Probe:
    """Measures the longest hold of the reactor, in ms."""

    def __init__(self, reactor: Any) -> None:
        self.longest = 0.0
        self._last = time.perf_counter()
        self._loop = LoopingCall(self._note)
        self._loop.clock = reactor
        self._loop.start(PROBE)

    def _note(self) -> None:
        now = time.perf_counter()
        self.longest = max(self.longest, (now - self._last - PROBE) * 1000)
        self._last = now

    def stop(self) -> float:
        """End, and return the longest."""
        self._loop.stop()
        return self.longest


async def holds(reactor: Any, folder: Path, days: int, signals: Signals) -> tuple[float, ...]:
    """Return the longest holds of the reactor in ms: at rest, in a roll-up, in queries."""
    now = [END / 1000]
    history = open_history(folder, reactor, lambda: now[0], HOLD)
    for hour in range(BUSY_HOURS):
        for batch in signals.samples(END + hour * HOUR, 3600):
            history.add(batch)
        await history.query(NAMES[0], now[0] - 3600, now[0], None)
    # So that the quarters of that day are due too.
    now[0] += 86_400 + history_rollup.GRACE / 1000
    steps = 0

    def step() -> Deferred[bool]:
        nonlocal steps
        return history.step().addCallback(count)

    def count(more: bool) -> bool:
        nonlocal steps
        steps += more
        if not more:
            finished.callback(None)
        return more

    rested = Probe(reactor)
    await deferLater(reactor, 5.0)
    rest = rested.stop()
    finished: Deferred[None] = Deferred()
    upkeep, probe = Upkeep(step, reactor), Probe(reactor)
    began = time.perf_counter()
    upkeep.start()
    await finished
    upkeep.stop()
    rolled = probe.stop()
    took = time.perf_counter() - began
    figure(f"roll-up of {BUSY_HOURS} h and a day, {steps} steps", took, "s")
    probe = Probe(reactor)
    for n in range(QUERIES):
        await history.query(NAMES[n], END / 1000 - days * 86_400, END / 1000, None)
    asked = probe.stop()
    await history.close()
    return rest, rolled, asked


def measured(days: int) -> Callable[[Any], Any]:
    """Return the coroutine function that measures a history of so many days."""

    async def work(reactor: Any) -> bool:
        print(f"history: {days} days of {POINTS} points, each changing every {PERIOD} s")
        signals = Signals()
        # On the disk that holds the checkout: a folder in memory would flatter it.
        with tempfile.TemporaryDirectory(dir=".") as name:
            folder = Path(name)
            began = time.perf_counter()
            generate(folder, days, signals)
            figure("generated in", time.perf_counter() - began, "s")
            size = sizes(folder)
            cold, warm, most = await queries(reactor, folder, days)
            plain_cold, plain_warm, row = reference(folder, days)
            rest, rolled, asked = await holds(reactor, folder, days, signals)
        figure("reference: a row a quarter of an hour, bytes", row, "B")
        figure("reference: the same query of such rows, cold, slowest", plain_cold, "ms")
        figure("reference: the same query of such rows, warm", plain_warm, "ms")
        figure("query of all of it, warm", warm, "ms")
        figure("the reactor's longest hold in 5 s of rest", rest, "ms")
        return all(
            [
                bar("size on the disk", size, "GB", 2),
                bar("query of all of it, cold, slowest", cold, "ms", 200),
                bar("buckets of that query", most, "", 2000),
                bar("the reactor's longest hold in a roll-up", rolled, "ms", 20),
                bar("the reactor's longest hold in queries", asked, "ms", 20),
            ]
        )

    return work


def main() -> bool:
    """Run it in a process of its own."""
    return again("history")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365, help="how much history (365)")
    sys.exit(0 if on_reactor(measured(parser.parse_args().days)) else 1)
