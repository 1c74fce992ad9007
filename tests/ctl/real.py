"""The real local API of a small site in memory, for the tests of its client."""

import sqlite3
from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.task import Clock

from tests.http_client import Client, now_of
from tests.support import memory_history, moments
from tests.web.small_site import FakeDevice, FakeUplink
from twisted_gantry import __version__
from twisted_gantry.core.alarms import Alarms, Severity
from twisted_gantry.core.catalogue import Catalogue, PointType
from twisted_gantry.core.commands.door import CommandDoor
from twisted_gantry.core.commands.types import (
    Argument,
    CommandResult,
    CommandType,
    Endangers,
    Outcome,
)
from twisted_gantry.core.points import Points
from twisted_gantry.core.site import Site
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.store.schema import MIGRATIONS
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.writer import InlineWriter
from twisted_gantry.web.root import web_resource
from twisted_gantry.wire.reading import Quality

START = 1_791_763_200.0
"""2026-10-12 08:00:00 in Shanghai."""
HOUR = 3600.0

_OFF = {
    "SOFF": CommandType(
        {},
        "output off",
        "关闭输出",
        danger="darkens the gantry",
        danger_zh="使门架断电",
        endangers=Endangers.POWER,
    )
}
_COMMANDS: dict[str, dict[str, CommandType]] = {
    "ups1": {
        "BZOFF": CommandType({}, "buzzer off", "关闭蜂鸣器"),
        **_OFF,
        "query": CommandType({"cmd": Argument()}, "query", "查询"),
        "set-password": CommandType(
            {"new": Argument(secret=True)}, "set the card's password", "设置管理卡密码"
        ),
    },
    "ups2": {
        "SOFF": CommandType(
            {},
            "output off",
            "关闭输出",
            danger="darkens the gantry",
            locked="SOFF is locked: it needs allow_off = true on the device",
        )
    },
    "cfos": {
        "override": CommandType(
            {
                "dev_id": Argument(),
                "mamps": Argument(int, required=False),
                "share": Argument(float, required=False),
                "force": Argument(bool, required=False),
                "id": Argument(required=False),
                "flags": Argument(list, required=False),
                "pin": Argument(int, required=False, secret=True),
            },
            "override the charging current",
            "设定充电电流",
        )
    },
    "pc1": {},
}
_KINDS = {"ups1": "ups-card", "ups2": "ups-card-http", "cfos": "cfos", "pc1": "computer"}
_POINTS = {
    "ups1": (
        PointType("input_voltage_r", "V", "Input voltage R", "输入电压R"),
        PointType("rated_battery_voltage", "V", "Rated battery voltage", "额定电池电压"),
        PointType("fault_voltage", "V", "Fault voltage", "故障电压"),
        PointType("mains_abnormal", "", "Mains abnormal", "市电异常"),
    ),
    "pc1": (PointType("memory_total", "KiB", "Memory", "内存"),),
}


