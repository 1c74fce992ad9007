"""Two fronts fold reports of the same gantries at the same time, in PostgreSQL."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from threading import Thread

import pytest

from tests.centre import postgres
from tests.centre.store.histories import CONDITIONS, Alarms, Sent, expected
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Received
from twisted_gantry.centre.store.days import day_of, make
from twisted_gantry.centre.store.engine import Fault
from twisted_gantry.centre.store.postgresql import PostgresEngine
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import START

GANTRIES, REPORTS, ROUNDS = 20, 20, 5


def sent(chance: random.Random, at: int) -> Sent:
    some = [each for each in CONDITIONS if chance.random() < 0.4]
    unknown = [each for each in CONDITIONS if each not in some and chance.random() < 0.3]
    return Sent(10 * at, chance.random(), "cabinet-1", frozenset(some), frozenset(unknown), None)


def front(url: str, name: str, groups: Sequence[Sequence[Received]], deadlocks: list[int]) -> None:
    """Store groups as a front does: a transaction that met a lock runs again."""
    engine = PostgresEngine(url)
    store = InlineStore(engine, Filing(name))
    for group in groups:
        while True:
            try:
                store.put_all(group)
                break
            except Exception as error:
                if engine.fault(error) is not Fault.AGAIN:
                    raise
                deadlocks.append(1)
    store.close()


def alarms_of(session: Session) -> dict[str, Alarms]:
    found: dict[str, Alarms] = defaultdict(list)
    for gantry, name, began, ended in session.rows("SELECT gantry, name, began, ended FROM alarms"):
        found[gantry].append((name, began - START, None if ended is None else ended - START))
    return {gantry: sorted(alarms, key=repr) for gantry, alarms in found.items()}


@pytest.mark.long
def test_two_fronts_give_the_alarms_of_one() -> None:
    """However the reports are shared out, and in whatever order, the alarms are those in order."""
    chance = random.Random(18)
    for _ in range(ROUNDS):
        histories = {
            f"G{n:02}": [sent(chance, at) for at in range(REPORTS)] for n in range(GANTRIES)
        }
        reports = [
            replace(each.received(), gantry=gantry)
            for gantry, history in histories.items()
            for each in history
        ]
        url = postgres.new_database()
        opened = InlineStore(PostgresEngine(url), Filing("front-0"))
        opened.write(lambda session: make(session, day_of(START)))
        deadlocks: list[int] = []
        threads = []
        for name in ("front-1", "front-2"):
            mine = chance.sample(reports, len(reports) * 3 // 4)  # many come to both
            if name == "front-2":
                mine = chance.sample(reports, len(reports))
            groups = [mine[at : at + 25] for at in range(0, len(mine), 25)]
            threads.append(Thread(target=front, args=(url, name, groups, deadlocks)))
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found: list[dict[str, Alarms]] = []
        opened.read(alarms_of).addCallback(found.append)
        assert found == [{gantry: expected(history) for gantry, history in histories.items()}]
        opened.close()
        postgres.drop_database(url)
        assert deadlocks == []
