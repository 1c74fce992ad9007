"""What people do about alarms, in both engines."""

import pytest

from tests.centre.scratch import Scratch
from tests.centre.store import rows
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.store import care, mutes
from twisted_gantry.centre.store.care import CannotChange
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import ManualClock

MAINS, DOOR, SMOKE = "cabinet-1.mains-abnormal", "cabinet-1.front-door-open", "cabinet-1.smoke"


def test_what_people_do_to_alarms_and_incidents(scratch: Scratch) -> None:
    """One alarm, or each open alarm of an incident, is acknowledged and shelved, and back."""

    def job(session: Session) -> None:
        which = rows.incident(session)
        first = rows.alarm(session, MAINS, incident=which)
        rows.alarm(session, DOOR, incident=which)
        rows.alarm(session, SMOKE, incident=which)
        rows.end(session, rows.alarm(session, "cabinet-1.overload", incident=which))

        [acked] = care.acknowledge(session, care.alarm(session, "G1", MAINS), "Li", "on my way")
        assert (acked.id, acked.acked_by, acked.note) == (first, "Li", "on my way")
        assert acked.acked_at is not None
        all_of_it = care.acknowledge(session, care.incident(session, which), "Wang")
        assert {each.name: each.acked_by for each in all_of_it} == dict.fromkeys(
            (MAINS, DOOR, SMOKE), "Wang"
        )
        [back] = care.unacknowledge(session, care.alarm(session, "G1", MAINS))
        assert (back.acked_at, back.acked_by, back.note) == (None, "", "")

        shelved = care.shelve(session, care.incident(session, which), 60.0, "Li", "later")
        assert [each.name for each in shelved] == [MAINS, DOOR]
        assert all(each.shelved_until is not None for each in shelved)
        [again] = care.unshelve(session, care.alarm(session, "G1", DOOR))
        assert again.shelved_until is None
        assert [each.muted.subject for each in mutes.mutes(session, [mutes.MuteKind.ALARM])] == [
            MAINS
        ]

    scratch.run(job)


def test_what_cannot_be_changed_is_refused_by_name(scratch: Scratch) -> None:
    """Each refusal has a code that programs may rely on."""

    def job(session: Session) -> None:
        which = rows.incident(session)
        rows.alarm(session, SMOKE, incident=which)
        over = rows.incident(session)
        rows.end(session, rows.alarm(session, MAINS, incident=over))

        def code(change: object) -> str:
            with pytest.raises(CannotChange) as refused:
                change()  # type: ignore[operator]
            return refused.value.code

        assert code(lambda: care.alarm(session, "G1", "cabinet-1.nonsense")) == "no-such-alarm"
        assert code(lambda: care.alarm(session, "G1", MAINS)) == "not-active"
        assert code(lambda: care.incident(session, over)) == "not-active"
        assert code(lambda: care.incident(session, 99)) == "no-such-incident"
        smoke = care.alarm(session, "G1", SMOKE)
        assert code(lambda: care.shelve(session, smoke, 60.0, "Li")) == "never-muted"
        road = mutes.place(road="G42")
        assert code(lambda: care.end_maintenance(session, road)) == "no-maintenance"

    scratch.run(job)


async def test_a_shelf_holds_over_the_end_of_the_alarm(
    memory: InlineStore, clock: ManualClock
) -> None:
    """An alarm that begins again within the time is shelved; afterwards people are called again."""

    def flap(session: Session) -> None:
        which = rows.alarm(session)
        care.shelve(session, care.alarm(session, "G1", MAINS), 3600.0, "Li")
        rows.end(session, which)
        rows.alarm(session)
        care.keep_shelved(session)

    await memory.write(flap)
    [again] = await memory.read(lambda session: care.alarm(session, "G1", MAINS))
    assert again.shelved_until == clock.now() + 3600
    clock.advance(3600)
    await memory.write(care.sweep)
    [after] = await memory.read(lambda session: care.alarm(session, "G1", MAINS))
    assert after.shelved_until is None
    assert await memory.read(lambda session: session.rows("SELECT * FROM mutes")) == []


def test_maintenance_covers_a_gantry_a_section_or_a_road(scratch: Scratch) -> None:
    """Each kind of place covers its gantries; a window ends by a person, or in a week."""

    def job(session: Session) -> None:
        rows.gantry(session, "G1", "G42", "East")
        rows.gantry(session, "G2", "G42", "East")
        rows.gantry(session, "G3", "G42", "West")
        rows.gantry(session, "G4", "S1", "East")
        assert mutes.maintained(session) == frozenset()
        for place, covered in (
            (mutes.place(gantry="G2"), {"G2"}),
            (mutes.place(road="G42", section="East"), {"G1", "G2"}),
            (mutes.place(road="G42"), {"G1", "G2", "G3"}),
        ):
            made = mutes.begin(session, place, 1e9, "Li", "new batteries")
            assert made.until - made.since == mutes.LONGEST
            assert mutes.maintained(session) == covered
            assert [(e.muted, e.who, e.note) for e in mutes.maintenance(session)] == [
                (place, "Li", "new batteries")
            ]
            assert care.end_maintenance(session, place) == made
        assert mutes.maintenance(session) == []

    scratch.run(job)


async def test_a_window_ends_in_time(memory: InlineStore, clock: ManualClock) -> None:
    """A window that is over covers nothing, also before it is swept."""
    place = mutes.place(gantry="G1")
    await memory.write(lambda session: rows.gantry(session, "G1"))
    await memory.write(lambda session: mutes.begin(session, place, 60.0, "Li"))
    clock.advance(60)
    assert await memory.read(mutes.maintained) == frozenset()
    assert await memory.read(mutes.maintenance) == []
    assert await memory.write(lambda session: mutes.end(session, place)) is None
