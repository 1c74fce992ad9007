"""One drill: fronts, senders, a fault in the middle, and what must be true afterwards."""

import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from tests.centre.drills.processes import Front
from tests.centre.drills.script import Alarm, Upload, alarms, uploads
from tests.centre.drills.senders import CODE, Senders
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Gantry
from twisted_gantry.centre.store import days, registry
from twisted_gantry.centre.store.days import table_of
from twisted_gantry.centre.store.engine import Engine
from twisted_gantry.centre.store.schema import migrate
from twisted_gantry.centre.store.sealing import read_key
from twisted_gantry.wire.secret import Secret

GANTRIES, REPORTS = 12, 15
"""Of one round."""
ROUNDS = int(os.environ.get("GANTRY_DRILL_ROUNDS", "5"))
"""Faults of each drill: docs/testing.md."""

Fault = Callable[[Senders], None]
"""Does harm while reports come; returns when the fault is over."""


def gantry_id(number: int, place: int) -> str:
    return f"G0002{number:06}{place:08}"


def prepare(engine: Engine, key: Path, rounds: int = ROUNDS) -> None:
    """Make the tables, and register the gantries of all rounds."""
    sealing = read_key(key)
    names = [gantry_id(n, place) for n in range(rounds) for place in range(GANTRIES)]
    connection = engine.connect()
    migrate(connection)
    connection.transaction(sealing.prove)
    gantries = [Gantry(name, road="G2", auth=Secret(CODE)) for name in names]
    connection.transaction(lambda session: registry.put(session, gantries, sealing))
    connection.close()


def run(number: int, fronts: Sequence[Front], fault: Fault, reports: int = REPORTS) -> list[Upload]:
    """Send the reports of a round with a fault in the middle; returns those that were acknowledged:
    all of them, once the fault is over.
    """
    random = Random(number)
    first = int(time.time()) - reports * 300 - 3600
    sent: list[Upload] = []
    for place in range(GANTRIES):
        sent += uploads(random, gantry_id(number, place), first, reports)
    senders = Senders(sent, [front.port for front in fronts])
    senders.start()
    try:
        senders.reach(random.uniform(0.1, 0.5))
        fault(senders)
        senders.finish()
    finally:
        senders.stop()
    return senders.acknowledged


def check(engine: Engine, number: int, acknowledged: Sequence[Upload]) -> None:
    """Acknowledged ⊆ stored, stored once, and the alarms are those that the senders raised."""
    connection = engine.connect(read_only=True)
    try:
        stored = connection.transaction(lambda session: _stored(session, number))
        raised = connection.transaction(lambda session: _alarms(session, number))
    finally:
        connection.close()
    wanted = {(each.gantry, float(each.stamp)) for each in acknowledged}
    lost = wanted - set(stored)
    assert not lost, f"acknowledged, but not stored: {sorted(lost)}"
    twice = [each for each, rows in stored.items() if rows > 1]
    assert not twice, f"stored more than once: {twice}"
    expected = alarms(acknowledged)
    assert raised == Counter(expected), (expected - set(raised), set(raised) - expected)


def _stored(session: Session, number: int) -> Counter[tuple[str, float]]:
    found: Counter[tuple[str, float]] = Counter()
    pattern = f"{gantry_id(number, 0)[:11]}%"
    for day in days.existing(session):
        sql = f"SELECT gantry, stamp FROM {table_of(day)} WHERE gantry LIKE ?"
        found.update((gantry, stamp) for gantry, stamp in session.rows(sql, pattern))
    return found


def _alarms(session: Session, number: int) -> Counter[Alarm]:
    sql = "SELECT gantry, name, began, ended FROM alarms WHERE gantry LIKE ?"
    pattern = f"{gantry_id(number, 0)[:11]}%"
    rows = session.rows(sql, pattern)
    return Counter((row[0], row[1], row[2], row[3]) for row in rows if "cabinet" in row[1])
