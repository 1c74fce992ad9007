"""Alarms on the disk: their ledger, their retention, and a disk that fails."""

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest
from twisted.internet.task import Clock

from tests.store.material import Calls, database, failure_of, result_of
from tests.store.test_trouble import Disk
from tests.support import moment_at, moments
from twisted_gantry.core.alarm import Alarm, AlarmLedger, Raised
from twisted_gantry.core.alarms import Alarms
from twisted_gantry.core.catalogue import Catalogue
from twisted_gantry.core.interfaces import StoreFailed
from twisted_gantry.core.points import Points
from twisted_gantry.core.rules import Severity
from twisted_gantry.store import alarms as jobs
from twisted_gantry.store import memory
from twisted_gantry.store.opening import open_store
from twisted_gantry.store.salvage import salvage
from twisted_gantry.store.schema import FILE
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.watch import PERIOD, StoreWatch

AT = 1_700_000_000.0


def alarm(number: int, at: float = AT, cleared_at: float | None = None) -> Alarm:
    made = moment_at(at)
    return Alarm(
        f"ups1.{number}",
        Severity.WARNING,
        "too hot",
        "过热",
        at,
        cleared_at,
        "ups",
        id=f"id-{number}",
        value=70.5,
        made=made,
        raised=Raised(made, ((0.5, 2), (0.0, 1))),
    )


def test_a_record_comes_back_whole() -> None:
    """Every member of an alarm is kept, but what the start finds out anew."""
    db = database()
    given = replace(
        alarm(1),
        count=7,
        flapping=True,
        acked_at=AT + 1,
        acked_by="李",
        note="看过",
        shelved_until=AT + 9,
        in_maintenance=True,
        subject="cfos.M1",
        ended_by="",
    )
    jobs.keep(db, [given])
    assert jobs.raised_between(db, AT, AT, 10) == [given]
    [found] = jobs.at_start(db).recent
    assert (found, found.id, found.made, found.raised) == (
        given,
        given.id,
        given.made,
        given.raised,
    )
    [value] = {jobs._alarm(row).value for row in [(1, *jobs._row(replace(given, value="on")))]}
    assert value == "on"


def test_the_ledger_follows_the_rows() -> None:
    """However often a record is kept, the alarm counts once; one that has ended stays ended."""
    db = database()
    for _ in range(2):
        jobs.keep(db, [alarm(1), alarm(2)])
    assert jobs.ledger(db) == AlarmLedger(2, 0, 2)
    for _ in range(2):
        jobs.keep(db, [alarm(1, cleared_at=AT + 5)])
    jobs.keep(db, [alarm(1)])
    jobs.keep(db, [alarm(3, cleared_at=AT + 5)])
    assert jobs.ledger(db) == AlarmLedger(3, 2, 1)
    assert [each.active for each in jobs.raised_between(db, 0, AT, 9)] == [False, True, False]
    assert jobs.end_others(db, ["id-9"], AT + 9, "gone") == AlarmLedger(3, 3, 0)
    assert jobs.raised_between(db, 0, AT, 9)[1].ended_by == "gone"


def test_a_year_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended alarms go after a year, or when there are too many; an active one never. The ledger
    counts them still. A clock in 1970 removes nothing.
    """
    db = database()
    old = AT - jobs.YEAR - 1
    jobs.keep(db, [alarm(1, old), alarm(2, old, old), alarm(3, AT - jobs.YEAR + 1, AT)])
    jobs.trim(db, 0.0)
    assert len(jobs.raised_between(db, 0, AT, 9)) == 3
    jobs.keep(db, [alarm(n, AT, AT) for n in range(4, jobs.TRIM_EVERY + 1)])
    names = [each.name for each in jobs.raised_between(db, 0, AT - 1, 9)]
    assert names == ["ups1.3", "ups1.1"]
    assert jobs.ledger(db) == AlarmLedger(jobs.TRIM_EVERY, jobs.TRIM_EVERY - 1, 1)
    monkeypatch.setattr(jobs, "MOST", 5)
    jobs.trim(db, AT)
    assert [each.name for each in jobs.raised_between(db, 0, AT, 99)][-1] == "ups1.1"
    assert len(jobs.raised_between(db, 0, AT, 99)) == 6


def test_a_start_reads_the_active_and_the_last() -> None:
    """The start finds every active alarm however old, the last ended ones, the ledger; a damaged
    row is left out.
    """
    db = database()
    jobs.keep(db, [alarm(0)])
    jobs.keep(db, [alarm(n, AT + n, AT + n) for n in range(1, jobs.RECENT + 10)])
    db.execute("UPDATE alarms SET value = 'damaged' WHERE id = 'id-1005'")
    found = jobs.at_start(db)
    assert (found.recent[0].name, len(found.recent)) == ("ups1.0", jobs.RECENT)
    assert found.last == jobs.RECENT + 10
    assert found.ledger == AlarmLedger(jobs.RECENT + 10, jobs.RECENT + 9, 1)


def test_a_start_removes_what_is_over_a_year_old(tmp_path: Path) -> None:
    """A gantry that seldom has alarms keeps none for longer than a year either."""
    calls = Calls()
    store = open_store(tmp_path, calls, moments(lambda: AT - jobs.YEAR))
    with calls.closing(store):
        old = alarm(1, AT - jobs.YEAR - 1, AT - jobs.YEAR)
        calls.run(store.keep_alarms([old, alarm(2)]))
    store = open_store(tmp_path, calls, moments(lambda: AT))
    with calls.closing(store):
        left = store.alarms(0, AT, 9)
        calls.run(left)
    assert [each.name for each in result_of(left)] == ["ups1.2"]


def test_a_start_without_the_disk(tmp_path: Path) -> None:
    """A file that cannot be opened for writing is read all the same: its alarms go on."""
    calls = Calls()
    store = open_store(tmp_path, calls, moments(lambda: AT))
    calls.run(store.keep_alarms([alarm(1)]))
    calls.run(store.close())
    (tmp_path / f"{FILE}-wal").mkdir()
    store = open_store(tmp_path, calls, moments(lambda: AT))
    with calls.closing(store):
        assert store.failing is not None
        assert [each.id for each in store.alarms_at_start.recent] == ["id-1"]
        assert store.alarms_at_start.ledger == AlarmLedger(1, 0, 1)


def test_alarms_are_saved_from_a_damaged_file(tmp_path: Path) -> None:
    """What can be read of the table is copied, and the ledger made to fit."""
    calls = Calls()
    store = open_store(tmp_path, calls, moments(lambda: AT))
    with calls.closing(store):
        calls.run(store.keep_alarms([alarm(1), alarm(2, AT, AT), alarm(3)]))
    with sqlite3.connect(tmp_path / FILE) as damaged:
        damaged.execute("UPDATE alarm_ledger SET raised = 9, active = 8")
    target = database()
    assert salvage(tmp_path / FILE, target)["alarms"] == 3
    assert jobs.ledger(target) == AlarmLedger(9, 7, 2)


class Failing:
    """The alarms of a gantry over a disk that a test lets fail."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.disk = Disk(self.clock)
        self.store = SqliteStore(self.disk, moments(self.now))
        watch = StoreWatch(self.store, None, self.clock, lambda *_: None)  # type: ignore[arg-type]
        ids = iter(range(10_000))
        points = Points(Catalogue(), self.now)
        self.alarms = Alarms(points, self.clock, self.now, self.store, lambda: str(next(ids)))
        watch.start()

    def now(self) -> float:
        return AT + self.clock.seconds()

    def fails(self) -> bool:
        return self.store.failing is not None

    def listed(self) -> list[tuple[str, bool]]:
        found = result_of(self.alarms.history(0, AT + 99, 99))
        return [(each.name, each.active) for each in found]

    def on_the_disk(self) -> list[tuple[str, bool]]:
        return [(a.name, a.active) for a in jobs.raised_between(self.disk.db, 0, AT + 99, 99)]


