"""The alarms of a real gantry that is killed."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.process import until, write_config
from tests.daemon.rig import Rig, opened
from twisted_gantry.store.schema import FILE

MAINS, BATTERY = "ups1.mains-abnormal", "ups1.on-battery"


class AlarmRig(Rig):
    def __init__(self, folder: Path, reactor: Any) -> None:
        super().__init__(folder, reactor)
        write_config(folder, self.twin.port("ups-tcp"), self.twin.port("etc"), self.web)

    async def ask(self, what: str, **body: Any) -> Any:
        return await self.client.send("POST", self.url(f"/api/v1/{what}"), body)

    async def active(self) -> dict[str, Any]:
        found = await self.client.get(self.url("/api/v1/alarms?active=1"))
        return {each["alarm"]: each for each in (found or {"alarms": []})["alarms"]}

    async def until_told(self, *names: str) -> dict[str, Any]:
        """Wait until these alarms are active, their condition seen by this process."""

        async def told() -> dict[str, Any]:
            found = await self.active()
            seen = all(name in found and not found[name]["unknown"] for name in names)
            return found if seen else {}

        found: dict[str, Any] = await until(self.reactor, f"{names}", told, 30.0)
        return found

    def kill(self) -> None:
        assert self.daemon is not None
        self.daemon.kill()

    def rows(self) -> list[tuple[Any, ...]]:
        """Return what the disk has of the dead gantry, and see that the ledger fits."""
        with closing(sqlite3.connect(self.data / FILE)) as db:
            rows = db.execute("SELECT name, cleared_at IS NULL, acked_by FROM alarms").fetchall()
            [ledger] = db.execute("SELECT raised, cleared, active FROM alarm_ledger").fetchall()
        active = sum(row[1] for row in rows)
        assert ledger == (len(rows), len(rows) - active, active)
        return rows


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[AlarmRig]:
    with opened(AlarmRig, tmp_path) as made:
        yield made


@pytest.mark.long
async def test_alarms_survive_a_kill(rig: AlarmRig) -> None:
    """Killed in the middle of a failure, a gantry goes on with the same alarms and what people did
    about them; killed again, and started after the failure, it ends them.
    """
    rig.start()
    await rig.online("ups1")
    rig.twin.world.change({"mains.voltage": 0})
    before = await rig.until_told(MAINS, BATTERY)
    await rig.ask("alarms/ack", alarm=MAINS, note="生产处已知")
    await rig.ask("alarms/shelve", **{"alarm": BATTERY, "for": 3600})
    await rig.ask("maintenance", **{"device": "ups1", "for": 3600, "note": "battery"})
    rig.kill()
    assert {(MAINS, 1, "local"), (BATTERY, 1, "")} <= set(rig.rows())

    rig.start()
    again = await rig.until_told(MAINS, BATTERY)
    for name in (MAINS, BATTERY):
        assert again[name]["raisedAt"] == before[name]["raisedAt"]
        assert again[name]["state"] == "maintenance"
    assert (again[MAINS]["ackedBy"], again[MAINS]["note"]) == ("local", "生产处已知")
    assert again[BATTERY]["shelvedUntil"] is not None
    listed = await rig.client.get(rig.url("/api/v1/maintenance"))
    assert [(each["device"], each["note"]) for each in listed["maintenance"]] == [
        ("ups1", "battery")
    ]
    rig.kill()
    rig.twin.world.change({"mains.voltage": 220})
    rig.start()
    await rig.online("ups1")

    async def over() -> bool:
        return not {MAINS, BATTERY} & (await rig.active()).keys()

    await until(rig.reactor, "the end of the alarms", over, 30.0)
    history = await rig.client.get(rig.url("/api/v1/alarms"))
    ended = {each["alarm"]: each for each in history["alarms"]}
    assert ended[MAINS]["raisedAt"] == before[MAINS]["raisedAt"]
    assert ended[MAINS]["endedBy"] is None
    assert ended[MAINS]["clearedAt"] is not None
    rig.kill()
    assert sum(name == MAINS for name, *_ in rig.rows()) == 1
