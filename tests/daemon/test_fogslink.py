"""A real gantry and the Fogslink cloud: what `kill -9` leaves of packs that are on their way."""

import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import LoopingCall, deferLater

from tests.daemon.process import Client, Daemon, free_port, outbox_rows, until
from twisted_gantry.twin.faults import FOGSLINK
from twisted_gantry.twin.twin import ON_FREE_PORTS, Twin, TwinSettings, build_twin
from twisted_gantry.wire.fogslink import Item, Pack, decode_request

KEY = "kX7-secret-key"
# Three packs a period, three more for each change.
CHANNELS = [f"P{group}-C{member}" for group in range(6) for member in range(100)]


class Rig:
    """The twin in this process, whose mains wander, and the gantry beside it."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        self.folder, self.reactor = folder, reactor
        settings = TwinSettings(**{**ON_FREE_PORTS, "api_key": KEY})
        self.twin: Twin = build_twin(settings, reactor, time.time)
        self.packs: list[Pack] = []
        """What the cloud took, as it came."""
        self._listen()
        self.twin.startService()
        self.web = free_port()
        self.data = folder / "data"
        self.client = Client(reactor)
        self.daemon: Daemon | None = None
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
        (self.folder / "site.toml").write_text(
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

    def start(self) -> Daemon:
        """Start a gantry on the folder."""
        config = str(self.folder / "site.toml")
        self.daemon = Daemon(self.folder, "gantry", "--config", config, "--data", str(self.data))
        return self.daemon

    async def ledger(self) -> Any:
        """Return the ledger of the uplink, None while there is no answer."""
        site = await self.client.get(f"http://127.0.0.1:{self.web}/api/v1/site")
        return site["uplinks"][0]["ledger"] if site else None

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
        if self.daemon is not None and self.daemon.process.poll() is None:
            self.daemon.kill()
        await self.client.close()
        await self.twin.stopService()
        await deferLater(self.reactor, 0.05)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    """A twin on free ports."""
    from twisted.internet import reactor

    made = Rig(tmp_path, reactor)
    yield made
    pytest_twisted.blockon(ensureDeferred(made.close()))


# What the cloud does before a kill: it works, it loses acknowledgements, it is dead and comes back.
MOODS: list[dict[str, Any]] = [{}, {"drop": 0.3}, {"busy": True, "for": 2.5}]


@pytest.mark.parametrize(
    "kills", [3, pytest.param(60, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
async def test_kill_9_loses_no_pack(rig: Rig, kills: int) -> None:
    """However often it is killed while packs flow: no gap, no conflict, nothing out of order."""
    chance = random.Random(21)
    stored: dict[int, bytes] = {}
    for turn in range(kills):
        rig.twin.faults.put(FOGSLINK, MOODS[turn % len(MOODS)])
        daemon = rig.start()
        await rig.grown(4)
        await deferLater(rig.reactor, chance.uniform(0.0, 0.6))
        daemon.kill()
        stored |= outbox_rows(rig.data)
    rig.twin.faults.clear(FOGSLINK)
    daemon = rig.start()

    async def drained() -> bool:
        ledger = await rig.ledger()
        return bool(ledger) and ledger["queued"] == 0 and ledger["delivered"] >= len(stored)

    await rig.grown(4)
    await until(rig.reactor, "the outbox to drain", drained, 60.0)
    assert daemon.end()
    assert "Traceback" not in daemon.text
    assert KEY not in daemon.text
    first_come: dict[int, tuple[Item, ...]] = {}
    for pack in rig.packs:
        assert pack.eq_data == first_come.setdefault(int(pack.pack_id), pack.eq_data)
    numbers = list(first_come)
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert len(numbers) >= 4 * kills
    for body in stored.values():
        kept = decode_request(body)
        assert isinstance(kept, Pack)
        assert first_come[int(kept.pack_id)] == kept.eq_data
    assert len(stored) >= kills
    records, counts = rig.twin.cloud.records, rig.twin.cloud.counts
    assert (records.gaps, counts["conflict"], counts["out-of-order"]) == (0, 0, 0)
    assert records.duplicates == len(rig.packs) - len(numbers)
