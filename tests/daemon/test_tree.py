"""Other settings into a running tree: what differs is made anew, what does not goes on."""

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater

from tests.daemon.process import free_port, until
from tests.daemon.test_service import Rig
from twisted_gantry.config.load import load
from twisted_gantry.config.settings import Settings
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.status import State
from twisted_gantry.daemon.tree import CONFIGURATION_ALARM, GantryTree


class TreeRig(Rig):
    """A tree that runs against the twin."""

    def settings_with(self, more: str = "", **ports: int) -> Settings:
        """Return a site on free ports, and `more`."""
        web = ports.get("web", self.web)
        return load(
            f"""
[gantry]
id = "G000211001002110010"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:127.0.0.1:{self.twin.port("ups-tcp")}"
poll = 0.2
[[cabinet]]
id = "1"
ups = "ups1"
[uplink.etc]
url = "http://127.0.0.1:{self.twin.port("etc")}/monitor.do"
auth = "kX7-secret-code"
[web]
listen = "tcp:{web}:interface=127.0.0.1"
{more}
"""
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[GantryTree]:
        tree = self.tree()
        tree.startService()
        try:
            await self.up(tree)
            yield tree
        finally:
            await tree.stopService()

    async def up(self, tree: GantryTree) -> None:
        """Wait until every device and uplink is online."""

        async def ready() -> bool:
            site = tree.site
            every: list[Any] = [*site.devices.values(), *site.uplinks.values()]
            return all(each.status.state is State.ONLINE for each in every)

        await until(self.reactor, "all online", ready)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[TreeRig]:
    from twisted.internet import reactor

    made = TreeRig(tmp_path, reactor)
    made.settings = made.settings_with()
    yield made
    pytest_twisted.blockon(ensureDeferred(made.close()))


def cfos(rig: TreeRig, poll: float = 0.2) -> str:
    return f"""
[[device]]
name = "cfos"
kind = "cfos"
url = "http://127.0.0.1:{rig.twin.port("cfos")}"
password = "1234abcd"
poll = {poll}
"""


async def test_only_what_differs_is_made_anew(rig: TreeRig) -> None:
    """A device comes, changes and goes; the session of the other goes on throughout."""
    async with rig.running() as tree:
        connections = rig.twin.cards["ups1"], tree.site.devices["ups1"]
        told = await tree.reload(rig.settings_with(cfos(rig)))
        assert told == ["device cfos: new"]
        await rig.up(tree)
        assert tree.site.points["cfos.E1.state"].good is not None
        assert await tree.reload(rig.settings_with(cfos(rig, 0.3))) == ["device cfos: changed"]
        await rig.up(tree)
        assert await tree.reload(rig.settings) == ["device cfos: taken away"]
        assert list(tree.site.devices) == ["ups1"]
        assert tree.site.points.under("cfos.") == []
        assert tree.site.alarms.active("cfos") == []
        assert tree.site.devices["ups1"] is connections[1]
        counts: Any = tree.site.devices["ups1"]
        assert counts.counts["connections"] == 1
        assert await tree.reload(rig.settings) == []
        assert tree.site.reloads == {"done": 4}


async def test_the_web_moves_and_stays_where_it_cannot(rig: TreeRig) -> None:
    """A new port is served, the old one is not; a port that is taken leaves the old one up."""
    async with rig.running() as tree:
        other = free_port()
        assert await tree.reload(rig.settings_with(web=other)) == ["web: changed"]
        site = await rig.client.get(f"http://127.0.0.1:{other}/api/v1/site")
        assert site["devices"][0]["name"] == "ups1"
        assert await rig.client.get(f"http://127.0.0.1:{rig.web}/api/v1/site") is None
        taken = rig.twin.port("etc")
        assert await tree.reload(rig.settings_with(web=taken)) == ["web: changed"]
        health = await rig.client.get(f"http://127.0.0.1:{other}/healthz")
        assert health["status"] == "ok"
        assert any("cannot listen" in note for note in health["notes"])
        raised = [alarm.name for alarm in tree.site.alarms.active("gantry")]
        assert raised == [CONFIGURATION_ALARM]
        assert tree.site.reloads == {"done": 1, "failed": 1}
        await tree.reload(rig.settings_with(web=other))
        assert tree.site.alarms.active("gantry") == []


async def test_what_was_taken_in_is_reported(rig: TreeRig) -> None:
    """A second cabinet is reported after the change; the queue and its numbers go on."""
    async with rig.running() as tree:
        more = '[[cabinet]]\nid = "2"\nups = "ups1"\n'
        assert await tree.reload(rig.settings_with(more)) == ["uplink etc: changed"]

        async def reported() -> bool:
            found = rig.twin.platform.requests("cabinetStatusUpdate", 10)
            return any(each["body"]["cabinetStatus"]["id"] == "2" for each in found)

        await until(rig.reactor, "the second cabinet", reported)


def rule(name: str, text: str, bound: int = 100) -> str:
    when = f"ups1.input_voltage_r > {bound}"
    return f'[[alarm]]\nname = "{name}"\nwhen = "{when}"\nmessage = "{text}"\n'


async def test_own_rules_come_and_go(rig: TreeRig) -> None:
    """A reload makes and unmakes only the rules that differ; the alarms of others go on."""
    keep = rule("kept", "kept")
    async with rig.running() as tree:
        alarms = tree.site.alarms
        alarms.set("gantry.other", Severity.WARNING, "", "")

        def raised() -> dict[str, tuple[str, float]]:
            return {each.name: (each.en, each.raised_at) for each in alarms.active()}

        more = keep + rule("low", "low", 1000)
        assert await tree.reload(rig.settings_with(more)) == ["rule kept: new", "rule low: new"]
        before = raised()
        assert before.keys() == {"gantry.other", "rule.kept"}
        told = await tree.reload(rig.settings_with(keep + rule("low", "high")))
        assert told == ["rule low: changed"]
        at = raised()["rule.low"][1]
        assert raised() == {**before, "rule.low": ("high", at)}
        await tree.reload(rig.settings_with(keep + rule("low", "other words")))
        assert raised()["rule.low"] == ("other words", at)  # the same alarm
        assert await tree.reload(rig.settings_with(keep)) == ["rule low: taken away"]
        assert raised() == before
        assert await tree.reload(rig.settings) == ["rule kept: taken away"]
        assert raised().keys() == {"gantry.other"}


def open_files() -> int:
    """Return how many descriptors this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


async def _change_often(rig: TreeRig, times: int) -> None:
    """Change between two sites, and see that nothing is left of the one that is not there."""
    callback = free_port()
    full = rig.settings_with(
        cfos(rig)
        + f"""
[[device]]
name = "ups2"
kind = "ups-card-http"
url = "http://127.0.0.1:{rig.twin.port("ups-http")}/"
callback = "http://127.0.0.1:{callback}/post"
[[interlock]]
when = "ups1.mains_abnormal"
do = "ups1.BZOFF"
[remotecontrol]
listen = "tcp:{free_port()}:interface=127.0.0.1"
"""
    )
    async with rig.running() as tree:
        before: tuple[int, int, int] | None = None
        for number in range(times):
            assert await tree.reload(full if number % 2 == 0 else rig.settings)
            if number % 20 == 19:
                await deferLater(rig.reactor, 0.1)
                gc.collect()
                now = (len(list(tree)), open_files(), len(rig.reactor.getDelayedCalls()))
                before = before or now
                assert now[0] == before[0]
                assert now[1] <= before[1] + 5
                assert now[2] <= before[2] + 10
        assert tree.site.reloads == {"done": times}
        await rig.up(tree)


async def test_changes_leave_nothing_behind(rig: TreeRig) -> None:
    """After many changes there are as many services, sockets and timers as after a few."""
    await _change_often(rig, 60)


@pytest.mark.long
async def test_a_thousand_changes_leave_nothing_behind(rig: TreeRig) -> None:
    """The same a thousand times."""
    await _change_often(rig, 1000)


async def test_what_the_start_found_is_told_for_a_while(
    rig: TreeRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In both languages, each with nothing of the other; then it is old news."""
    monkeypatch.setattr("twisted_gantry.daemon.tree.FOUND_S", 0.3)
    data = rig.folder / "data"
    data.mkdir(exist_ok=True)
    (data / "gantry.db").write_bytes(b"this is no database" * 1000)
    tree = rig.tree()
    tree.startService()
    try:
        [alarm] = tree.site.alarms.active("store")
        assert "was corrupt" in alarm.en
        assert "已损坏" in alarm.zh
        assert "corrupt (" not in alarm.zh
        await until(rig.reactor, "the alarm to clear", lambda: not tree.site.alarms.active("store"))
    finally:
        await tree.stopService()
