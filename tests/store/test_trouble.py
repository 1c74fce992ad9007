"""A store whose disk fails: memory takes its place, and gives all of it back."""

import sqlite3
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.store.material import PLENTY, database, failure_of, result_of
from tests.support import moment_at, moments
from twisted_gantry.core.interfaces import StoreFailed, StoreHung
from twisted_gantry.core.stored import AuditEntry, Cap, Ledger, Report, StoredCard
from twisted_gantry.store import audit, outbox
from twisted_gantry.store.memory import MOST_BYTES, MOST_ENTRIES
from twisted_gantry.store.sqlite import REMEMBERED, SqliteStore
from twisted_gantry.store.watch import HUNG_S, PERIOD, StoreWatch
from twisted_gantry.store.writer import InlineWriter, Late, NotOpen, Remake


class Disk:
    """A writer over a database that is full, read-only, gone or hung when the test says so."""

    def __init__(self, clock: Clock) -> None:
        self.db, self.trouble, self.hangs = database(), "", False
        self._clock = clock
        self._jobs: list[tuple[float, Callable[[], None], Deferred[Any]]] = []

    def run(self, job: Callable[[sqlite3.Connection], Any], late: Late[Any] | None = None) -> Any:
        done: Deferred[Any] = Deferred()

        def do() -> None:
            given_up = done.called
            result = self._inline.run(job)
            if not given_up:
                result.chainDeferred(done)
            elif late is not None:
                result.addCallbacks(late, lambda _: None)

        if not self.hangs:
            do()
        else:
            self._jobs.append((self._clock.seconds(), do, done))
        return done

    @property
    def _inline(self) -> InlineWriter:
        if self.trouble == "gone":
            return InlineWriter(None)
        self.db.execute(f"PRAGMA query_only = {'ON' if self.trouble == 'read-only' else 'OFF'}")
        [(pages,)] = self.db.execute("PRAGMA page_count").fetchall()
        [(free,)] = self.db.execute("PRAGMA freelist_count").fetchall()
        most = pages - free if self.trouble == "full" else 1_000_000
        self.db.execute(f"PRAGMA max_page_count = {most}")
        return InlineWriter(self.db)

    def thaw(self, begun: int = 0) -> None:
        """Let the disk answer: the first `begun` jobs were under way, given up or not."""
        self.hangs, jobs = False, self._jobs
        self._jobs = []
        for number, (_, do, done) in enumerate(jobs):
            if number < begun or not done.called:
                do()

    def replace(self, make: Remake) -> Deferred[None]:
        return self._inline.replace(make)

    def waits_for(self) -> float:
        return self._clock.seconds() - self._jobs[0][0] if self._jobs else 0.0

    def give_up(self, error: Exception) -> None:
        for _, _, done in self._jobs:
            if not done.called:
                done.errback(error)

    def close(self) -> Any:
        return self._inline.close()


