"""A real gantry with the centre as its platform and its cloud: both are real daemons."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_twisted
import treq
from twisted.internet.defer import ensureDeferred
from twisted.web.client import Agent, HTTPConnectionPool

from tests.centre.centre_process import CentreProcess
from tests.daemon.process import free_port, until
from tests.daemon.rig import Rig
from twisted_gantry.twin.faces.cabinet.jpeg import jpeg
from twisted_gantry.wire.etc.pictures import file_name

GANTRY = "G000211001002110010"
CODE, KEY = "kX7-secret-code", "k3y-of-the-cloud"
ZONE = ZoneInfo("Asia/Shanghai")
PICTURE = jpeg([[0, 255], [255, 0]])
OPENED = datetime(2026, 11, 30, 8, 15, 2, 345_000, ZONE)
CARDS = [
    {
        "cardId": "0123456789",
        "validTime": "2026-01-01 00:00:00",
        "invalidTime": "2030-01-01 00:00:00",
    }
]


class Pair:
    """A site of the twin, its gantry, and the centre above it."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        self.reactor = reactor
        self.centre = CentreProcess(folder / "centre", reactor)
        self.rig = Rig(folder, reactor)
        self.control = free_port()
        pictures = folder / "pictures" / "1"  # of cabinet 1
        pictures.mkdir(parents=True)
        digits = OPENED.strftime("%Y%m%d%H%M%S%f")[:17]
        (pictures / file_name(GANTRY, digits, "jpg")).write_bytes(PICTURE)
        (folder / "code").write_text(CODE, encoding="utf-8")
        (folder / "key").write_text(KEY, encoding="utf-8")
        self.rig.config.write_text(
            f"""
[gantry]
id = "{GANTRY}"
[[device]]
name = "ups1"
kind = "ups-card"
address = "tcp:127.0.0.1:{self.rig.twin.port("ups-tcp")}"
poll = 0.2
[[device]]
name = "pc1"
kind = "computer"
[[cabinet]]
id = "1"
elec = ["ups1"]
ups = ["ups1"]
[uplink.etc]
url = "http://127.0.0.1:{self.centre.monitor}/monitor.do"
auth = {{ file = "code" }}
period = 1.0
cards_period = 1.0
[uplink.fogslink]
address = "tcp:127.0.0.1:{self.centre.cloud}"
eq_sn = "12345678"
api_key = {{ file = "key" }}
period = 1.0
[uplink.fogslink.channels]
P0-C1 = "ups1.input_voltage_r"
[remotecontrol]
listen = "tcp:{self.control}:interface=127.0.0.1"
images = "pictures"
[web]
listen = "tcp:{self.rig.web}:interface=127.0.0.1"
""",
            encoding="utf-8",
        )

    async def until(self, what: str, path: str, holds: Any, seconds: float = 20.0) -> Any:
        """Wait until what the centre answers at `path` fits; returns that answer."""

        async def fits() -> Any:
            answer = await self.centre.get(path)
            return answer if answer is not None and holds(answer) else None

        return await until(self.reactor, what, fits, seconds)

    async def close(self) -> None:
        await self.rig.close()
        await self.centre.close()


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    from twisted.internet import reactor

    made = Pair(tmp_path, reactor)
    try:
        yield made
    finally:
        pytest_twisted.blockon(ensureDeferred(made.close()))


@pytest.mark.long
async def test_a_gantry_and_its_centre(pair: Pair) -> None:
    """Reports, alarms, a command, the white list, a picture and the channels, both ways."""
    centre, rig = pair.centre, pair.rig
    daemon = centre.start()
    await pair.until("the centre", "overview", lambda answer: "gantries" in answer)
    put = await centre.send(
        "PUT",
        f"gantries/{GANTRY}",
        {
            "name": "G2 K123+456",
            "road": "G2",
            "section": "A",
            "stake": "K123+456",
            "auth": CODE,
            "eqSN": "12345678",
            "apiKey": KEY,
            "remoteControl": f"http://127.0.0.1:{pair.control}/remotecontrol.do",
        },
    )
    assert put["state"] == "never"
    assert CODE not in str(put)
    gantry = rig.start()
    await rig.online()

    well = await pair.until("reports", f"gantries/{GANTRY}", lambda one: one["state"] == "well")
    assert well["lastReport"]
    rig.twin.world.change({"mains.voltage": 0})
    off = await pair.until(
        "the alarm", f"gantries/{GANTRY}", lambda one: one["alarms"] and one["batteryMinutes"]
    )
    assert off["state"] in {"warning", "critical"}
    alarms = (await centre.get("alarms"))["alarms"]
    assert "cabinet-1.mains-abnormal" in {each["alarm"] for each in alarms}
    found = await pair.until("an incident", "incidents?active=1", lambda each: each["incidents"])
    incident = next(e for e in found["incidents"] if e["cause"].endswith("mains-abnormal"))
    assert (incident["road"], incident["gantries"]) == ("G2", 1), found
    rig.twin.world.change({"mains.voltage": 220})
    await pair.until("the end", f"gantries/{GANTRY}", lambda one: one["state"] == "well")

    order = {"gantries": [GANTRY], "method": "cabinetControl", "updateNow": "1"}
    taken = await centre.send("POST", "commands", order)
    ended = await pair.until("the outcome", f"commands/{taken['id']}", lambda one: one["over"])
    assert ended["counts"] == {"done": 1}, ended

    lists = await centre.send("PUT", "cards", {"cards": CARDS, "version": "20261130000000"})
    assert "error" not in lists, lists

    async def has_list() -> bool:
        return "white list 20261130000000: 1 cards" in gantry.text

    await until(pair.reactor, "the white list", has_list)

    pool = HTTPConnectionPool(pair.reactor, persistent=False)
    client = treq.client.HTTPClient(Agent(pair.reactor, pool=pool))
    at = OPENED.isoformat().replace("+", "%2B")
    picture = await client.get(centre.url(f"pictures/{GANTRY}?at={at}"))
    assert (picture.code, await picture.content()) == (200, PICTURE)
    assert picture.headers.getRawHeaders("content-type") == ["image/jpeg"]

    channels = await pair.until(
        "the channels", f"channels/{GANTRY}", lambda answer: answer["channels"]
    )
    assert channels["channels"][0]["channel"] == "P0-C1"

    ledger = await centre.get("ledger")
    assert ledger["received"] == ledger["stored"] + ledger["duplicate"] + ledger["refused"]
    assert daemon.end()
    for text in (daemon.text, gantry.text):
        assert "Traceback" not in text, text
        assert CODE not in text
        assert KEY not in text
