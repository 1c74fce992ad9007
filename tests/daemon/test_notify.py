"""A real gantry that calls the webhook of the twin: killed in any moment, and reloaded."""

import signal
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
from twisted.internet.task import deferLater

from tests.daemon.process import until
from tests.daemon.rig import Rig, opened
from twisted_gantry.twin.notifications import DEMO_SECRET

ALARM = "ups1.mains-abnormal"


class Calling(Rig):
    """A gantry with a card and targets."""

    def write(self, *targets: str) -> None:
        """Write the configuration, with the secret hunter2 in each URL."""
        url = f"http://127.0.0.1:{self.twin.port('control')}/twin/v1/notifications?key=hunter2-key"
        tables = "".join(
            f'[[notify]]\nname = "{each}"\nkind = "webhook"\nurl = "{url}"\n'
            f'secret = "{DEMO_SECRET}"\nmin_severity = "critical"\n'
            for each in targets
        )
        self.config.write_text(
            f"""
[gantry]
id = "G000211001002110010"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:127.0.0.1:{self.twin.port("ups-tcp")}"
poll = 0.2
[web]
listen = "tcp:{self.web}:interface=127.0.0.1"
{tables}""",
            encoding="utf-8",
        )

    async def told(self) -> list[dict[str, Any]]:
        """Return what the twin received, the oldest first; each is signed."""
        place = f"http://127.0.0.1:{self.twin.port('control')}/twin/v1/notifications"
        found = (await self.client.get(place))["notifications"]
        assert {each["signature"] for each in found} <= {"good"}
        return [each["body"] for each in reversed(found)]

    async def events(self) -> list[str]:
        """Return the events about the mains, a second copy of a message left out."""
        once = {each["id"]: each for each in await self.told()}
        return [
            each["event"]
            for each in once.values()
            if ALARM in [alarm["alarm"] for alarm in each["alarms"]]
        ]

    def mains(self, volts: float) -> None:
        self.twin.world.change({"mains.voltage": volts})


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Calling]:
    with opened(Calling, tmp_path) as made:
        yield made


@pytest.mark.long
async def test_a_gantry_that_is_killed_again_and_again(rig: Calling) -> None:
    """Whenever the gantry is killed: the alarm and its end are told, each by one id, and the
    restart changes neither the time of the alarm nor the ledger.
    """
    rig.write("duty")
    random = Random(16)
    rig.start()
    await rig.online("ups1")
    for volts, events in ((0, ["raised"]), (220, ["raised", "cleared"])):
        rig.mains(volts)
        for _ in range(3):
            await deferLater(rig.reactor, random.uniform(0.0, 1.2))
            assert rig.daemon is not None
            rig.daemon.process.kill()
            rig.daemon.process.wait()
            rig.start()

        async def all_told(wanted: list[str] = events) -> bool:
            return await rig.events() == wanted

        await until(rig.reactor, f"{events}", all_told, 25)
    alarms = [a for each in await rig.told() for a in each["alarms"] if a["alarm"] == ALARM]
    assert len({each["raisedAt"] for each in alarms}) == 1
    assert await rig.site()
    [target] = (await rig.site())["notify"]
    ledger = target["ledger"]
    kept = (ledger["delivered"], ledger["queued"], ledger["setAside"], ledger["dropped"])
    assert ledger["created"] == sum(kept)
    assert rig.daemon is not None
    assert "hunter2" not in rig.daemon.text


@pytest.mark.long
async def test_a_reload(rig: Calling) -> None:
    """A target that comes is told what is raised; one that stays is not told again."""
    rig.write("duty")
    daemon = rig.start()
    await rig.online("ups1")
    rig.mains(0)

    async def told(times: int) -> bool:
        return (await rig.events()).count("raised") == times

    await until(rig.reactor, "the first", lambda: told(1), 20)
    rig.write("duty", "boss")
    daemon.process.send_signal(signal.SIGHUP)
    await until(rig.reactor, "the second", lambda: told(2), 20)
    rig.write("boss")
    daemon.process.send_signal(signal.SIGHUP)

    async def alone() -> bool:
        return [each["name"] for each in (await rig.site())["notify"]] == ["boss"]

    await until(rig.reactor, "duty to go", alone, 20)
    assert await told(2)
    assert "notify duty: taken away" in daemon.text
    assert "notify boss" not in daemon.text.rpartition("notify duty: taken away")[2]
