"""Questions of API and page: fast for thousands of gantries, since none scans the reports.

Lists come in pages: `after` is the key of the last row of a page, to be given for the next one;
None on the last page. `roads` restricts everything to these roads (None: all).
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Generic, TypeVar

from twisted_gantry.centre.fold import rank
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Gantry, GantryState, Row
from twisted_gantry.centre.store.alarms import COLUMNS, GantryAlarm, alarm_of
from twisted_gantry.centre.store.incidents import Incident
from twisted_gantry.centre.store.mutes import IN_MAINTENANCE, MAINTAINED_SINCE
from twisted_gantry.centre.store.registry import NAMES, gantry_of, same
from twisted_gantry.wire.emergencies import EMERGENCIES, is_emergency
from twisted_gantry.wire.etc.conditions import CRITICAL

T = TypeVar("T")
Key = tuple[Any, ...]
"""Where a page goes on: JSON values."""
Roads = Collection[str] | None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Rows of a list; `total` counts the rows of all pages where that is asked for."""

    rows: Sequence[T]
    after: Key | None = None
    total: int = 0


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


@dataclass(frozen=True, slots=True)
class Struck:
    """An incident with what its alarms tell: their distinct names, the least battery minutes, who
    acknowledged all of them, and whether all are muted.
    """

    incident: Incident
    alarms: tuple[str, ...]
    battery_minutes: float | None
    acked_by: str
    muted: bool


_ALARM = ", ".join(f"a.{name}" for name in COLUMNS)
_INCIDENT = ", ".join(f"i.{each.name}" for each in fields(Incident))
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


class _Where:
    """Conditions that are joined by AND, and their values."""

    def __init__(self) -> None:
        self._all: list[str] = ["1 = 1"]
        self.values: list[Any] = []

    def add(self, condition: str, *values: Any) -> None:
        self._all.append(condition)
        self.values += values

    def given(self, condition: str, value: Any) -> None:
        """Add a condition unless its value is None."""
        if value is not None:
            self.add(condition, value)

    @property
    def sql(self) -> str:
        return " AND ".join(self._all)


