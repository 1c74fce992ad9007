"""Who was refused, why, and when last: for the people who look after the gantries. Bounded."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from twisted_gantry.centre.interfaces import Session

MOST = 10_000  # rows; those that are longest ago are forgotten

TABLES = (
    """CREATE TABLE front_refusals (
        gantry TEXT NOT NULL, address TEXT NOT NULL, code TEXT NOT NULL, why TEXT NOT NULL,
        times {int} NOT NULL, first_at {real} NOT NULL, last_at {real} NOT NULL,
        PRIMARY KEY (gantry, address, code))""",
    "CREATE INDEX front_refusals_last ON front_refusals (last_at)",
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Requests that named `gantry`, which may be a lie or empty, came from `address` and got `code`
    so many times; `why` is the last reason. Times are Unix seconds.
    """

    gantry: str
    address: str
    code: str
    why: str
    times: int
    first_at: float
    last_at: float


def note(session: Session, refusals: Iterable[Refusal]) -> None:
    """Add refusals to those that are known."""
    rows = [
        (each.gantry, each.address, each.code, each.why, each.times, each.first_at, each.last_at)
        for each in sorted(refusals, key=lambda each: (each.gantry, each.address, each.code))
    ]
    session.many(
        "INSERT INTO front_refusals {rows:text,text,text,text,int,real,real}"
        " ON CONFLICT (gantry, address, code) DO UPDATE SET why = excluded.why,"
        " times = front_refusals.times + excluded.times, last_at = excluded.last_at",
        rows,
    )
    session.run(
        "DELETE FROM front_refusals WHERE last_at < (SELECT last_at FROM front_refusals"
        " ORDER BY last_at DESC LIMIT 1 OFFSET ?)",
        MOST - 1,
    )


def latest(
    session: Session, limit: int = 100, gantry: str = "", roads: Collection[str] | None = None
) -> list[Refusal]:
    """Return the latest refusals, the last one first: of all, of one gantry, or of gantries of the
    registry on some roads.
    """
    where, values = ["1 = 1"], list[object]()
    if gantry:
        where.append("gantry = ?")
        values.append(gantry)
    if roads is not None:
        where.append("gantry IN (SELECT id FROM gantries WHERE road {in})")
        values.append(sorted(roads))
    rows = session.rows(
        "SELECT gantry, address, code, why, times, first_at, last_at FROM front_refusals"  # noqa: S608
        f" WHERE {' AND '.join(where)} ORDER BY last_at DESC, gantry, address, code LIMIT ?",
        *values,
        limit,
    )
    return [Refusal(*each) for each in rows]
