"""How full the disk of a database is."""

import os
from pathlib import Path

import pytest

from tests.centre.store.rig import Rig
from tests.centre.store.samples import report
from twisted_gantry.centre.interfaces import NotStored, Session
from twisted_gantry.centre.store.disk import LOOK, DiskGuard, postgresql_usage, sqlite_usage
from twisted_gantry.centre.store.engine import Connection
from twisted_gantry.centre.store.sqlite import SqliteEngine
from twisted_gantry.centre.store.store import Limits
from twisted_gantry.testing.clock import ManualClock


def a_disk(blocks: int, free: int) -> os.statvfs_result:
    return os.statvfs_result((4096, 4096, blocks, free, free, 0, 0, 0, 0, 255))


def told(guard: DiskGuard, connection: Connection) -> str | None:
    guard.look(connection)
    return guard.trouble


def test_free_pages_of_the_file_are_room(tmp_path: Path) -> None:
    """A SQLite file does not shrink when days are dropped: its free pages count as free disk."""
    engine = SqliteEngine(tmp_path / "centre.sqlite")
    connection = engine.connect()
    usage = sqlite_usage(engine.path, lambda folder: a_disk(1000, 50))
    assert connection.transaction(usage) == pytest.approx(0.95)

    def grow(session: Session) -> None:
        session.run("CREATE TABLE much (body BLOB) STRICT")
        session.many("INSERT INTO much VALUES (?)", [(bytes(3000),) for _ in range(100)])

    connection.transaction(grow)
    connection.transaction(lambda session: session.run("DROP TABLE much"))
    assert connection.transaction(usage) < 0.9
    connection.close()
    engine.close()


def test_reports_come_again_when_there_is_room(clock: ManualClock, tmp_path: Path) -> None:
    """The guard refuses at 90 %, and looks again every few seconds; a database that said that it is
    full is tried again as soon.
    """
    engine = SqliteEngine(tmp_path / "centre.sqlite")
    connection: Connection = engine.connect()
    used = [0.90]
    guard = DiskGuard(lambda session: used[0], clock.seconds)
    assert told(guard, connection) == "the disk of the database is 90 % full"
    used[0] = 0.89
    assert told(guard, connection) is not None
    clock.advance(LOOK)
    assert told(guard, connection) is None
    unknown = DiskGuard(None, clock.seconds)
    unknown.found_full()
    assert told(unknown, connection) == "the disk of the database is full"
    clock.advance(LOOK)
    assert told(unknown, connection) is None
    connection.close()
    engine.close()


async def test_a_database_that_may_not_grow_refuses(server: Rig) -> None:
    """PostgreSQL is measured against the size that it may have."""
    store = server.open(Limits(usage=postgresql_usage(8e6)))
    await store.put(report()).addErrback(lambda failure: failure.trap(NotStored))
    await store.write(lambda session: session.now())
    with pytest.raises(NotStored, match="the disk of the database is"):
        await store.put(report("G2"))
