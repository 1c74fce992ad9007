"""The query: the history of one point, from the coarsest tier that is fine enough for the step.

Where that tier has no data yet, the finer tiers answer; where they have no data any more, the
coarser ones. All times are whole milliseconds.
"""

from collections.abc import Iterator
from math import nan
from sqlite3 import Connection

from twisted_gantry.store.history import tiers, words
from twisted_gantry.store.history.blocks import NO_SAMPLES, Samples
from twisted_gantry.store.history.buckets import Buckets
from twisted_gantry.store.history.rollup import carried, merge_entries
from twisted_gantry.store.history.tiers import DAY, HOUR, HOURS, MINUTE, QUARTER, RAW

MOST_BUCKETS = 2_000

_SECOND, _MINUTE = 1_000, 60_000
# Steps that people read with ease, each a part of a day; beyond them, whole days.
_ROUND = (
    *(_SECOND * n for n in (1, 2, 5, 10, 15, 20, 30)),
    *(_MINUTE * n for n in (1, 2, 3, 5, 10, 15, 30)),
    *(HOUR * n for n in (1, 2, 3, 6, 12)),
)


def _fits(since: int, until: int, step: int) -> bool:
    return until // step - since // step + 1 <= MOST_BUCKETS


def fitting_step(since: int, until: int, wanted: int | None) -> int:
    """Return the wanted step, or the least round step with few enough buckets."""
    if wanted is not None and _fits(since, until, wanted):
        return wanted
    for step in _ROUND:
        if _fits(since, until, step):
            return step
    days = (until - since) // (DAY * (MOST_BUCKETS - 1)) + 1
    return days * DAY


class Query:
    """One question to the file: a point, and the time from `since` to `until`, included. The first
    bucket is whole: it begins at a multiple of `step`. A sample holds for `hold`, but not beyond
    `now`.
    """

    def __init__(
        self, db: Connection, since: int, until: int, step: int, hold: int, now: int
    ) -> None:
        self._db, self._step, self._hold = db, step, hold
        self._since, self._end = since - since % step, until + 1
        # A sample of this very moment, or of a future that was recorded, counts for itself.
        self._known = now + 1
        self._samples_of: dict[int, dict[int, Samples]] | None = None
        self._live: dict[int, Samples] = {}

    def gather(self) -> None:
        """Read what waits of all points at once, for many questions."""
        found: dict[int, dict[int, tuple[list[int], list[float]]]] = {}
        for point, at, value in self._db.execute("SELECT point, at, value FROM sample"):
            times, values = found.setdefault(point, {}).setdefault(at // HOUR, ([], []))
            times.append(at)
            values.append(nan if value is None else value)
        self._samples_of = {point: dict(hours) for point, hours in found.items()}

    def run(self, name: str) -> Buckets:
        """Return the buckets of a point; none for an unknown one."""
        self.buckets = Buckets(self._step)
        self._take(name)
        return self.buckets

    def _take(self, name: str) -> None:
        row = self._db.execute("SELECT id, since FROM point WHERE name = ?", (name,)).fetchone()
        if row is None:
            return
        self._point: int = row[0]
        # What the number holds from before is of a name that gave way.
        self._begin = max(self._since, row[1])
        self._live = self._waiting()
        first, last = self._begin // HOUR, (self._end - 1) // HOUR
        raw = tiers.slots(self._db, RAW, first, last)
        minute = tiers.slots(self._db, MINUTE, first, last)
        quarter = tiers.slots(self._db, QUARTER, first // HOURS, last // HOURS)
        # The last sample of an hour holds into the next, which may have none yet.
        live = {h for hour in self._live for h in (hour, hour + 1) if first <= h <= last}
        # Of these days hours have come since the quarters were made.
        stale = {day for (day,) in self._db.execute("SELECT day FROM due")}
        days = quarter | {hour // HOURS for hour in raw | minute | live}
        for day in sorted(days):
            hours = range(max(first, day * HOURS), min(last, (day + 1) * HOURS - 1) + 1)
            made = day in quarter and day not in stale and live.isdisjoint(hours)
            if made and self._step >= QUARTER.step:
                self._take_quarters(day, set())
                continue
            covered = set()
            for hour in hours:
                if hour in live or (
                    hour in raw and (self._step < MINUTE.step or hour not in minute)
                ):
                    self._take_samples(hour)
                elif hour in minute:
                    self._take_minutes(hour)
                else:
                    continue
                covered.add(hour)
            if day in quarter and len(covered) < len(hours):
                self._take_quarters(day, covered)

    def _waiting(self) -> dict[int, Samples]:
        if self._samples_of is not None:
            return self._samples_of.get(self._point, {})
        found: dict[int, tuple[list[int], list[float]]] = {}
        rows = self._db.execute("SELECT at, value FROM sample WHERE point = ?", (self._point,))
        for at, value in rows:
            times, values = found.setdefault(at // HOUR, ([], []))
            times.append(at)
            values.append(nan if value is None else value)
        return dict(found)

    def _samples(self, hour: int) -> Samples:
        kept = tiers.raw_samples(self._db, hour, self._point)
        return tiers.merged(kept, self._live.get(hour, NO_SAMPLES))

    def _take_samples(self, hour: int) -> None:
        times, values = carried(self._samples(hour - 1), self._samples(hour))
        if not times:
            return
        begin = max(self._begin, hour * HOUR)
        known = max(self._known, times[-1] + 1)
        end = min(self._end, (hour + 1) * HOUR, known)
        self.buckets.fill(times, values, (begin, end), self._hold)

    def _take_minutes(self, hour: int) -> None:
        body = tiers.body_of(self._db, MINUTE, hour, self._point)
        if body is not None:
            merge_entries(self.buckets, MINUTE, hour, body, (self._begin, self._end))

    def _take_quarters(self, day: int, covered: set[int]) -> None:
        """Count the quarters of a day, but those of the hours that are covered otherwise."""
        body = tiers.body_of(self._db, QUARTER, day, self._point)
        if body is None:
            return
        if not covered:
            merge_entries(self.buckets, QUARTER, day, body, (self._begin, self._end))
            return
        for hour in range(day * HOURS, (day + 1) * HOURS):
            if hour not in covered:
                begin = max(self._begin, hour * HOUR)
                end = min(self._end, (hour + 1) * HOUR)
                if begin < end:
                    merge_entries(self.buckets, QUARTER, day, body, (begin, end))


def values(db: Connection, found: Buckets) -> Iterator[tuple[int, float | str]]:
    """Return the number and the one value of each bucket: a text that held longest, 1 for a flag
    that was ever set, else the mean.
    """
    rows = list(found.rows())
    codes = (mean for _, _, mean, _, _ in rows if words.is_text(mean))
    texts = words.texts_of(db, codes)
    for number, low, mean, high, _ in rows:
        is_flag = low in (0.0, 1.0) and high in (0.0, 1.0)
        yield number, texts.get(mean, high if is_flag else mean)
