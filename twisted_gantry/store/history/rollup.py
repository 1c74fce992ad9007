"""The roll-up: the work that is due, in small steps, as jobs for the writer.

The file holds the work, so that a restart goes on with it: the samples in `sample`, the days in
`due`, the slots above the number kept. Late samples, after a fault of the disk or with a clock that
was set back, are merged into their hour; its minutes and the quarters of its day are made again.
All times are whole milliseconds.
"""

from math import nan
from sqlite3 import Connection

from twisted.logger import Logger

from twisted_gantry.store.history import blocks, names, tiers
from twisted_gantry.store.history.blocks import Samples
from twisted_gantry.store.history.buckets import Buckets
from twisted_gantry.store.history.tiers import DAY, HOUR, HOURS, MINUTE, QUARTER, RAW

_log = Logger()

GRACE = 120_000  # an hour is settled this time after its end, when the batches under way have come
# The bounds of one step: the samples read to settle points, and the points condensed to quarters.
STEP_SAMPLES, STEP_POINTS = 8_000, 10
LEAST_SLOTS = 24  # slots that a tier keeps though the file is larger than it should be


def step(db: Connection, now: int, hold: int, most: int) -> bool:
    """Do one piece of the work that is due; False without any. `hold` is how long a sample holds;
    `most` the bytes that the file should not exceed.
    """
    hour = _due_hour(db, now)
    if hour is not None:
        _settle(db, hour, hold)
        return True
    return _condense(db, now) or _prune(db, most)


def _due_hour(db: Connection, now: int) -> int | None:
    """Return the oldest hour that is over and has samples that wait. An hour that is far ahead is
    over too: the clock was set back since.
    """
    waiting = db.execute("SELECT DISTINCT at / ? FROM sample", (HOUR,)).fetchall()
    ahead = now // HOUR + 1
    due = [h for (h,) in waiting if (h + 1) * HOUR + GRACE <= now or h > ahead]
    return min(due, default=None)


