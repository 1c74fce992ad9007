"""The one transaction, in both engines."""

from tests.centre.store.samples import report
from twisted_gantry.centre.model import Verdict
from twisted_gantry.centre.store import ledger
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import START


async def test_a_repetition_is_acknowledged_and_stored_once(store: InlineStore) -> None:
    """The same report, in one group or in two, has one row; the ledger counts each arrival."""
    assert store.put_all([report(), report()]) == [Verdict.STORED, Verdict.DUPLICATE]
    assert await store.put(report()) == Verdict.DUPLICATE
    assert await store.put(report(raised="mains-abnormal")) == Verdict.STORED
    counts = await store.read(ledger.totals)
    assert counts == {"stored": 2, "duplicate": 2}
    assert ledger.received(counts) == 4


async def test_a_pack_that_repeats_its_id_with_other_content_is_news(store: InlineStore) -> None:
    """A device that counts anew gives a `packID` again: both packs are stored."""
    first = report(stamp=None, key="1", body=b"a")
    second = report(stamp=None, key="1", body=b"b", received=START + 9)
    assert store.put_all([first, second]) == [Verdict.STORED, Verdict.STORED]
    again = report(stamp=None, key="1", body=b"a", received=START + 99)
    assert await store.put(again) == Verdict.DUPLICATE
