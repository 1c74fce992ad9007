"""A real gantry that is killed while doors open: no opening that it acknowledged is lost."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import deferLater

from tests.daemon.process import free_port, until
from tests.daemon.rig import Rig, opened
from twisted_gantry.twin.faults.settings import ETC
from twisted_gantry.wire.etc.envelope import Method, encode_request, signed_headers

GANTRY = "G000211001002110010"
CODE = "cabinet-code"


class Doors(Rig):
    """A site with a cabinet whose uploads the test makes, and the platform twin."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        super().__init__(folder, reactor)
        self.cards: list[str] = []
        """The cards of the openings that were acknowledged with 1000."""
        self.numbers = iter(range(1, 1_000_000))
        self.monitor = free_port()
        self.config.write_text(
            f"""
[gantry]
id = "{GANTRY}"
[[device]]
name = "cab1"
kind = "cabinet"
url = "http://127.0.0.1:9/remotecontrol.do"
auth = "{CODE}"
[[cabinet]]
id = "1"
doors = "cab1"
[monitor]
listen = "tcp:{self.monitor}:interface=127.0.0.1"
auth = "{CODE}"
rate = 0
[uplink.etc]
url = "http://127.0.0.1:{self.twin.port("etc")}/monitor.do"
auth = "123456"
allow_test_auth = true
[web]
listen = "tcp:{self.web}:interface=127.0.0.1"
""",
            encoding="utf-8",
        )

    async def open_door(self) -> None:
        """Upload an opening with a new card; wait for the answer as long as a kill lets it come."""
        card = f"card{next(self.numbers)}"
        doors = {
            **{f"{side}DoorLocked": "1" for side in ("front", "back")},
            "status": "1",
            "defendMode": "1",
            "backDoorClosed": "1",
            "frontDoorClosed": "0",
            "frontDoorUnlockType": "1",
            "frontDoorUnlockCardId": card,
            "frontDoorChangeTime": "2026-11-30 10:00:00.000",
        }
        fields = {"id": "1", "doors": doors}
        body = encode_request(GANTRY, Method.CABINET_STATUS, time.time(), fields)
        url = f"http://127.0.0.1:{self.monitor}/monitor.do"
        answer = await self.client.post(url, body, signed_headers(body, CODE))
        if answer and answer["code"] == "1000":
            self.cards.append(card)

    def told(self) -> list[str]:
        """Return the cards that the platform got, in order, each once for each run of reports."""
        found = self.twin.platform.requests(Method.CABINET_STATUS.value, 100_000)
        taken = [r for r in reversed(found) if (r["answer"] or {}).get("code") == "1000"]
        cards = [r["body"]["cabinetStatus"]["doors"]["frontDoorUnlockCardId"] for r in taken]
        return [card for at, card in enumerate(cards) if at == 0 or cards[at - 1] != card]


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Doors]:
    with opened(Doors, tmp_path) as made:
        yield made


@pytest.mark.parametrize(
    "kills", [1, pytest.param(100, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
async def test_kill_9_loses_no_opening(rig: Doors, kills: int) -> None:
    """Openings 0 to 2 s apart, a kill right behind some: each acknowledged one is told in order."""
    chance = random.Random(15)
    for turn in range(kills):
        rig.twin.faults.put(ETC, {"drop": 1} if turn % 3 == 1 else {})
        daemon = rig.start()
        await until(rig.reactor, "the gantry to answer", rig.site)
        for _ in range(3):
            await rig.open_door()
            await deferLater(rig.reactor, chance.choice([0.0, 0.0, chance.uniform(0.0, 2.0)]))
        daemon.kill()
    rig.twin.faults.clear(ETC)
    daemon = rig.start()

    async def drained() -> bool:
        ledger = await rig.ledger()
        return bool(ledger) and ledger["created"] > 0 and ledger["queued"] == 0

    await until(rig.reactor, "the outbox to drain", drained, 120.0)
    assert len(rig.cards) >= 2 * kills
    told = iter(rig.told())
    assert [card for card in rig.cards if card not in told] == []
    assert daemon.end()
    assert "Traceback" not in daemon.text
