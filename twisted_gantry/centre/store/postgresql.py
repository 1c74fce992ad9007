"""PostgreSQL through psycopg 3. Needs the extra `twisted-gantry[postgres]`."""

import struct
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.errors import Diagnostic

from twisted_gantry.centre.interfaces import Job, NotStored
from twisted_gantry.centre.model import Row
from twisted_gantry.centre.store import arrays
from twisted_gantry.centre.store.engine import Connection, Fault, Unusable
from twisted_gantry.centre.store.sql import POSTGRESQL, for_postgresql, row_types

T = TypeVar("T")

OLDEST = 150000
"""The oldest server, as `server_version_num` says it."""
WRITE_MS, READ_MS, LOCK_MS, IDLE_MS = 10_000, 30_000, 5_000, 15_000
"""Deadlines of a statement that writes or reads, of a lock and of an idle transaction."""
_DEFAULTS: dict[str, Any] = {
    "connect_timeout": 5,  # seconds
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 15_000,  # milliseconds
    "application_name": "gantry-centre",
}
_DURABLE = ("on", "remote_apply")

# Codes of errors by their class, the first two characters, or whole.
_FAULTS = {
    "08": Fault.LOST,
    "22": Fault.REJECTED,
    "23": Fault.REJECTED,
    "25006": Fault.LOST,  # read-only: the server became a standby
    "25P03": Fault.LOST,
    "40": Fault.AGAIN,
    "53": Fault.LOST,
    "53100": Fault.FULL,
    "54": Fault.REJECTED,
    "55": Fault.AGAIN,
    "57": Fault.LOST,
    "57014": Fault.AGAIN,  # statement_timeout, or cancelled by a person
    "58": Fault.LOST,
    "58030": Fault.LOST,
}

# Errors of a connection have no code, only the words of the server or of the client.
_FATAL = ("FATAL", "致命错误")
_PASSING = (
    "the database system is",
    "数据库系统",
    "too many c",
    "太多的客户",
    "slots are reserved",
    "try again",
)
_REFUSALS = ("password", "certificate", "SSL was required", "SSL is required", "invalid ")
"""Parts of what a wrong URL, password, name or certificate is answered with."""


class PostgresSession:
    """A transaction in PostgreSQL."""

    engine = POSTGRESQL

    def __init__(self, db: psycopg.Connection[Row]) -> None:
        self._db = db

    def rows(self, sql: str, *values: Any) -> list[Row]:
        return self._execute(sql, values).fetchall()

    def run(self, sql: str, *values: Any) -> int:
        return self._execute(sql, values).rowcount

    def _execute(self, sql: str, values: tuple[Any, ...]) -> psycopg.Cursor[Row]:
        if "{in}" in sql:
            values = tuple(arrays.of_texts(v) if isinstance(v, list | tuple) else v for v in values)
        return self._db.execute(for_postgresql(sql), values)

    def many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        if "{rows:" in sql:
            self._unnest(sql, rows)
            return
        with self._db.cursor() as cursor:
            cursor.executemany(for_postgresql(sql), rows)

    def many_rows(self, sql: str, rows: Iterable[Sequence[Any]]) -> list[Row]:
        cursor = self._unnest(sql, rows)
        return cursor.fetchall() if cursor is not None else []

    def _unnest(self, sql: str, rows: Iterable[Sequence[Any]]) -> psycopg.Cursor[Row] | None:
        columns = arrays.columns(row_types(sql), rows)
        return self._db.execute(for_postgresql(sql), columns) if columns else None

    def now(self) -> float:
        [(seconds,)] = self.rows("SELECT extract(epoch FROM clock_timestamp())::float8")
        return float(seconds)


