"""Rows of alarms, incidents and gantries for tests of what is made of them."""

from twisted_gantry.centre.conditions import condition
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.testing.clock import START


def gantry(session: Session, which: str, road: str = "G42", section: str = "East") -> None:
    session.run(
        "INSERT INTO gantries (id, name, road, section, stake, direction, position, "
        "remote_control, eq_sn, pending, same, changed) "
        "VALUES (?, ?, ?, ?, 'K1+200', '', '', '', '', 0, ?, 1)",
        *(which, f"North {which}", road, section, which),
    )


def incident(
    session: Session, cause: str = "mains-abnormal", of: str | None = "G1", since: float = START
) -> int:
    [(which,)] = session.rows(
        "INSERT INTO incidents (cause, severity, road, section, gantry, since, grew, gantries) "
        "VALUES (?, 'critical', 'G42', 'East', ?, ?, ?, 1) RETURNING id",
        *(cause, of, since, since),
    )
    return int(which)


def alarm(
    session: Session,
    name: str = "cabinet-1.mains-abnormal",
    of: str = "G1",
    incident: int | None = None,
    *,
    late: bool = False,
    at: float | None = None,
) -> int:
    moment = session.now() if at is None else at
    [(which,)] = session.rows(
        "INSERT INTO alarms (gantry, name, severity, began, began_received, late, incident)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) RETURNING id",
        *(of, name, condition(name).severity, moment, moment, int(late), incident),
    )
    return int(which)


def end(session: Session, *ids: int) -> None:
    session.run("UPDATE alarms SET ended = ? WHERE id {in}", session.now(), list(ids))
