"""Questions of API and page about gantries: fast for thousands, since none scans the reports."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from twisted_gantry.centre.fold import rank
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Gantry, GantryState, Row
from twisted_gantry.centre.store.mutes import MAINTAINED_SINCE
from twisted_gantry.centre.store.pages import Key, Page, Roads, Where, listed
from twisted_gantry.centre.store.registry import NAMES, gantry_of, same


@dataclass(frozen=True, slots=True)
class Standing:
    """A gantry (without its secrets) and how it is. `since` is when it came into its state;
    `last_report` when its newest report was received. `battery_minutes` is what is left on battery
    now; None on mains, or if it is not told. `mains_off`: it has no mains. `alarms` has the names
    of the open alarms, the most urgent first.
    """

    gantry: Gantry
    state: GantryState
    since: float | None
    last_report: float | None
    battery_minutes: float | None
    mains_off: bool
    alarms: tuple[str, ...]
    has_auth: bool = False
    has_api_key: bool = False


_OPEN_NAMES = [name for name in NAMES if name not in ("auth", "api_key")]

# What is known of each gantry, beside its entry. `at_work` is since when people work there.
_KNOWN = f"""SELECT {", ".join(f"g.{name}" for name in _OPEN_NAMES)}, g.same,
    CASE WHEN g.auth IS NULL THEN 0 ELSE 1 END AS has_auth,
    CASE WHEN g.api_key IS NULL THEN 0 ELSE 1 END AS has_api_key,
    t.worst, t.since AS worst_since, t.silent_since, s.heard, s.battery_until,
    coalesce(s.mains_off, 0) AS mains_off, {MAINTAINED_SINCE} AS at_work
