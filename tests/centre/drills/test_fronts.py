"""Fronts that are killed, and a database that goes away, while reports come."""

import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.centre import postgres
from tests.centre.drills import drill
from tests.centre.drills.processes import Front, Proxy
from tests.centre.drills.senders import Senders
from tests.daemon.process import free_port
from twisted_gantry.centre.store.engine import Engine
from twisted_gantry.centre.store.postgresql import PostgresEngine
from twisted_gantry.centre.store.sqlite import SqliteEngine

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]


class Site:
    """A cluster with a port, a proxy before it, and two fronts."""

    def __init__(self, folder: Path) -> None:
        self.cluster = postgres.Cluster(free_port())
        self.cluster.init()
        self.cluster.start()
        self.proxy = Proxy(self.cluster.port)
        self.engine: Engine = PostgresEngine(self.cluster.url())
        drill.prepare(self.engine, folder / "centre.key", drill.ROUNDS * len(FAULTS))
        url = f"postgresql://postgres@127.0.0.1:{self.proxy.port}/postgres"
        key = folder / "centre.key"
        self.fronts = [Front(folder / f"front-{n}", url, key=key) for n in range(2)]
        for front in self.fronts:
            front.start()

    def close(self) -> None:
        for front in self.fronts:
            front.terminate()
        self.proxy.close()
        self.cluster.destroy()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    made = Site(tmp_path_factory.mktemp("site"))
    yield made
    made.close()


def kill_fronts(site: Site, senders: Senders) -> None:
    for number, share in enumerate((0.6, 0.8)):
        site.fronts[number].kill()
        senders.reach(share)
        site.fronts[number].start()


def restart_database(site: Site, senders: Senders) -> None:
    site.cluster.stop(signal.SIGINT)
    site.cluster.start()


def kill_database(site: Site, senders: Senders) -> None:
    site.cluster.stop(signal.SIGKILL)
    site.cluster.start()


def cut_network(site: Site, senders: Senders) -> None:
    site.proxy.cut()
    acknowledged = len(senders.acknowledged)
    senders.pass_time(0.5)
    assert len(senders.acknowledged) <= acknowledged + 6  # answers that were on their way
    site.proxy.mend()


def freeze_network(site: Site, senders: Senders) -> None:
    site.proxy.freeze()
    senders.pass_time(1.0)
    site.proxy.mend()


FAULTS = (kill_fronts, restart_database, kill_database, cut_network, freeze_network)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_nothing_acknowledged_is_lost(site: Site, fault: Callable[[Site, Senders], None]) -> None:
    """Fronts are killed, the database is restarted or killed, the network is cut or stands still:
    what was acknowledged is stored once, with the alarms that it raises.
    """
    first = FAULTS.index(fault) * drill.ROUNDS
    for number in range(first, first + drill.ROUNDS):
        acknowledged = drill.run(number, site.fronts, partial(fault, site))
        drill.check(site.engine, number, acknowledged)


def test_a_killed_centre_on_sqlite_loses_nothing(tmp_path: Path) -> None:
    """The embedded database survives the kill of its one process in the middle of commits."""
    folder = tmp_path / "data"
    folder.mkdir()
    engine = SqliteEngine(folder / "centre.sqlite")
    drill.prepare(engine, folder / "centre.key")
    engine.close()
    front = Front(folder, "sqlite", role="all")
    front.start()

    def fault(senders: Senders) -> None:
        front.kill()
        front.start()

    sent = [drill.run(number, [front], fault) for number in range(drill.ROUNDS)]
    front.terminate()
    for number, acknowledged in enumerate(sent):
        drill.check(engine, number, acknowledged)
    engine.close()