@pytest.mark.parametrize("trouble", ["full", "read-only", "gone"])
def test_a_failing_disk_delays_no_alarm(trouble: str) -> None:
    """Alarms are raised, acknowledged, listed and cleared while the disk fails, and are on the disk
    once it works.
    """
    gantry = Failing()
    gantry.alarms.set("a.before", Severity.WARNING, "", "")
    gantry.disk.trouble = trouble
    told: list[str] = []
    gantry.alarms.subscribe(lambda alarm: told.append(alarm.name))
    gantry.alarms.set("a.first", Severity.WARNING, "x" * 9000, "")
    gantry.alarms.clear("a.before")
    gantry.alarms.set("a.second", Severity.WARNING, "", "")
    gantry.alarms.acknowledge("a.second", "li")
    gantry.alarms.clear("a.first")
    assert told == ["a.first", "a.before", "a.second", "a.first"]
    assert gantry.fails()
    wanted = [("a.second", True), ("a.first", False), ("a.before", False)]
    assert gantry.listed() == wanted
    gantry.disk.trouble = ""
    gantry.clock.pump([PERIOD] * 3)
    assert not gantry.fails()
    assert gantry.on_the_disk() == gantry.listed() == wanted
    assert jobs.ledger(gantry.disk.db) == gantry.alarms.ledger == AlarmLedger(3, 2, 1)


def test_a_hung_disk_delays_no_alarm() -> None:
    """While the disk hangs the list is that of memory; what was under way is kept once."""
    gantry = Failing()
    gantry.disk.hangs = True
    gantry.alarms.set("a.first", Severity.WARNING, "", "")
    asked = gantry.alarms.history(0, AT + 99, 99)
    gantry.clock.pump([PERIOD] * 6)
    assert [each.name for each in result_of(asked)] == ["a.first"]
    gantry.alarms.clear("a.first")
    assert gantry.listed() == [("a.first", False)]
    gantry.disk.thaw(begun=1)
    gantry.clock.pump([PERIOD] * 3)
    assert gantry.on_the_disk() == [("a.first", False)]
    assert jobs.ledger(gantry.disk.db) == AlarmLedger(1, 1, 0)


def test_what_the_disk_has_as_active_ends_when_it_is_not() -> None:
    """A start without the disk knows no alarm of the last run; they end when the disk is back."""
    gantry = Failing()
    jobs.keep(gantry.disk.db, [alarm(1)])
    gantry.disk.trouble = "read-only"
    gantry.alarms.set("a.new", Severity.WARNING, "", "")
    gantry.disk.trouble = ""
    gantry.clock.pump([PERIOD] * 3)
    assert gantry.on_the_disk() == [("a.new", True), ("ups1.1", False)]
    assert gantry.alarms.ledger == AlarmLedger(2, 1, 1)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of too many alarms that the disk does not take, the oldest ended ones go."""
    monkeypatch.setattr(memory, "MOST_ALARMS", 3)
    kept = memory.Memory()
    kept.keep_alarms([alarm(0), *(alarm(n, AT, AT) for n in range(1, 6))])
    assert list(kept.alarms) == ["id-0", "id-4", "id-5"]


def test_a_disk_that_fails_anew() -> None:
    """Stale alarms cannot be ended on a disk that fails; they are when it works."""
    gantry = Failing()
    gantry.disk.trouble = "read-only"
    asked = gantry.store.end_other_alarms([], AT, "")
    assert isinstance(failure_of(asked), StoreFailed)
