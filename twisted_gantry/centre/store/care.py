"""What people do about alarms: acknowledge, shelve, and take both back.

An incident is acknowledged when all its open alarms are: one that joins it later is new. What is
done to an incident is done to each of its open alarms. Emergencies are never shelved.
"""

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.store import mutes
from twisted_gantry.centre.store.alarms import COLUMNS, GantryAlarm, alarm_of
from twisted_gantry.wire.emergencies import is_emergency

_COLUMNS = ", ".join(COLUMNS)


class CannotChange(Exception):
    """A person asked for what cannot be done; `code` says why: `no-such-alarm`, `not-active`,
    `no-such-incident`, `never-muted`, `no-maintenance`.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def alarm(session: Session, gantry: str, name: str) -> list[GantryAlarm]:
    """Return the open alarm of a gantry, as a list of one. Raises CannotChange."""
    found = _alarms(session, "gantry = ? AND name = ? AND ended IS NULL", gantry, name)
    if found:
        return found
    if session.rows("SELECT 1 FROM alarms WHERE gantry = ? AND name = ? LIMIT 1", gantry, name):
        raise CannotChange("not-active", f"{name} of {gantry} is not active")
    raise CannotChange("no-such-alarm", f"{gantry} has no alarm {name}")


def incident(session: Session, which: int) -> list[GantryAlarm]:
    """Return the open alarms of an incident. Raises CannotChange."""
    found = _alarms(session, "incident = ? AND ended IS NULL", which)
    if found:
        return found
    if session.rows("SELECT 1 FROM incidents WHERE id = ?", which):
        raise CannotChange("not-active", f"incident {which} is over")
    raise CannotChange("no-such-incident", f"incident {which} is not known")


def acknowledge(
    session: Session, found: list[GantryAlarm], who: str, note: str = ""
) -> list[GantryAlarm]:
    """Note that a person has seen alarms; returns them as they are now."""
    now = session.now()
    return _changed(
        session,
        "UPDATE alarms SET acked_at = ?, acked_by = ?, note = ? WHERE id {in} AND ended IS NULL",
        found,
        *(now, who, note),
    )


def unacknowledge(session: Session, found: list[GantryAlarm]) -> list[GantryAlarm]:
    """Take acknowledgements back; returns the alarms as they are now."""
    return _changed(
        session,
        "UPDATE alarms SET acked_at = NULL, acked_by = '', note = '' "
        "WHERE id {in} AND ended IS NULL",
        found,
    )


def shelve(
    session: Session, found: list[GantryAlarm], seconds: float, who: str, note: str = ""
) -> list[GantryAlarm]:
    """Call nobody for alarms for some seconds, also when they end and begin again meanwhile;
    returns those that are shelved. Raises CannotChange if all are emergencies.
    """
    mutable = [each for each in found if not is_emergency(each.name)]
    if not mutable:
        raise CannotChange("never-muted", f"{found[0].name} is never muted")
    for each in mutable:
        mutes.begin(session, mutes.alarm(each.gantry, each.name), seconds, who, note)
    return _changed(
        session,
        "UPDATE alarms SET shelved_until = ?, note = CASE WHEN ? = '' THEN note ELSE ? END "
        "WHERE id {in} AND ended IS NULL",
        mutable,
        *(session.now() + min(seconds, mutes.LONGEST), note, note),
    )


def unshelve(session: Session, found: list[GantryAlarm]) -> list[GantryAlarm]:
    """Call people again; returns the alarms as they are now."""
    for each in found:
        mutes.end(session, mutes.alarm(each.gantry, each.name))
    return _changed(
        session, "UPDATE alarms SET shelved_until = NULL WHERE id {in} AND ended IS NULL", found
    )


def end_maintenance(session: Session, place: mutes.Muted) -> mutes.Mute:
    """End the maintenance of a place. Raises CannotChange."""
    ended = mutes.end(session, place)
    if ended is None:
        where = " ".join(each for each in (place.place, place.subject) if each)
        raise CannotChange("no-maintenance", f"{where} is not under maintenance")
    return ended


def keep_shelved(session: Session) -> None:
    """Shelve alarms that began again while their shelf lasts; called before incidents are made of
    new alarms.
    """
    session.run(
        "UPDATE alarms SET shelved_until = (SELECT m.until FROM mutes m WHERE m.kind = 'alarm' "
        "AND m.place = alarms.gantry AND m.subject = alarms.name) "
        "WHERE incident IS NULL AND ended IS NULL AND shelved_until IS NULL "
        "AND EXISTS (SELECT 1 FROM mutes m WHERE m.kind = 'alarm' AND m.until > ? "
        "AND m.place = alarms.gantry AND m.subject = alarms.name)",
        session.now(),
    )


def sweep(session: Session) -> None:
    """Remove what is over: mutes, and the shelves that open alarms show."""
    session.run(
        "UPDATE alarms SET shelved_until = NULL WHERE ended IS NULL AND shelved_until <= ?",
        session.now(),
    )
    mutes.sweep(session)


def _changed(
    session: Session, sql: str, found: list[GantryAlarm], *values: object
) -> list[GantryAlarm]:
    ids = sorted(each.id for each in found)
    session.rows("SELECT id FROM alarms WHERE id {in} ORDER BY id FOR UPDATE", ids)
    session.run(sql, *values, ids)
    return _alarms(session, "id {in}", ids)


def _alarms(session: Session, where: str, *values: object) -> list[GantryAlarm]:
    rows = session.rows(f"SELECT {_COLUMNS} FROM alarms WHERE {where} ORDER BY id", *values)  # noqa: S608
    return [alarm_of(row) for row in rows]
