"""SIGHUP to a real daemon: a good file is taken, a broken one changes nothing."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from twisted.internet.task import deferLater

from tests.daemon.process import AUTH, free_port, until, write_config
from tests.daemon.rig import Rig, opened


class Reloading(Rig):
    """A daemon that has started, with a file that can be told to be read again."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        super().__init__(folder, reactor, auth=AUTH)
        write_config(folder, self.twin.port("ups-tcp"), self.twin.port("etc"), self.web)
        self.good = self.config.read_text()
        self.running = self.start()

    async def get(self, path: str) -> Any:
        return await self.client.get(self.url(path))

    async def names(self) -> list[str] | None:
        """Return the devices that are online, None before the daemon answers."""
        site = await self.site()
        return site and [d["name"] for d in site["devices"] if d["state"] == "online"]

    async def only(self, *names: str) -> None:
        """Wait until exactly these devices are online."""

        async def ready() -> bool:
            return await self.names() == list(names)

        await until(self.reactor, f"{names} online", ready)

    async def taken(self) -> int:
        """Return how many configurations were taken."""
        metrics = await self.client.text(self.url("/metrics"))
        found = re.search(r'gantry_config_reloads_total\{result="done"\} ([0-9]+)', metrics)
        assert found is not None
        return int(found[1])

    def hang_up(self, text: str) -> None:
        """Write the file, and send SIGHUP."""
        self.config.write_text(text)
        self.running.process.send_signal(signal.SIGHUP)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Reloading]:
    with opened(Reloading, tmp_path) as made:
        yield made


async def test_hang_up_reads_the_file_again(rig: Reloading) -> None:
    """A new device comes; a broken file changes nothing and says why; a good one mends that."""
    await rig.only("ups1", "pc1")
    more = f"""
[[device]]
name = "bms1"
kind = "bms"
url = "http://127.0.0.1:{rig.twin.port("ems")}/wad/ems/v1/api"
device_uid = "bms-0001"
"""
    rig.hang_up(rig.good + more)
    await rig.only("ups1", "pc1", "bms1")
    rig.hang_up(rig.good.replace('kind = "computer"', 'kind = "abacus"'))

    async def told() -> bool:
        health = await rig.get("/healthz")
        return any("abacus" in note for note in health["notes"])

    await until(rig.reactor, "the complaint", told)
    assert (await rig.get("/healthz"))["status"] == "ok"
    assert await rig.names() == ["ups1", "pc1", "bms1"]
    rig.hang_up(rig.good)
    await rig.only("ups1", "pc1")
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

    await until(rig.reactor, "a history", recorded)
    assert rig.running.end()


@pytest.mark.long
async def test_a_thousand_hang_ups_leave_nothing_behind(rig: Reloading) -> None:
    """Alternating files, one signal after another: no socket, thread or memory more at the end."""
    await rig.only("ups1", "pc1")
    more = f"""
[[device]]
name = "ups2"
kind = "ups-card-http"
url = "http://127.0.0.1:{rig.twin.port("ups-http")}/"
callback = "http://127.0.0.1:{free_port()}/post"
[remotecontrol]
listen = "tcp:{free_port()}:interface=127.0.0.1"
"""
    process = psutil.Process(rig.running.process.pid)
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
    await rig.only("ups1", "pc1")
    assert rig.running.end()
