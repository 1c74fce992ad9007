"""Questions of API and page: fast for thousands of gantries, since none scans the reports.

Lists come in pages: `after` is the key of the last row of a page, to be given for the next one;
None on the last page. `roads` restricts everything to these roads (None: all).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Gantry, GantryState
from twisted_gantry.centre.store.alarms import GantryAlarm
from twisted_gantry.centre.store.incidents import Incident

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


def gantry_views(
    session: Session,
    *,
    state: GantryState | None = None,
    road: str | None = None,
    section: str | None = None,
    q: str = "",
    sort: str = "id",
    mains_off: bool = False,
    after: Key | None = None,
    limit: int = 100,
    roads: Roads = None,
) -> Page[Standing]:
    """Return gantries that are not pending. `q` is looked for in id, name, road, section, stake.
    `sort` is `id`, `batteryMinutes` (the least first) or `since` (the newest first); those without
    a value come last.
    """
    raise NotImplementedError


def gantry_view(session: Session, gantry_id: str) -> Standing | None:
    """Return one gantry by its id in any spelling, also a pending one."""
    raise NotImplementedError


def overview(session: Session, roads: Roads = None) -> Mapping[GantryState, int]:
    """Return how many gantries, without the pending ones, are in each state."""
    raise NotImplementedError


def sections(
    session: Session, roads: Roads = None
) -> Mapping[tuple[str, str], Mapping[GantryState, int]]:
    """Return how many gantries of each road and section are in each state."""
    raise NotImplementedError


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
    raise NotImplementedError


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
    """Return incidents: the active ones by urgency (critical first, then the newest), or with
    those of the past, newest first.
    """
    raise NotImplementedError


def incident_view(session: Session, incident: int, roads: Roads = None) -> Struck | None:
    """Return one incident, None for an unknown one."""
    raise NotImplementedError


def open_incidents(session: Session, roads: Roads = None) -> int:
    """Return how many incidents last."""
    where, values = ("", []) if roads is None else (" AND road {in}", [sorted(roads)])
    [(number,)] = session.rows(
        f"SELECT count(*) FROM incidents WHERE ended IS NULL{where}",  # noqa: S608
        *values,
    )
    return int(number)


def open_alarms(session: Session, roads: Roads = None) -> int:
    """Return how many alarms are open."""
    mine = " AND gantry IN (SELECT id FROM gantries WHERE road {in})"
    where, values = ("", []) if roads is None else (mine, [sorted(roads)])
    [(number,)] = session.rows(
        f"SELECT count(*) FROM alarms WHERE ended IS NULL{where}",  # noqa: S608
        *values,
    )
    return int(number)


def alarm_rate(session: Session, seconds: float = 3600.0, roads: Roads = None) -> int:
    """Return how many alarms that are not late began within the last `seconds`."""
    raise NotImplementedError
