"""Two platforms of a real daemon: an old outbox finds its way, and kills lose nothing of either."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.task import deferLater

from tests.daemon.process import AUTH, outbox_rows, until, write_config
from tests.daemon.rig import Rig, opened
from twisted_gantry.twin.faults.settings import ETC
from twisted_gantry.twin.service import ON_FREE_PORTS, Twin, TwinSettings, build_twin
from twisted_gantry.wire.json import dumps


class TwoPlatforms(Rig):
    """The platform of the twin is the province's; a second twin is the platform of the road."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        super().__init__(folder, reactor, auth=AUTH)
        self.road: Twin = build_twin(TwinSettings(**ON_FREE_PORTS, auth=AUTH), reactor, time.time)
        self.road.startService()
        self.write(write_config)

    def write(self, write: Any) -> None:
        write(self.folder, self.twin.port("ups-tcp"), self.twin.port("etc"), self.web)

    def divide(self) -> None:
        """Have the road first, and keep the province under a new name."""
        text = self.config.read_text(encoding="utf-8")
        province = self.twin.port("etc")
        first = "".join(
            (
                '[[uplink.etc]]\nname = "road"\n',
                f'url = "http://127.0.0.1:{self.road.port("etc")}/monitor.do"\n',
                'auth = { file = "auth" }\nperiod = 1.0\n[[uplink.etc]]\nname = "province"\n',
            )
        )
        assert f"127.0.0.1:{province}/monitor.do" in text
        self.config.write_text(text.replace("[uplink.etc]\n", first), encoding="utf-8")

    async def ledgers(self) -> dict[str, Any]:
        site = await self.site()
        return {each["name"]: each["ledger"] for each in site["uplinks"]} if site else {}

    async def close(self) -> None:
        await super().close()
        await self.road.stopService()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[TwoPlatforms]:
    with opened(TwoPlatforms, tmp_path) as made:
        yield made


def received(twin: Twin) -> Counter[bytes]:
    return Counter(
        dumps(each["body"])
        for each in twin.platform.requests()
        if (each["answer"] or {}).get("code") == "1000" and "data" not in each["body"]
    )


@pytest.mark.long
async def test_an_old_outbox_finds_its_platform_and_kills_lose_nothing(rig: TwoPlatforms) -> None:
    """Reports that waited under the one name go to the platform with that URL, not to the first.
    While a platform is out and the daemon is killed, the other gets everything at once.
    """
    rig.twin.faults.put(ETC, {"refuse": True})
    daemon = rig.start()

    async def grown() -> bool:
        return any(each["queued"] >= 4 for each in (await rig.ledgers()).values())

    await until(rig.reactor, "reports", grown)
    daemon.kill()
    of_old = Counter(outbox_rows(rig.data).values())
    rig.divide()
    waiting = of_old
    for turn in range(3):
        daemon = rig.start()
        least = {**await _answered(rig)}

        async def both_grown(least: dict[str, Any] = least) -> bool:
            now = await rig.ledgers()
            return all(now and now[name]["created"] >= least[name]["created"] + 3 for name in least)

        await until(rig.reactor, "reports for both", both_grown)
        ledgers = await rig.ledgers()
        assert ledgers["road"]["queued"] <= 3, turn  # undisturbed
        daemon.kill()
        waiting = waiting | Counter(outbox_rows(rig.data).values())
    assert "go to province now" in daemon.text
    rig.twin.faults.clear(ETC)
    daemon = rig.start()

    async def drained() -> bool:
        ledgers = await rig.ledgers()
        return bool(ledgers) and all(each["queued"] == 0 for each in ledgers.values())

    await until(rig.reactor, "both to be drained", drained, 60.0)
    assert daemon.end()
    both = received(rig.twin) + received(rig.road)
    assert not waiting - both
    assert not of_old - received(rig.twin)
    assert not of_old & received(rig.road)


async def _answered(rig: TwoPlatforms) -> dict[str, Any]:
    found: dict[str, Any] = await until(rig.reactor, "the gantry to answer", rig.ledgers)
    await deferLater(rig.reactor, 0.1)
    return found