def _settle(db: Connection, hour: int, hold: int) -> None:
    """Turn the samples of an hour that wait, of as many points as a step takes, into blocks."""
    bounds = (hour * HOUR, (hour + 1) * HOUR)
    if _forgotten(db, hour):
        rows = db.execute("DELETE FROM sample WHERE at >= ? AND at < ?", bounds).rowcount
        _log.warn("{rows} samples came too late to be kept", rows=rows)
        return
    waiting = _waiting(db, bounds)
    for point, samples in waiting.items():
        settle_point(db, hour, point, samples, hold)
    # Those of lower points went before.
    db.execute(
        "DELETE FROM sample WHERE at >= ? AND at < ? AND point <= ?", (*bounds, max(waiting))
    )
    for tier in (RAW, MINUTE):
        tiers.mark(db, tier, hour)
    db.execute("INSERT OR REPLACE INTO due (day) VALUES (?)", (hour // HOURS,))


def _forgotten(db: Connection, hour: int) -> bool:
    """Tell whether the samples of an hour were pruned: its minutes cannot be made again."""
    count, oldest = tiers.extent(db, RAW)
    return count >= RAW.keep and oldest is not None and hour < oldest


def _waiting(db: Connection, bounds: tuple[int, int]) -> dict[int, Samples]:
    counted = db.execute(
        "SELECT point, count(*) FROM sample WHERE at >= ? AND at < ? GROUP BY point", bounds
    ).fetchall()
    found: dict[int, tuple[list[int], list[float]]] = {}
    total = 0
    for point, count in counted:
        total += count
        if found and total > STEP_SAMPLES:
            break
        found[point] = ([], [])
    rows = db.execute(
        "SELECT point, at, value FROM sample WHERE at >= ? AND at < ? AND point <= ?"
        " ORDER BY rowid",
        (*bounds, max(found)),
    )
    for point, at, value in rows:
        times, values = found[point]
        times.append(at)
        values.append(nan if value is None else value)
    return dict(found)


def settle_point(db: Connection, hour: int, point: int, samples: Samples, hold: int) -> None:
    """Write the blocks of an hour of a point, merged with the blocks it has already. The last value
    of the hour before holds into this hour, but not into an hour without a sample: while the
    program runs, each interval has a sample or a gap.
    """
    begin = hour * HOUR
    samples = tiers.merged(tiers.raw_samples(db, hour, point), samples)
    tiers.put(db, RAW, hour, point, blocks.pack_samples(samples, begin))
    times, values = carried(tiers.raw_samples(db, hour - 1, point), samples)
    minutes = Buckets(MINUTE.step)
    minutes.fill(times, values, (begin, begin + HOUR), hold)
    _put_entries(db, MINUTE, hour, point, minutes)


def carried(before: Samples, samples: Samples) -> Samples:
    """Return samples of an hour behind the last of the hour before."""
    return [*before[0][-1:], *samples[0]], [*before[1][-1:], *samples[1]]


def _put_entries(db: Connection, tier: tiers.Tier, slot: int, point: int, found: Buckets) -> None:
    first = slot * tier.span // tier.step
    entries = [
        blocks.Entry(
            number - first, max(1, round(weight * blocks.WHOLE / tier.step)), low, mean, high
        )
        for number, low, mean, high, weight in found.rows()
    ]
    if entries:
        tiers.put(db, tier, slot, point, blocks.pack_entries(entries))


def merge_entries(
    found: Buckets, tier: tiers.Tier, slot: int, body: bytes, within: tuple[int, int]
) -> None:
    """Count the entries of a block that overlap the time `within`. A damaged block has none."""
    begin, (first, last) = slot * tier.span, within
    scale = tier.step / blocks.WHOLE
    try:
        for number, share, low, mean, high in blocks.unpack_entries(body):
            at = begin + number * tier.step
            if first - tier.step < at < last:
                found.merge(max(at, first), low, mean, high, share * scale)
    except ValueError as error:
        _log.warn("{error}: {tier} {slot}", error=error, tier=tier.table, slot=slot)


def _condense(db: Connection, now: int) -> bool:
    """Make the quarters of a day that is over, of as many points as a step takes."""
    today = now // DAY
    row = db.execute(
        "SELECT day, after FROM due WHERE (day + 1) * ? + ? <= ? OR day > ? ORDER BY day LIMIT 1",
        (DAY, GRACE, now, today + 1),
    ).fetchone()
    if row is None:
        return False
    day, after = row
    points = db.execute(
        "SELECT id FROM point WHERE id > ? ORDER BY id LIMIT ?", (after, STEP_POINTS)
    ).fetchall()
    for (point,) in points:
        condense_point(db, day, point)
    if len(points) == STEP_POINTS:
        db.execute("UPDATE due SET after = ? WHERE day = ?", (points[-1][0], day))
    else:
        tiers.mark(db, QUARTER, day)
        db.execute("DELETE FROM due WHERE day = ?", (day,))
    return True


def condense_point(db: Connection, day: int, point: int) -> None:
    """Write the quarters of a day of a point, from its minutes."""
    within = (day * DAY, (day + 1) * DAY)
    quarters = Buckets(QUARTER.step)
    for hour in range(day * HOURS, (day + 1) * HOURS):
        body = tiers.body_of(db, MINUTE, hour, point)
        if body is not None:
            merge_entries(quarters, MINUTE, hour, body, within)
    _put_entries(db, QUARTER, day, point, quarters)


def _prune(db: Connection, most: int) -> bool:
    """Drop one slot that is more than is kept, or for which the file has become too large."""
    for tier in tiers.TIERS:
        count, oldest = tiers.extent(db, tier)
        if oldest is not None and count > tier.keep:
            tiers.drop(db, tier, oldest)
            names.free(db)
            return True
    if _size(db) > most:
        for tier in tiers.TIERS:
            count, oldest = tiers.extent(db, tier)
            if oldest is not None and count > LEAST_SLOTS:
                _log.warn("the history is too large: the oldest of {tier} goes", tier=tier.table)
                tiers.drop(db, tier, oldest)
                names.free(db)
                return True
    return False


def _size(db: Connection) -> int:
    [used] = db.execute(
        "SELECT (page_count - freelist_count) * page_size"
        " FROM pragma_page_count, pragma_freelist_count, pragma_page_size"
    ).fetchone()
    return int(used)
