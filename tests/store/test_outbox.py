"""The outbox: what is sent next, what the cap drops, and that no report is ever unaccounted for."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from twisted.internet.task import Clock

from tests.store.material import PLENTY, database, result_of
from tests.support import START, TestClock, memory_store, moment_at, moments
from twisted_gantry.core.stored import Cap, Ledger, Report, Urgency
from twisted_gantry.store import outbox
from twisted_gantry.store.sqlite import SqliteStore


class Box:
    """One uplink's outbox, on a clock that the test moves."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = memory_store(moments(self.clock.seconds))

    def add(
        self, body: bytes = b"body", *, urgent: int = False, cap: Cap = PLENTY, uplink: str = "etc"
    ) -> int:
        return result_of(self.store.add_report(uplink, "kind", "subject", body, urgent, cap))[0]

    def next(self, fresh: float = 0.0) -> int | None:
        report = result_of(self.store.next_report("etc", fresh))
        return None if report is None else report.id

    def kept(self, state: str | None = None) -> list[int]:
        """Return the numbers of the reports that are kept, in the order of the store."""
        return [each.id for each in result_of(self.store.reports("etc", state, 1000))]

    def report(self, number: int) -> Report:
        [found] = [r for r in result_of(self.store.reports(None, None, 1000)) if r.id == number]
        return found

    @property
    def ledger(self) -> Ledger:
        return result_of(self.store.ledger("etc"))


@pytest.fixture
def box() -> Box:
    return Box()


# -- the order


def test_an_empty_outbox_has_nothing_to_send(box: Box) -> None:
    """Without reports there is nothing to send, and the ledger is all zero."""
    assert box.next() is None
    assert box.ledger == Ledger()


def test_a_report_comes_back_as_it_was_added(box: Box) -> None:
    """A report is kept with all that was said of it, its body byte by byte, and its time."""
    box.clock.advance(1000.5)
    body = bytes(range(256))
    number, dropped = result_of(
        box.store.add_report("etc", "cabinetStatusUpdate", "cabinet 1", body, True, PLENTY)
    )
    assert list(dropped) == []
    assert result_of(box.store.next_report("etc", 0.0)) == Report(
        id=number,
        uplink="etc",
        kind="cabinetStatusUpdate",
        subject="cabinet 1",
        body=body,
        made=moment_at(1000.5),
        urgent=True,
    )


def test_the_oldest_goes_first(box: Box) -> None:
    """Without an urgent one, reports are sent in the order in which they were added."""
    numbers = [box.add() for _ in range(3)]
    sent = []
    while (number := box.next()) is not None:
        sent.append(number)
        result_of(box.store.delivered([number]))
    assert sent == numbers


def test_a_clock_set_back_does_not_change_the_order(box: Box) -> None:
    """The order is that of adding, not that of a clock that may have been set in between."""
    now = [1000.0]
    store = memory_store(moments(lambda: now[0]))
    first, _ = result_of(store.add_report("etc", "k", "s", b"", False, PLENTY))
    now[0] = 10.0
    result_of(store.add_report("etc", "k", "s", b"", False, PLENTY))
    report = result_of(store.next_report("etc", 0.0))
    assert report is not None
    assert report.id == first


def test_reports_in_order_overtake_all_but_each_other(box: Box) -> None:
    """A fresh opening goes before the back-log, behind older openings; alarms go before it."""
    old = box.add(urgent=Urgency.IN_ORDER)
    box.add()
    box.clock.advance(100)
    assert box.next(fresh=60) == old  # as the oldest of all
    result_of(box.store.delivered([old]))
    backlog = box.add()
    older = box.add(urgent=Urgency.IN_ORDER)
    box.clock.advance(100)
    assert box.next(fresh=60) not in (older, backlog)
    newer = box.add(urgent=Urgency.IN_ORDER)
    assert box.next(fresh=60) == older
    alarm = box.add(urgent=Urgency.URGENT)
    assert box.next(fresh=60) == alarm
    result_of(box.store.delivered([alarm, older]))
    assert box.next(fresh=60) == newer


