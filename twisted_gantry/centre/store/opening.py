"""Opens the store that a URL names."""

from pathlib import Path
from typing import Any

from twisted_gantry.centre.store.disk import Usage, postgresql_usage, sqlite_usage
from twisted_gantry.centre.store.engine import Engine, Unusable, first_line
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


def open_store(
    engine: Engine, filing: Filing, reactor: Any, room: int = 20_000, max_gib: float = 0.0
) -> ReportStore:
    """Open the database, bring its tables up to date, and start the store. This blocks until the
    database answers. `max_gib` is how large a PostgreSQL database may grow, 0 for no bound. Raises
    Unusable, in a sentence without secrets.
    """
    try:
        connection = engine.connect()
    except Unusable:
        raise
    except Exception as error:
        raise Unusable(f"the database cannot be opened: {first_line(error)}") from error
    try:
        migrate(connection)
    except Unusable:
        connection.close()
        raise
    except Exception as error:
        connection.close()
        raise Unusable(f"the tables cannot be made: {first_line(error)}") from error
    store = ReportStore(engine, filing, reactor, Limits(room, _usage(engine, max_gib)))
    store.start(connection)
    return store


def _usage(engine: Engine, max_gib: float) -> Usage | None:
    if isinstance(engine, SqliteEngine):
        return sqlite_usage(engine.path)
    return postgresql_usage(max_gib * _GIB) if max_gib > 0 else None