def _listed(roads: Roads) -> list[str] | None:
    return None if roads is None else sorted(roads)


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
    road, section and stake.
    `sort` is `id`, `batteryMinutes` (the least first) or `since` (the newest first); those without
    a value come last.
    """
    now = session.now()
    where = _Where()
    where.add("v.pending = ?", int(pending))
    where.given("v.state = ?", state and state.value)
    where.given("v.road = ?", road)
    where.given("v.section = ?", section)
    where.given("v.road {in}", _listed(roads))
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


def _go_on(where: _Where, column: str, beyond: str, after: Key) -> None:
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
    where = _Where()
    where.add("v.pending = 0")
    where.given("v.road {in}", _listed(roads))
    found: dict[tuple[str, str], dict[GantryState, int]] = defaultdict(dict)
    for road, section, state, count in session.rows(
        f"SELECT v.road, v.section, v.state, count(*) FROM {_GANTRIES} "  # noqa: S608
        f"WHERE {where.sql} GROUP BY v.road, v.section, v.state ORDER BY v.road, v.section",
        *(session.now(), *where.values),
    ):
        found[road, section][GantryState(state)] = count
    return found


def alarm_history(
    session: Session,
    *,
    active: bool = False,
    gantry: str | None = None,
    road: str | None = None,
    section: str | None = None,
    incident: int | None = None,
    since: float | None = None,
    until: float | None = None,
    after: Key | None = None,
    limit: int = 100,
    roads: Roads = None,
) -> Page[GantryAlarm]:
    """Return alarms, newest first: open ones, or those that stood at a time from `since` on and
    before `until`.
    """
    where, places = _Where(), _Where()
    if active:
        where.add("a.ended IS NULL")
    where.given("a.gantry = ?", gantry)
    where.given("a.incident = ?", incident)
    where.given("(a.ended IS NULL OR a.ended >= ?)", since)
    where.given("a.began < ?", until)
    places.given("road = ?", road)
    places.given("section = ?", section)
    places.given("road {in}", _listed(roads))
    if places.values:
        known = f"a.gantry IN (SELECT id FROM gantries WHERE {places.sql})"  # noqa: S608
        where.add(known, *places.values)
    if after is not None:
        where.add("(a.began < ? OR (a.began = ? AND a.id < ?))", after[0], *after)
    rows = session.rows(
        f"SELECT {_ALARM} FROM alarms a WHERE {where.sql} "  # noqa: S608
        "ORDER BY a.began DESC, a.id DESC LIMIT ?",
        *(*where.values, limit + 1),
    )
    alarms = [alarm_of(row) for row in rows[:limit]]
    last = (alarms[-1].began, alarms[-1].id) if len(rows) > limit else None
    return Page(alarms, last)


_URGENCY = "CASE WHEN i.cause {in} THEN 0 WHEN i.severity = ? THEN 1 ELSE 2 END"


def incident_views(
    session: Session,
    *,
    active: bool = False,
    road: str | None = None,
    section: str | None = None,
    since: float | None = None,
    until: float | None = None,
    after: Key | None = None,
    limit: int = 100,
    roads: Roads = None,
) -> Page[Struck]:
    """Return incidents: the active ones by urgency (emergencies, then critical ones, then the
    newest), or with those of the past, newest first.
    """
    where = _Where()
    where.add("i.merged IS NULL")
    if active:
        where.add("i.ended IS NULL")
    where.given("i.road = ?", road)
    where.given("i.section = ?", section)
    where.given("i.road {in}", _listed(roads))
    where.given("(i.ended IS NULL OR i.ended >= ?)", since)
    where.given("i.since < ?", until)
    # Those of the past have one urgency.
    urgency, own = "0", list[Any]()
    if active:
        urgency, own = _URGENCY, [sorted(EMERGENCIES), CRITICAL]
    if after is not None:
        rest = "(i.since < ? OR (i.since = ? AND i.id < ?))"
        where.add(
            f"({urgency} > ? OR ({urgency} = ? AND {rest}))",
            *(*own, after[0], *own, after[0], after[1], after[1], after[2]),
        )
    rows = session.rows(
        f"SELECT {urgency}, {_INCIDENT} FROM incidents i WHERE {where.sql} "  # noqa: S608
        "ORDER BY 1, i.since DESC, i.id DESC LIMIT ?",
        *(*own, *where.values, limit + 1),
    )
    incidents = [Incident(*row[1:]) for row in rows[:limit]]
    last = None
    if len(rows) > limit:
        last = (rows[limit - 1][0], incidents[-1].since, incidents[-1].id)
    return Page(_struck(session, incidents), last)


def incident_view(session: Session, incident: int, roads: Roads = None) -> Struck | None:
    """Return one incident, None for an unknown one. An incident that became a part of another one
    is that one.
    """
    where = _Where()
    where.given("i.road {in}", _listed(roads))
    rows = session.rows(
        f"SELECT {_INCIDENT} FROM incidents i WHERE i.id = coalesce("  # noqa: S608
        f"(SELECT merged FROM incidents WHERE id = ?), ?) AND {where.sql}",
        *(incident, incident, *where.values),
    )
    return next(iter(_struck(session, [Incident(*row) for row in rows])), None)


@dataclass(slots=True)
class _Told:
    """What the alarms of an incident tell together."""

    names: set[str]
    acked_by: str = ""
    all_acked: bool = True
    muted: bool = True


def _struck(session: Session, incidents: Sequence[Incident]) -> list[Struck]:
    ids, now = [each.id for each in incidents], session.now()
    told: dict[int, _Told] = {each: _Told(set()) for each in ids}
    for which, name, unseen, who, heard in session.rows(
        f"""SELECT a.incident, a.name, max(CASE WHEN a.acked_at IS NULL THEN 1 ELSE 0 END),
            max(a.acked_by),
            max(CASE WHEN a.shelved_until > ? OR {IN_MAINTENANCE} THEN 0 ELSE 1 END)
        FROM alarms a JOIN incidents i ON i.id = a.incident LEFT JOIN gantries g ON g.id = a.gantry
        WHERE a.incident {{in}} AND (a.ended IS NULL OR i.ended IS NOT NULL)
        GROUP BY a.incident, a.name""",  # noqa: S608
        *(now, now, ids),
    ):
        each = told[which]
        each.names.add(name)
        each.all_acked = each.all_acked and not unseen
        each.acked_by = max(each.acked_by, who)
        each.muted = each.muted and not heard and not is_emergency(name)
    minutes = {
        which: max(0.0, (until - now) / 60)
        for which, until in session.rows(
            "SELECT a.incident, min(s.battery_until) FROM alarms a "
            "JOIN states s ON s.gantry = a.gantry WHERE a.incident {in} AND a.ended IS NULL "
            "AND s.battery_until IS NOT NULL GROUP BY a.incident",
            ids,
        )
    }
    return [
        Struck(
            each,
            tuple(sorted(told[each.id].names, key=lambda name: (-rank(name), name))),
            minutes.get(each.id),
            told[each.id].acked_by if told[each.id].all_acked else "",
            told[each.id].muted and bool(told[each.id].names),
        )
        for each in incidents
    ]


def open_incidents(session: Session, roads: Roads = None) -> int:
    """Return how many incidents last."""
    where = _Where()
    where.given("road {in}", _listed(roads))
    [(number,)] = session.rows(
        f"SELECT count(*) FROM incidents WHERE ended IS NULL AND {where.sql}",  # noqa: S608
        *where.values,
    )
    return int(number)


def open_alarms(session: Session, roads: Roads = None) -> int:
    """Return how many alarms are open."""
    return _count_alarms(session, "ended IS NULL", [], roads)


def alarm_rate(session: Session, seconds: float = 3600.0, roads: Roads = None) -> int:
    """Return how many alarms that are not late began within the last `seconds`."""
    return _count_alarms(session, "late = 0 AND began >= ?", [session.now() - seconds], roads)


def _count_alarms(session: Session, which: str, values: Sequence[Any], roads: Roads) -> int:
    where = _Where()
    where.add(which, *values)
    mine = "gantry IN (SELECT id FROM gantries WHERE road {in})"
    where.given(mine, _listed(roads))
    [(number,)] = session.rows(
        f"SELECT count(*) FROM alarms WHERE {where.sql}",  # noqa: S608
        *where.values,
    )
    return int(number)
