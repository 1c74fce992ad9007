"""The last day of each outbox: what is noted of the ledgers, and what is told of that."""

from collections.abc import Mapping, Sequence

import pytest
from twisted.internet.defer import ensureDeferred

from tests.http_client import now_of
from tests.web.small_site import SmallSite, small_site
from twisted_gantry.core.deliveries import DAY, PERIOD, STEP, Deliveries, Slot, last_day


class Desk:
    """A site whose deliveries are noted."""

    def __init__(self) -> None:
        self.small: SmallSite = small_site()
        self.store = self.small.site.store
        self.start()

    def start(self) -> None:
        small = self.small
        self.deliveries = Deliveries(small.site, small.history, small.clock, small.now)
        self.deliveries.start()

    def deliver(self, count: int = 1) -> None:
        now_of(self.store.delivered([self.small.add_report() for _ in range(count)]))

    def wait(self, seconds: float) -> None:
        self.small.clock.pump([PERIOD] * round(seconds / PERIOD))

    def told(self) -> list[tuple[float, int, int, int]]:
        """Return the slots of `etc`; their times are in slots from the present one."""
        now = self.small.now()
        asked = ensureDeferred(last_day(self.small.site, self.small.history.query, now))
        found: Mapping[str, Sequence[Slot]] = now_of(asked)
        begin = now - now % STEP
        return [((each.at - begin) / STEP, *each[1:]) for each in found["etc"]]


@pytest.fixture
def desk() -> Desk:
    """Return a desk at the begin of a slot."""
    return Desk()


def test_slots(desk: Desk) -> None:
    """What was delivered, set aside and dropped is told in the slot in which that happened."""
    desk.deliver(2)
    desk.wait(STEP)
    now_of(desk.store.set_aside(desk.small.add_report(), "refused"))
    desk.wait(2 * STEP)
    now_of(desk.store.drop_reports("etc", None))
    desk.deliver()
    assert desk.told() == [(-3.0, 2, 0, 0), (-2.0, 0, 1, 0), (0.0, 1, 0, 1)]


def test_after_a_quiet_day(desk: Desk) -> None:
    """The first delivery after a day without one is told; what is older than a day is not."""
    desk.deliver(5)
    desk.wait(DAY + STEP)
    assert desk.told() == []
    desk.deliver(3)
    desk.wait(STEP)
    assert desk.told() == [(-1.0, 3, 0, 0)]


def test_restart(desk: Desk) -> None:
    """Deliveries before and after a restart are told, and none twice."""
    desk.wait(PERIOD)
    desk.deliver(4)
    now_of(desk.deliveries.stop())
    desk.small.clock.advance(2 * STEP)
    desk.start()
    desk.deliver(1)
    desk.wait(STEP)
    assert desk.told() == [(-3.0, 4, 0, 0), (-1.0, 1, 0, 0)]


def test_taken_back(desk: Desk) -> None:
    """A report that a person queues again, and that is refused again, is told twice."""
    number = desk.small.add_report()
    for _ in range(2):
        now_of(desk.store.set_aside(number, "refused"))
        desk.wait(STEP)
        now_of(desk.store.retry_reports("etc", None))
        desk.wait(STEP)
    assert desk.told() == [(-4.0, 0, 1, 0), (-2.0, 0, 1, 0)]


def test_store_made_anew(desk: Desk) -> None:
    """Counts that begin again are not taken for deliveries."""
    desk.deliver(9)
    desk.wait(STEP)
    desk.small.db.execute("DELETE FROM ledger")
    desk.wait(STEP)
    desk.deliver(2)
    assert desk.told() == [(-2.0, 9, 0, 0), (0.0, 2, 0, 0)]
