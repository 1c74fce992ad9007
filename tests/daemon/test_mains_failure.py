"""A mains failure at a real gantry: one line, one call, over a restart, and one recovery."""

import json
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred
from twisted.internet.threads import deferToThreadPool

from tests.daemon.process import GANTRYCTL, until
from tests.daemon.test_scenarios import Stage, Stages

# Another line of its own, and somebody who is called for what is critical.
MORE = """
[[notify]]
name = "duty"
kind = "webhook"
url = "http://127.0.0.1:{control}/twin/v1/notifications"
min_severity = "critical"
[[alarm]]
name = "ups1-discharges"
when = "ups1.state == battery"
message = "the UPS discharges"
message_zh = "UPS放电"
"""
WITNESSES = {f"{device}.mains-abnormal" for device in ("ups1", "ups2", "cfos", "cab1")}
RAISED = WITNESSES | {"ups1.on-battery", "ups2.on-battery", "cab1.rectifier-fault"}
OWN = "rule.ups1-discharges"
POWER_CUT = "store.found"


class Failing:
    """A stage, and what `gantryctl` says of its alarms."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage

    async def ctl(self, *arguments: str) -> str:
        def run() -> str:
            command = [GANTRYCTL, "--url", self.stage.url(""), *arguments]
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
            assert done.returncode in (0, 1), done.stderr
            return done.stdout

        told: str = await deferToThreadPool(self.stage.reactor, self.stage.pool, run)
        return told

    async def alarms(self) -> dict[str, Any]:
        """Return the active alarms by name but for the power cut itself; none without an answer."""
        found = await self.stage.client.get(self.stage.url("/api/v1/alarms?active=1"))
        each = (found or {"alarms": []})["alarms"]
        return {alarm["alarm"]: alarm for alarm in each if alarm["alarm"] != POWER_CUT}

    async def until_raised(self) -> dict[str, Any]:
        async def all_are() -> dict[str, Any]:
            found = await self.alarms()
            return found if {*RAISED, OWN} <= found.keys() else {}

        found: dict[str, Any] = await until(self.stage.reactor, "the alarms", all_are, 30.0)
        return found

    async def told(self) -> list[tuple[str, list[str]]]:
        """Return the events of the messages that the twin has taken, and their alarms; each id
        counts once.
        """
        control = f"http://127.0.0.1:{self.stage.twin.port('control')}"
        found = await self.stage.client.get(f"{control}/twin/v1/notifications")
        bodies = {each["body"]["id"]: each["body"] for each in reversed(found["notifications"])}
        return [(b["event"], [a["alarm"] for a in b["alarms"]]) for b in bodies.values()]

    async def lines(self) -> list[str]:
        """Return the lines of `gantryctl status` about the same alarms, by their first words."""
        shown = (await self.ctl("--lang", "en", "status")).split("Active alarms")[-1]
        words = re.findall(r"^(\w+\.\S+)", shown, re.MULTILINE)
        return [word for word in words if word != POWER_CUT]


@pytest.fixture
def failing(tmp_path: Path) -> Iterator[Failing]:
    from twisted.internet import reactor

    stages = Stages(tmp_path, reactor)
    stage = stages.make(1)
    yield Failing(stage)
    pytest_twisted.blockon(ensureDeferred(stages.close()))


@pytest.mark.long
async def test_a_mains_failure_over_a_restart(failing: Failing) -> None:
    """One line and one call; a power cut of the gantry changes neither cause nor times."""
    stage = failing.stage
    await stage.told()
    stage.running.end()
    more = MORE.format(control=stage.twin.port("control"))
    stage.config.write_text(stage.config.read_text(encoding="utf-8") + more, encoding="utf-8")
    stage.start()
    await stage.told()
    stage.twin.world.change({"mains.voltage": 0})
    raised = await failing.until_raised()
    [cause] = {each["cause"] for name, each in raised.items() if name in RAISED} - {None}
    assert cause in WITNESSES
    assert set(raised[cause]["consequences"]) == raised.keys() - {cause, OWN}
    assert await failing.lines() == [cause, OWN]
    shown = json.loads(await failing.ctl("--lang", "zh", "status", "--json"))
    assert {each["alarm"] for each in shown["alarms"]} == raised.keys()  # nothing is hidden

    assert await failing.told() == [("raised", [cause])]

    assert stage.daemon is not None
    stage.daemon.kill()
    stage.start()
    again = await failing.until_raised()

    def said(alarms: dict[str, Any]) -> dict[str, Any]:
        return {name: (each["raisedAt"], each["cause"]) for name, each in alarms.items()}

    assert said(again) == said(raised)
    assert await failing.lines() == [cause, OWN]

    stage.twin.world.change({"mains.voltage": 220})

    async def none_is() -> bool:
        return await stage.client.get(stage.url("/healthz")) and not await failing.alarms()

    await until(stage.reactor, "the end of the alarms", none_is, 30.0)
    assert await failing.lines() == []

    async def recovery() -> bool:
        return len(await failing.told()) > 1

    await until(stage.reactor, "the recovery to be told", recovery, 20.0)
    assert await failing.told() == [("raised", [cause]), ("cleared", [cause])]
