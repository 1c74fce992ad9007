"""What the Fogslink uplink asks of the store: batches, and a number kept with its report."""

import pytest

from tests.store.material import PLENTY, database, result_of
from tests.support import memory_store, moment_at, moments
from twisted_gantry.core.stored import Ledger
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.writer import InlineWriter


@pytest.fixture
def store() -> SqliteStore:
    return memory_store(moments(lambda: 1.0))


def add(store: SqliteStore, body: bytes = b"body", uplink: str = "fogslink") -> int:
    return result_of(store.add_report(uplink, "req200", "1", body, False, PLENTY))[0]


def test_a_batch_is_the_oldest_queued_in_order(store: SqliteStore) -> None:
    """A batch holds the uplink's own queued reports, oldest first, no more than were asked for."""
    numbers = [add(store) for _ in range(5)]
    add(store, uplink="etc")
    result_of(store.set_aside(numbers[1], "refused"))
    result_of(store.delivered([numbers[2]]))
    batch = result_of(store.next_reports("fogslink", 2, 1000))
    assert [each.id for each in batch] == [numbers[0], numbers[3]]
    assert [each.id for each in result_of(store.next_reports("fogslink", 9, 1000))] == [
        numbers[0],
        numbers[3],
        numbers[4],
    ]
    assert result_of(store.next_reports("nobody", 9, 1000)) == []


@pytest.mark.parametrize(
    ("size", "many"), [(0, 1), (99, 1), (100, 1), (199, 1), (200, 2), (300, 3)]
)
def test_a_batch_is_bounded_in_bytes(store: SqliteStore, size: int, many: int) -> None:
    """A batch stays within its bytes, but always has one: a long report must not block the rest."""
    for _ in range(4):
        add(store, b"x" * 100)
    assert len(result_of(store.next_reports("fogslink", 9, size))) == many


def test_many_leave_at_once_and_the_ledger_holds(store: SqliteStore) -> None:
    """Reports of any state and uplink are removed; one that is gone counts nothing."""
    numbers = [add(store, b"x" * at) for at in range(1, 500)]
    other = add(store, b"yy", uplink="etc")
    result_of(store.set_aside(numbers[0], "refused"))
    result_of(store.delivered([*numbers[:-1], other]))
    result_of(store.delivered(numbers[:-1]))
    assert result_of(store.ledger("fogslink")) == Ledger(
        created=499, delivered=498, queued=1, size=499, oldest=moment_at(1.0)
    )
    assert result_of(store.ledger("etc")) == Ledger(created=1, delivered=1)
    result_of(store.delivered([]))


def test_a_setting_is_kept_with_its_report(store: SqliteStore) -> None:
    """A report and the setting that came with it are there together."""
    added = store.add_report("fogslink", "req200", "7", b"b", False, PLENTY, ("fogslink.pack", 7))
    assert result_of(added)[0] == 1
    assert result_of(store.settings()) == {"fogslink.pack": 7}


def test_a_setting_is_not_kept_without_its_report() -> None:
    """When the report cannot be stored, the setting is not either."""
    db = database()
    store = SqliteStore(InlineWriter(db), moments(lambda: 1.0))
    result_of(store.put_setting("fogslink.pack", 6))
    db.execute("CREATE TRIGGER full BEFORE INSERT ON outbox BEGIN SELECT RAISE(ABORT, 'full'); END")
    failed = store.add_report("fogslink", "req200", "7", b"b", False, PLENTY, ("fogslink.pack", 7))
    with pytest.raises(Exception, match="full"):
        result_of(failed)
    assert result_of(store.settings()) == {"fogslink.pack": 6}
