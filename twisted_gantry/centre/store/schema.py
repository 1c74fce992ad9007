"""The tables of the centre, and the versions of them. A released version is never changed."""

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.store import (
    alarms,
    audit,
    cards,
    channel_wishes,
    channels,
    cloud_sessions,
    commands,
    incidents,
    leases,
    ledger,
    mutes,
    notices,
    pictures,
    processes,
    refusals,
    registry,
    reports,
    sealing,
    states,
    troubles,
)
from twisted_gantry.centre.store.engine import Connection, Unusable
from twisted_gantry.centre.store.sql import POSTGRESQL, definition

_FIRST = (
    *(reports, ledger, states, alarms, incidents, registry),
    *(leases, mutes, notices, processes, troubles),
    *(commands, pictures, cards, audit),
    *(channels, channel_wishes, cloud_sessions),
    *(sealing, refusals),
)

VERSIONS: tuple[tuple[str, ...], ...] = (
    tuple(sql for room in _FIRST for sql in room.TABLES),
    troubles.TABLES_2,
)
"""The statements of each version; the next one is appended."""

_LOCK = 0x67616E74  # of PostgreSQL's advisory locks: "gant"


def migrate(connection: Connection) -> None:
    """Bring the database up to date; of processes that start together one does it. Raises Unusable
    for a database of a newer version.
    """
    connection.transaction(_migrate)


def _migrate(session: Session) -> None:
    if session.engine == POSTGRESQL:
        session.rows("SELECT pg_advisory_xact_lock(?)", _LOCK)
    _define(session, "CREATE TABLE IF NOT EXISTS schema_version (version {int} NOT NULL)")
    found = session.rows("SELECT version FROM schema_version")
    version = int(found[0][0]) if found else 0
    if version > len(VERSIONS):
        raise Unusable(
            f"the database was written by a newer version (schema {version}, this one knows "
            f"{len(VERSIONS)}): install that version"
        )
    if version == len(VERSIONS):
        return
    for statements in VERSIONS[version:]:
        for statement in statements:
            _define(session, statement)
    session.run("DELETE FROM schema_version")
    session.run("INSERT INTO schema_version VALUES (?)", len(VERSIONS))


def _define(session: Session, statement: str) -> None:
    sql = definition(statement, session.engine)
    if sql is not None:
        session.run(sql)
