"""Incidents in the database: open alarms folded by cause, at a gantry or along a road section."""

from dataclasses import dataclass

from twisted_gantry.centre.interfaces import Session

TABLES: tuple[str, ...] = (
    """CREATE TABLE incidents (
        id {id}, cause TEXT NOT NULL, severity TEXT NOT NULL, road TEXT NOT NULL,
        section TEXT NOT NULL, gantry TEXT, since {real} NOT NULL, ended {real},
        gantries {int} NOT NULL)""",
    "CREATE INDEX incidents_open ON incidents (id) WHERE ended IS NULL",
    "CREATE INDEX incidents_since ON incidents (since, id)",
)


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident: `cause` is a condition (`mains-abnormal`), `gantry` is None for several ones.
    `gantries` is how many it struck. An incident keeps its id while it lives.
    """

    id: int
    cause: str
    severity: str
    road: str
    section: str
    gantry: str | None
    since: float
    ended: float | None
    gantries: int


def refresh(session: Session) -> bool:
    """Bring the incidents up to date with the alarms; called under a lease, each second. Returns
    whether something changed. `alarms.incident` of each alarm that is not late is set by this.
    """
    raise NotImplementedError
