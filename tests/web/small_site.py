"""A small site in memory, and a client that speaks HTTP to its resource without a socket."""

import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.web.resource import IResource
from zope.interface import implementer

from tests.http_client import Client, now_of
from tests.support import memory_history, moments
from twisted_gantry.core.alarms import Alarms, Rule
from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.core.commands.door import CommandDoor
from twisted_gantry.core.commands.types import (
    Argument,
    CommandResult,
    CommandType,
    Endangers,
    Outcome,
)
from twisted_gantry.core.interfaces import DROPPED, Fill, IBridge, IDevice, IUplink
from twisted_gantry.core.points import Points
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import Status
from twisted_gantry.core.stored import Cap
from twisted_gantry.store.history.sqlite import SqliteHistory
from twisted_gantry.store.schema import MIGRATIONS
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.writer import InlineWriter
from twisted_gantry.web.root import web_resource
from twisted_gantry.wire.secret import Secret

# 2026-11-21 10:00:00.250 in Shanghai.
START = 1_795_226_400.25
CAP = Cap(1_000_000, 1e9)

COMMANDS = {
    "BZOFF": CommandType({}, "buzzer off", "关闭蜂鸣器"),
    "SOFF": CommandType(
        {},
        "output off",
        "关闭输出",
        danger="darkens the gantry",
        danger_zh="使门架断电",
        endangers=Endangers.POWER,
    ),
    "locked": CommandType({}, "locked", "已锁定", locked="it is locked"),
    "query": CommandType({"cmd": Argument(longest=64)}, "query", "查询"),
    "set-password": CommandType(
        {"new": Argument(secret=True), "times": Argument(int, required=False)},
        "set the password",
        "设置密码",
    ),
}
POINTS = (
    PointType("input_voltage_r", "V", "Input voltage R", "输入电压R"),
    PointType("input_voltage_s", "V", "Input voltage S", "输入电压S"),
    PointType("state", "", "State", "工作状态"),
    PointType("mains_abnormal", "", "Mains abnormal", "市电异常"),
    PointType("temperature", "°C", "Inner temperature", "机内温度"),
)


@implementer(IDevice)
class FakeDevice(Service):
    """A device that notes what it is told, and answers with `answer`."""

    rules: Sequence[Rule] = ()

    def __init__(self, name: str, kind: str, now: Callable[[], float]) -> None:
        self.name, self.kind = name, kind
        self.commands: Mapping[str, CommandType] = COMMANDS
        self.status = Status(name, now)
        self.told: list[tuple[str, Mapping[str, Any]]] = []
        self.answer: Callable[[], Deferred[CommandResult]] = lambda: succeed(
            CommandResult(Outcome.DONE, "it did", 1.5)
        )

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        self.told.append((command, dict(args)))
        return self.answer()


class CountingDevice(FakeDevice):
    def __init__(self, name: str, kind: str, now: Callable[[], float]) -> None:
        super().__init__(name, kind, now)
        self.counts = Counter({"timeouts": 3})


@implementer(IUplink)
class FakeUplink(Service):
    """An uplink that notes when it is told to try at once."""

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self.name = self.kind = name
        self.status = Status(name, now)
        self.last_delivered: float | None = None
        self.retries = 0

    def retry(self) -> None:
        self.retries += 1


@implementer(IBridge)
class FakeBridge(Service):
    """A bridge with a neighbour, which has dropped something."""

    def __init__(self, name: str, now: Callable[[], float]) -> None:
        self.status = Status(f"bridge.{name}", now)
        self.peers = 1
        self.counts = Counter({DROPPED: 3, "commands": 2})
        self.queues = {"out": Fill(7, 200)}


@dataclass
class SmallSite:
    """The site and the parts that a test moves. `problems` is what `health` tells."""

    clock: Clock
    db: sqlite3.Connection
    site: Site
    ups: FakeDevice
    pc: CountingDevice
    etc: FakeUplink
    history: SqliteHistory
    problems: list[str] = field(default_factory=list)
    http_counts: dict[str, Counter[str]] = field(default_factory=dict)

    def now(self) -> float:
        return START + self.clock.seconds()

    def resource(
        self, password: str | None = None, token: str | None = None, **more: Any
    ) -> IResource:
        return web_resource(
            self.site,
            history=self.history,
            now=self.now,
            version="1.2.3",
            password=None if password is None else Secret(password),
            token=None if token is None else Secret(token),
            http_counts=self.http_counts,
            health=lambda: self.problems,
            **more,
        )

    def client(self, password: str | None = None, token: str | None = None) -> "Client":
        return Client(self.resource(password, token))

    def add_report(self, uplink: str = "etc", body: bytes = b"12345", urgent: bool = False) -> int:
        """Put a report into the outbox, and return its number."""
        added = self.site.store.add_report(uplink, "kind", "subject", body, urgent, CAP)
        return cast(int, now_of(added)[0])


def small_site(timezone: str = "Asia/Shanghai") -> SmallSite:
    """Return a site with the devices `ups1` and `pc1`, and the uplink `etc`."""
    clock = Clock()

    def now() -> float:
        return START + clock.seconds()

    db = sqlite3.connect(":memory:", isolation_level=None)
    for script in MIGRATIONS:
        db.executescript(script)
    store = SqliteStore(InlineWriter(db), moments(now))
    points = Points(Catalogue(), now)
    points.declare("ups1", POINTS)
    ups, pc = FakeDevice("ups1", "ups-card", now), CountingDevice("pc1", "computer", now)
    pc.commands = {}
    devices: dict[str, IDevice] = {"ups1": ups, "pc1": pc}
    etc = FakeUplink("etc", now)
    numbers = count(1)
    door = CommandDoor(devices, store, clock, now, lambda: f"id-{next(numbers)}")
    alarms = Alarms(points, clock, now, store)
    site = Site(
        "G000211001002110010",
        "North gantry",
        timezone,
        START,
        points,
        alarms,
        door,
        store,
        devices,
        {"etc": etc},
    )
    return SmallSite(clock, db, site, ups, pc, etc, memory_history(now))
