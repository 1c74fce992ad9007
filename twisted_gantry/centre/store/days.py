"""The tables of reports: one a day, UTC, by the stamp. In PostgreSQL they are partitions of
`reports`, for people who look with SQL; the program names the table of the day in both engines.

A table is made ahead by the retention duty, or when the first report of its day comes. Two fronts
may do so at the same time.
"""

from collections.abc import Iterable
from datetime import UTC, datetime

from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.store.sql import POSTGRESQL, SQLITE, definition

DAY = 86400

_PATIENCE_MS = 1000
_LOCK = 0x64617973  # of PostgreSQL's advisory locks: "days"

_COLUMNS = """
    gantry TEXT NOT NULL, stamp {real} NOT NULL, method TEXT NOT NULL, digest {bytes} NOT NULL,
    id {int} NOT NULL, received_at {real} NOT NULL, late {int} NOT NULL DEFAULT 0,
    told TEXT NOT NULL, body {bytes} NOT NULL, PRIMARY KEY (gantry, stamp, method, digest)"""

TABLES = (
    "CREATE TABLE days (day {int} PRIMARY KEY)",
    f"{{postgresql}} CREATE TABLE reports ({_COLUMNS}) PARTITION BY RANGE (stamp)",
)

Key = tuple[str, float, str, bytes]
"""Of a report in the table of its day: gantry, stamp, method, digest."""

_CHANGE = {
    SQLITE: (
        "UPDATE {table} SET {change} WHERE gantry = ? AND stamp = ? AND method = ? AND digest = ?"
    ),
    POSTGRESQL: (
        "UPDATE {table} AS r SET {change} FROM ({{rows:text,real,text,bytes}}) AS k (g, s, m, d) "
        "WHERE r.gantry = k.g AND r.stamp = k.s AND r.method = k.m AND r.digest = k.d"
    ),
}


def day_of(stamp: float) -> int:
    """Return the day of a stamp, counted from 1970-01-01 UTC."""
    return int(stamp // DAY)


def table_of(day: int) -> str:
    """Return the name of the table of a day, such as `reports_20260131`."""
    return f"reports_{datetime.fromtimestamp(day * DAY, UTC):%Y%m%d}"


def existing(session: Session) -> list[int]:
    """Return the days that have a table, the newest first."""
    return [day for (day,) in session.rows("SELECT day FROM days ORDER BY day DESC")]


def make(session: Session, day: int) -> None:
    """Make the table of a day, unless it exists: in a transaction without reports, because what
    waits for the lock must hold none.
    """
    _lock(session)
    if session.rows("SELECT 1 FROM days WHERE day = ?", day):
        return
    session.run("INSERT INTO days VALUES (?)", day)
    name = table_of(day)
    if session.engine == POSTGRESQL:
        # Made apart and attached: CREATE ... PARTITION OF would wait for those who read `reports`.
        session.run(f"CREATE TABLE {name} (LIKE reports INCLUDING ALL)")
        session.run(
            f"ALTER TABLE reports ATTACH PARTITION {name} "
            f"FOR VALUES FROM ({day * DAY}) TO ({(day + 1) * DAY})"
        )
        return
    sql = definition(f"CREATE TABLE {name} ({_COLUMNS})", session.engine)
    assert sql is not None
    session.run(sql)


def drop(session: Session, day: int) -> None:
    """Drop the table of a day with its reports."""
    _lock(session)
    if session.run("DELETE FROM days WHERE day = ?", day):
        session.run(f"DROP TABLE {table_of(day)}")


def change(session: Session, assignment: str, keys: Iterable[Key]) -> None:
    """Change a column of reports, such as `late = 1`: one statement for each of their days."""
    tables: dict[int, list[Key]] = {}
    for key in keys:
        tables.setdefault(day_of(key[1]), []).append(key)
    for day, of_day in tables.items():
        sql = _CHANGE[session.engine].format(table=table_of(day), change=assignment)
        session.many(sql, of_day)


def _lock(session: Session) -> None:
    """Be the only one that changes tables. A person who looks at `reports` is not waited for long:
    reports wait as well.
    """
    if session.engine == POSTGRESQL:
        session.run(f"SET LOCAL lock_timeout = {_PATIENCE_MS}")
        session.rows("SELECT pg_advisory_xact_lock(?)", _LOCK)