FROM gantries g LEFT JOIN gantry_states t ON t.gantry = g.id
LEFT JOIN (SELECT gantry, max(heard) AS heard, min(battery_until) AS battery_until,
    max(mains_off) AS mains_off FROM states GROUP BY gantry) s ON s.gantry = g.id"""  # noqa: S608
# An emergency counts above all; people at work are known; what is silent may be in any state.
_STATE = """CASE WHEN k.worst = 3 THEN 'critical' WHEN k.at_work IS NOT NULL THEN 'maintenance'
    WHEN k.heard IS NULL THEN 'never' WHEN k.silent_since IS NOT NULL THEN 'silent'
    WHEN k.worst = 2 THEN 'critical' WHEN k.worst = 1 THEN 'warning' ELSE 'well' END"""
_SINCE = """CASE WHEN k.worst = 3 THEN k.worst_since WHEN k.at_work IS NOT NULL THEN k.at_work
    WHEN k.heard IS NULL THEN NULL WHEN k.silent_since IS NOT NULL THEN k.silent_since
    ELSE k.worst_since END"""
_GANTRIES = f"(SELECT k.*, {_STATE} AS state, {_SINCE} AS since FROM ({_KNOWN}) k) v"  # noqa: S608
"""The gantries as `v`; the value is the time of the database."""
_STANDING = ", ".join(
    f"v.{name}"
    for name in (
        *_OPEN_NAMES,
        *("has_auth", "has_api_key", "state", "since", "heard", "battery_until", "mains_off"),
    )
)

_SORTS: Mapping[str, tuple[str, str]] = {
    "id": ("v.id", ">"),
    "batteryMinutes": ("v.battery_until", ">"),
    "since": ("v.since", "<"),
}
"""The column of each order, and how the later rows compare."""


def gantry_views(
    session: Session,
    *,
    state: GantryState | None = None,
    road: str | None = None,
    section: str | None = None,
    q: str = "",
    sort: str = "id",
    mains_off: bool = False,
    pending: bool = False,
    after: Key | None = None,
    limit: int = 100,
    roads: Roads = None,
) -> Page[Standing]:
    """Return gantries that are `pending`, or those that are not. `q` is looked for in id, name,
    road, section and stake. `sort` is `id`, `batteryMinutes` (the least first) or `since` (the
    newest first); those without a value come last.
    """
    now = session.now()
    where = Where()
    where.add("v.pending = ?", int(pending))
    where.given("v.state = ?", state and state.value)
    where.given("v.road = ?", road)
    where.given("v.section = ?", section)
    where.given("v.road {in}", listed(roads))
    if mains_off:
        where.add("v.mains_off = 1")
    if q.strip():
        text = "lower(v.id || ' ' || v.name || ' ' || v.road || ' ' || v.section || ' ' || v.stake)"
        where.add(f"{text} LIKE lower(?) ESCAPE '!'", f"%{_literally(q.strip())}%")
    column, beyond = _SORTS[sort]
    total: int | None = None
    if after is not None:
        [(total,)] = session.rows(
            f"SELECT count(*) FROM {_GANTRIES} WHERE {where.sql}",  # noqa: S608
            *(now, *where.values),
        )
        _go_on(where, column, beyond, after)
    direction = "DESC" if beyond == "<" else "ASC"
    rows = session.rows(
        f"SELECT count(*) OVER (), {column}, {_STANDING} "  # noqa: S608
        f"FROM {_GANTRIES} WHERE {where.sql} "
        f"ORDER BY CASE WHEN {column} IS NULL THEN 1 ELSE 0 END, {column} {direction}, v.id "
        "LIMIT ?",
        *(now, *where.values, limit + 1),
    )
    if total is None:
        total = rows[0][0] if rows else 0
    standings = _standings(session, [row[2:] for row in rows[:limit]], now)
    last = (rows[limit - 1][1], rows[limit - 1][2]) if len(rows) > limit else None
    return Page(standings, last, total)


def _literally(text: str) -> str:
    """Return a text as a pattern of LIKE takes it, `!` being the escape."""
    for each in "!%_":
        text = text.replace(each, f"!{each}")
    return text


def _go_on(where: Where, column: str, beyond: str, after: Key) -> None:
    value, last = after
    if value is None:
        where.add(f"{column} IS NULL AND v.id > ?", last)
        return
    where.add(
        f"({column} {beyond} ? OR ({column} = ? AND v.id > ?) OR {column} IS NULL)",
        *(value, value, last),
    )


def _standings(session: Session, rows: Sequence[Row], now: float) -> list[Standing]:
    names: dict[str, list[str]] = defaultdict(list)
    for gantry, name in session.rows(
        "SELECT gantry, name FROM alarms WHERE ended IS NULL AND gantry {in}",
        [row[0] for row in rows],
    ):
        names[gantry].append(name)
    return [_standing(row, names.get(row[0], ()), now) for row in rows]


def _standing(row: Row, names: Iterable[str], now: float) -> Standing:
    entry = dict(zip(_OPEN_NAMES, row, strict=False))
    has_auth, has_api_key, state, since, heard, until, mains_off = row[len(_OPEN_NAMES) :]
    return Standing(
        gantry_of(tuple(entry.get(name) for name in NAMES)),
        GantryState(state),
        since,
        heard,
        None if until is None else max(0.0, (until - now) / 60),
        bool(mains_off),
        tuple(sorted(names, key=lambda name: (-rank(name), name))),
        bool(has_auth),
        bool(has_api_key),
    )


def gantry_view(session: Session, gantry_id: str) -> Standing | None:
    """Return one gantry by its id in any spelling, also a pending one."""
    now = session.now()
    rows = session.rows(
        f"SELECT {_STANDING} FROM {_GANTRIES} WHERE v.same = ?",  # noqa: S608
        *(now, same(gantry_id)),
    )
    return next(iter(_standings(session, rows, now)), None)


def overview(session: Session, roads: Roads = None) -> Mapping[GantryState, int]:
    """Return how many gantries, without the pending ones, are in each state."""
    found: dict[GantryState, int] = dict.fromkeys(GantryState, 0)
    for by_state in sections(session, roads).values():
        for state, count in by_state.items():
            found[state] += count
    return found


def sections(
    session: Session, roads: Roads = None
) -> Mapping[tuple[str, str], Mapping[GantryState, int]]:
    """Return how many gantries of each road and section are in each state."""
    where = Where()
    where.add("v.pending = 0")
    where.given("v.road {in}", listed(roads))
    found: dict[tuple[str, str], dict[GantryState, int]] = defaultdict(dict)
    for road, section, state, count in session.rows(
        f"SELECT v.road, v.section, v.state, count(*) FROM {_GANTRIES} "  # noqa: S608
        f"WHERE {where.sql} GROUP BY v.road, v.section, v.state ORDER BY v.road, v.section",
        *(session.now(), *where.values),
    ):
        found[road, section][GantryState(state)] = count
    return found