def test_a_fresh_urgent_report_overtakes(box: Box) -> None:
    """An urgent report that is fresh goes before all others; among such the oldest goes first."""
    box.clock.advance(100)
    box.add()
    first = box.add(urgent=True)
    second = box.add(urgent=True)
    assert box.next(fresh=1.0) == first
    result_of(box.store.delivered([first]))
    assert box.next(fresh=1.0) == second


def test_a_stale_urgent_report_waits_its_turn(box: Box) -> None:
    """An urgent report that is not fresh any more goes in the order of the others."""
    old = box.add()
    stale = box.add(urgent=True)
    box.clock.advance(100)
    assert box.next(fresh=50.0) == old
    result_of(box.store.delivered([old]))
    assert box.next(fresh=50.0) == stale


def test_freshness_ends_at_the_given_age(box: Box) -> None:
    """A report of exactly the given age is not fresh."""
    plain = box.add()
    box.add(urgent=True)
    box.clock.advance(100)
    assert box.next(fresh=100.0) == plain


def test_an_urgent_report_set_aside_is_not_sent(box: Box) -> None:
    """What was set aside is never what is sent next, urgent or not."""
    box.clock.advance(1)
    number = box.add(urgent=True)
    result_of(box.store.set_aside(number, "1002"))
    assert box.next() is None


def test_uplinks_do_not_see_each_other(box: Box) -> None:
    """What waits for one uplink is neither sent, counted nor dropped for another."""
    other = box.add(b"x" * 100, uplink="fogslink")
    mine = box.add(b"y", cap=Cap(size=1, age=1.0))
    assert box.next() == mine
    assert box.kept() == [mine]
    assert result_of(box.store.enforce("etc", Cap(0, 0.0))) == []
    ledger = result_of(box.store.ledger("fogslink"))
    assert (ledger.created, ledger.queued, ledger.size) == (1, 1, 100)
    assert box.ledger.size == 1
    assert [each.id for each in result_of(box.store.reports(None, None, 10))] == [other, mine]


def test_numbers_are_never_used_again(box: Box) -> None:
    """The number of a report that is gone is not given to another one."""
    first = box.add()
    result_of(box.store.delivered([first]))
    assert box.add() > first


# -- what becomes of a report


def test_a_delivered_report_is_gone_and_counted(box: Box) -> None:
    """An acknowledged report leaves the outbox, and the ledger says that it was delivered."""
    number = box.add(b"12345")
    result_of(box.store.delivered([number]))
    assert box.kept() == []
    assert box.ledger == Ledger(created=1, delivered=1)


def test_a_second_acknowledgement_counts_nothing(box: Box) -> None:
    """A report that is gone cannot be delivered once more."""
    number = box.add()
    result_of(box.store.delivered([number]))
    result_of(box.store.delivered([number]))
    result_of(box.store.delivered([4711]))
    assert box.ledger == Ledger(created=1, delivered=1)


def test_a_report_set_aside_is_kept_with_its_reason(box: Box) -> None:
    """A refused report stays in the store, with the reason and the try, for a person to see."""
    number = box.add(b"12345")
    result_of(box.store.set_aside(number, "1002 bad parameters"))
    report = box.report(number)
    assert (report.state, report.reason, report.tries) == ("set-aside", "1002 bad parameters", 1)
    assert box.kept("set-aside") == [number]
    assert box.kept("queued") == []
    assert box.ledger == Ledger(created=1, set_aside=1, size=5)


def test_what_is_set_aside_twice_counts_once(box: Box) -> None:
    """Setting aside again what is aside already changes neither the ledger nor the reason."""
    number = box.add()
    result_of(box.store.set_aside(number, "first"))
    result_of(box.store.set_aside(number, "second"))
    assert box.report(number).reason == "first"
    assert box.ledger.set_aside == 1


