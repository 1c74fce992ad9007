"""The primary is killed, and its synchronous standby takes over."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.centre import postgres
from tests.centre.drills import drill
from tests.centre.drills.processes import Front
from tests.centre.drills.senders import Senders
from tests.daemon.process import free_port
from twisted_gantry.centre.store.postgresql import PostgresEngine

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

ALONE = {"synchronous_standby_names": ""}
"""Of a standby: once it took over, it waits for no standby until it has one."""


class Pair:
    """A primary whose commits wait for its standby. A round changes their roles."""

    def __init__(self) -> None:
        self.primary = postgres.Cluster(free_port())
        self.standby = postgres.Cluster(free_port(), ALONE)
        self.primary.init()
        self.primary.start()
        ports = f"127.0.0.1:{self.primary.port},127.0.0.1:{self.standby.port}"
        self.url = f"postgresql://postgres@{ports}/postgres?target_session_attrs=read-write"
        drill_engine = PostgresEngine(self.url)
        self.engine = drill_engine
        self._settings = self.primary.settings

    def join(self) -> None:
        """Give the primary a standby, and let commits wait for it."""
        self.primary.run("ALTER SYSTEM SET synchronous_standby_names = '*'")
        self.primary.run("SELECT pg_reload_conf()")
        self.standby.follow(self.primary)
        self.standby.start()
        in_sync = "SELECT 1 FROM pg_stat_replication WHERE sync_state = 'sync'"
        while not self.primary.run(in_sync):
            pass

    def take_over(self) -> None:
        """Kill the primary, and promote its standby."""
        self.primary.stop(signal.SIGKILL)
        self.standby.run("SELECT pg_promote()")
        self.primary, self.standby = self.standby, self.primary

    def rejoin(self) -> None:
        """Make the old primary the standby of the new one."""
        self.primary.stop()
        self.primary.settings = self._settings
        self.standby.settings = self._settings | ALONE
        self.primary.start()
        self.join()

    def close(self) -> None:
        self.primary.destroy()
        self.standby.destroy()


@pytest.fixture
def pair() -> Iterator[Pair]:
    made = Pair()
    yield made
    made.close()


def test_a_standby_that_takes_over_has_all(pair: Pair, tmp_path: Path) -> None:
    """What was acknowledged is on the standby, once, with its alarms; the fronts find it by the
    addresses of both servers.
    """
    key = tmp_path / "centre.key"
    drill.prepare(pair.engine, key)
    fronts = [Front(tmp_path / f"front-{n}", pair.url, key=key) for n in range(2)]
    for front in fronts:
        front.start()
    pair.join()

    def fault(senders: Senders) -> None:
        pair.take_over()

    for number in range(drill.ROUNDS):
        acknowledged = drill.run(number, fronts, fault)
        drill.check(pair.engine, number, acknowledged)
        if number + 1 < drill.ROUNDS:
            pair.rejoin()
    for front in fronts:
        front.terminate()
