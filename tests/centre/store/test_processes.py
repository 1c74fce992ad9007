"""Signs of life, and what the database shows of the centre."""

from functools import partial

from tests.centre.scratch import Scratch
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.store import leases, ledger, processes, supervision, troubles
from twisted_gantry.centre.store.processes import BEAT, FORGOTTEN, MISSED
from twisted_gantry.testing.centre_store import InlineStore
from twisted_gantry.testing.clock import START, ManualClock

DUTIES = ("notify", "liveness")


class Centre:
    def __init__(self, clock: ManualClock, store: InlineStore) -> None:
        self.clock, self.store = clock, store

    async def beat(self, *names: str, serves: bool = True) -> None:
        """Let processes live: `front-1` is a front at `front`, `worker-1` a worker."""
        for name in names:
            role = name.partition("-")[0]
            beat = partial(processes.beat, name=name, place=f"host {role}", role=role)
            await self.store.write(partial(beat, serves=serves and role != "worker"))

    async def live(self, seconds: float, *names: str, serves: bool = True) -> None:
        for _ in range(round(seconds / BEAT)):
            self.clock.advance(BEAT)
            await self.beat(*names, serves=serves)

    async def serving(self) -> float | None:
        found = await self.store.read(processes.serving_since)
        return None if found is None else found - START

    async def look(self) -> set[str]:
        """Return the faults that all processes share."""

        def job(session: Session) -> set[str]:
            for duty in DUTIES:
                leases.take(session, duty, "worker-1")
            supervision.look(session, DUTIES)
            return {each.name for each in troubles.current(session)}

        return await self.store.write(job)


async def test_serving_is_without_a_break(memory: InlineStore, clock: ManualClock) -> None:
    """A front that was away, or whose store failed, serves anew; of two the longer one counts."""
    centre = Centre(clock, memory)
    assert await centre.serving() is None
    await centre.beat("front-1")
    await centre.live(100, "front-1")
    assert await centre.serving() == 0
    await centre.live(100, "front-1", "front-2")
    assert await centre.serving() == 0
    await centre.live(100, "front-2")
    assert await centre.serving() == 110
    await centre.live(20, "front-2", serves=False)
    assert await centre.serving() is None
    await centre.live(10, "front-2")
    assert await centre.serving() == 330
    clock.advance(MISSED)
    assert await centre.serving() is None
    await centre.beat("front-2")
    assert await centre.serving() == 390


def test_both_engines_keep_signs_of_life(scratch: Scratch) -> None:
    """A process serves from its first sign on, and is gone when it leaves."""

    def job(session: Session) -> None:
        processes.beat(session, "a", "host", "front", serves=True)
        since = processes.serving_since(session)
        processes.beat(session, "a", "host", "front", serves=True)
        assert processes.serving_since(session) == since is not None
        processes.beat(session, "b", "host", "worker", serves=False)
        supervision.look(session, DUTIES)
        assert troubles.current(session) == []
        assert [each.name for each in processes.processes(session)] == ["a", "b"]
        processes.leave(session, "a")
        supervision.look(session, DUTIES)
        assert processes.serving_since(session) is None

    scratch.run(job)


async def test_a_process_that_died_is_missed(memory: InlineStore, clock: ManualClock) -> None:
    """Until it is started again at its place, or taken away; one that ended well is not."""
    centre = Centre(clock, memory)
    await centre.beat("front-1", "front-2", "worker-1")
    await centre.live(MISSED, "front-1", "worker-1")
    assert await centre.look() == {"process.front-2"}
    await centre.live(20, "front-1", "front-3", "worker-1")
    assert await centre.look() == set()
    await memory.write(partial(processes.leave, name="front-3"))
    await centre.live(MISSED, "front-1", "worker-1")
    assert await centre.look() == set()
    await centre.live(MISSED, "worker-1")
    assert await centre.look() == {"process.front-1", "centre.no-front"}
    clock.advance(FORGOTTEN)
    await centre.live(MISSED + 10, "worker-1")
    assert await centre.look() == set()


async def test_an_outage_of_the_database_is_no_death(
    memory: InlineStore, clock: ManualClock
) -> None:
    """What could not be told is no death; a process that stays away is dead a minute later."""
    centre = Centre(clock, memory)
    await centre.live(100, "front-1", "worker-1")
    for away in (50, 3600):
        clock.advance(away)
        await centre.beat("worker-1")
        clock.advance(5)
        assert "process.front-1" not in await centre.look()
        await centre.live(MISSED, "front-1", "worker-1")
        assert await centre.look() == set()
    clock.advance(3600)
    await centre.live(MISSED, "worker-1")
    assert "process.front-1" not in await centre.look()
    await centre.live(10, "worker-1")
    assert "process.front-1" in await centre.look()


async def test_a_duty_that_nobody_does_is_a_fault(memory: InlineStore, clock: ManualClock) -> None:
    """After a minute in which a worker could have taken it; not while the first one starts."""

    def look(session: Session) -> set[str]:
        leases.take(session, "liveness", "worker-1")
        supervision.look(session, DUTIES)
        return {each.name for each in troubles.current(session)}

    centre = Centre(clock, memory)
    await centre.beat("front-1", "worker-1")
    assert await memory.write(look) == set()
    await centre.live(MISSED, "front-1", "worker-1")
    assert await memory.write(look) == {"duty.notify"}
    assert await centre.look() == set()
    await centre.live(MISSED, "front-1", "worker-1")
    assert await memory.write(look) == set()
    await centre.live(leases.LEASE, "front-1", "worker-1")
    assert await memory.write(look) == {"duty.notify"}


async def test_reports_of_nobody_are_a_fault(memory: InlineStore, clock: ManualClock) -> None:
    """A front that waits for reports in vain for two periods tells so; a new centre does not."""
    centre = Centre(clock, memory)
    await centre.live(700, "front-1", "worker-1")
    assert await centre.look() == set()
    await memory.write(
        lambda session: session.run(
            "INSERT INTO states (gantry, subject, stamp, received, heard, mains_off) "
            "VALUES ('G1', 'cabinet-1', ?, ?, ?, 0)",
            *(session.now(),) * 3,
        )
    )
    await centre.live(590, "front-1", "worker-1")
    assert await centre.look() == set()
    await centre.live(10, "front-1", "worker-1")
    assert await centre.look() == {"centre.no-reports"}


async def test_an_old_backlog_is_a_fault(memory: InlineStore, clock: ManualClock) -> None:
    """While reports come that are more than six hours late, and ten minutes longer."""
    centre = Centre(clock, memory)
    await centre.beat("front-1", "worker-1")
    await centre.live(MISSED, "front-1", "worker-1")
    for ago, found in ((supervision.OLD - 10, set()), (supervision.OLD + 10, {"centre.backlog"})):
        oldest = clock.now() - ago
        await memory.write(partial(ledger.note_backlog, front="front-1", oldest=oldest))
        assert await centre.look() == found
    await centre.live(600, "front-1", "worker-1")
    assert await centre.look() == set()