def test_a_report_set_aside_can_still_be_delivered(box: Box) -> None:
    """An acknowledgement for a report that was set aside takes it from those set aside."""
    number = box.add()
    result_of(box.store.set_aside(number, "refused"))
    result_of(box.store.delivered([number]))
    assert box.ledger == Ledger(created=1, delivered=1)


def test_retrying_queues_again_with_a_clean_slate(box: Box) -> None:
    """A report that is queued again has its old place in the order and no tries, and says why."""
    first, second = box.add(), box.add()
    result_of(box.store.set_aside(first, "refused"))
    assert box.next() == second
    assert result_of(box.store.retry_reports("etc", None)) == 1
    report = box.report(first)
    assert (report.state, report.reason, report.tries) == ("queued", outbox.REQUEUED, 0)
    assert report.requeued
    assert not box.report(second).requeued
    assert box.next() == first
    assert box.ledger == Ledger(created=2, queued=2, size=8, oldest=moment_at(0.0))
    result_of(box.store.tried(first, "9"))
    assert box.report(first).requeued
    result_of(box.store.set_aside(first, "refused once more"))
    assert not box.report(first).requeued


def test_only_the_named_reports_are_retried(box: Box) -> None:
    """Of the named reports those that are set aside are queued; the others are left alone."""
    numbers = [box.add() for _ in range(3)]
    for number in numbers[:2]:
        result_of(box.store.set_aside(number, "refused"))
    named = [numbers[0], numbers[2], 4711]
    assert result_of(box.store.retry_reports("etc", named)) == 1
    assert box.kept("set-aside") == [numbers[1]]
    assert result_of(box.store.retry_reports("etc", [])) == 0


def test_another_uplinks_reports_are_not_retried(box: Box) -> None:
    """A report is queued again only by the uplink that it belongs to."""
    number = box.add()
    result_of(box.store.set_aside(number, "refused"))
    assert result_of(box.store.retry_reports("fogslink", [number])) == 0
    assert result_of(box.store.retry_reports("fogslink", None)) == 0
    assert box.ledger.set_aside == 1


def test_a_failed_try_is_noted(box: Box) -> None:
    """A try that failed is counted with its reason; the report stays queued as it was."""
    number = box.add(b"old")
    result_of(box.store.tried(number, "connection refused"))
    result_of(box.store.tried(number, "time-out"))
    report = box.report(number)
    assert (report.tries, report.reason, report.body) == (2, "time-out", b"old")
    assert box.next() == number


def test_a_try_may_bring_a_new_body(box: Box) -> None:
    """A body that replaces the old one is what is sent next, and the ledger knows its size."""
    number = box.add(b"old")
    box.add(b"other")
    result_of(box.store.tried(number, "1003", b"a longer one"))
    assert box.report(number).body == b"a longer one"
    assert box.ledger.size == len(b"a longer one") + len(b"other")
    result_of(box.store.tried(number, "1003", b""))
    assert box.ledger.size == len(b"other")
    result_of(box.store.tried(4711, "1003", b"nobody's"))
    assert box.ledger.size == len(b"other")


def test_the_list_is_bounded(box: Box) -> None:
    """A list of reports is the oldest ones, no more than asked for."""
    numbers = [box.add() for _ in range(5)]
    assert [each.id for each in result_of(box.store.reports("etc", None, 2))] == numbers[:2]


def test_the_ledger_knows_the_age_of_the_queue(box: Box) -> None:
    """`oldest` is the time of the oldest report that is queued, those set aside left out."""
    box.clock.advance(10)
    refused = box.add()
    box.clock.advance(10)
    queued = box.add()
    result_of(box.store.set_aside(refused, "refused"))
    assert box.ledger.oldest == moment_at(20.0)
    result_of(box.store.delivered([queued]))
    assert box.ledger.oldest is None


