"""White lists in the database, that of each road and that for all, and which gantry has which.

A gantry gets the newest of both; a tie is the road's. Times are of the database's clock.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.wire.etc.envelope import NO_VERSION, is_list_version

TABLES: tuple[str, ...] = (
    """CREATE TABLE card_lists (
        road TEXT PRIMARY KEY, version TEXT NOT NULL, put_at {real} NOT NULL, who TEXT NOT NULL,
        cards {int} NOT NULL, body {bytes} NOT NULL)""",
    """CREATE TABLE card_versions (
        gantry TEXT PRIMARY KEY, version TEXT NOT NULL, asked_at {real} NOT NULL)""",
)

ALL = ""
"""The `road` of the list for all gantries."""


class OldVersion(Exception):
    """The version of a list is not above one that its gantries may have: 409."""

    def __init__(self, version: str, newest: str) -> None:
        self.en = f"the version {version} is not above {newest}, which some gantries may have"
        self.zh = f"版本{version}不高于{newest}，部分门架可能已有后者"
        super().__init__(self.en)


@dataclass(frozen=True, slots=True)
class CardListSeen:
    """The list of a road, or with an empty `road` that for all. `current` of its gantries have this
    version, `behind` of them another one, `never` of them never asked.
    """

    road: str
    version: str
    put_at: float
    who: str
    cards: int
    current: int = 0
    behind: int = 0
    never: int = 0


@dataclass(frozen=True, slots=True)
class CardsOf:
    """Which list a gantry has, and which it should have; None for a gantry that never asked, and
    where no list is for it.
    """

    gantry: str
    road: str
    version: str | None
    asked_at: float | None
    wanted: str | None


def newest(session: Session, road: str) -> tuple[str, str] | None:
    """Return the road and the version of the list for gantries of `road`, None without one."""
    found = session.rows(
        "SELECT road, version FROM card_lists WHERE road IN ('', ?)"
        " ORDER BY version DESC, road DESC LIMIT 1",
        road,
    )
    return (found[0][0], found[0][1]) if found else None


def newest_of(session: Session, road: str) -> str:
    """Return the newest version that any gantry may have which a list for `road` is for; `0` for
    none.
    """
    where, values = ("", []) if road == ALL else (" WHERE road IN ('', ?)", [road])
    [(version,)] = session.rows(f"SELECT max(version) FROM card_lists{where}", *values)  # noqa: S608
    return str(version or NO_VERSION)


def body(session: Session, road: str, version: str) -> bytes | None:
    """Return the packed cards of a list, None when it was replaced meanwhile."""
    found = session.rows(
        "SELECT body FROM card_lists WHERE road = ? AND version = ?", road, version
    )
    return bytes(found[0][0]) if found else None


def put(session: Session, road: str, version: str, who: str, cards: int, body: bytes) -> float:
    """Set the list of a road, and return when. Raises OldVersion."""
    known = newest_of(session, road)
    now = session.now()
    done = version > known and session.run(
        "INSERT INTO card_lists (road, version, put_at, who, cards, body) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (road) DO UPDATE SET version = excluded.version, put_at = excluded.put_at,"
        " who = excluded.who, cards = excluded.cards, body = excluded.body"
        " WHERE excluded.version > card_lists.version",
        *(road, version, now, who, cards, body),
    )
    if not done:
        raise OldVersion(version, newest_of(session, road))
    return now


def note(session: Session, asked: Iterable[tuple[str, str]]) -> None:
    """Note the version that each gantry has, as it says itself in `curVersion`."""
    now = session.now()
    session.many(
        "INSERT INTO card_versions (gantry, version, asked_at) VALUES (?, ?, ?) ON CONFLICT"
        " (gantry) DO UPDATE SET version = excluded.version, asked_at = excluded.asked_at",
        [(gantry, version_of(version), now) for gantry, version in sorted(asked)],
    )


def version_of(given: str) -> str:
    """Return the version that a gantry has; `0` for what is none."""
    return given if is_list_version(given) else NO_VERSION


_WANTED = (
    "SELECT g.id AS gantry, g.road AS road, v.version AS version, v.asked_at AS asked_at,"
    " (SELECT max(l.version) FROM card_lists l WHERE l.road = '' OR l.road = g.road) AS wanted"
    " FROM gantries g LEFT JOIN card_versions v ON v.gantry = g.id WHERE g.pending = 0"
)


def lists(session: Session, roads: Collection[str] | None = None) -> list[CardListSeen]:
    """Return the lists that the gantries of `roads`, or all, may get; that for all comes first."""
    rows = session.rows("SELECT road, version, put_at, who, cards FROM card_lists ORDER BY road")
    counted = session.rows(
        "SELECT road, wanted, count(*), sum(CASE WHEN version = wanted THEN 1 ELSE 0 END),"  # noqa: S608
        f" sum(CASE WHEN version IS NULL THEN 1 ELSE 0 END) FROM ({_WANTED}) AS w"
        " GROUP BY road, wanted"
    )
    own = {row[0]: row[1] for row in rows}
    sums: dict[str, list[int]] = {road: [0, 0, 0] for road in own}
    for road, wanted, total, current, never in counted:
        if wanted is None or (roads is not None and road not in roads):
            continue
        found = sums[road if own.get(road) == wanted else ALL]
        found[0] += int(current)
        found[1] += int(total) - int(current) - int(never)
        found[2] += int(never)
    return [
        CardListSeen(*row, *sums[row[0]])
        for row in rows
        if roads is None or row[0] == ALL or row[0] in roads
    ]


def of_gantries(
    session: Session,
    *,
    roads: Collection[str] | None = None,
    road: str = "",
    limit: int = 1000,
    after: str = "",
) -> list[CardsOf]:
    """Return which list each gantry has, by id after the id `after`; of a `road` or all."""
    wanted = [sorted(some) for some in ([road] if road else None, roads) if some is not None]
    rows = session.rows(
        f"SELECT gantry, road, version, asked_at, wanted FROM ({_WANTED}) AS w"  # noqa: S608
        f" WHERE gantry > ?{' AND road {in}' * len(wanted)} ORDER BY gantry LIMIT ?",
        *(after, *wanted, limit),
    )
    return [CardsOf(*row) for row in rows]