class Rig:
    """A store on such a disk, and its watch."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.disk = Disk(self.clock)
        self.store = SqliteStore(self.disk, moments(lambda: 1000.0 + self.clock.seconds()))
        self.states: list[str] = []
        self.store.subscribe(
            lambda: self.states.append(self.store.failing.en if self.store.failing else "works")
        )
        self.watch = StoreWatch(self.store, None, self.clock, lambda *_: Deferred())
        self.watch.start()

    def add(self, body: bytes = b"body", urgent: bool = True, cap: Cap = PLENTY) -> int:
        added = self.store.add_report("etc", "kind", "subject", body, urgent, cap)
        return result_of(added)[0]

    def next(self, fresh: float = 60.0) -> Report | None:
        return result_of(self.store.next_report("etc", fresh))

    def ledger(self) -> Ledger:
        ledger = result_of(self.store.ledger("etc"))
        kept = ledger.queued + ledger.set_aside
        assert ledger.created == ledger.delivered + ledger.dropped + kept
        return ledger

    def on_disk(self) -> Ledger:
        """Return the ledger of the disk, and see that it fits the reports there."""
        ledger = outbox.ledger(self.disk.db, "etc")
        reports = outbox.reports(self.disk.db, None, None, 10**6)
        assert ledger.queued == sum(each.state == "queued" for each in reports)
        assert ledger.set_aside == sum(each.state == "set-aside" for each in reports)
        assert ledger.size == sum(len(each.body) for each in reports)
        assert ledger.created == ledger.delivered + ledger.dropped + len(reports)
        return ledger

    def wait(self, seconds: float = PERIOD) -> None:
        self.clock.pump([PERIOD] * round(seconds / PERIOD))

    def hang(self) -> None:
        """Let the disk hang until that is noticed."""
        self.disk.hangs = True
        self.store.put_setting("a", 1)
        self.wait(HUNG_S + 2 * PERIOD)
        assert self.store.hangs


@pytest.fixture
def rig() -> Iterator[Rig]:
    made = Rig()
    yield made
    made.watch.stop()
    made.disk.trouble = ""
    made.disk.thaw()
    result_of(made.store.close())


def entry(name: str = "c1", result: str = "") -> AuditEntry:
    return AuditEntry(name, 5.0, "web", "ups1", "BZOFF", {}, result)


FAILING = pytest.mark.parametrize("trouble", ["full", "read-only", "gone"])


# -- reports


@FAILING
def test_reports_leave_from_memory(rig: Rig, trouble: str) -> None:
    """While the disk fails, a report is kept in memory, marked and counted, and can be sent."""
    rig.disk.trouble = trouble
    number = rig.add(b"x" * 40_000)
    report = rig.next()
    assert report is not None
    assert (report.id, report.stored, report.urgent) == (number, False, True)
    assert rig.store.failing is not None
    assert len(rig.states) == 1
    assert rig.ledger() == Ledger(1, 0, 1, 0, 0, 40_000, moment_at(1000.0), 1, rig.ledger().as_of)
    [listed] = result_of(rig.store.reports("etc", "queued", 10))
    assert not listed.stored
    assert rig.store.counts["reports"] == 1
    result_of(rig.store.delivered([number]))
    assert rig.next() is None
    assert (rig.ledger().delivered, rig.ledger().not_stored) == (1, 0)


@FAILING
def test_the_disk_gets_all_of_it(rig: Rig, trouble: str) -> None:
    """When the disk works again it has, within a second, what was queued, sent and set aside."""
    before = rig.add(b"before")
    rig.disk.trouble = trouble
    sent, aside, tried, new = (rig.add(b"x" * 30_000) for _ in range(4))
    result_of(rig.store.delivered([sent]))
    result_of(rig.store.set_aside(aside, "refused"))
    result_of(rig.store.tried(tried, "1003", b"restamped"))
    rig.wait(5)
    assert rig.states[-1] != "works"
    rig.disk.trouble = ""
    rig.wait()
    assert rig.states[-1] == "works"
    assert rig.on_disk() == Ledger(5, 1, 3, 1, 0, 60_015, moment_at(1000.0))
    reports = result_of(rig.store.reports(None, None, 10))
    assert [each.id for each in reports] == [before, aside, tried, new]
    assert [each.stored for each in reports] == [True] * 4
    assert (reports[2].body, reports[2].tries) == (b"restamped", 1)
    assert rig.ledger().not_stored == 0
    assert rig.store.memory.is_empty
    assert rig.add() == new + 1


@pytest.mark.parametrize("trouble", ["full", "read-only"])
def test_stored_reports_are_sent_from_a_disk_that_can_be_read(rig: Rig, trouble: str) -> None:
    """Old reports go on to be sent in their order, each once; the disk learns of it later."""
    old = [rig.add(b"old", urgent=False) for _ in range(3)]
    rig.disk.trouble = trouble
    new = rig.add(b"x" * 40_000, urgent=False)
    sent: list[int] = []
    while (report := rig.next()) is not None:
        assert report.stored is (report.id in old)
        sent.append(report.id)
        result_of(rig.store.delivered([report.id]))
    assert sent == [*old, new]
    assert rig.ledger().delivered == 4
    rig.disk.trouble = ""
    rig.wait()
    assert rig.on_disk() == Ledger(4, 4)


def test_the_batches_of_a_cloud(rig: Rig) -> None:
    """A batch has the disk's reports and those of memory, in order and within its bounds."""
    old = [rig.add(b"old") for _ in range(3)]
    rig.disk.trouble = "read-only"
    new = [rig.add(b"new") for _ in range(3)]
    for _ in range(2):
        batch = result_of(rig.store.next_reports("etc", 5, 10**6))
        assert [each.id for each in batch] == [*old, *new[:2]]
    result_of(rig.store.delivered([each.id for each in batch]))
    assert [each.id for each in result_of(rig.store.next_reports("etc", 5, 9))] == new[2:]
    rig.disk.trouble = ""
    rig.wait()
    assert rig.on_disk() == Ledger(6, 5, 1, 0, 0, 3, moment_at(1000.0))


