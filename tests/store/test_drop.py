"""Reports that were set aside are given up: gone, and counted."""

import pytest

from tests.store.material import PLENTY, database, result_of
from tests.support import memory_store, moment_at, moments
from twisted_gantry.core.stored import Ledger
from twisted_gantry.store import outbox

SIZES = (5, 70, 11, 300)


@pytest.mark.parametrize(
    ("chosen", "dropped", "left"),
    [
        (None, 2, [2, 4, 5]),
        ([1], 1, [2, 3, 4, 5]),
        ([3, 3, 1], 2, [2, 4, 5]),
        ([2, 5, 99], 0, [1, 2, 3, 4, 5]),
        ([], 0, [1, 2, 3, 4, 5]),
    ],
)
def test_what_was_set_aside_alone(chosen: list[int] | None, dropped: int, left: list[int]) -> None:
    """All that was set aside goes, or what is named of it; what is queued or another's stays."""
    store = memory_store(moments(lambda: 0.0))
    for number, size in enumerate(SIZES, 1):
        result_of(store.add_report("etc", "kind", "", b"x" * size, False, PLENTY))
        if number in (1, 3):
            result_of(store.set_aside(number, "refused"))
    result_of(store.add_report("fogslink", "kind", "", b"x", False, PLENTY))
    result_of(store.set_aside(5, "refused"))
    assert result_of(store.drop_reports("etc", chosen)) == dropped
    kept = [report.id for report in result_of(store.reports(None, None, 10))]
    assert kept == left
    sizes = sum(size for number, size in enumerate(SIZES, 1) if number in left)
    assert result_of(store.ledger("etc")) == Ledger(
        created=4,
        queued=2,
        set_aside=2 - dropped,
        dropped=dropped,
        size=sizes,
        oldest=moment_at(0.0),
    )
    assert result_of(store.ledger("fogslink")).set_aside == 1
    result_of(store.close())


def test_many_at_once() -> None:
    """Ten thousand are one statement: the writer's thread is not held up."""
    db = database()
    for _ in range(10_000):
        number, _ = outbox.add(db, "etc", "kind", "", b"xy", moment_at(0.0), False, PLENTY)
        outbox.set_aside(db, number, "refused")
    steps = 0

    def count() -> int:
        nonlocal steps
        steps += 1
        return 0

    db.set_trace_callback(lambda _: count() and None)
    assert outbox.drop(db, "etc", None) == 10_000
    assert steps == 2
    assert outbox.ledger(db, "etc") == Ledger(created=10_000, dropped=10_000)
    db.close()
