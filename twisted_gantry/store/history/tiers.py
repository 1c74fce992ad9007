"""The tiers of the history, and reading and writing their blocks. All times are whole ms."""

from dataclasses import dataclass
from itertools import chain
from sqlite3 import Connection

from twisted.logger import Logger

from twisted_gantry.store.history.blocks import NO_SAMPLES, Samples, unpack_samples

_log = Logger()

HOUR, DAY = 3_600_000, 86_400_000
HOURS = DAY // HOUR

_POINT_BITS = 16


@dataclass(frozen=True)
class Tier:
    """A table of blocks: an entry for each `step` ms (0: samples), a block for each `span` ms. The
    newest `keep` slots are kept. Slots are counted, not dated: a clock that is wrong by years
    prunes only what it recorded itself.
    """

    table: str
    step: int
    span: int
    keep: int


RAW = Tier("raw", 0, HOUR, 7 * HOURS)
MINUTE = Tier("minute", 60_000, HOUR, 60 * HOURS)
QUARTER = Tier("quarter", 900_000, DAY, 731)
TIERS = (RAW, MINUTE, QUARTER)


def key(slot: int, point: int = 0) -> int:
    """Return the key of a block; without a point, the lower bound of the slot's keys."""
    return slot << _POINT_BITS | point


def put(db: Connection, tier: Tier, slot: int, point: int, body: bytes) -> None:
    db.execute(
        f"INSERT OR REPLACE INTO {tier.table} (key, body) VALUES (?,?)",  # noqa: S608 - own names
        (key(slot, point), body),
    )


def body_of(db: Connection, tier: Tier, slot: int, point: int) -> bytes | None:
    row = db.execute(
        f"SELECT body FROM {tier.table} WHERE key = ?",  # noqa: S608
        (key(slot, point),),
    ).fetchone()
    return None if row is None else row[0]


def drop(db: Connection, tier: Tier, slot: int) -> None:
    db.execute(
        f"DELETE FROM {tier.table} WHERE key >= ? AND key < ?",  # noqa: S608
        (key(slot), key(slot + 1)),
    )
    db.execute("DELETE FROM slot WHERE tier = ? AND number = ?", (tier.table, slot))


def mark(db: Connection, tier: Tier, slot: int) -> None:
    db.execute("INSERT OR IGNORE INTO slot (tier, number) VALUES (?,?)", (tier.table, slot))


def slots(db: Connection, tier: Tier, first: int, last: int) -> set[int]:
    """Return the existing slots from `first` to `last`, both included."""
    return {
        number
        for (number,) in db.execute(
            "SELECT number FROM slot WHERE tier = ? AND number BETWEEN ? AND ?",
            (tier.table, first, last),
        )
    }


def extent(db: Connection, tier: Tier) -> tuple[int, int | None]:
    """Return the number of slots, and the oldest one."""
    row: tuple[int, int | None] = db.execute(
        "SELECT count(*), min(number) FROM slot WHERE tier = ?", (tier.table,)
    ).fetchone()
    return row


def raw_samples(db: Connection, hour: int, point: int) -> Samples:
    """Return the samples of a raw block; none if it is missing or damaged."""
    body = body_of(db, RAW, hour, point)
    if body is None:
        return NO_SAMPLES
    try:
        return unpack_samples(body, hour * HOUR)
    except ValueError as error:
        _log.warn("{error}: hour {hour}, point {point}", error=error, hour=hour, point=point)
        return NO_SAMPLES


def merged(older: Samples, newer: Samples) -> Samples:
    """Return both in the order of time; of one moment, the newer sample is kept. Both may be
    unordered: a clock may have been set back between two samples.
    """
    if not older[0] and all(a < b for a, b in zip(newer[0], newer[0][1:], strict=False)):
        return newer
    found = dict(zip(chain(older[0], newer[0]), chain(older[1], newer[1]), strict=True))
    times = sorted(found)
    return times, [found[time] for time in times]
