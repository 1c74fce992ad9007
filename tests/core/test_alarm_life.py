"""The life of an alarm over restarts, and what people and time do about it."""

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock

from twisted_gantry.core.alarms import (
    PARTS_S,
    UNSEEN_S,
    Alarm,
    Alarms,
    AlarmSettings,
    CannotChange,
    Read,
    Rule,
    Severity,
    most_urgent_first,
)
from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.core.moments import Moment
from twisted_gantry.core.points import Points
from twisted_gantry.core.status import Status
from twisted_gantry.store import alarms as jobs
from twisted_gantry.store.schema import MIGRATIONS
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.writer import InlineWriter
from twisted_gantry.wire.reading import Quality

START = 1_700_000_000.0
HOT, SMOKE, DOOR = "ups1.hot", "ups1.smoke", "ups1.door"
WINDOW = 600.0


def _over(point: str) -> Any:
    def test(read: Read, raised: bool) -> bool | None:
        value = read(point).good
        return None if value is None else float(value) > (50 if raised else 60)

    return test


RULES = (
    Rule("hot", Severity.WARNING, "too hot", "过热", _over("hot"), "ups"),
    Rule("smoke", Severity.CRITICAL, "smoke", "烟雾", _over("smoke")),
    Rule("door", Severity.WARNING, "door open", "门开", _over("door"), "doors", each_time=True),
)


class Process:
    """A gantry's alarms over a database that outlives the process. `wall` and `boot` are those of
    its computer.
    """

    def __init__(
        self,
        db: sqlite3.Connection,
        rules: tuple[Rule, ...] = RULES,
        at: float = START,
        boot: str = "boot-1",
        mono: float = 1000.0,
        trusted: bool = True,
    ) -> None:
        self.db, self.clock = db, Clock()
        self.wall, self.boot, self.mono, self.trusted = at, boot, mono, trusted
        self.store = SqliteStore(InlineWriter(db), self.moment)
        points = self.points = Points(Catalogue(), self.now)
        points.declare(
            "ups1", [PointType(each, "", each, each) for each in ("hot", "smoke", "door")]
        )
        self.status = Status("ups1", self.now)
        ids = (f"{at}-{boot}-{number}" for number in range(100_000))
        self.alarms = Alarms(points, self.clock, self.now, self.store, lambda: next(ids))
        self.told: list[tuple[str, bool]] = []
        self.edges: list[tuple[str, bool]] = []
        self.changes: list[Alarm] = []
        self.alarms.subscribe(lambda alarm: self.told.append((alarm.name, alarm.active)))
        self.alarms.subscribe_edges(lambda alarm: self.edges.append((alarm.name, alarm.active)))
        self.alarms.subscribe_changes(self.changes.append)
        self.alarms.restore(jobs.at_start(db))
        self.alarms.watch("ups1", rules, self.status)
        self.alarms.settle(lambda alarm: alarm.owner in ("ups1", "gantry"))

    def now(self) -> float:
        return self.wall + self.clock.seconds()

    def moment(self) -> Moment:
        return Moment(self.now(), self.boot, self.mono + self.clock.seconds(), self.trusted)

    def read(self, **values: float | None) -> None:
        for name, value in values.items():
            quality = Quality.GET_FAILED if value is None else Quality.GOOD
            self.points.update("ups1", {name: (value, quality)})

    def flap(self, times: int, seconds: float = 0.0, **point: float) -> None:
        for _ in range(times):
            self.read(**point)
            self.read(**dict.fromkeys(point, 0))
            self.clock.advance(seconds)

    def restarted(self, after: float = 0.0, stopped: bool = False, **more: Any) -> "Process":
        """Return the next process, `after` seconds later; not `stopped` it was killed."""
        if stopped:
            self.alarms.stop()
        later = {"at": self.now() + after, "mono": self.moment().mono + after}
        return Process(self.db, **{**later, "boot": self.boot, "trusted": self.trusted, **more})

    def active(self, name: str = HOT) -> Alarm:
        [found] = [alarm for alarm in self.alarms.active() if alarm.name == name]
        return found

    def check_ledger(self) -> None:
        """The ledger holds, in memory and on the disk, and fits the rows."""
        sql = "SELECT count(*) - count(cleared_at), count(cleared_at) FROM alarms"
        [counts] = self.db.execute(sql).fetchall()
        stored = jobs.ledger(self.db)
        assert stored.raised == stored.cleared + stored.active
        assert (stored.active, stored.cleared) == counts
        assert self.alarms.ledger == stored
        assert stored.active == len(self.alarms.active())