class PostgresConnection:
    """Each transaction sets its own deadlines: a pool such as pgbouncer may stand between."""

    def __init__(self, db: psycopg.Connection[Row], read_only: bool) -> None:
        self._db = db
        arrays.register(db)
        self._session = PostgresSession(db)
        self._warnings: list[str] = []
        db.add_notice_handler(self._noticed)
        statement = READ_MS if read_only else WRITE_MS
        self._begin = (
            f"BEGIN{' READ ONLY' if read_only else ''}; SET LOCAL statement_timeout = {statement}; "
            f"SET LOCAL lock_timeout = {LOCK_MS}; "
            f"SET LOCAL idle_in_transaction_session_timeout = {IDLE_MS}"
        ).encode()

    def _noticed(self, notice: Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self._warnings.append(notice.message_primary or "a warning without a text")

    def transaction(self, job: Job[T]) -> T:
        db = self._db
        db.execute(self._begin)
        try:
            result = job(self._session)
            self._warnings.clear()
            db.execute("COMMIT")
        except BaseException:
            with suppress(psycopg.Error):
                db.execute("ROLLBACK")
            raise
        if self._warnings:
            # A commit whose wait for the standby was cancelled succeeds, with a warning alone.
            raise NotStored(f"the standby did not confirm: {self._warnings[0]}")
        return result

    def close(self) -> None:
        with suppress(psycopg.Error):
            self._db.close()


class PostgresEngine:
    """A server, or several of which one takes writes (`target_session_attrs=read-write`)."""

    name = POSTGRESQL

    def __init__(self, url: str) -> None:
        try:
            given = conninfo_to_dict(url)
        except psycopg.ProgrammingError as error:
            raise Unusable("the URL of the database cannot be read") from error
        several = "," in str(given.get("host", ""))
        defaults = {**_DEFAULTS, "target_session_attrs": "read-write"} if several else _DEFAULTS
        self._conninfo = make_conninfo(**{**defaults, **given})

    def connect(self, *, read_only: bool = False) -> Connection:
        # Statements are not prepared by name: a pool or a fail-over may change the server between.
        db = psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)
        try:
            _check(db)
        except BaseException:
            db.close()
            raise
        return PostgresConnection(db, read_only)

    def fault(self, error: Exception) -> Fault:
        return postgres_fault(error)

    def unreachable(self, error: Exception) -> bool:
        if postgres_fault(error) not in (Fault.LOST, Fault.AGAIN):
            return False
        known = isinstance(error, psycopg.Error) and error.sqlstate is not None
        return known or not any(map(_is_refusal, str(error).splitlines()))

    def close(self) -> None:
        """Nothing is held beside the connections."""


def _check(db: psycopg.Connection[Row]) -> None:
    """Refuse a server that loses what it committed, that does not write or that is too old."""
    if db.info.server_version < OLDEST:
        version = db.info.server_version
        raise Unusable(
            f"the server is PostgreSQL {version // 10000}; the centre needs {OLDEST // 10000} or "
            "newer"
        )
    names = (
        "fsync",
        "full_page_writes",
        "synchronous_commit",
        "transaction_read_only",
        "server_encoding",
    )
    sql = "SELECT pg_is_in_recovery(), " + ", ".join(f"current_setting('{n}')" for n in names)
    [(standby, *values)] = db.execute(sql.encode()).fetchall()
    found = dict(zip(names, values, strict=True))
    if standby:
        raise Unusable("the server is a standby: give the address of the primary, or of both")
    if found["transaction_read_only"] == "on":
        raise Unusable("the server takes no writes: default_transaction_read_only is on")
    for name in ("fsync", "full_page_writes"):
        if found[name] != "on":
            raise Unusable(
                f"the server has {name} = off and would lose acknowledged reports in a power cut: "
                "set it to on"
            )
    if found["synchronous_commit"] not in _DURABLE:
        raise Unusable(
            f"the server has synchronous_commit = {found['synchronous_commit']} and would lose "
            "acknowledged reports: set it to on or remote_apply"
        )
    if found["server_encoding"] != "UTF8":
        raise Unusable(
            f"the database has the encoding {found['server_encoding']}: create it with UTF8"
        )


def postgres_fault(error: Exception) -> Fault:
    """Sort an error of PostgreSQL. Values that psycopg cannot hand over are rejected as well."""
    if isinstance(error, UnicodeEncodeError | OverflowError | struct.error):
        return Fault.REJECTED
    if not isinstance(error, psycopg.Error):
        return Fault.LOST if isinstance(error, OSError) else Fault.MISTAKE
    code = error.sqlstate
    if code is None:
        return Fault.REJECTED if isinstance(error, psycopg.DataError) else Fault.LOST
    return _FAULTS.get(code) or _FAULTS.get(code[:2], Fault.MISTAKE)


def _is_refusal(line: str) -> bool:
    """Tell whether a line of an error says that the settings are wrong. A server that starts, stops
    or is full refuses as well.
    """
    if any(each in line for each in _FATAL):
        return not any(each in line for each in _PASSING)
    return any(each in line for each in _REFUSALS)
