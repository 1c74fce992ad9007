"""1,000 points that change each second, over MQTT to a real mosquitto: the processor, and memory
while the broker is stopped. Beside paho alone with the same messages.
"""

import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from contextlib import suppress
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import psutil
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion
from twisted.internet.task import LoopingCall, deferLater
from twisted.internet.threads import deferToThreadPool

from scripts.benchmarks.process import again
from scripts.benchmarks.report import bar, figure, on_reactor
from twisted_gantry.bridges.mqtt.bridge import MqttBridge, mqtt_bridge
from twisted_gantry.bridges.mqtt.settings import MqttSettings
from twisted_gantry.core.alarms import Alarms
from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.core.commands.door import CommandDoor
from twisted_gantry.core.moments import present
from twisted_gantry.core.points import Points
from twisted_gantry.core.site import BridgeContext, Site
from twisted_gantry.core.status import State
from twisted_gantry.store.opening import open_store
from twisted_gantry.wire.reading import Quality

DEVICES, EACH = 20, 50
SECONDS, STALL = 15.0, 60.0
MOST_SHARE, MOST_MIB = 25.0, 5.0
PAYLOAD = b'{"value":221.5,"unit":"V","quality":"good","at":"2026-11-21T10:00:00.000+08:00"}'
TYPES = tuple(PointType(f"voltage_{n}", "V", f"Voltage {n}", f"电压{n}") for n in range(EACH))


class Broker:
    """A mosquitto on a free port, with defaults."""

    def __init__(self, folder: Path) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin:/usr/bin")
        if program is None:
            sys.exit("mosquitto is not installed (Debian: mosquitto)")
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        config = folder / "mosquitto.conf"
        config.write_text(f"listener {self.port} 127.0.0.1\nallow_anonymous true\nlog_type none\n")
        self.process = subprocess.Popen([program, "-c", str(config)])
        self.counted = psutil.Process(self.process.pid)
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return

    def end(self) -> None:
        """Let it go on, and end it."""
        self.process.send_signal(signal.SIGCONT)
        self.process.kill()
        self.process.wait()


class Load:
    """Reads 1,000 new values a second, as 20 devices that are read one after another."""

    def __init__(self, points: Points) -> None:
        self._points, self._turn = points, 0
        self._loop = LoopingCall(self._read)
        for number in range(DEVICES):
            points.declare(f"ups{number}", TYPES)

    def start(self, clock: Any) -> None:
        """Begin."""
        self._loop.clock = clock
        self._loop.start(1 / DEVICES).addErrback(print)

    def stop(self) -> None:
        """End."""
        self._loop.stop()

    def _read(self) -> None:
        self._turn += 1
        value = 200.0 + self._turn // DEVICES % 50
        good = {each.name: (value, Quality.GOOD) for each in TYPES}
        self._points.update(f"ups{self._turn % DEVICES}", good)


def memory() -> float:
    """Return the resident memory of this process, MiB."""
    return float(psutil.Process().memory_info().rss) / 2**20


async def share(reactor: Any, broker: Broker) -> tuple[float, float]:
    """Return the shares of a core of this process and of the broker, percent."""
    own, other = time.process_time(), sum(broker.counted.cpu_times()[:2])
    began = time.monotonic()
    await deferLater(reactor, SECONDS)
    took = time.monotonic() - began
    spent = sum(broker.counted.cpu_times()[:2]) - other
    return (time.process_time() - own) / took * 100, spent / took * 100


async def alone(reactor: Any, broker: Broker) -> float:
    """Return the share of paho with its own thread, and the same 1,000 messages a second."""
    client = Client(CallbackAPIVersion.VERSION2)
    client.connect("127.0.0.1", broker.port)
    client.loop_start()
    turn = 0

    def send() -> None:
        nonlocal turn
        turn += 1
        for number in range(EACH):
            topic = f"reference/G000211001002110010/ups{turn % DEVICES}/voltage_{number}"
            client.publish(topic, PAYLOAD, 1, retain=True)

    loop = LoopingCall(send)
    loop.clock = reactor
    loop.start(1 / DEVICES).addErrback(print)
    found, _ = await share(reactor, broker)
    loop.stop()
    client.disconnect()
    client.loop_stop()
    return found


async def work(reactor: Any) -> bool:
    """Measure the load without a bridge, paho alone, the bridge, and the bridge in a stall."""
    in_thread = partial(deferToThreadPool, reactor, reactor.getThreadPool())
    with tempfile.TemporaryDirectory(dir=".") as folder:
        store = open_store(Path(folder), reactor, present)
        points = Points(Catalogue(), time.time)
        alarms = Alarms(points, reactor, time.time)
        door = CommandDoor({}, store, reactor, time.time, lambda: uuid.uuid4().hex)
        parts = (points, alarms, door, store)
        site = Site("G000211001002110010", "", "Asia/Shanghai", time.time(), *parts, {}, {})
        broker = Broker(Path(folder))
        load = Load(points)
        load.start(reactor)
        idle, _ = await share(reactor, broker)
        load.stop()
        reference = await alone(reactor, broker)
        settings = MqttSettings(address=f"tcp:127.0.0.1:{broker.port}")
        context = BridgeContext(site, reactor, time.time, Random(1), in_thread)
        bridge: MqttBridge = mqtt_bridge(settings, context)
        bridge.startService()
        while bridge.status.state is not State.ONLINE:
            await deferLater(reactor, 0.05)
        load.start(reactor)
        await deferLater(reactor, 3)
        before = bridge.counts["published"]
        used, of_broker = await share(reactor, broker)
        rate = (bridge.counts["published"] - before) / SECONDS
        resident = memory()
        broker.process.send_signal(signal.SIGSTOP)
        grown = fullest = 0.0
        for _ in range(int(STALL)):
            await deferLater(reactor, 1)
            grown = max(grown, memory() - resident)
            fills = [fill.length / fill.bound for fill in bridge.queues.values()]
            fullest = max(fullest, *fills)
        broker.process.send_signal(signal.SIGCONT)
        load.stop()
        stopped = bridge.stopService()
        if stopped is not None:
            await stopped
        broker.end()
        alarms.stop()
        await store.close()
    figure("the readings without a bridge", idle, "%")
    figure("paho alone, the same messages", reference, "%")
    figure("mosquitto", of_broker, "%")
    figure("messages a second", rate, "")
    figure("ratio to paho alone", (used - idle) / reference, "×")
    figure("fullest queue in the stall, of its bound", fullest * 100, "%")
    met = bar("a core for 1,000 points a second, readings included", used, "%", MOST_SHARE)
    return bar(f"memory that a stall of {STALL:g} s costs", grown, "MiB", MOST_MIB) and met


def main() -> bool:
    """Run it in a process of its own."""
    return again("mqtt")


if __name__ == "__main__":
    sys.exit(0 if on_reactor(work) else 1)
