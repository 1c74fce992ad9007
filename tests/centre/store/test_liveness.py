"""Who is silent: by reception and the clock of the database, and not for what the centre missed."""

from dataclasses import replace
from functools import partial

import pytest

from tests.centre.store import rows
from tests.centre.store.samples import report
from twisted_gantry.centre.conditions import SILENT
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Received, Told
from twisted_gantry.centre.store import incidents, liveness, processes, registry
from twisted_gantry.centre.store.liveness import LONG, SILENCE
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import START, ManualClock


@pytest.fixture
def filing() -> Filing:
    """Reports change states and alarms."""
    return Filing("front-1")


Alarm = tuple[str, str, float, float | None]


def silences(session: Session) -> list[Alarm]:
    """Return gantry, severity, begin and end of each silence; times since START."""
    found = session.rows(
        "SELECT gantry, severity, began, ended FROM alarms WHERE name = ? ORDER BY id", SILENT
    )
    return [(g, s, b - START, None if e is None else e - START) for g, s, b, e in found]


class Province:
    """A front that lives, a duty that looks, and gantries that report."""

    def __init__(self, clock: ManualClock, store: InlineStore) -> None:
        self.clock, self.store = clock, store
        self.serves = True

    async def register(self, *gantries: str) -> None:
        for each in gantries:
            await self.store.write(partial(rows.gantry, which=each))

    async def report(self, *gantries: str, raised: str = "", stamp: float | None = None) -> None:
        now = self.clock.now()
        for each in gantries:
            await self.store.put(
                report(each, now if stamp is None else stamp, received=now, raised=raised)
            )

    async def beat(self) -> None:
        if self.serves:
            beat = partial(processes.beat, name="front", place="host", role="front")
            await self.store.write(partial(beat, serves=True))

    async def run(self, seconds: float, *reporting: str) -> list[Alarm]:
        """Let time pass, with reports each 300 s; returns the silences."""
        await self.beat()
        for _ in range(round(seconds / 10)):
            self.clock.advance(10)
            if (self.clock.now() - START) % 300 == 0:
                await self.report(*reporting)
            await self.beat()
            while await self.store.write(liveness.look):
                pass
        return await self.store.read(silences)


async def test_two_periods_without_a_report_are_silence(
    memory: InlineStore, clock: ManualClock
) -> None:
    """From the end of the second period to the next report, of whatever stamp; then again."""
    province = Province(clock, memory)
    await province.register("G1", "G2", "G3")
    await province.run(600)
    await province.report("G1", "G2")
    assert await province.run(590, "G1") == []
    assert await province.run(10, "G1") == [("G2", "warning", 1200.0, None)]
    await province.report("G2", stamp=START - 86_400)
    assert await province.run(10) == [("G2", "warning", 1200.0, 1200.0)]
    found = await province.run(600, "G1")
    assert found[1:] == [("G2", "warning", 1800.0, None)]


async def test_packs_do_not_stand_for_reports(memory: InlineStore, clock: ManualClock) -> None:
    """A gantry with a Fogslink session whose reports stopped is silent; one that has nothing but
    packs is silent when these stop.
    """
    province = Province(clock, memory)
    await province.register("G1", "G2")
    await province.report("G1")
    for number in range(4):
        for gantry in ("G1", "G2"):
            await memory.put(pack(gantry, clock.now(), str(number)))
        await province.run(290)
    assert [each[:3] for each in await memory.read(silences)] == [("G1", "warning", 600.0)]
    assert [each[:3] for each in await province.run(400)][1:] == [("G2", "warning", 1470.0)]


def pack(gantry: str, at: float, key: str) -> Received:
    told = (Told("fogslink", frozenset(), ended=frozenset({"P0-C1-abnormal"})),)
    return Received(gantry, "req200", None, at, b"{}", key.encode(), told, key)


async def test_a_gantry_that_never_reported_is_not_silent(
    memory: InlineStore, clock: ManualClock
) -> None:
    """It is `never`; a pending one, or one that is removed, is no matter either."""
    province = Province(clock, memory)
    await province.register("G1", "G2", "G3")
    await province.report("G2", "G3")
    await memory.write(lambda s: s.run("UPDATE gantries SET pending = 1 WHERE id = 'G3'"))
    assert await province.run(700) == [("G2", "warning", 600.0, None)]
    await memory.write(lambda s: s.run("DELETE FROM gantries WHERE id = 'G2'"))
    assert await province.run(10) == [("G2", "warning", 600.0, 710.0)]