@pytest.fixture
def first() -> Process:
    return Process(_database())


def _database() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    for script in MIGRATIONS:
        db.executescript(script)
    return db


def test_it_goes_on_after_a_restart(first: Process) -> None:
    """An alarm whose condition still holds keeps id, time and acknowledgement. People are not told
    anew; the platform is, as before.
    """
    first.read(hot=70)
    first.alarms.acknowledge(HOT, "li", "seen")
    before = first.active()
    second = first.restarted(30)
    assert second.active() == replace(before, unknown=True)
    assert second.alarms.holding() == []
    second.read(hot=None)
    assert second.active().unknown
    second.read(hot=55)  # within the hysteresis
    assert second.active() == before
    assert (second.told, second.edges) == ([], [(HOT, True)])
    assert second.alarms.holding() == [before]
    second.read(hot=20)
    assert (second.told, second.edges[1:]) == ([(HOT, False)], [(HOT, False)])
    second.check_ledger()


def test_it_ends_when_its_condition_is_gone(first: Process) -> None:
    """An alarm whose condition ended meanwhile is cleared at the first reading."""
    first.read(hot=70)
    second = first.restarted(30)
    second.clock.advance(5)
    second.read(hot=20)
    assert (second.told, second.edges) == ([(HOT, False)], [])
    assert second.alarms.all()[0].cleared_at == START + 35
    second.check_ledger()


def test_it_waits_for_its_device(first: Process) -> None:
    """An alarm of a device that does not answer stays; so does that of a device offline."""
    first.read(hot=70)
    first.status.offline("no route")
    first.clock.advance(60)
    second = first.restarted(30)
    second.clock.advance(2 * UNSEEN_S)
    assert [each.name for each in second.alarms.active()] == [HOT, "ups1.offline"]
    second.status.offline("no route")
    second.clock.advance(60)
    assert second.told == []
    assert not second.active("ups1.offline").unknown
    second.status.online()
    assert second.told == [("ups1.offline", False)]


def test_what_is_configured_no_more_ends_with_that_reason(first: Process) -> None:
    """The alarm of a rule or a device that is gone is cleared, and says why."""
    first.read(hot=70, smoke=70)
    first.alarms.set("gone.broken", Severity.WARNING, "broken", "异常")
    first.alarms.set("gantry.crowded", Severity.WARNING, "crowded", "拥挤")
    second = first.restarted(rules=RULES[1:])
    ended = {each.name: each.ended_by for each in second.alarms.all() if not each.active}
    assert ended == {
        HOT: "not-configured",
        "gone.broken": "not-configured",
    }
    second.clock.advance(UNSEEN_S)
    assert second.alarms.all()[0].ended_by == "not-seen"
    assert [each.name for each in second.alarms.active()] == [SMOKE]
    second.check_ledger()


def test_parts_come_back(first: Process) -> None:
    """An alarm of a part waits for the part, and ends if the device comes back without it."""
    parts = ["M1", "M2"]
    rule = replace(RULES[0], test=lambda read, _: read("hot").good is True, parts=lambda: parts)
    values = {f"{each}.hot": (True, Quality.GOOD) for each in parts}

    def declared(process: Process) -> Process:
        process.points.declare("ups1", [PointType(each, "", "", "") for each in values])
        return process

    meters = declared(first.restarted(rules=(rule,)))
    meters.points.update("ups1", values)
    parts.clear()
    second = declared(meters.restarted(rules=(rule,)))
    second.status.online()
    parts.append("M2")
    second.points.update("ups1", {"M2.hot": values["M2.hot"]})
    second.clock.advance(PARTS_S)
    assert [each.name for each in second.alarms.active()] == ["ups1.M2.hot"]
    assert second.told == [("ups1.M1.hot", False)]
    second.check_ledger()


def test_mutes_end_over_a_restart(first: Process) -> None:
    """A shelf and a maintenance go on after a restart, and end at their time."""
    first.read(hot=70)
    first.alarms.shelve(HOT, 3600, "li", "later")
    first.alarms.maintain("ups1", 1800, "wang")
    second = first.restarted(1000)
    assert (second.active().shelved_until, second.active().in_maintenance) == (START + 3600, True)
    assert [(each.subject, each.until, each.by) for each in second.alarms.maintenance] == [
        ("ups1", START + 1800, "wang")
    ]
    second.clock.advance(800)
    assert (second.active().stage, second.active().muted) == ("shelved", True)
    third = second.restarted(2000)
    assert (third.active().stage, third.active().muted) == ("raised", False)
    assert third.alarms.maintenance == []


