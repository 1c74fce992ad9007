"""The questions of API and page over 90 days of 3,000 gantries, in both engines.

All of it are 155 million reports. A share is filled in, a thousandth and a hundredth by default
(`SHARES=1000,100,10`), with all alarms and states: what a question costs must not grow with the
share. The gantries that have reports have all of theirs.
"""

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from hashlib import md5
from pathlib import Path
from typing import Any

from scripts.benchmarks.report import bar, figure
from tests.centre import postgres
from tests.centre.web.rig import WebRig
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import GantryState
from twisted_gantry.centre.store import alarm_views, incidents, views
from twisted_gantry.centre.store.days import DAY, day_of, make, table_of
from twisted_gantry.centre.store.engine import Engine
from twisted_gantry.centre.store.packing import packed
from twisted_gantry.centre.store.postgresql import PostgresEngine
from twisted_gantry.centre.store.report_pages import reports_of
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.centre.store.sqlite import SqliteEngine
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import ManualClock

GANTRIES, DAYS, A_DAY = 3000, 90, 576
SHARES = [int(each) for each in os.environ.get("SHARES", "1000,100").split(",")]
BODY = (Path("tests/wire/documents/etc-3.1.3.txt")).read_bytes()
METHOD = "cabinetStatusUpdate"
TIMES = 9


def gantry(number: int) -> str:
    return f"G{number:019}"


def fill(session: Session, now: float) -> None:
    """A registry, a state of three subjects each, and an alarm of each gantry every three days; a
    region without mains.
    """
    text = ",".join(["text"] * 9)
    session.many(
        "INSERT INTO gantries (id, name, road, section, stake, direction, position, "
        "remote_control, eq_sn, pending, same, changed) "
        f"{{rows:{text},int,text,int}}",
        [
            (gantry(n), f"门架{n}", f"G{n // 300}", f"s{n // 30}", *[""] * 5, 0, gantry(n), 1)
            for n in range(GANTRIES)
        ],
    )
    off = {n for n in range(GANTRIES) if n % 50 == 0}
    session.many(
        "INSERT INTO gantry_states (gantry, skewed, worst, since) {rows:text,int,int,real}",
        [(gantry(n), 0, 2 * (n in off), now - n) for n in range(GANTRIES)],
    )
    session.many(
        "INSERT INTO states (gantry, subject, stamp, received, heard, battery_until, mains_off) "
        "{rows:text,text,real,real,real,real,int}",
        [
            (gantry(n), subject, now, now, now, now + n if n in off else None, int(n in off))
            for n in range(GANTRIES)
            for subject in ("cabinet-1", "cabinet-2", "computer-1")
        ],
    )
    alarm = (
        "INSERT INTO alarms (gantry, name, severity, began, began_received, ended, "
        "ended_received, incident) {rows:text,text,text,real,real,real,real,int}"
    )
    name = "cabinet-1.mains-abnormal", "critical"
    past = [
        (gantry(n), *name, at, at, at + 600, at + 600, 10**9)
        for n in range(GANTRIES)
        for at in (now - n - 3 * DAY * k for k in range(1, 120))
    ]
    for at in range(0, len(past), 20_000):  # a statement has a deadline
        session.many(alarm, past[at : at + 20_000])
    session.many(alarm, [(gantry(n), *name, now - n, now, None, None, None) for n in off])


def analyse(session: Session, table: str) -> None:
    session.run(f"ANALYZE {table}")


def fill_day(session: Session, day: int, gantries: int) -> None:
    body = packed(BODY)
    session.many(
        f"INSERT INTO {table_of(day)} (gantry, stamp, method, digest, id, received_at, told, body) "
        "{rows:text,real,text,bytes,int,real,text,bytes}",
        [
            (gantry(n), at, METHOD, md5(b"%d %d" % (n, at)).digest(), k, at + 1, "[]", body)
            for n in range(gantries)
            for k in range(A_DAY)
            for at in (day * DAY + k * (DAY // A_DAY),)
        ],
    )


def done(store: InlineStore, job: Callable[[Session], Any]) -> None:
    """Run a job. Raises its error."""
    failed: list[Any] = []
    store.write(job).addErrback(failed.append)
    for each in failed:
        each.raiseException()


def asked(store: InlineStore, question: Callable[[Session], Any]) -> float:
    """Return the median time of a question in ms."""
    found, failed = [], list[Any]()
    for _ in range(TIMES):
        before = time.perf_counter()
        store.read(question).addErrback(failed.append)
        found.append((time.perf_counter() - before) * 1000)
    for each in failed:
        each.raiseException()
    return statistics.median(found)


def answered(store: InlineStore, where: str, month: str) -> list[bool]:
    """Measure the answers of the API, from the bytes of a request to those of the answer."""
    rig = WebRig(store, ManualClock())
    paths = (
        ("overview", "/overview", 50),
        ("first page of gantries", "/gantries", 100),
        (
            "a gantry's month, 1,000 reports",
            f"/gantries/{gantry(0)}/reports?limit=1000&{month}",
            300,
        ),
    )
    met = []
    for what, path, most in paths:
        found = []
        for _ in range(TIMES):
            before = time.perf_counter()
            rig.get(path)
            found.append((time.perf_counter() - before) * 1000)
        met.append(bar(f"{where}, API: {what}", statistics.median(found), "ms", most))
    return met


def measured(engine: Engine, share: int) -> bool:
    store = InlineStore(engine, Filing("front-1"))
    number, now = GANTRIES // share, time.time()
    last = day_of(now) - 1
    done(store, partial(fill, now=now))
    for day in range(last - DAYS, last):
        done(store, partial(make, day=day))
        done(store, partial(fill_day, day=day, gantries=number))
    done(store, incidents.refresh)
    for table in ("gantries", "gantry_states", "states", "alarms", "incidents"):
        done(store, partial(analyse, table=table))
    month = (last - 30) * DAY
    where = f"{engine.name}, {number * DAYS * A_DAY / 1e6:.2f} M reports"
    reports = partial(reports_of, gantry=gantry(0), since=month, limit=1000)
    alarms = partial(alarm_views.alarm_history, gantry=gantry(0), since=month, limit=1000)
    worst = partial(views.gantry_views, state=GantryState.CRITICAL, sort="since")
    mains = partial(views.gantry_views, mains_off=True, sort="batteryMinutes")
    met = [
        bar(f"{where}: overview", asked(store, views.overview), "ms", 50),
        bar(f"{where}: first page of gantries", asked(store, views.gantry_views), "ms", 100),
        bar(f"{where}: critical ones, newest first", asked(store, worst), "ms", 100),
        bar(f"{where}: without mains, by minutes", asked(store, mains), "ms", 100),
        bar(f"{where}: a gantry's month, 1,000 reports", asked(store, reports), "ms", 300),
        bar(f"{where}: a gantry's month of alarms", asked(store, alarms), "ms", 300),
    ]
    page = partial(alarm_views.incident_views, active=True)
    figure(f"{where}: active incidents", asked(store, page), "ms")
    met += answered(store, where, f"since={month}")
    store.close()
    return all(met)


def main() -> bool:
    """Fill each share in each engine, and ask."""
    met = []
    for share in SHARES:
        with tempfile.TemporaryDirectory() as folder:
            met.append(measured(SqliteEngine(Path(folder) / "centre.sqlite"), share))
        url = postgres.new_database()
        met.append(measured(PostgresEngine(url), share))
        postgres.drop_database(url)
    return all(met)


if __name__ == "__main__":
    sys.exit(not main())