def test_a_step_of_the_clock_makes_no_report_older_or_fresher() -> None:
    """Freshness and age are counted from the boot; the clock was in 1970 and is right now."""
    clock = TestClock()
    store, cap = memory_store(clock.moment), Cap(size=10**9, age=100.0)
    clock.wall_offset = 0.0
    add = partial(store.add_report, "etc", "k", "s", b"")
    old, _ = result_of(add(False, PLENTY))
    urgent, _ = result_of(add(True, PLENTY))
    clock.wall_offset = START
    for step in (0.0, -3600.0, 10 * 366 * 86_400.0):
        clock.wall_offset = START + step
        report = result_of(store.next_report("etc", 60.0))
        assert report is not None
        assert report.id == urgent
        assert result_of(store.enforce("etc", cap)) == []
    clock.advance(101)
    assert result_of(store.enforce("etc", cap)) == [old]


def test_an_urgent_report_of_another_boot_is_not_fresh() -> None:
    """Seconds since different boots do not compare: such a report goes in its turn."""
    clock = TestClock()
    store = memory_store(clock.moment)
    clock.advance(5000)
    first, _ = result_of(store.add_report("etc", "k", "s", b"", False, PLENTY))
    result_of(store.add_report("etc", "k", "s", b"", True, PLENTY))
    clock.boot = "boot-2"
    report = result_of(store.next_report("etc", 60.0))
    assert report is not None
    assert report.id == first


# -- the cap


def test_the_size_cap_drops_the_oldest_first(box: Box) -> None:
    """When the bodies are over the cap, the oldest go until they are not, and are told."""
    cap = Cap(size=10, age=1e9)
    first, second = box.add(b"1234", cap=cap), box.add(b"1234", cap=cap)
    number, dropped = result_of(box.store.add_report("etc", "k", "s", b"12345678", False, cap))
    assert dropped == [first, second]
    assert box.kept() == [number]
    assert box.ledger == Ledger(created=3, queued=1, dropped=2, size=8, oldest=moment_at(0.0))


def test_a_size_at_the_cap_drops_nothing(box: Box) -> None:
    """The cap is what may be kept: exactly so much is not over it."""
    cap = Cap(size=8, age=1e9)
    numbers = [box.add(b"1234", cap=cap) for _ in range(2)]
    assert box.kept() == numbers


def test_an_age_over_the_cap_is_dropped(box: Box) -> None:
    """Reports older than the cap go, at its very age they stay."""
    cap = Cap(size=10**9, age=100.0)
    old = box.add()
    box.clock.advance(60)
    middle, new = box.add(), box.add()
    box.clock.advance(40)
    assert result_of(box.store.enforce("etc", cap)) == []
    box.clock.advance(0.5)
    assert result_of(box.store.enforce("etc", cap)) == [old]
    assert box.kept() == [middle, new]


def test_a_new_report_may_leave_the_age_to_others(box: Box) -> None:
    """Adding looks at the size alone; what is too old goes when the cap is enforced."""
    cap = Cap(size=10**9, age=100.0)
    old = box.add(cap=cap)
    box.clock.advance(101)
    new = box.add(cap=cap)
    assert box.kept() == [old, new]
    assert result_of(box.store.enforce("etc", cap)) == [old]


@pytest.mark.parametrize(
    "cap", [Cap(size=3, age=1e9), Cap(size=10**9, age=1.0), Cap(size=0, age=0.0)]
)
def test_the_newest_is_always_kept(box: Box, cap: Cap) -> None:
    """Whatever the cap, the newest report is not dropped: it says how things are."""
    box.add(b"12345")
    newest = box.add(b"12345")
    box.clock.advance(1000)
    result_of(box.store.enforce("etc", cap))
    assert box.kept() == [newest]
    assert box.ledger.dropped == 1