async def test_silence_becomes_critical(memory: InlineStore, clock: ManualClock) -> None:
    """After an hour; at once for a gantry that was on battery when it was heard last."""
    province = Province(clock, memory)
    await province.register("G1", "G2")
    await province.report("G1", "G2")
    await memory.write(lambda s: s.run("UPDATE states SET on_battery = 1 WHERE gantry = 'G2'"))
    found = await province.run(SILENCE + 10)
    assert {each[:2] for each in found} == {("G1", "warning"), ("G2", "critical")}
    found = await province.run(LONG - SILENCE - 20)
    assert ("G1", "warning") in {each[:2] for each in found}
    found = await province.run(20)
    assert {each[:2] for each in found} == {("G1", "critical"), ("G2", "critical")}


async def test_an_outage_of_the_centre_is_no_silence(
    memory: InlineStore, clock: ManualClock
) -> None:
    """While no front serves nobody is called silent, and for two periods after that."""
    province = Province(clock, memory)
    await province.register("G1", "G2")
    await province.report("G1", "G2")
    await province.run(300, "G1", "G2")
    province.serves = False
    assert await province.run(7200) == []
    province.serves = True
    assert await province.run(590, "G1") == []
    assert await province.run(10, "G1") == [("G2", "warning", 8100.0, None)]


async def test_a_mass_silence_is_begun_slice_by_slice(
    memory: InlineStore, clock: ManualClock
) -> None:
    """Each transaction takes a part; the duty goes on until all are called silent."""
    province = Province(clock, memory)
    ids = [f"G{n}" for n in range(liveness.MOST + 1)]
    await province.register(*ids)
    await province.report(*ids)
    await province.run(590)
    assert len(await province.run(10)) == len(ids)


async def test_alarms_of_a_gantry_that_is_removed(memory: InlineStore, clock: ManualClock) -> None:
    """They end, and so does their incident; if the gantry comes back, its next report raises."""
    province = Province(clock, memory)
    await province.register("G1")
    await province.report("G1", raised="mains-abnormal")

    def still(session: Session) -> list[str]:
        incidents.refresh(session)
        asked = "SELECT gantry FROM alarms WHERE ended IS NULL UNION ALL "
        asked += "SELECT gantry FROM incidents WHERE ended IS NULL AND merged IS NULL"
        return sorted(str(row[0]) for row in session.rows(asked))

    assert await memory.write(still) == ["G1", "G1"]
    await memory.write(lambda session: registry.remove(session, "G1"))
    await province.run(10)
    assert await memory.write(still) == []
    await province.register("G1")
    await province.report("G1", raised="mains-abnormal")
    await province.run(10)
    assert await memory.write(still) == ["G1", "G1"]


async def test_both_engines_find_the_silent(store: InlineStore) -> None:
    """The statements are the same: one is silent, one is heard again, one is removed."""
    now = await store.read(lambda session: session.now())

    def heard(gantry: str, ago: float) -> Received:
        return report(gantry, now - ago, received=now - ago)

    for each in (heard("G1", 700), heard("G2", 700), heard("G3", 700), heard("G4", 10)):
        await store.put(each)

    def prepare(session: Session) -> None:
        for each in ("G1", "G2", "G3", "G4"):
            rows.gantry(session, each)
        processes.beat(session, "front", "host", "front", serves=True)
        session.run("UPDATE processes SET serving_since = ?", now - 10_000)

    def names(session: Session) -> set[str]:
        liveness.look(session)
        open_ = "SELECT gantry FROM alarms WHERE name = ? AND ended IS NULL"
        return {row[0] for row in session.rows(open_, SILENT)}

    await store.write(prepare)
    assert await store.write(names) == {"G1", "G2", "G3"}
    await store.put(heard("G2", 5))
    await store.write(lambda session: session.run("DELETE FROM gantries WHERE id = 'G3'"))
    assert await store.write(names) == {"G1"}


async def test_a_report_that_tells_nothing_is_a_sign_of_life(
    memory: InlineStore, clock: ManualClock
) -> None:
    """A gantry that sends its base data alone is not silent, and raises nothing."""
    province = Province(clock, memory)
    await province.register("G1")
    await province.report("G1")
    bare = replace(report("G1", START + 500, received=START + 500), told=())
    await province.run(500)
    await memory.put(bare)
    assert await province.run(590) == []
    assert await province.run(10) == [("G1", "warning", 1100.0, None)]