@pytest.mark.parametrize("trusted", [True, False])
def test_mutes_end_over_a_boot_in_1970(first: Process, trusted: bool) -> None:
    """After a boot with a clock in 1970 a mute lasts at most for what was left of it."""
    first.read(hot=70)
    first.alarms.shelve(HOT, 3600, "li")
    first.clock.advance(1800)
    second = first.restarted(at=100.0, boot="boot-2", mono=100.0, trusted=trusted)
    assert second.active().muted
    second.clock.advance(1700)
    third = second.restarted(at=START + 5000, boot="boot-2", trusted=trusted)
    assert third.active().muted
    third.clock.advance(1900)
    assert not third.active().muted


def test_a_clock_that_was_wrong(first: Process) -> None:
    """The times of alarms that were raised in 1970 are mended once the clock is right."""
    early = first.restarted(at=50.0, boot="boot-2", mono=50.0)
    early.read(hot=70, smoke=70)
    early.clock.advance(10)
    early.read(smoke=0)
    early.clock.advance(90)
    early.wall = START - 100
    assert early.active().raised_at == START - 100
    smoke = next(each for each in early.alarms.all() if each.name == SMOKE)
    assert (smoke.raised_at, smoke.cleared_at) == (START - 100, START - 90)
    stored = jobs.raised_between(early.db, 0, START, 10)
    assert {each.raised_at for each in stored} == {START - 100}


def test_emergencies_are_never_muted(first: Process) -> None:
    """Smoke can be acknowledged, and neither shelved nor muted by maintenance."""
    first.alarms.maintain("ups1", 600, "li")
    first.read(smoke=70, hot=70)
    with pytest.raises(CannotChange):
        first.alarms.shelve(SMOKE, 60, "li")
    assert (first.active(SMOKE).muted, first.active().muted) == (False, True)
    assert first.alarms.acknowledge(SMOKE, "li").stage == "acknowledged"
    assert [each.name for each in most_urgent_first(first.alarms.active())] == [SMOKE, HOT]


def test_an_alarm_that_flaps_is_held(first: Process) -> None:
    """The sixth time within the window the alarm stays, is counted and says so; the platform hears
    of each edge. The alarm ends when it was quiet for the window.
    """
    first.flap(6, 10, hot=70)
    assert first.told == [(HOT, True), (HOT, False)] * 5 + [(HOT, True)]
    assert first.edges == [(HOT, True), (HOT, False)] * 6
    assert (first.active().stage, first.active().count) == ("flapping", 6)
    assert first.active().message == "too hot (flapping: raised 6 times, held until quiet)"
    assert first.active().message_zh == "过热（频繁波动：已发生6次，平静后恢复）"
    assert (first.active().en, first.alarms.holding()) == ("too hot", [])
    first.flap(3, 10, hot=70)
    assert first.active().count == 9
    first.clock.advance(WINDOW - 11)
    assert first.active().flapping
    first.clock.advance(2)
    assert (first.alarms.active(), first.told[-1]) == ([], (HOT, False))
    first.check_ledger()


def test_one_that_is_steady_flaps_no_more(first: Process) -> None:
    """A condition that holds for the whole window is an alarm like any other again."""
    first.flap(5, 0, hot=70)
    first.read(hot=70)
    assert first.active().stage == "flapping"
    first.alarms.acknowledge(HOT, "li")
    first.clock.advance(WINDOW)
    assert first.active().stage == "acknowledged"
    first.read(hot=0)
    assert first.alarms.active() == []


def test_doors_are_exempt(first: Process) -> None:
    """Each opening of a door is an alarm."""
    first.flap(20, 1, door=70)
    assert first.told == [(DOOR, True), (DOOR, False)] * 20


def test_flapping_goes_on_after_a_restart(first: Process) -> None:
    """What was counted before a restart counts after it, and the hold goes on."""
    first.flap(4, 10, hot=70)
    second = first.restarted(60)
    second.flap(2, 10, hot=70)
    assert (second.active().stage, second.active().count) == ("flapping", 6)
    third = second.restarted(60)
    assert third.active().flapping
    third.read(hot=0)
    third.clock.advance(WINDOW - 80)
    assert third.active().flapping
    third.clock.advance(10)
    assert third.alarms.active() == []
    later = first.restarted(2 * WINDOW)
    later.flap(1, hot=70)
    assert later.alarms.all()[0].count == 1