def test_the_cap_counts_what_is_set_aside(box: Box) -> None:
    """Reports that were set aside are under the cap as well, and dropped in the order of age."""
    cap = Cap(size=8, age=1e9)
    aside, queued = box.add(b"1234"), box.add(b"1234")
    result_of(box.store.set_aside(aside, "refused"))
    newest = box.add(b"1234", cap=cap)
    assert box.kept() == [queued, newest]
    assert box.ledger == Ledger(created=3, queued=2, dropped=1, size=8, oldest=moment_at(0.0))


def test_enforcing_a_cap_on_nothing_is_no_error(box: Box) -> None:
    """An uplink that never reported has nothing to drop."""
    assert result_of(box.store.enforce("etc", Cap(0, 0.0))) == []


def test_a_long_queue_costs_no_more_than_a_short_one() -> None:
    """Adding a report and taking the next take the same work, however much waits."""

    def work(waiting: int) -> int:
        db, steps = database(), [0]

        def count() -> int:
            steps[0] += 1
            return 0

        for number in range(waiting):
            outbox.add(db, "etc", "k", "s", b"body", moment_at(number), number % 2 == 0, PLENTY)
            if number % 3 == 0:
                outbox.set_aside(db, number + 1, "refused")
        db.set_progress_handler(count, 10)
        outbox.add(db, "etc", "k", "s", b"body", moment_at(1e6), True, PLENTY)
        outbox.following(db, "etc", moment_at(1e6), 1.0)
        outbox.following(db, "etc", moment_at(1e6), 0.0)
        return steps[0]

    assert work(2000) < 2 * work(20)


# -- whatever happens


@dataclass(frozen=True)
class Row:
    id: int
    body: bytes
    created: float
    urgent: int
    state: str = "queued"
    tries: int = 0


