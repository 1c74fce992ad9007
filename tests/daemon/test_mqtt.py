"""A real gantry and a real mosquitto: what neighbours see when either of them fails."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bridges.mqtt.bench import BASE, STATUS
from tests.bridges.mqtt.broker import Broker, needs_mosquitto
from tests.daemon.process import until
from tests.daemon.rig import Rig, opened

pytestmark = [pytest.mark.long, needs_mosquitto]


class MqttRig(Rig):
    """A gantry with a UPS, and a broker, on free ports."""

    def __init__(self, folder: Path, reactor: Any) -> None:
        super().__init__(folder, reactor)
        self.broker = Broker(folder)
        self.write()
        self.start()

    def write(self, more: str = "commands = true", ups: str = "ups1") -> None:
        """Write the configuration, with more keys of the bridge."""
        self.config.write_text(
            f"""
[gantry]
id = "G000211001002110010"
[[device]]
name = "{ups}"
kind = "ups-card"
address = "tcp:127.0.0.1:{self.twin.port("ups-tcp")}"
poll = 0.2
[web]
listen = "tcp:{self.web}:interface=127.0.0.1"
[bridge.mqtt]
address = "tcp:127.0.0.1:{self.broker.port}"
{more}
"""
        )

    async def bridge(self) -> Any:
        """Return the bridge of `/api/v1/site`, an empty object while there is no answer."""
        site = await self.site()
        return site["bridges"][0] if site else {}

    async def until_state(self, state: str, seconds: float = 20.0) -> None:
        async def holds() -> bool:
            return bool((await self.bridge()).get("state") == state)

        await until(self.reactor, f"the bridge to be {state}", holds, seconds)

    async def close(self) -> None:
        self.broker.close()
        await super().close()


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[MqttRig]:
    """A gantry whose broker runs."""
    with opened(MqttRig, tmp_path) as made:
        yield made


async def test_the_broker_is_killed_and_the_gantry_too(rig: MqttRig) -> None:
    """A broker that lost all has the state right again; a gantry that dies is offline by its will;
    one that is reloaded keeps its session, and what was taken away leaves nothing.
    """
    await rig.online("ups1")
    watch = rig.broker.watch()
    point = f"{BASE}/ups1/input_voltage_r"
    await until(rig.reactor, "online", lambda: watch.last.get(STATUS) == "online")
    assert watch.json(point)["quality"] == "good"
    rig.twin.world.change({"mains.voltage": 0})
    alarm = f"{BASE}/alarms/ups1.mains-abnormal"
    await until(rig.reactor, "the alarm", lambda: watch.json(alarm).get("active"))

    rig.broker.kill()
    await rig.until_state("offline")
    rig.twin.world.change({"mains.voltage": 220})
    rig.broker.start()
    again = rig.broker.watch()
    await until(rig.reactor, "online again", lambda: again.last.get(STATUS) == "online")
    assert watch.last[STATUS] == "online"  # that one saw nothing of the end
    await until(rig.reactor, "no alarm", lambda: again.json(alarm).get("active") is False)
    assert again.json(point)["value"] > 200

    since = (await rig.bridge())["since"]
    rig.write(ups="ups7")
    assert rig.daemon is not None
    rig.daemon.process.send_signal(signal.SIGHUP)
    other = f"{BASE}/ups7/input_voltage_r"
    await until(rig.reactor, "the new device", lambda: again.json(other).get("value"), 20)
    await until(rig.reactor, "nothing of the old", lambda: again.last[point] == "", 20)
    assert (await rig.bridge())["since"] == since
    left = [t for t, payload in again.last.items() if "ups1" in t and payload]
    assert left == []

    assert rig.daemon is not None
    rig.daemon.kill()
    await until(rig.reactor, "the last will", lambda: again.last[STATUS] == "offline")


async def test_commands_and_a_broker_that_hangs(rig: MqttRig) -> None:
    """A battery test is done with a confirmation alone, and the audit says who. While the broker is
    stopped, the gantry answers as before, every queue keeps to its bound, and the daemon ends as
    soon as it is told to.
    """
    await rig.online("ups1")
    await rig.until_state("online")
    watch = rig.broker.watch(f"{BASE}/+/set/#")
    answer = f"{BASE}/ups1/set/T/answer"

    async def tell(payload: str, result: str) -> None:
        rig.broker.publish(f"{BASE}/ups1/set/T", payload)
        await until(rig.reactor, result, lambda: watch.json(answer).get("result") == result)

    await tell("{}", "refused")
    await tell('{"confirm": true}', "done")
    audit = await rig.client.get(rig.url("/api/v1/audit"))
    assert [(e["who"], e["command"], e["result"]) for e in audit["entries"]] == [
        ("mqtt G000211001002110010", "T", "done"),
        ("mqtt G000211001002110010", "T", "refused"),
    ]

    rig.broker.stall()
    slowest = 0.0
    for _ in range(40):
        began = rig.reactor.seconds()
        bridge = await rig.bridge()
        slowest = max(slowest, rig.reactor.seconds() - began)
        assert all(each["length"] <= each["bound"] for each in bridge["queues"])
    assert slowest < 2.0
    assert rig.daemon is not None
    assert rig.daemon.end()