class RealApi:
    """A site in good order at 10:00, and its API; `site` and the devices may be changed."""

    def __init__(self) -> None:
        self.clock = clock = Clock()
        # The requests come in the threads of a test's server, one after the other.
        self.db = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        for script in MIGRATIONS:
            self.db.executescript(script)
        store = SqliteStore(InlineWriter(self.db), moments(self.now))
        points = Points(Catalogue(), self.now)
        for name, types in _POINTS.items():
            points.declare(name, types)
        self.devices = {name: FakeDevice(name, _KINDS[name], self.now) for name in _COMMANDS}
        for name, commands in _COMMANDS.items():
            self.devices[name].commands = commands
            self.devices[name].answer = lambda: succeed(CommandResult(Outcome.DONE, "", "(OK"))
        self.etc = FakeUplink("etc", self.now)
        devices: dict[str, Any] = dict(self.devices)
        door = CommandDoor(devices, store, clock, self.now, lambda: "made-up")
        self.site = Site(
            "G000211001002110010",
            "演示门架 demo gantry",
            "Asia/Shanghai",
            START,
            points,
            Alarms(points, clock, self.now, store),
            door,
            store,
            devices,
            {"etc": self.etc},
        )
        history = memory_history(self.now)
        resource = web_resource(
            self.site,
            history=history,
            now=self.now,
            version=__version__,
            password=None,
            token=None,
            http_counts={},
            health=list,
            clock=clock,
        )
        self.client = Client(resource)
        self._happened()

    def now(self) -> float:
        """Return Unix seconds."""
        return START + self.clock.seconds()

    def at(self, seconds: float) -> None:
        """Let the time be so many seconds after the start."""
        self.clock.advance(seconds - self.clock.seconds())

    def _happened(self) -> None:
        """Let the morning pass: readings, commands, reports."""
        points = self.site.points
        self.at(1.25)
        for device in self.devices.values():
            device.status.online()
        self.at(2.0)
        self.etc.status.online()
        self.at(HOUR)
        rated = {"rated_battery_voltage": (192.0, Quality.GOOD)}
        points.update("ups1", rated)
        points.fail("ups1", rated)
        self.db.execute("INSERT INTO ledger VALUES ('etc', 123456789, 123456782, 0, 3, 4, 7654321)")
        self.at(1.5 * HOUR)
        who = "remotecontrol 10.0.0.7"
        lost = "no reply in time; the next reading shows what happened"
        self._command("a1", who, "set-password", {"new": "***"}, "timeout", lost)
        self.at(1.5 * HOUR + 60)
        self._command("a2", "api 127.0.0.1 operator", "query", {"cmd": "QRI"}, "done", "")
        self.at(2 * HOUR - 300)
        self.etc.last_delivered = self.now()
        self.at(2 * HOUR + 0.123)
        points.update(
            "ups1",
            {
                "input_voltage_r": (220.123456789, Quality.GOOD),
                "fault_voltage": (None, Quality.NOT_SUPPORTED),
                "mains_abnormal": (True, Quality.GOOD),
            },
        )
        points.update("pc1", {"memory_total": (9007199254740993, Quality.GOOD)})

    def _command(
        self, number: str, who: str, command: str, args: dict[str, Any], result: str, detail: str
    ) -> None:
        entry = AuditEntry(number, self.now(), who, "ups1", command, args)
        now_of(self.site.store.begin_command(entry))
        ended = AuditEntry(number, self.now(), who, "ups1", command, args, result, detail)
        now_of(self.site.store.end_command(ended))

    # -- what may happen

    def fail(self) -> None:
        """Let a device and the platform be gone, with reports that wait."""
        why = "no connection to tcp:192.168.1.20:2390: the connection was refused"
        self.devices["ups1"].status.offline(why)
        self.etc.status.offline("1005 the platform does not know this gantry")
        self.db.execute("UPDATE ledger SET queued = 12, delivered = delivered - 12")

    def add_reports(self) -> None:
        """Keep a report that was set aside, and one that waits."""
        reason = "1005 the platform refuses the field upsStatus"
        for values in (
            (41, "cabinetStatusUpdate", 1834, 1.0, 1, "set-aside", reason, 2),
            (42, "computerStatusUpdate", 911, 2.0, 0, "queued", "", 0),
        ):
            self.db.execute(
                "INSERT INTO outbox (id, uplink, kind, subject, body, created, urgent, state, "
                "reason, tries) VALUES (?1, 'etc', ?2, '1', zeroblob(?3), ?4, ?5, ?6, ?7, ?8)",
                (*values[:3], START + HOUR + 600 * values[3], *values[4:]),
            )

    def raise_alarm(self, message: str = "mains abnormal") -> None:
        """Let the mains be abnormal."""
        self.site.alarms.set("ups1.mains-abnormal", Severity.CRITICAL, message, "市电异常")

    def raise_and_clear(self) -> None:
        """Let an alarm be raised, and cleared half a minute later."""
        name = "ups1.on-raw-mains"
        self.site.alarms.set(
            name, Severity.WARNING, "the load is on raw mains (bypass or economy)", "负载由旁路供电"
        )
        self.clock.advance(30)
        self.site.alarms.clear(name)
