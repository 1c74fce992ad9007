"""The disk of the database is full for a while: a small file system in memory, which only root may
mount.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from tempfile import mkdtemp

import pytest

from tests.centre import postgres
from tests.centre.drills import drill
from tests.centre.drills.processes import Front
from tests.centre.drills.senders import Senders
from tests.daemon.process import free_port
from twisted_gantry.centre.store.disk import LOOK
from twisted_gantry.centre.store.postgresql import PostgresEngine
from twisted_gantry.centre.store.sqlite import SqliteEngine

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

REPORTS = 60
"""Of a gantry and round: enough for PostgreSQL to need more room than its tables have."""


class Disk:
    """A file system of its own at `folder`, which the user of a server may enter."""

    def __init__(self, megabytes: int) -> None:
        self.folder = folder = Path(mkdtemp(prefix="centre-disk-"))
        options = f"size={megabytes}m,mode=0755"
        line = ["mount", "-t", "tmpfs", "-o", options, "centre-drill", str(folder)]
        done = subprocess.run(line, capture_output=True)
        if done.returncode != 0:
            folder.rmdir()
            pytest.skip(f"a small file system cannot be mounted here: {done.stderr.decode()}")

    def fill(self) -> None:
        with suppress(OSError), (self.folder / "filler").open("wb", buffering=0) as file:
            while file.write(bytes(4096)):
                pass

    def clear(self) -> None:
        (self.folder / "filler").unlink()

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True)
        self.folder.rmdir()


@pytest.fixture
def disk() -> Iterator[Disk]:
    if os.geteuid() != 0:
        pytest.skip("only root may mount a file system")
    made = Disk(96)
    yield made
    made.close()


def full_for_a_while(disk: Disk, senders: Senders) -> None:
    """Fill the disk until reports are refused for it, then make room."""
    disk.fill()
    senders.hold(LOOK + 0.1)  # the next report is looked at with a fresh eye for the disk
    while not senders.refusals.get("1008", 0) and not senders.finished:
        senders.pass_time(0.05)
    disk.clear()
    assert senders.refusals.get("1008", 0), "nothing was refused: the round is too short"


def test_a_full_disk_of_sqlite_loses_nothing(disk: Disk) -> None:
    """SQLite without room answers 1008; once there is room, all is stored, once."""
    engine = SqliteEngine(disk.folder / "centre.sqlite")
    drill.prepare(engine, disk.folder / "centre.key")
    engine.close()
    front = Front(disk.folder, "sqlite", role="all")
    front.start()
    sent = [
        drill.run(number, [front], partial(full_for_a_while, disk), REPORTS)
        for number in range(drill.ROUNDS)
    ]
    front.terminate()
    for number, acknowledged in enumerate(sent):
        drill.check(engine, number, acknowledged)
    engine.close()


def test_a_full_disk_of_postgresql_loses_nothing(disk: Disk, tmp_path: Path) -> None:
    """PostgreSQL without room for its tables answers 53100, the front 1008; once there is room, all
    is stored, once.
    """
    cluster = postgres.Cluster(free_port())
    postgres.give_to_server(disk.folder)
    cluster.data = disk.folder / "data"
    cluster.init(wal=cluster.folder / "wal")
    cluster.start()
    key = tmp_path / "centre.key"
    engine = PostgresEngine(cluster.url())
    drill.prepare(engine, key)
    fronts = [Front(tmp_path / f"front-{n}", cluster.url(), key=key) for n in range(2)]
    for front in fronts:
        front.start()
    for number in range(drill.ROUNDS):
        acknowledged = drill.run(number, fronts, partial(full_for_a_while, disk), REPORTS)
        drill.check(engine, number, acknowledged)
    for front in fronts:
        front.terminate()
    cluster.destroy()
