"""Whatever comes, in whatever order, through however many fronts: each report is stored once."""

from collections import Counter
from itertools import count

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.centre.store.samples import report
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Received, Verdict
from twisted_gantry.centre.store import days, ledger
from twisted_gantry.centre.store.days import DAY, table_of
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import START

_examples = count()

STAMPS = (START, START + 1, START + 300, START + DAY, START - 20 * DAY, START - 200 * DAY)
SENT = st.tuples(
    st.sampled_from("ABC"),
    st.sampled_from((*STAMPS, None)),
    st.sampled_from(("", "mains-abnormal")),
    st.sampled_from(("", "1", "2")),
)
Groups = list[tuple[bool, list[tuple[str, float | None, str, str]]]]
GROUPS = st.lists(st.tuples(st.booleans(), st.lists(SENT, min_size=1, max_size=6)), max_size=6)


def rows(session: Session, prefix: str) -> list[tuple[str, bytes]]:
    found: list[tuple[str, bytes]] = []
    for day in days.existing(session):
        sql = f"SELECT gantry, digest FROM {table_of(day)} WHERE gantry LIKE ?"
        found += [(gantry, bytes(digest)) for gantry, digest in session.rows(sql, f"{prefix}-%")]
    return found


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(groups=GROUPS)
def test_each_report_is_stored_once(memory: InlineStore, groups: Groups) -> None:
    """Of equal reports one is stored and the others are duplicates, in one group, in two, and of
    two fronts; the ledger counts each that came.
    """
    stores_once(memory, groups)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(groups=GROUPS)
def test_postgresql_stores_each_report_once(served: InlineStore, groups: Groups) -> None:
    """The same holds in PostgreSQL."""
    stores_once(served, groups)


def stores_once(store: InlineStore, groups: Groups) -> None:
    prefix = f"G{next(_examples)}"
    other = store.beside("front-2")
    before = store.writing(ledger.totals)
    verdicts: Counter[Verdict] = Counter()
    for second, sent in groups:
        group = [
            report(f"{prefix}-{name}", stamp, raised=raised, key=key, body=f"{stamp}{key}".encode())
            for name, stamp, raised, key in sent
        ]
        verdicts.update((other if second else store).put_all(_received(group)))
    stored = store.writing(lambda session: rows(session, prefix))
    assert len(stored) == len(set(stored))
    names = {(f"{prefix}-{e[0]}", e[1], e[2], e[3]) for _, sent in groups for e in sent}
    assert len(stored) == len(names)
    assert verdicts[Verdict.STORED] + verdicts[Verdict.LATE] == len(stored)
    after = store.writing(ledger.totals)
    came = sum(len(sent) for _, sent in groups)
    assert ledger.received(after) - ledger.received(before) == came == verdicts.total()


def _received(group: list[Received]) -> list[Received]:
    """All came within a minute, so that also reports without a stamp repeat each other."""
    return [
        Received(e.gantry, e.method, e.stamp, START + DAY + 1.0, e.body, e.digest, e.told, e.key)
        for e in group
    ]