def test_an_urgent_report_overtakes_what_waits(rig: Rig) -> None:
    """A fresh urgent report of memory goes ahead of an old back-log on the disk."""
    rig.add(b"old", urgent=False)
    rig.clock.advance(0.5)
    rig.disk.trouble = "read-only"
    urgent = rig.add(b"smoke")
    report = rig.next(fresh=0.3)
    assert report is not None
    assert report.id == urgent


def test_a_removal_that_fails_sends_nothing_twice(rig: Rig) -> None:
    """A report that was acknowledged when the disk failed is not sent again, but removed later."""
    number, other = rig.add(), rig.add()
    rig.disk.trouble = "read-only"
    result_of(rig.store.delivered([number]))
    report = rig.next()
    assert report is not None
    assert report.id == other
    rig.disk.trouble = ""
    rig.wait()
    assert rig.on_disk() == Ledger(2, 1, 1, 0, 0, 4, moment_at(1000.0))


def test_memory_is_bounded(rig: Rig) -> None:
    """Beyond the bound the oldest report goes, and is counted as dropped."""
    rig.disk.trouble = "full"
    for _ in range(20):
        rig.add(bytes(MOST_BYTES // 10))
    ledger = rig.ledger()
    assert (ledger.queued, ledger.dropped) == (10, 10)
    for number in range(MOST_ENTRIES + 5):
        result_of(rig.store.end_command(entry(f"c{number}", "done")))
    assert len(rig.store.memory.entries) == MOST_ENTRIES
    rig.disk.trouble = ""
    rig.wait()
    assert (rig.on_disk().queued, rig.on_disk().dropped) == (10, 10)


# -- a disk that hangs


def test_a_hung_disk_is_noticed(rig: Rig) -> None:
    """Within 5 s a disk without an answer is one that fails; what waited for it goes on."""
    rig.disk.hangs = True
    added = rig.store.add_report("etc", "kind", "subject", b"smoke", True, PLENTY)
    began = rig.store.begin_command(entry())
    rig.wait(HUNG_S)
    assert not added.called
    rig.wait(2)
    assert rig.store.hangs
    assert "磁盘" in (rig.store.failing.zh if rig.store.failing else "")
    [number, _] = result_of(added)
    assert isinstance(failure_of(began), StoreHung)
    report = rig.next()
    assert report is not None
    assert (report.id, report.stored) == (number, False)


def test_everything_answers_at_once_while_it_hangs(rig: Rig) -> None:
    """No answer waits for a hung disk: reports, counts with their age, the audit, settings."""
    rig.add(urgent=False)
    rig.ledger()
    result_of(rig.store.begin_command(entry("before")))
    result_of(rig.store.end_command(entry("before", "done")))
    result_of(rig.store.put_setting("kept", 7))
    rig.hang()
    assert rig.next() is None
    assert result_of(rig.store.next_reports("etc", 5, 100)) == []
    assert (rig.ledger().queued, rig.ledger().as_of) == (1, moment_at(1000.0))
    assert [each.id for each in result_of(rig.store.audit(10))] == ["before"]
    assert result_of(rig.store.settings()) == {"kept": 7, "a": 1}
    assert result_of(rig.store.reports(None, None, 10)) == []
    assert result_of(rig.store.enforce("etc", PLENTY)) == []
    for asked in (
        rig.store.retry_reports("etc", None),
        rig.store.drop_reports("etc", None),
        rig.store.cards(),
        rig.store.replace_cards("1", [StoredCard("1", "", "")]),
        rig.store.prove(),
        rig.store.begin_command(entry("new")),
    ):
        assert isinstance(failure_of(asked), StoreHung)


@pytest.mark.parametrize("begun", [0, 1, 2, 3])
def test_what_a_hung_disk_did_after_all_counts_once(rig: Rig, begun: int) -> None:
    """Jobs that were given up may have been done: the ledger counts each report once."""
    first = rig.add()
    rig.disk.hangs = True
    rig.store.delivered([first])
    rig.store.add_report("etc", "kind", "subject", b"sent", True, PLENTY)
    rig.store.add_report("etc", "kind", "subject", b"waits", True, PLENTY)
    rig.wait(HUNG_S + 2)
    report = rig.next()
    assert report is not None
    assert report.body == b"sent"
    result_of(rig.store.delivered([report.id]))
    rig.disk.thaw(begun)
    rig.wait(3)
    assert rig.store.failing is None
    assert rig.on_disk() == Ledger(3, 2, 1, 0, 0, 5, moment_at(1000.0))
    assert rig.store.memory.is_empty


def test_a_transfer_that_hangs_counts_once(rig: Rig) -> None:
    """The disk hangs again while it gets what was in memory: done late, it is not done twice."""
    rig.disk.trouble = "full"
    rig.add(b"x" * 40_000)
    rig.disk.trouble, rig.disk.hangs = "", True
    rig.wait(HUNG_S + 3)
    assert rig.store.hangs
    rig.disk.thaw(begun=1)
    rig.wait(3)
    assert rig.store.failing is None
    assert rig.on_disk() == Ledger(1, 0, 1, 0, 0, 40_000, moment_at(1000.0))


def test_a_command_that_was_refused_is_never_done(rig: Rig) -> None:
    """A command that a hung disk refused is refused in the audit, also if its begin came late."""
    rig.disk.hangs = True
    began = rig.store.begin_command(entry())
    rig.wait(HUNG_S + 2)
    assert isinstance(failure_of(began), StoreHung)
    rig.disk.thaw(begun=1)
    rig.wait(3)
    [kept] = result_of(rig.store.audit(10))
    assert (kept.id, kept.result) == ("c1", "refused")
    assert "has not answered" in kept.detail
    again = result_of(rig.store.begin_command(entry()))
    assert again is not None
    assert again.result == "refused"


# -- commands, settings


@FAILING
def test_commands_are_audited_in_memory(rig: Rig, trouble: str) -> None:
    """With a full, read-only or lost disk a command begins once; the audit has it afterwards."""
    result_of(rig.store.begin_command(entry("before")))
    result_of(rig.store.end_command(entry("before", "done")))
    rig.disk.trouble = trouble
    rig.store.fails(StoreFailed("it fails", "故障"))
    assert result_of(rig.store.begin_command(entry("new"))) is None
    for name, result in (("before", "done"), ("new", "")):
        known = result_of(rig.store.begin_command(entry(name)))
        assert known is not None
        assert known.result == result
    result_of(rig.store.end_command(entry("new", "done")))
    shown = {each.id: each.result for each in result_of(rig.store.audit(10))}
    assert shown == {"before": "done", "new": "done"}
    assert rig.store.counts["commands"] == 1
    rig.disk.trouble = ""
    rig.wait()
    assert {each.id: each.result for each in audit.newest(rig.disk.db, 9)} == shown


def test_the_replay_guard_outlives_the_trouble(rig: Rig) -> None:
    """A command of a process before is known from the disk, one of this process without it."""
    audit.begin(rig.disk.db, entry("earlier", "done"))
    rig.disk.trouble = "read-only"
    rig.store.fails(StoreFailed("it fails", "故障"))
    assert result_of(rig.store.begin_command(entry("earlier"))) is not None
    rig.disk.trouble = ""
    rig.wait()
    for number in range(REMEMBERED + 1):
        result_of(rig.store.begin_command(entry(f"c{number}")))
    rig.disk.trouble = "gone"
    rig.store.fails(StoreFailed("it fails", "故障"))
    assert result_of(rig.store.begin_command(entry(f"c{REMEMBERED}"))) is not None
    assert result_of(rig.store.begin_command(entry("c0"))) is None  # the guard is bounded


@FAILING
def test_settings_are_kept(rig: Rig, trouble: str) -> None:
    """A setting that memory took is known at once, and on the disk when that works."""
    result_of(rig.store.put_setting("old", 1))
    rig.disk.trouble = trouble
    rig.store.fails(StoreFailed("it fails", "故障"))
    result_of(rig.store.put_setting("a", 2))
    result_of(rig.store.put_setting("old", None))
    added = rig.store.add_report("fog", "k", "1", b"pack", False, PLENTY, ("last", 9))
    result_of(added)
    assert result_of(rig.store.settings()) == {"a": 2, "last": 9}
    rig.disk.trouble = ""
    rig.wait()
    assert result_of(rig.store.settings()) == {"a": 2, "last": 9}


@FAILING
def test_what_was_not_kept_is_not_proved(rig: Rig, trouble: str) -> None:
    """`prove` tells that the disk takes what it is given, and fails while it does not."""
    result_of(rig.store.prove())
    rig.disk.trouble = trouble
    if trouble == "full":
        rig.add(b"x" * 40_000)
    assert isinstance(failure_of(rig.store.prove()), StoreFailed)
    rig.disk.trouble = ""
    rig.wait()
    result_of(rig.store.prove())


def test_a_fault_of_the_program_is_no_trouble_of_the_disk(rig: Rig) -> None:
    """An error that is not of the disk fails what met it, and nothing else."""
    rig.disk.db.execute("DROP TABLE card")
    assert isinstance(failure_of(rig.store.cards()), sqlite3.OperationalError)
    assert rig.store.failing is None


def test_the_end_brings_what_it_can(rig: Rig) -> None:
    """A store that is closed while the disk fails tries once more."""
    rig.disk.trouble = "full"
    rig.add(b"x" * 40_000)
    rig.disk.trouble = ""
    kept: list[int] = []
    rig.disk.close = lambda: kept.append(rig.on_disk().queued) or Deferred()  # type: ignore[method-assign, func-returns-value]
    rig.store.close()
    del rig.disk.close
    assert kept == [1]
    rig.wait()


def test_a_database_that_was_never_opened() -> None:
    """Without a database every job fails, as one of the disk."""
    error = failure_of(InlineWriter(None).run(lambda db: None))
    assert isinstance(error, NotOpen)


# -- any sequence

STEPS = st.lists(
    st.sampled_from(["add", "urgent", "send", "aside", "fail", "mend", "hang", "thaw", "wait"]),
    max_size=40,
)


@settings(max_examples=60, derandomize=True)
@given(STEPS)
def test_nothing_is_lost_or_counted_twice(steps: list[str]) -> None:
    """Whatever the disk does in between, each report is delivered or kept, and counted once."""
    rig = Rig()
    added, sent = set[int](), list[int]()
    for step in steps:
        if step in ("add", "urgent"):
            number = rig.store._last + 1
            rig.store.add_report("etc", "k", "s", b"x" * 9000, step == "urgent", PLENTY)
            added.add(number)
        elif step in ("send", "aside"):
            asked = rig.store.next_report("etc", 60.0)
            if asked.called and (report := result_of(asked)) is not None and step == "send":
                assert report.id not in sent
                sent.append(report.id)
                rig.store.delivered([report.id])
            elif asked.called and report is not None:
                rig.store.set_aside(report.id, "refused")
        elif step == "fail":
            rig.disk.trouble = "full"
        elif step == "mend":
            rig.disk.trouble = ""
        elif step == "hang":
            rig.disk.hangs = True
        elif step == "thaw":
            rig.disk.thaw(begun=1)
        else:
            rig.wait(2)
    rig.disk.trouble = ""
    rig.wait(HUNG_S + 2)
    rig.disk.thaw(begun=1)
    rig.wait(4)
    result_of(rig.store.prove())
    assert rig.store.memory.is_empty
    ledger = rig.on_disk()
    assert ledger.created == len(added)
    assert ledger.delivered == len(sent)
    kept = {each.id for each in outbox.reports(rig.disk.db, None, None, 999)}
    assert kept == added - set(sent)
    rig.watch.stop()