class OutboxMachine(RuleBasedStateMachine):
    """Any sequence of what an uplink does, beside a model of plain lists."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.store: SqliteStore = memory_store(moments(self.clock.seconds))
        self.rows: dict[str, list[Row]] = {"etc": [], "fogslink": []}
        self.counts = {uplink: {"created": 0, "delivered": 0, "dropped": 0} for uplink in self.rows}

    def _cap(self, uplink: str, cap: Cap) -> list[int]:
        """Drop from the model what is over the cap."""
        rows, dropped = self.rows[uplink], []
        while len(rows) > 1:
            over = sum(len(row.body) for row in rows) > cap.size
            if not over and self.clock.seconds() - rows[0].created <= cap.age:
                break
            dropped.append(rows.pop(0).id)
        self.counts[uplink]["dropped"] += len(dropped)
        return dropped

    def _find(self, number: int) -> tuple[str, int] | None:
        for uplink, rows in self.rows.items():
            for index, row in enumerate(rows):
                if row.id == number:
                    return uplink, index
        return None

    def _any(self, data: st.DataObject) -> int:
        """Choose a report, now and then one that is gone."""
        known = [row.id for rows in self.rows.values() for row in rows]
        return data.draw(st.sampled_from([*known, 9999]), "report")

    uplinks = st.sampled_from(["etc", "fogslink"])
    bodies = st.binary(max_size=30)
    caps = st.builds(Cap, st.integers(0, 200), st.sampled_from([0.0, 5.0, 50.0, 1e9]))

    @rule(seconds=st.sampled_from([0.0, 1.0, 10.0, 100.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @rule(uplink=uplinks, body=bodies, urgent=st.booleans(), cap=caps)
    def add(self, uplink: str, body: bytes, urgent: bool, cap: Cap) -> None:
        number, dropped = result_of(
            self.store.add_report(uplink, "kind", "subject", body, urgent, cap)
        )
        self.rows[uplink].append(Row(number, body, self.clock.seconds(), urgent))
        self.counts[uplink]["created"] += 1
        size = sum(len(row.body) for row in self.rows[uplink])
        assert list(dropped) == (self._cap(uplink, cap) if size > cap.size else [])

    @rule(uplink=uplinks, cap=caps)
    def enforce(self, uplink: str, cap: Cap) -> None:
        dropped = result_of(self.store.enforce(uplink, cap))
        assert list(dropped) == self._cap(uplink, cap)

    @rule(data=st.data())
    def deliver(self, data: st.DataObject) -> None:
        number = self._any(data)
        result_of(self.store.delivered([number]))
        if (found := self._find(number)) is not None:
            uplink, index = found
            del self.rows[uplink][index]
            self.counts[uplink]["delivered"] += 1

    @rule(data=st.data())
    def refuse(self, data: st.DataObject) -> None:
        number = self._any(data)
        result_of(self.store.set_aside(number, "refused"))
        if (found := self._find(number)) is not None:
            uplink, index = found
            row = self.rows[uplink][index]
            if row.state == "queued":
                self.rows[uplink][index] = replace(row, state="set-aside", tries=row.tries + 1)

    @rule(data=st.data(), body=st.none() | bodies)
    def fail(self, data: st.DataObject, body: bytes | None) -> None:
        number = self._any(data)
        result_of(self.store.tried(number, "failed", body))
        if (found := self._find(number)) is not None:
            uplink, index = found
            row = self.rows[uplink][index]
            self.rows[uplink][index] = replace(
                row, tries=row.tries + 1, body=row.body if body is None else body
            )

    @rule(uplink=uplinks, data=st.data(), all_of_them=st.booleans())
    def retry(self, uplink: str, data: st.DataObject, all_of_them: bool) -> None:
        """Somebody wants reports that were set aside to be sent again."""
        named = None if all_of_them else [self._any(data), self._any(data)]
        moved = 0
        for index, row in enumerate(self.rows[uplink]):
            if row.state == "set-aside" and (named is None or row.id in named):
                self.rows[uplink][index] = replace(row, state="queued", tries=0)
                moved += 1
        assert result_of(self.store.retry_reports(uplink, named)) == moved

    @precondition(lambda self: any(self.rows.values()))
    @rule(uplink=uplinks, window=st.sampled_from([0.0, 5.0, 1e9]))
    def ask(self, uplink: str, window: float) -> None:
        queued = [row for row in self.rows[uplink] if row.state == "queued"]
        first = [
            row for row in queued if row.urgent and self.clock.seconds() - row.created < window
        ] + queued
        report = result_of(self.store.next_report(uplink, window))
        assert (None if report is None else report.id) == (first[0].id if first else None)

    @invariant()
    def nothing_is_lost(self) -> None:
        """Every report that was ever added is delivered, dropped or there; so says the ledger."""
        for uplink, rows in self.rows.items():
            ledger = result_of(self.store.ledger(uplink))
            assert (
                ledger.created
                == ledger.delivered + ledger.queued + ledger.set_aside + ledger.dropped
            )
            queued = [row for row in rows if row.state == "queued"]
            counts: dict[str, Any] = self.counts[uplink]
            assert ledger == Ledger(
                **counts,
                queued=len(queued),
                set_aside=len(rows) - len(queued),
                size=sum(len(row.body) for row in rows),
                oldest=moment_at(queued[0].created) if queued else None,
            )

    @invariant()
    def the_store_holds_what_the_model_holds(self) -> None:
        """The reports are those of the model, in its order."""
        for uplink, rows in self.rows.items():
            kept = result_of(self.store.reports(uplink, None, 1000))
            assert rows == [
                Row(each.id, each.body, each.made.wall, each.urgent, each.state, each.tries)
                for each in kept
            ]

    def teardown(self) -> None:
        result_of(self.store.close())


class TestOutboxMachine(OutboxMachine.TestCase):  # type: ignore[misc, valid-type]
    """Whatever an uplink does in whatever order, no report is unaccounted for."""

    settings = settings(max_examples=40, stateful_step_count=30, derandomize=True)
