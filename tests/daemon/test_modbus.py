"""Modbus on both sides of a real gantry: its devices, and its own server under pymodbus' client."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pymodbus.client import ModbusTcpClient
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue

from tests.daemon.process import GANTRYCTL, free_port, until
from tests.daemon.rig import Rig, opened

pytestmark = pytest.mark.long

EXAMPLE = Path(__file__).parents[2] / "docs" / "examples" / "modbus.toml"
MORE = """
[bridge.modbus]
listen = "tcp:{modbus}"
writes = true
[web]
listen = "tcp:{web}:interface=127.0.0.1"
"""
ANOTHER = """
[[device]]
name = "aaa"
kind = "ups-card"
address = "tcp:127.0.0.1:{ups}"
poll = 0.3
"""


class ModbusRig(Rig):
    """The example, read from the twin's gateway, and served again."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        super().__init__(folder, reactor)
        self.modbus = free_port()
        example = EXAMPLE.read_text(encoding="utf-8").replace("4750", f"{self.twin.port('modbus')}")
        example = example.replace('kind = "modbus"', 'kind = "modbus"\npoll = 0.3')
        self.site_text = example + MORE.format(modbus=self.modbus, web=self.web)
        self.write()
        self.start()

    def write(self, more: str = "") -> None:
        self.config.write_text(self.site_text + more, encoding="utf-8")

    async def map(self) -> dict[str, Any]:
        """Return the rows of the map by their points."""
        rows = (await self.client.get(self.url("/api/v1/modbus-map")))["registers"]
        return {row["point"]: row for row in rows}

    async def printed(self) -> Any:
        """Return what `gantryctl modbus-map --json` prints."""
        url = self.url("")
        command = ("--url", url, "modbus-map", "--json")
        out, err, code = await getProcessOutputAndValue(
            GANTRYCTL, command, os.environ, reactor=self.reactor
        )
        assert code == 0, err
        return json.loads(out)

    def talk(self, what: Callable[[ModbusTcpClient], Any]) -> Any:
        """Let the client of pymodbus do something, in a thread; returns the Deferred of that."""

        def run() -> Any:
            client = ModbusTcpClient("127.0.0.1", port=self.modbus, timeout=30, retries=0)
            assert client.connect()  # type: ignore[no-untyped-call]
            with client:
                return what(client)

        return deferToThread(run)

    async def value(self, row: Any) -> Any:
        """Return the float32 and the quality of a point."""

        def read(client: ModbusTcpClient) -> Any:
            words = client.read_holding_registers(row["register"], count=5, device_id=1).registers
            return client.convert_from_registers(words[:2], client.DATATYPE.FLOAT32), words[3]

        return await self.talk(read)


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[ModbusRig]:
    with opened(ModbusRig, tmp_path) as made:
        yield made


async def test_a_site_by_modbus_from_end_to_end(rig: ModbusRig) -> None:
    """The world reaches our registers through those of the twin; no place moves by a new device, a
    reload or a restart; a value that failed is none.
    """
    await rig.online("meter", "room")
    rig.twin.world.change({"mains.voltage_r": 231.5})

    async def shows() -> bool:
        return bool(await rig.value((await rig.map())["meter.voltage_l1"]) == (231.5, 1))

    await until(rig.reactor, "the voltage at our server", shows)
    first = await rig.map()
    assert await rig.printed() == list(first.values())
    assert first["meter.elec.1.voltage"]["type"] == "f32"

    rig.twin.world.change({"mains.voltage": 0, "cab1.smoke": True})

    async def alarms() -> bool:
        found = await rig.client.get(rig.url("/api/v1/alarms?active=1"))
        names = {each["alarm"] for each in found["alarms"]}
        return {"meter.mains-abnormal", "room.smoke"} <= names

    await until(rig.reactor, "the alarms by roles", alarms)
    smoke = first["room.smoke"]["bit"]
    bits = await rig.talk(lambda c: c.read_discrete_inputs(smoke, count=1, device_id=1).bits)
    assert bits[0] is True

    coils = (await rig.client.get(rig.url("/api/v1/modbus-map")))["commands"]
    assert [each["command"] for each in coils] == ["air1-on"]
    rig.twin.world.change({"cab1.air1_on": False})
    coil = coils[0]["coil"]
    wrote = await rig.talk(lambda c: c.write_coil(coil, True, device_id=1).isError())
    assert wrote is False
    assert rig.twin.world.value("cab1.air1_on") is True

    rig.write(ANOTHER.format(ups=rig.twin.port("ups-tcp")))
    assert rig.daemon is not None
    rig.daemon.process.send_signal(signal.SIGHUP)
    await rig.online("aaa")

    async def grown() -> bool:
        found = await rig.map()
        return "aaa.input_voltage_r" in found and len(found) > len(first)

    await until(rig.reactor, "places of the new device", grown)
    second = await rig.map()
    assert {name: second[name]["register"] for name in first} == {
        name: row["register"] for name, row in first.items()
    }
    assert rig.daemon.end()
    rig.start()
    await rig.online("meter", "aaa")
    assert {n: r["register"] for n, r in (await rig.map()).items()} == {
        n: r["register"] for n, r in second.items()
    }

    rig.twin.faults.put("modbus", {"refuse": True})

    async def failed() -> bool:
        value, quality = await rig.value(second["meter.frequency"])
        return bool(value != value and quality == 2)  # NaN

    await until(rig.reactor, "a value that failed", failed)
