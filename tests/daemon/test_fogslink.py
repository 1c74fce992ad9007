"""A real gantry and the Fogslink cloud: what `kill -9` leaves of packs that are on their way."""

import random
from collections.abc import Iterator
from math import ceil
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import LoopingCall, deferLater

from tests.daemon.process import outbox_rows, until
from tests.daemon.rig import Rig, opened
from twisted_gantry.twin.faults.settings import FOGSLINK
from twisted_gantry.wire.fogslink.messages import Item, Pack, decode_request

KEY = "kX7-secret-key"
# Three packs a period, three more for each change.
CHANNELS = [f"P{group}-C{member}" for group in range(6) for member in range(100)]


class Wandering(Rig):
    """A site whose mains wander."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        super().__init__(folder, reactor, api_key=KEY)
        self.packs: list[Pack] = []
        """What the cloud took, as it came."""
        self._listen()
        self._volts = 200.0
        self._wander = LoopingCall(self._change)
        self._wander.start(0.1)
        self._write()

    def _listen(self) -> None:
        take_pack = self.twin.cloud.take_pack

        def taking(pack: Pack) -> str | None:
            code = take_pack(pack)
            if code == "8":
                self.packs.append(pack)
            return code

        self.twin.cloud.take_pack = taking  # type: ignore[method-assign]

    def _change(self) -> None:
        self._volts = 200.0 + (self._volts - 199.9) % 40
        self.twin.world.change({"mains.voltage": round(self._volts, 1)})

    def _write(self) -> None:
        (self.folder / "key").write_text(KEY + "\n", encoding="utf-8")
        channels = "\n".join(f'"{name}" = "ups1.input_voltage_r"' for name in CHANNELS)
        self.config.write_text(
            f"""
[gantry]
id = "G000211001002110010"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:127.0.0.1:{self.twin.port("ups-tcp")}"
poll = 0.2
[uplink.fogslink]
address = "tcp:127.0.0.1:{self.twin.port("fogslink")}"
eq_sn = "12345678"
api_key = {{ file = "key" }}
period = 1.0
[uplink.fogslink.channels]
{channels}
[web]
listen = "tcp:{self.web}:interface=127.0.0.1"
""",
            encoding="utf-8",
        )

    async def grown(self, by: int) -> None:
        """Wait until so many packs more were stored than at the start of the gantry."""
        before = await until(self.reactor, "the gantry to answer", self.ledger)

        async def grew() -> bool:
            ledger = await self.ledger()
            return bool(ledger) and ledger["created"] >= before["created"] + by

        await until(self.reactor, "packs", grew)

    async def close(self) -> None:
        """End all of it."""
        self._wander.stop()
        await super().close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Wandering]:
    with opened(Wandering, tmp_path) as made:
        yield made


# What the cloud does before a kill: it takes nothing, it loses acknowledgements, it is dead and
# comes back, it works. The first one alone is sure to leave packs behind.
MOODS: list[dict[str, Any]] = [{"busy": True}, {"drop": 0.3}, {"busy": True, "for": 2.5}, {}]
GROWN = 4  # packs that are made before each kill


KILLS = 60


@pytest.mark.long
@pytest.mark.timeout(600)
async def test_kill_9_loses_no_pack(rig: Wandering) -> None:
    """However often it is killed while packs flow: no gap, no conflict, nothing out of order."""
    chance = random.Random(21)
    stored: dict[int, bytes] = {}
    for turn in range(KILLS):
        rig.twin.faults.put(FOGSLINK, MOODS[turn % len(MOODS)])
        daemon = rig.start()
        await rig.grown(GROWN)
        await deferLater(rig.reactor, chance.uniform(0.0, 0.6))
        daemon.kill()
        stored |= outbox_rows(rig.data)
    rig.twin.faults.clear(FOGSLINK)
    daemon = rig.start()

    async def drained() -> bool:
        ledger = await rig.ledger()
        return bool(ledger) and ledger["queued"] == 0 and ledger["delivered"] >= len(stored)

    await rig.grown(GROWN)
    await until(rig.reactor, "the outbox to drain", drained, 60.0)
    assert daemon.end()
    assert "Traceback" not in daemon.text
    assert KEY not in daemon.text
    first_come: dict[int, tuple[Item, ...]] = {}
    for pack in rig.packs:
        assert pack.eq_data == first_come.setdefault(int(pack.pack_id), pack.eq_data)
    numbers = list(first_come)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(numbers) >= GROWN * KILLS
    for body in stored.values():
        kept = decode_request(body)
        assert isinstance(kept, Pack)
        assert first_come[int(kept.pack_id)] == kept.eq_data
    assert len(stored) >= GROWN * ceil(KILLS / len(MOODS))
    records, counts = rig.twin.cloud.records, rig.twin.cloud.counts
    assert (records.gaps, counts["conflict"], counts["out-of-order"]) == (0, 0, 0)
    assert records.duplicates == len(rig.packs) - len(numbers)
