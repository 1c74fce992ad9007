"""What a database must be, and how processes share it."""

from pathlib import Path
from threading import Thread

import pytest

from tests.centre import postgres
from tests.centre.store.rig import Rig
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.store import troubles
from twisted_gantry.centre.store.engine import Engine, Unusable
from twisted_gantry.centre.store.opening import engine_of
from twisted_gantry.centre.store.postgresql import PostgresEngine
from twisted_gantry.centre.store.schema import VERSIONS, migrate
from twisted_gantry.centre.store.sql import definition
from twisted_gantry.centre.store.sqlite import SqliteEngine
from twisted_gantry.wire.secret import Secret


def test_a_second_process_on_the_file_is_refused(tmp_path: Path) -> None:
    """A SQLite file belongs to one process, and is readable by its user alone."""
    first = engine_of(Secret("sqlite"), tmp_path / "data")
    first.connect().close()
    with pytest.raises(Unusable, match="another process uses"):
        engine_of(Secret("sqlite"), tmp_path / "data").connect()
    first.close()
    again = engine_of(Secret("sqlite"), tmp_path / "data")
    again.connect().close()
    again.close()
    assert (tmp_path / "data" / "centre.sqlite").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("synchronous_commit = off", "synchronous_commit = off and would lose"),
        ("synchronous_commit = local", "synchronous_commit = local"),
        ("synchronous_commit = remote_write", "synchronous_commit = remote_write"),
        ("default_transaction_read_only = on", "takes no writes"),
    ],
)
def test_a_database_that_loses_reports_is_refused(server: Rig, setting: str, said: str) -> None:
    """Settings under which an acknowledged report may be lost are refused in a sentence."""
    name = server.url.rpartition("?")[0].rpartition("/")[2]
    postgres.shared().run(f"ALTER DATABASE {name} SET {setting}")
    with pytest.raises(Unusable, match=said):
        PostgresEngine(server.url).connect()


def test_a_server_without_fsync_is_refused() -> None:
    """`fsync` off is refused, before anything is written."""
    cluster = postgres.Cluster(settings={"fsync": "off"})
    cluster.init()
    cluster.start()
    with pytest.raises(Unusable, match="fsync = off and would lose acknowledged reports"):
        PostgresEngine(cluster.url()).connect()
    cluster.destroy()


def test_processes_that_start_together_make_the_tables_once() -> None:
    """Of several processes that start on an empty database one makes the tables."""
    postgres.shared().run("CREATE DATABASE together")
    url = postgres.shared().url("together")
    connections = [PostgresEngine(url).connect() for _ in range(3)]
    threads = [Thread(target=migrate, args=(each,)) for each in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = connections[0].transaction(lambda s: s.rows("SELECT version FROM schema_version"))
    assert found == [(len(VERSIONS),)]
    for connection in connections:
        connection.close()
    postgres.drop_database(url)


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    """Tables of a newer version are not touched."""
    engine = SqliteEngine(tmp_path / "centre.sqlite")
    connection = engine.connect()
    migrate(connection)
    connection.transaction(lambda session: session.run("UPDATE schema_version SET version = 99"))
    with pytest.raises(Unusable, match="newer version"):
        migrate(connection)
    connection.close()
    engine.close()


@pytest.mark.parametrize("name", ["sqlite", "postgresql"])
def test_an_older_database_is_brought_up_to_date(name: str, tmp_path: Path) -> None:
    """The tables of the first version become those of now; what was in them stays."""
    engine: Engine = SqliteEngine(tmp_path / "centre.sqlite")
    if name == "postgresql":
        postgres.shared().run("CREATE DATABASE older")
        engine = PostgresEngine(postgres.shared().url("older"))
    connection = engine.connect()

    def first(session: Session) -> None:
        for statement in ("CREATE TABLE schema_version (version {int} NOT NULL)", *VERSIONS[0]):
            sql = definition(statement, session.engine)
            if sql is not None:
                session.run(sql)
        session.run("INSERT INTO schema_version VALUES (1)")
        session.run(
            "INSERT INTO troubles (process, name, severity, en, zh, since) "
            "VALUES ('one', 'centre.clock', 'warning', 'wrong', '', 5.0)"
        )

    connection.transaction(first)
    migrate(connection)
    [kept] = connection.transaction(troubles.current)
    assert (kept.name, kept.since, kept.acked_by) == ("centre.clock", 5.0, "")
    connection.close()
    engine.close()
    if name == "postgresql":
        postgres.shared().run("DROP DATABASE older WITH (FORCE)")
