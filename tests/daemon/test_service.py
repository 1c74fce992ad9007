"""The wiring, in this process: options to settings, settings to a tree that starts and stops."""

import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.python.usage import UsageError

from tests.daemon.process import Client, free_port, until, write_config
from tests.support import moments
from twisted_gantry.config.load import load_file
from twisted_gantry.core.interfaces import IUplink
from twisted_gantry.daemon.service import Gantry
from twisted_gantry.daemon.tap import Options, makeService
from twisted_gantry.daemon.threads import InThreads
from twisted_gantry.daemon.tree import GantryTree
from twisted_gantry.settings.tables import ConfigError
from twisted_gantry.store.history.sqlite import open_history
from twisted_gantry.store.opening import open_store
from twisted_gantry.twin.service import ON_FREE_PORTS, Twin, TwinSettings, build_twin


class Rig:
    """A twin and a gantry's tree in this process."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        self.folder, self.reactor = folder, reactor
        self.twin: Twin = build_twin(
            TwinSettings(**{**ON_FREE_PORTS, "auth": "kX7-secret-code"}), reactor, time.time
        )
        self.twin.startService()
        self.web = free_port()
        config = write_config(folder, self.twin.port("ups-tcp"), self.twin.port("etc"), self.web)
        self.settings = load_file(config)
        self.client = Client(reactor)

    def tree(self) -> GantryTree:
        """Return a new tree on the folder's store."""
        reactor = self.reactor
        in_thread = partial(deferToThreadPool, reactor, reactor.getThreadPool())
        return GantryTree(
            self.settings,
            store=open_store(self.folder / "data", reactor, moments(time.time)),
            history=open_history(self.folder / "data", reactor, time.time, 90.0),
            reactor=reactor,
            now=time.time,
            random=Random(1),
            threads=InThreads(*[in_thread] * 5),
        )

    async def close(self) -> None:
        """End the twin."""
        await self.client.close()
        await self.twin.stopService()
        await deferLater(self.reactor, 0.05)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    from twisted.internet import reactor

    made = Rig(tmp_path, reactor)
    yield made
    pytest_twisted.blockon(ensureDeferred(made.close()))


async def test_a_tree_starts_reports_and_stops_without_a_trace(rig: Rig) -> None:
    """A tree reports over real sockets, and after its stop nothing listens, waits or runs."""
    for _ in range(3):
        tree = rig.tree()
        tree.startService()
        etc = tree.site.uplinks["etc"]

        def delivered(etc: IUplink = etc) -> bool:
            return etc.last_delivered is not None

        await until(rig.reactor, "a delivery", delivered)
        health = await rig.client.get(f"http://127.0.0.1:{rig.web}/healthz")
        assert health["status"] == "ok"
        await tree.stopService()
        assert await rig.client.get(f"http://127.0.0.1:{rig.web}/healthz") is None
    assert rig.twin.platform.counts["code-1000"] >= 3


async def test_what_one_tree_stored_the_next_one_sends(rig: Rig) -> None:
    """Reports that could not be delivered before the stop are delivered by the next start."""
    rig.twin.faults.put("etc", {"http_status": 503})
    tree = rig.tree()
    tree.startService()

    async def queued() -> bool:
        ledger = await tree.site.store.ledger("etc")
        return bool(ledger.queued >= 4)

    await until(rig.reactor, "a back-log", queued)
    await tree.stopService()
    rig.twin.faults.clear("etc")
    tree = rig.tree()
    ledger = await tree.site.store.ledger("etc")
    assert ledger.queued >= 4
    tree.startService()

    async def drained() -> bool:
        now = await tree.site.store.ledger("etc")
        return bool(now.delivered >= ledger.queued)

    await until(rig.reactor, "the back-log to drain", drained)
    await tree.stopService()


def parse(*arguments: str) -> Options:
    """Parse the options of `twistd gantry`."""
    options: Any = Options
    parsed: Options = options()
    options.parseOptions(parsed, list(arguments))
    return parsed


def test_one_of_config_and_demo_is_needed() -> None:
    """Neither or both of --config and --demo is a mistake that names them."""
    for arguments in ([], ["--demo", "--config", "x.toml"]):
        with pytest.raises(UsageError, match="--config FILE and --demo"):
            parse(*arguments)


def test_the_demo_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    """--demo --check says so, and exits with 0."""
    with pytest.raises(SystemExit) as ended:
        parse("--demo", "--check")
    assert ended.value.code == 0
    assert "in order" in capsys.readouterr().out


def test_check_prints_every_mistake(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--check prints the mistakes with line and key on stdout, and exits with 1."""
    path = tmp_path / "site.toml"
    path.write_text('[gantry]\nid = 5\n[web]\nlisten = "tcp:8080"\n', encoding="utf-8")
    with pytest.raises(SystemExit) as ended:
        parse("--config", str(path), "--check")
    assert ended.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(f"{path}:2: gantry.id: ")
    assert lines[1].startswith(f"{path}:4: web.listen: ")
    with pytest.raises(SystemExit):
        parse("--config", str(path))
    assert capsys.readouterr().err.splitlines() == lines


def test_the_command_line_wins_over_the_file() -> None:
    """--web replaces [web] listen, and must not open the door to the network either."""
    options = parse("--demo", "--web", "tcp:9999:interface=127.0.0.1")
    assert options.settings.web.listen == "tcp:9999:interface=127.0.0.1"
    with pytest.raises(SystemExit):
        parse("--demo", "--web", "tcp:9999")
    with pytest.raises(ConfigError, match="--web"):
        options.settings.listening_on("tcp:9999")


def test_make_service_touches_nothing_before_the_start(tmp_path: Path) -> None:
    """Before twistd has become a daemon no file is opened and no thread started."""
    from twisted.internet import reactor

    anyhow: Any = reactor
    seconds = anyhow.seconds
    try:
        made = makeService(parse("--demo", "--data", str(tmp_path / "data")))
    finally:
        anyhow.seconds = seconds
    assert isinstance(made, Gantry)
    assert list(tmp_path.iterdir()) == []
