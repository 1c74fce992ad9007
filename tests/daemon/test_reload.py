"""SIGHUP to a real daemon: a good file is taken, a broken one changes nothing."""

import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater

from tests.daemon.process import AUTH, Client, Daemon, free_port, until, write_config
from twisted_gantry.twin.twin import ON_FREE_PORTS, TwinSettings, build_twin


class Rig:
    """A daemon with a file, against a twin in this process."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        self.folder, self.reactor = folder, reactor
        self.twin = build_twin(TwinSettings(**{**ON_FREE_PORTS, "auth": AUTH}), reactor, time.time)
        self.twin.startService()
        self.web = free_port()
        ups, etc = self.twin.port("ups-tcp"), self.twin.port("etc")
        self.config = write_config(folder, ups, etc, self.web)
        self.good = self.config.read_text()
        self.client = Client(reactor)
        self.daemon = Daemon(
            folder, "gantry", "--config", str(self.config), "--data", str(folder / "data")
        )

    async def get(self, path: str) -> Any:
        """Ask the local API."""
        return await self.client.get(f"http://127.0.0.1:{self.web}{path}")

    async def names(self) -> list[str] | None:
        """Return the devices that are online, None before the daemon answers."""
        site = await self.get("/api/v1/site")
        return site and [d["name"] for d in site["devices"] if d["state"] == "online"]

    async def online(self, *names: str) -> None:
        """Wait until exactly these devices are online."""

        async def ready() -> bool:
            return await self.names() == list(names)

        await until(self.reactor, f"{names} online", ready, 15.0)

    async def taken(self) -> int:
        """Return how many configurations were taken."""
        metrics = await self.client.text(f"http://127.0.0.1:{self.web}/metrics")
        found = re.search(r'gantry_config_reloads_total\{result="done"\} ([0-9]+)', metrics)
        assert found is not None
        return int(found[1])

    def hang_up(self, text: str) -> None:
        """Write the file, and send SIGHUP."""
        self.config.write_text(text)
        self.daemon.process.send_signal(signal.SIGHUP)

    async def close(self) -> None:
        """End it all."""
        if self.daemon.process.poll() is None:
            self.daemon.kill()
        await self.client.close()
        await self.twin.stopService()
        await deferLater(self.reactor, 0.05)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A daemon whose devices are online."""
    from twisted.internet import reactor

    made = Rig(tmp_path, reactor)
    yield made
    pytest_twisted.blockon(ensureDeferred(made.close()))


async def test_hang_up_reads_the_file_again(rig: Rig) -> None:
    """A new device comes; a broken file changes nothing and says why; a good one mends that."""
    await rig.online("ups1", "pc1")
    more = f"""
[[device]]
name = "bms1"
kind = "bms"
url = "http://127.0.0.1:{rig.twin.port("ems")}/wad/ems/v1/api"
device_uid = "bms-0001"
"""
    rig.hang_up(rig.good + more)
    await rig.online("ups1", "pc1", "bms1")
    rig.hang_up(rig.good.replace('kind = "computer"', 'kind = "abacus"'))

    async def told() -> bool:
        health = await rig.get("/healthz")
        return any("abacus" in note for note in health["notes"])

    await until(rig.reactor, "the complaint", told, 5.0)
    assert (await rig.get("/healthz"))["status"] == "ok"
    assert await rig.names() == ["ups1", "pc1", "bms1"]
    rig.hang_up(rig.good)
    await rig.online("ups1", "pc1")
    assert (await rig.get("/healthz"))["notes"] == []
    metrics = await rig.client.text(f"http://127.0.0.1:{rig.web}/metrics")
    assert re.search(r'gantry_config_reloads_total\{result="done"\} 2\.0', metrics)
    assert re.search(r'gantry_config_reloads_total\{result="failed"\} 1\.0', metrics)
    assert rig.twin.cards["ups1"] is not None
    points = await rig.get("/api/v1/points?prefix=ups1.input_voltage_r")
    assert points["points"][0]["quality"] == "good"

    async def recorded() -> bool:
        history = await rig.get("/api/v1/history?point=ups1.input_voltage_r")
        return bool(history["samples"])

    await until(rig.reactor, "a history", recorded, 10.0)
    assert rig.daemon.end()


@pytest.mark.long
async def test_a_thousand_hang_ups_leave_nothing_behind(rig: Rig) -> None:
    """Alternating files, one signal after another: no socket, thread or memory more at the end."""
    await rig.online("ups1", "pc1")
    more = f"""
[[device]]
name = "ups2"
kind = "ups-card-http"
url = "http://127.0.0.1:{rig.twin.port("ups-http")}/"
callback = "http://127.0.0.1:{free_port()}/post"
[remotecontrol]
listen = "tcp:{free_port()}:interface=127.0.0.1"
"""
    process = psutil.Process(rig.daemon.process.pid)
    before: tuple[int, int, int] | None = None
    for number in range(1, 1001):
        rig.hang_up(rig.good + (more if number % 2 else ""))

        async def taken(number: int = number) -> bool:
            return await rig.taken() >= number

        await until(rig.reactor, f"change {number}", taken, 10.0)
        if number in {100, 1000}:
            await deferLater(rig.reactor, 1.0)
            now = (process.num_fds(), process.num_threads(), process.memory_info().rss)
            before = before or now
            assert now[0] <= before[0] + 3
            assert now[1] <= before[1] + 1
            assert now[2] <= before[2] + 12 * 2**20
    assert await rig.taken() == 1000
    await rig.online("ups1", "pc1")
    assert rig.daemon.end()
