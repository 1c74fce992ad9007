"""A bridge on a clock, with sessions in memory that note what is published."""

import json
from collections.abc import Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from tests.support import Bench, in_no_thread
from tests.web.small_site import COMMANDS, FakeDevice
from twisted_gantry.bridges.mqtt.bridge import MqttBridge
from twisted_gantry.bridges.mqtt.commands import Message
from twisted_gantry.bridges.mqtt.link import Driver, Will
from twisted_gantry.bridges.mqtt.reasons import Ending
from twisted_gantry.bridges.mqtt.settings import MqttSettings
from twisted_gantry.core.alarms import Rule, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import Argument, CommandType, Endangers
from twisted_gantry.core.site import BridgeContext
from twisted_gantry.net.outage import as_outage
from twisted_gantry.wire.reading import Quality, Value

GANTRY = "G000211001002110010"
BASE = f"gantry/{GANTRY}"
STATUS = f"{BASE}/status"
POINTS = (
    PointType("input_voltage_r", "V", "Input voltage R", "输入电压R"),
    PointType("battery_charge", "%", "Battery charge", "电池容量"),
    PointType("mains_abnormal", "", "Mains abnormal", "市电异常"),
    PointType("state", "", "State", "工作状态"),
)
ASKS = CommandType(
    {},
    "battery test",
    "电池测试",
    danger="loads the battery",
    danger_zh="使电池放电",
    endangers=Endangers.POWER,
)
RULE = Rule(
    "mains-abnormal",
    Severity.CRITICAL,
    "mains abnormal",
    "市电异常",
    lambda read, _: bool(read("mains_abnormal").good),
)


class FakeSession:
    """A session that acknowledges nothing by itself; `sent` has what was published."""

    def __init__(self, will: Will, filters: list[str], driver: Driver) -> None:
        self.will, self.filters, self.driver = will, filters, driver
        self.sent: list[tuple[str, bytes, bool]] = []
        self.acknowledged = 0
        self.closed = False
        self.waiting = 0
        self._ended: Deferred[Ending] = Deferred()

    def run(self) -> Deferred[Ending]:
        """Return what fires at the end."""
        return self._ended

    def publish(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Note a message."""
        self.sent.append((topic, payload, retain))

    def close(self) -> None:
        """Note the goodbye."""
        self.closed = True

    def acknowledge(self) -> int:
        """Acknowledge all that was published; returns how many messages that were."""
        number = len(self.sent) - self.acknowledged
        self.acknowledged += number
        if number:
            self.driver.acknowledged(number, 0, "")
        return number

    def end(self, reason: str = "lost", **more: bool) -> None:
        """End the session, as the broker or the network does."""
        self._ended.callback(Ending(as_outage(reason), **more))


class MqttBench(Bench):
    """A site with `ups1`, and a bridge that is started. `sessions` are those that it made."""

    def __init__(self, *, start: bool = True, **settings: Any) -> None:
        super().__init__()
        self.sessions: list[FakeSession] = []
        self.ups = self.device("ups1")
        self.settings = MqttSettings(address="tcp:127.0.0.1:1883", **settings)
        self.bridge = self.made()
        if start:
            self.bridge.startService()

    def made(self) -> MqttBridge:
        """Return a bridge over the same site and store."""
        clock = self.clock
        context = BridgeContext(self.site, clock, clock.now, self.random, in_no_thread)

        def connect(will: Will, filters: list[str], driver: Driver) -> FakeSession:
            self.sessions.append(FakeSession(will, filters, driver))
            return self.sessions[-1]

        return MqttBridge(self.settings, "client-7", context, connect)

    def device(self, name: str, points: tuple[PointType, ...] = POINTS) -> FakeDevice:
        """Add a device, with its points and a rule."""
        device = FakeDevice(name, "ups-card", self.clock.now)
        device.rules = (RULE,) if points is POINTS else ()
        device.commands = {
            **COMMANDS,
            "T": ASKS,
            "set-limit": CommandType({"amps": Argument(float)}, "set the limit", "设置上限"),
        }
        self.points.declare(name, points)
        self.add(device)
        device.status.online()
        return device

    def remove(self, name: str) -> None:
        """Take a device away, as a reload does."""
        del self.site.devices[name]
        self.alarms.unwatch(name)
        under = self.points.under(f"{name}.")
        self.points.retract(name, [point.name.partition(".")[2] for point in under])

    @property
    def session(self) -> FakeSession:
        """The present session."""
        return self.sessions[-1]

    def online(self) -> None:
        """Let the broker take us in, and take all that is to be sent."""
        self.session.driver.connected()
        self.settle()

    def settle(self) -> None:
        """Send what waits, the broker acknowledging each message."""
        for _ in range(100):
            self.clock.advance(0.05)
            if not self.session.acknowledge():
                return
        raise AssertionError("it sends for ever")

    def passes(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass; the broker acknowledges each message."""
        for _ in range(round(seconds / step)):
            self.clock.advance(step)
            self.session.acknowledge()

    def read(self, **values: Value) -> None:
        """Take a good reading of `ups1`."""
        good = {name: (value, Quality.GOOD) for name, value in values.items()}
        self.points.update("ups1", good)

    def tell(self, target: str, command: str, payload: Any = b"", **more: bool) -> None:
        """Let the broker deliver a command."""
        body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        topic = f"{BASE}/{target}/set/{command}"
        self.session.driver.received(Message(topic, body, **more))
        self.settle()

    def retained(self) -> dict[str, bytes]:
        """Return what the broker keeps of what this session has published."""
        return retained(self.session.sent)

    def state(self, topic: str) -> Any:
        """Return the last state at a topic below the gantry's."""
        return json.loads(self.retained()[f"{BASE}/{topic}"])

    def config(self, component: str, object_id: str) -> Any:
        """Return the configuration of an entity of Home Assistant."""
        return json.loads(self.retained()[f"homeassistant/{component}/{object_id}/config"])

    def answers(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the outcomes of commands that were published, each with its command."""
        return [
            (topic.removeprefix(f"{BASE}/"), msgspec.json.decode(payload))
            for topic, payload, _ in self.session.sent
            if topic.endswith("/answer")
        ]

    def topics(self, since: int = 0) -> list[str]:
        """Return the topics of what was published, the first `since` left out."""
        return [topic for topic, _, _ in self.session.sent[since:]]

    def close(self) -> None:
        """Stop, and see that no timer is left."""
        stopped = self.bridge.stopService()
        if stopped is not None and not stopped.called:
            self.session.end("goodbye")
        self.alarms.stop()
        assert self.clock.getDelayedCalls() == []


def retained(sent: list[tuple[str, bytes, bool]]) -> dict[str, bytes]:
    """Return what a broker keeps of messages."""
    kept: dict[str, bytes] = {}
    for topic, payload, retain in sent:
        if retain and payload:
            kept[topic] = payload
        elif retain:
            kept.pop(topic, None)
    return kept