def test_ten_thousand_flaps_a_minute(first: Process) -> None:
    """Twelve seconds of that: one alarm, its count, and one write a second; the memory of the times
    is bounded.
    """
    first.flap(2000, 0.006, hot=70)
    assert len(first.told) == 11
    assert len(first.edges) == 4000
    assert first.active().count == 2000
    assert len(first.changes) <= 13
    raised = first.active().raised
    assert raised is not None
    assert len(raised.ages) <= 128
    assert first.db.execute("SELECT count(*) FROM alarms").fetchone() == (6,)
    assert first.restarted().active().count >= 1800


def test_other_limits(first: Process) -> None:
    """`flap_limit` and `flap_window` are those of the configuration, also after a reload."""
    first.alarms.settings = AlarmSettings(flap_limit=1, flap_window=30)
    first.flap(2, 10, hot=70)
    assert first.active().flapping
    first.clock.advance(20)
    assert first.alarms.active() == []


def test_two_records_of_one_name(first: Process) -> None:
    """Of two active records of one alarm, which a failing disk may leave, the newer one lasts."""
    first.read(hot=70)
    old = first.active()
    jobs.keep(first.db, [replace(old, id="newer")])
    second = first.restarted()
    assert second.active().id == "newer"
    second.check_ledger()


def test_a_device_that_is_made_anew(first: Process) -> None:
    """A device that a reload makes anew keeps its alarms; those of one taken away end."""
    first.read(hot=70)
    before = first.active()
    first.alarms.unwatch("ups1")
    assert first.edges[-1] == (HOT, False)
    first.alarms.watch("ups1", RULES, first.status)
    first.alarms.settle(lambda alarm: True)
    first.read(hot=71)
    assert first.active() == before
    first.alarms.unwatch("ups1")
    first.alarms.settle(lambda alarm: False)
    assert first.told == [(HOT, True), (HOT, False)]
    assert first.alarms.all()[0].ended_by == "not-configured"


STEPS = st.sampled_from(
    [
        *("holds", "holds", "gone", "gone", "silent", "flap", "wait", "long"),
        *("ack", "unack", "shelve", "unshelve", "maintain", "maintained"),
        *("restart", "stop"),
    ]
)


@settings(max_examples=40, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_any_story(story: list[str]) -> None:
    """Whatever happens in whatever order: raised = cleared + active, the time and id of an active
    alarm never change, people are told of a rise and a fall in turn, and the disk knows what memory
    knows.
    """
    process = Process(_database())
    told: list[tuple[str, bool]] = []
    seen: dict[str, tuple[str, float]] = {}
    for step in story:
        if step in ("restart", "stop"):
            told += process.told
            process = process.restarted(20, stopped=step == "stop")
        else:
            _do(process, step)
        for alarm in process.alarms.active():
            known = seen.setdefault(alarm.id, (alarm.name, alarm.raised_at))
            assert known == (alarm.name, alarm.raised_at)
        process.check_ledger()
        stored = {each.id: each for each in jobs.at_start(process.db).recent if each.active}
        assert set(stored) == {each.id for each in process.alarms.active()}
        for alarm in process.alarms.active():
            assert stored[alarm.id].stage == alarm.stage
            assert stored[alarm.id].acked_by == alarm.acked_by
    told += process.told
    for name in (HOT, SMOKE):
        turns = [active for each, active in told if each == name]
        assert turns == [number % 2 == 0 for number in range(len(turns))]


def _do(process: Process, step: str) -> None:
    alarms = process.alarms
    if step in ("holds", "gone", "silent"):
        value = {"holds": 70.0, "gone": 0.0, "silent": None}[step]
        process.read(hot=value, smoke=value)
    elif step == "flap":
        process.flap(4, 1, hot=70)
    elif step in ("wait", "long"):
        process.clock.advance(20 if step == "wait" else 2 * WINDOW)
    else:
        people: dict[str, Callable[[str], object]] = {
            "ack": lambda name: alarms.acknowledge(name, "li", "note"),
            "unack": alarms.unacknowledge,
            "shelve": lambda name: alarms.shelve(name, 100, "li"),
            "unshelve": alarms.unshelve,
            "maintain": lambda name: alarms.maintain("ups1", 100, "li"),
            "maintained": lambda name: alarms.end_maintenance("ups1"),
        }
        for name in (HOT, SMOKE):
            active = {each.name for each in alarms.active()}
            try:
                people[step](name)
            except CannotChange as error:
                refused = {"never-muted", "no-maintenance"}
                assert error.code in refused or name not in active  # noqa: PT017
