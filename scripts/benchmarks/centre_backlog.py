"""The backlog of an outage: a thousand gantries drain six hours, while alarms come.

The centre's front is a process of its own over PostgreSQL. A gantry sends its outbox in order, each
report after the answer to the one before. Meanwhile one gantry has no backlog, and raises an alarm
every two seconds: the time until a reader of the database sees the alarm, which is what the API
reads. `HOURS` in the environment makes a shorter outage; the figure is that of six hours.
"""

import os
import socket
import sys
import time
from threading import Event, Thread

import psycopg

from scripts.benchmarks.centre_load import (
    Connections,
    cabinet,
    cpu_seconds,
    gantry_ids,
    request,
)
from scripts.benchmarks.centre_monitor import ours, served
from scripts.benchmarks.report import bar, figure
from tests.centre import postgres
from twisted_gantry.wire.etc.envelope import Method

GANTRIES, PERIODS, PERIOD_S = 1000, 72, 300
HOURS = float(os.environ.get("HOURS", "6"))
CABINETS = ("1", "2")
EVERY_S, PATIENCE_S = 2.0, 60.0


def report(gantry: str, which: str, stamp: float, *, smoke: bool = False) -> bytes:
    """Return the request of one upload of a cabinet."""
    told = cabinet(int(stamp)) | {"id": which}
    told["smokeSensor"] |= {"isWarning": "1" if smoke else "0"}
    return request(gantry, Method.CABINET_STATUS, stamp, told)


def outbox(gantries: tuple[str, ...], first: float, periods: int) -> list[bytes]:
    """Return what gantries send for some periods, in the order of the stamps; the last is sent
    first by `Connections`.
    """
    found = [
        report(gantry, which, first + number * PERIOD_S)
        for number in range(periods)
        for which in CABINETS
        for gantry in gantries
    ]
    found.reverse()
    return found


class Alarms:
    """Raises and ends the smoke of one gantry; `seconds` are the times until it was seen."""

    def __init__(self, port: int, url: str, gantry: str) -> None:
        self.seconds: list[float] = []
        self._port, self._url, self._gantry = port, url, gantry
        self._over = Event()
        self._thread = Thread(target=self._run)

    def __enter__(self) -> "Alarms":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with (
            socket.create_connection(("127.0.0.1", self._port)) as peer,
            psycopg.connect(self._url, autocommit=True) as reader,
        ):
            smoke = True
            while not self._over.wait(EVERY_S):
                began = time.perf_counter()
                peer.sendall(report(self._gantry, "1", time.time(), smoke=smoke))
                while self._is_open(reader) is not smoke:
                    time.sleep(0.01)
                    if time.perf_counter() - began > PATIENCE_S:
                        raise TimeoutError("the alarm is not seen")
                self.seconds.append(time.perf_counter() - began)
                answer = peer.recv(65536)
                if b'"1000"' not in answer:
                    raise ConnectionError(f"an odd answer: {answer[:200]!r}")
                smoke = not smoke

    def _is_open(self, reader: psycopg.Connection[tuple[int]]) -> bool:
        [(number,)] = reader.execute(
            "SELECT count(*) FROM alarms WHERE gantry = %s AND ended IS NULL"
            " AND name = 'cabinet-1.smoke'",
            [self._gantry],
        ).fetchall()
        return number > 0


def work() -> bool:
    """Measure the drain."""
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)
    everybody = gantry_ids(GANTRIES)
    gantries, alarming = everybody[1:], everybody[0]
    periods = round(PERIODS * HOURS / 6)
    url = postgres.new_database()
    print(
        f"{GANTRIES} gantries drain {periods} periods of {PERIOD_S} s, {len(CABINETS)} reports each"
    )
    with served(*ours("postgresql", url), str(GANTRIES)) as (port, process):
        load = Connections(port, GANTRIES)
        load.send(outbox(gantries, time.time(), 1))  # what is fresh goes first
        first, took, used = time.time() - (periods + 2) * PERIOD_S, 0.0, 0.0
        with Alarms(port, url, alarming) as alarms:
            for begin in range(0, periods, 12):
                sent = outbox(gantries, first + begin * PERIOD_S, min(12, periods - begin))
                before = cpu_seconds(process)
                took += load.send(sent)
                used += cpu_seconds(process) - before
        load.close()
    number = (GANTRIES - 1) * periods * len(CABINETS)
    with psycopg.connect(url) as reader:
        [(late,)] = reader.execute("SELECT count(*) FROM reports WHERE late = 1").fetchall()
    if late != number:
        raise AssertionError(f"{late} of {number} late reports are stored")
    figure("reports a second", number / took, "/s")
    figure("CPU of the front for one", used / number * 1e6, "µs")
    whole = took / number * GANTRIES * PERIODS * len(CABINETS)
    met = bar("six hours of a thousand gantries", whole, "s", 60)
    return bar("a fresh alarm meanwhile, the worst", max(alarms.seconds), "s", 3) and met


if __name__ == "__main__":
    sys.exit(0 if work() else 1)
