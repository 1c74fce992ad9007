"""What people are to be told, of what the database has."""

from dataclasses import replace
from math import floor

import pytest

from tests.centre.scratch import Scratch
from tests.centre.store import rows
from tests.centre.store.samples import report
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import PERIOD, Told
from twisted_gantry.centre.store import care, days, incidents, mutes, reports, troubles
from twisted_gantry.centre.store.news import LEAST, LOOSE, NewsReader
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.centre.store.troubles import Found
from twisted_gantry.notify.notice import CRITICAL, WARNING, Notice
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import ManualClock

DOOR, SMOKE = "cabinet-1.front-door-open", "cabinet-1.smoke"


def told(session: Session) -> dict[str, Notice]:
    return {each.name: each for each in NewsReader().read(session).notices}


def test_an_incident_is_one_thing_to_tell(scratch: Scratch) -> None:
    """A regional failure is one notice with its gantries; smoke is told besides; what is late and
    over is not.
    """

    def job(session: Session) -> None:
        rows.alarm(session, SMOKE, "G99")  # of a gantry that is not registered
        region = rows.incident(session, of=None)
        own = rows.incident(session, "front-door-open", "G3")
        for number in range(40):
            rows.gantry(session, f"G{number}")
            rows.alarm(session, of=f"G{number}", incident=region)
            rows.alarm(session, "cabinet-1.on-battery", f"G{number}", region)
        rows.alarm(session, DOOR, "G3", own)
        rows.alarm(session, SMOKE, "G3", region)
        before = session.now() - LOOSE
        rows.end(session, rows.alarm(session, "cabinet-1.overload", "G4", late=True, at=before))
        over = rows.incident(session, "front-door-open")
        rows.end(session, rows.alarm(session, DOOR, "G4", over, late=True))
        rows.end(session, rows.alarm(session, SMOKE, "G4", late=True))
        rows.alarm(session, "cabinet-1.overload", "G5", at=session.now() - LOOSE)
        rows.alarm(session, "cabinet-1.overload", "G6")

        found = told(session)
        assert set(found) == {
            *(f"incident-{region}", f"incident-{own}", f"G3.{SMOKE}", "G5.cabinet-1.overload")
        }
        whole = found[f"incident-{region}"]
        assert (whole.severity, whole.en) == (
            CRITICAL,
            "G42 East: mains abnormal at 40 gantries",
        )
        assert whole.zh == "G42 East：40个门架市电异常"
        assert len(whole.parts) == 40
        assert not whole.emergency
        door = found[f"incident-{own}"]
        assert (door.severity, door.parts) == (WARNING, ())
        assert door.en == "G42 K1+200 North G3 (G3): the front door is open"
        assert door.zh == "G42 K1+200 North G3（G3）：前门打开"
        smoke = found[f"G3.{SMOKE}"]
        assert smoke.emergency
        assert smoke.urgent

        session.run("UPDATE gantries SET name = '沪蓉高速 K1+200' WHERE id = 'G3'")
        assert told(session)[f"incident-{own}"].zh == "G42 沪蓉高速 K1+200（G3）：前门打开"

    scratch.run(job)


def test_people_are_not_called_for_what_they_muted_or_saw(scratch: Scratch) -> None:
    """An incident is acknowledged or muted when all of it is; a new alarm in it is news."""

    def job(session: Session) -> None:
        rows.gantry(session, "G1")
        which = rows.incident(session)
        rows.alarm(session, incident=which)
        rows.alarm(session, SMOKE, incident=which)
        name = f"incident-{which}"
        care.acknowledge(session, care.incident(session, which), "Li")
        assert told(session)[name].acknowledged
        rows.alarm(session, "cabinet-1.overload", incident=which)
        assert not told(session)[name].acknowledged
        care.unacknowledge(session, care.incident(session, which))

        care.shelve(session, care.alarm(session, "G1", "cabinet-1.overload"), 60.0, "Li")
        assert not told(session)[name].muted
        care.shelve(session, care.incident(session, which), 60.0, "Li")
        assert told(session)[name].muted
        care.unshelve(session, care.incident(session, which))
        assert not told(session)[name].muted

        mutes.begin(session, mutes.place(road="G42"), 60.0, "Li")
        found = told(session)
        assert found[name].muted
        assert not found[f"G1.{SMOKE}"].muted

    scratch.run(job)


def test_what_is_muted_does_not_make_an_incident_critical(scratch: Scratch) -> None:
    """The severity is the worst of what people want to be called for."""

    def job(session: Session) -> None:
        which = rows.incident(session)
        rows.alarm(session, incident=which)
        rows.alarm(session, DOOR, incident=which)
        assert told(session)[f"incident-{which}"].severity == CRITICAL
        care.shelve(session, care.alarm(session, "G1", "cabinet-1.mains-abnormal"), 60.0, "Li")
        assert told(session)[f"incident-{which}"].severity == WARNING

    scratch.run(job)


async def test_an_incident_that_spreads_is_news(memory: InlineStore) -> None:
    """The id of the notice changes with the scope alone; the parts follow the gantries."""
    reader = NewsReader()
    which = await memory.write(rows.incident)
    await memory.write(lambda session: rows.alarm(session, incident=which))
    [alone] = (await memory.read(reader.read)).notices
    await memory.write(lambda s: s.run("UPDATE incidents SET gantry = NULL, gantries = 2"))
    await memory.write(lambda session: rows.alarm(session, of="G2", incident=which))
    [two] = (await memory.read(reader.read)).notices
    await memory.write(lambda session: rows.alarm(session, of="G3", incident=which))
    [three] = (await memory.read(reader.read)).notices
    assert alone.id != two.id == three.id
    assert (alone.parts, two.parts, three.parts) == ((), ("G1", "G2"), ("G1", "G2", "G3"))


