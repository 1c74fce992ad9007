"""What became of reports over the last day: the counts of the ledgers, kept in the history.

A count is written when it has changed, with what it was before, so that a quiet night costs nothing
and the first delivery after that is not lost. The series are no points: `#` begins no device.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.core.history import Bucket, Sample, Series
from twisted_gantry.core.interfaces import IHistory
from twisted_gantry.core.site import Site
from twisted_gantry.core.stored import Ledger
from twisted_gantry.net.timers import GuardedLoop

PERIOD = 60.0  # seconds between two looks at the ledgers
DAY, STEP = 86_400.0, 1_800.0
"""Seconds that are told, and of one slot of them."""
COUNTS = ("delivered", "set_aside", "dropped")


Query = Callable[[str, float, float, float | None], Awaitable[Series]]


class Slot(NamedTuple):
    """What became of reports from `at` on (Unix seconds), for `STEP` seconds."""

    at: float
    delivered: int
    set_aside: int
    dropped: int


class Deliveries:
    """Notes the ledgers of `site` in `history`. `clock` counts seconds, `now` returns Unix
    seconds.
    """

    def __init__(
        self, site: Site, history: IHistory, clock: IReactorTime, now: Callable[[], float]
    ) -> None:
        self._site, self._history, self._now = site, history, now
        self._last: dict[str, tuple[float, int]] = {}
        self._loop = GuardedLoop(clock, self.note, "counting deliveries")

    def start(self) -> None:
        self._loop.start(PERIOD)

    def stop(self) -> Deferred[None]:
        """Stop with a last note."""
        self._loop.stop()
        return self.note().addErrback(lambda _: None)  # the disk, which has an alarm of its own

    def note(self) -> Deferred[None]:
        """Look at the ledgers now; fires when what has changed is kept."""
        return ensureDeferred(self._note())

    async def _note(self) -> None:
        at, samples, seen = self._now(), list[Sample](), dict[str, tuple[float, int]]()
        for queue in self._site.queues():
            ledger: Ledger = await self._site.store.ledger(queue)
            if ledger.as_of is not None:  # the disk does not answer: these are older counts
                continue
            for name, count in zip(COUNTS, _counts(ledger), strict=True):
                series = _series(queue, name)
                before = self._last.get(series)
                seen[series] = at, count
                if before is None or before[1] != count:
                    if before is not None:
                        samples.append(Sample(series, before[0], float(before[1])))
                    samples.append(Sample(series, at, float(count)))
        if samples:
            await self._history.add(samples)
        self._last.update(seen)  # what could not be kept is tried again


async def last_day(site: Site, query: Query, now: float) -> Mapping[str, Sequence[Slot]]:
    """Return the slots of the last day by queue, oldest first; those without a change are left out.
    `query` is that of a history, with its errors.
    """
    found = {}
    for queue in site.queues():
        ledger: Ledger = await site.store.ledger(queue)
        changes = {}
        for name, count in zip(COUNTS, _counts(ledger), strict=True):
            series = await query(_series(queue, name), now - DAY, now, PERIOD)
            changes[name] = _grown(series.buckets, count, now)
        times = sorted({at for each in changes.values() for at in each})
        found[queue] = [Slot(at, *(changes[name].get(at, 0) for name in COUNTS)) for at in times]
    return found


def _series(queue: str, count: str) -> str:
    return f"#outbox.{queue}.{count}"


def _counts(ledger: Ledger) -> tuple[int, int, int]:
    """Return counts that only grow, unless a person takes reports back from those set aside."""
    return ledger.delivered, ledger.set_aside, ledger.dropped


def _grown(buckets: Sequence[Bucket], count: int, now: float) -> dict[float, int]:
    """Return by how much a count grew in each slot; `count` is that of now. The buckets are so
    short that a count has changed once at most in each. One that falls was taken back.
    """
    grown: dict[float, int] = {}
    last = None
    for at, least, _, most in [*buckets, (now, count, count, count)]:
        before = least if last is None else last
        if most > before:
            slot = at - at % STEP
            grown[slot] = grown.get(slot, 0) + round(most - before)
        last = most if most > before else least
    return grown
