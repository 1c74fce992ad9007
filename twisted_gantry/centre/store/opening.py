"""Opens the store that a URL names."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted_gantry.centre.interfaces import NotStored
from twisted_gantry.centre.store.disk import Usage, postgresql_usage, sqlite_usage
from twisted_gantry.centre.store.engine import Connection, Engine, Unusable, first_line
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.centre.store.schema import migrate
from twisted_gantry.centre.store.sqlite import SqliteEngine
from twisted_gantry.centre.store.store import Limits, ReportStore
from twisted_gantry.wire.secret import Secret

SQLITE = "sqlite"
FILE = "centre.sqlite"
"""The file of SQLite in the data folder."""
_GIB = float(1 << 30)


def engine_of(url: Secret, folder: Path) -> Engine:
    """Return the engine of a URL: `sqlite`, a file in `folder`, or `postgresql://…`. Raises
    Unusable.
    """
    if url.reveal() == SQLITE:
        return SqliteEngine(folder / FILE)
    try:
        from twisted_gantry.centre.store.postgresql import PostgresEngine
    except ImportError as error:
        raise Unusable(
            "PostgreSQL needs psycopg: pip install 'twisted-gantry[postgres]'"
        ) from error
    return PostgresEngine(url.reveal())


def _nothing(connection: Connection) -> None:
    """Prepare nothing beside the tables."""


class Prepared:
    """An engine whose database gets its tables, and what `prepare` does, before anything else: at
    the first connection that writes. Until then nobody reads. `prepare` may run in any thread.
    """

    def __init__(self, engine: Engine, prepare: Callable[[Connection], object]) -> None:
        self.name = engine.name
        self.fault, self.unreachable = engine.fault, engine.unreachable
        self._engine, self._prepare = engine, prepare
        self._ready = False

    def connect(self, *, read_only: bool = False) -> Connection:
        if self._ready:
            return self._engine.connect(read_only=read_only)
        if read_only:
            raise NotStored("the database cannot be reached")
        connection = self._engine.connect()
        try:
            self._make_ready(connection)
        except BaseException:
            connection.close()
            raise
        self._ready = True
        return connection

    def _make_ready(self, connection: Connection) -> None:
        try:
            migrate(connection)
        except Exception as error:
            if isinstance(error, Unusable) or self.unreachable(error):
                raise
            raise Unusable(f"the tables cannot be made: {first_line(error)}") from error
        self._prepare(connection)

    def close(self) -> None:
        self._engine.close()


def open_store(
    engine: Engine,
    filing: Filing,
    reactor: Any,
    room: int = 20_000,
    max_gib: float = 0.0,
    prepare: Callable[[Connection], object] = _nothing,
) -> ReportStore:
    """Open the database, bring its tables up to date, and start the store. `prepare` is called once
    with the tables. This blocks for one try: a store whose database cannot be reached tries again
    by itself, and stores nothing until then. `max_gib` is how large a PostgreSQL database may grow,
    0 for no bound. Raises Unusable, in a sentence without secrets.
    """
    prepared = Prepared(engine, prepare)
    connection: Connection | None = None
    try:
        connection = prepared.connect()
    except Unusable:
        raise
    except Exception as error:
        if not engine.unreachable(error):
            raise Unusable(f"the database cannot be opened: {first_line(error)}") from error
    store = ReportStore(prepared, filing, reactor, Limits(room, _usage(engine, max_gib)))
    store.start(connection)
    return store


def _usage(engine: Engine, max_gib: float) -> Usage | None:
    if isinstance(engine, SqliteEngine):
        return sqlite_usage(engine.path)
    return postgresql_usage(max_gib * _GIB) if max_gib > 0 else None