def test_an_incident_that_went_into_another_is_not_over(scratch: Scratch) -> None:
    """It is folded under the one that lives, over several steps, until that one is over."""

    def job(session: Session) -> None:
        rows.gantry(session, "G1")
        first, second, third = (rows.incident(session) for _ in range(3))
        rows.alarm(session, incident=third)
        merge = "UPDATE incidents SET ended = ?, merged = ? WHERE id = ?"
        session.run(merge, session.now(), second, first)
        session.run(merge, session.now(), third, second)
        found = told(session)
        assert {each.name: each.cause for each in found.values()} == {
            f"incident-{third}": "",
            f"incident-{first}": f"incident-{third}",
            f"incident-{second}": f"incident-{third}",
        }
        session.run("UPDATE alarms SET ended = ?", session.now())
        assert told(session) == {}

    scratch.run(job)


def test_faults_of_the_centre_are_told(scratch: Scratch) -> None:
    """Each process has its own; two with one fault have names of their own; what ends is gone."""
    clock = Found("centre.clock", WARNING, "the clock is wrong", "时钟偏差")

    def job(session: Session) -> None:
        troubles.note(session, "one", [clock])
        troubles.note(session, "two", [clock, Found("x.y", CRITICAL, "x", "x")])
        assert set(told(session)) == {"centre.clock", "centre.clock@two", "x.y"}
        first = told(session)["centre.clock"]
        troubles.note(session, "one", [Found("centre.clock", WARNING, "worse", "更糟")])
        again = told(session)["centre.clock"]
        assert (again.id, again.en) == (first.id, "worse")
        assert len(troubles.acknowledge(session, "centre.clock", "Li")) == 2
        assert {each.acknowledged for each in told(session).values()} == {True, False}
        troubles.note(session, "one", [replace(clock, severity=CRITICAL)])
        assert not told(session)["centre.clock"].acknowledged
        [_, second] = troubles.acknowledge(session, "centre.clock", None)
        assert (second.acked_at, second.acked_by) == (None, "")
        troubles.note(session, "one", [])
        assert set(told(session)) == {"centre.clock", "x.y"}
        troubles.end_of_gone(session, ["one"])
        assert told(session) == {}

    scratch.run(job)


async def test_what_is_told_by_itself_waits_for_an_incident(
    memory: InlineStore, clock: ManualClock
) -> None:
    """An alarm is told without an incident only when no worker makes any for long."""
    await memory.write(lambda session: rows.gantry(session, "G1"))
    await memory.write(rows.alarm)
    clock.advance(LOOSE - 1)
    assert await memory.read(told) == {}
    clock.advance(1)
    assert set(await memory.read(told)) == {"G1.cabinet-1.mains-abnormal"}


def test_an_emergency_that_is_over_at_once_is_told(scratch: Scratch) -> None:
    """Smoke that ended between two looks is news for a minute, once; one of long ago is none."""

    def job(session: Session) -> None:
        now = session.now()
        for number, (name, ago, late) in enumerate(
            [(SMOKE, 0.0, False), (SMOKE, LEAST, False), (SMOKE, 0.0, True), (DOOR, 0.0, False)]
        ):
            rows.gantry(session, f"G{number}")
            which = rows.alarm(session, name, f"G{number}", late=late, at=now - ago)
            rows.end(session, which)
        assert set(told(session)) == {f"G0.{SMOKE}"}
        assert told(session)[f"G0.{SMOKE}"].urgent
        back = rows.alarm(session, SMOKE, "G0")
        assert told(session)[f"G0.{SMOKE}"].id == str(back)

    scratch.run(job)


@pytest.mark.parametrize("name", ["smoke", "overload"])
def test_an_alarm_that_came_late_and_lasts_is_told(scratch: Scratch, name: str) -> None:
    """A late report may be the only one that tells of a condition, where the newer one could not
    read the value: people are called while the alarm is open, and hear no more when it ended.
    """
    which, filing = f"cabinet-1.{name}", Filing("front-1")

    def told_now(session: Session) -> dict[str, Notice]:
        care.keep_shelved(session)
        incidents.refresh(session)
        return told(session)

    def job(session: Session) -> None:
        rows.gantry(session, "G1")
        now = float(floor(session.now()))
        for day in {days.day_of(now), days.day_of(now - PERIOD)}:
            days.make(session, day)

        def put(stamp: float, raised: str = "", unknown: str = "") -> None:
            told = Told("cabinet-1", frozenset(raised.split()), frozenset(unknown.split()))
            given = replace(report("G1", stamp, received=now, raised=raised), told=(told,))
            reports.store(session, filing, [given], now)

        put(now - 2, unknown=name)
        put(now - 3, raised=name)
        [lasting] = session.rows("SELECT name, late FROM alarms WHERE ended IS NULL")
        assert lasting == (which, 1)
        [notice] = told_now(session).values()
        assert not notice.muted
        put(now - 1)
        assert told_now(session) == {}

    scratch.run(job)
