"""A real gantry with faults at every face of the twin: all comes back, nothing is lost."""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import deferLater

from tests.daemon.process import until
from tests.daemon.rig import opened
from tests.daemon.test_devices import Devices
from twisted_gantry.twin.faults.settings import FACES, FaultError

SECONDS = 150
# Of each kind one; what a face has no meaning for is rolled anew.
FAULTS: list[dict[str, Any]] = [
    {"delay": 1.0},
    {"drop": 0.5},
    {"garbage": 0.5},
    {"half": 0.5},
    {"duplicate": 0.5},
    {"wrong_digest": 0.7},
    {"stale": 0.7},
    {"drip": 300},
    {"busy": True},
    {"frozen": True},
    {"refuse": True},
    {"http_status": 503},
    {"http_status": 401},
]
# Reports of the ETC platform go out on every change, and every second besides.
MORE = """
[[cabinet]]
id = "1"
elec = ["ups1", "cfos.M1"]
ups = ["ups1", "ups2"]
doors = "cab1"
smoke_sensor = "cab1"
[uplink.etc]
url = "http://127.0.0.1:{etc}/monitor.do"
auth = "{auth}"
period = 1.0
cards_period = 2.0
[uplink.fogslink]
address = "tcp:127.0.0.1:{fogslink}"
eq_sn = "12345678"
api_key = "1234567890123456"
period = 1.0
[uplink.fogslink.channels]
"P0-C1" = "ups1.input_voltage_r"
"P0-C2" = "ups2.input_voltage_r"
"""


class Site(Devices):
    """One device of each kind, and both uplinks."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        super().__init__(folder, reactor)
        more = MORE.format(
            etc=self.twin.port("etc"), fogslink=self.twin.port("fogslink"), auth=self.places["auth"]
        )
        with self.config.open("a", encoding="utf-8") as file:
            file.write(more)

    def inject_faults(self, dice: random.Random) -> None:
        """Set faults of one face for some seconds, and change the mains and a sensor."""
        face = dice.choice(FACES)
        while True:
            try:
                self.twin.faults.put(face, {**dice.choice(FAULTS), "for": dice.uniform(0.5, 6)})
            except FaultError:
                continue
            break
        volts = dice.choice([0, 0, 200, 215, 230])
        self.twin.world.change({"mains.voltage": volts, "cab1.smoke": dice.random() < 0.5})

    async def ledgers(self) -> dict[str, dict[str, int]]:
        site = await until(self.reactor, "the gantry to answer", self.site)
        return {each["name"]: each["ledger"] for each in site["uplinks"]}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened(Site, tmp_path) as made:
        yield made


@pytest.mark.long
@pytest.mark.timeout(400)
async def test_whatever_the_peers_do_all_comes_back_and_nothing_is_lost(site: Site) -> None:
    """Afterwards all devices are online, all that was stored was delivered, once and in order."""
    dice = random.Random(7)
    daemon = site.start()
    await site.online()
    for _ in range(2 * SECONDS):
        site.inject_faults(dice)
        await deferLater(site.reactor, 0.5)
    for face in FACES:
        site.twin.faults.clear(face)
    site.twin.world.change({"mains.voltage": 220, "cab1.smoke": False})
    await site.client.send("POST", site.url("/api/v1/outbox/retry"), {})
    await site.online(seconds=100.0)

    async def drained() -> bool:
        return all(not each["queued"] for each in (await site.ledgers()).values())

    await until(site.reactor, "the outbox to drain", drained, 100.0)
    ledgers = await site.ledgers()
    assert ledgers["etc"]["created"] > SECONDS
    for ledger in ledgers.values():
        # Reports go on: of those that are on their way one may be queued again by now.
        assert ledger["created"] == ledger["delivered"] + ledger["queued"]
        assert ledger["setAside"] == ledger["dropped"] == 0
    cloud = site.twin.cloud
    assert (cloud.records.gaps, cloud.counts["conflict"], cloud.counts["out-of-order"]) == (0, 0, 0)
    taken = [
        each
        for each in site.twin.platform.requests("cabinetStatusUpdate")
        if (each["answer"] or {}).get("code") == "1000"
    ]
    assert len(taken) >= ledgers["etc"]["delivered"]
    assert daemon.end()
    assert "Traceback" not in daemon.text, daemon.text[-4000:]
