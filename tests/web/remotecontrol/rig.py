"""A site that is commanded through `remotecontrol.do`, in memory, and its platform."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from tests.http_client import Answer, Client, Exchange
from tests.support import Bench, in_no_thread
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.door import CommandDoor
from twisted_gantry.core.commands.types import (
    Argument,
    CommandResult,
    CommandType,
    Endangers,
    Outcome,
)
from twisted_gantry.core.interfaces import (
    BatteryTest,
    IBatteryTester,
    IDevice,
    IPlatform,
    IRelay,
    Subject,
)
from twisted_gantry.core.site import Cabinet
from twisted_gantry.core.status import Status
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.web.remotecontrol.endpoint import (
    Commander,
    RemoteControl,
    RemoteControlSettings,
)
from twisted_gantry.wire.etc.envelope import Method, encode_request, signed_headers
from twisted_gantry.wire.reading import Quality, Value
from twisted_gantry.wire.secret import Secret

AUTH = "8d2f-secret"
GANTRY = "G000211001002110010"
DONE = CommandResult(Outcome.DONE)


def command_type(*arguments: str, danger: str = "", locked: str = "") -> CommandType:
    """Return a command whose arguments are texts."""
    return CommandType(
        {name: Argument() for name in arguments},
        "a",
        "甲",
        danger or "may hurt",
        locked,
        danger_zh="可能有害",
        endangers=Endangers.TOLLING,
        local_only=bool(danger),
    )


CABINET_COMMANDS = {
    "unlock-door": command_type("unlockDoorId"),
    "air-conditioner": CommandType(
        {"airId": Argument(choices=("0", "1", "2")), "airOperate": Argument()}, "a", "甲"
    ),
    "air-conditioner-temperature": command_type(
        "airId", "autoRefrigerationTemp", "autoHeatingTemp"
    ),
    "power-mode": command_type("mode"),
    "door-guard": command_type("isDoorDefend"),
    "rectifier": command_type("onOff"),
}
SUPPLY: dict[str, Value] = {
    "mains_abnormal": False,
    "battery_low": False,
    "battery_charge": 95.0,
    "self_test": "unknown",
}


@implementer(IDevice)
class Device(Service):
    """A device that notes what it is told, and answers with `answer`."""

    kind = "fake"
    rules: tuple[Any, ...] = ()

    def __init__(self, bench: Bench, name: str, commands: Mapping[str, CommandType]) -> None:
        self.name = name
        self.called, self.commands = name, dict(commands)
        self.status = Status(name, bench.clock.now)
        self.status.online()
        self.told: list[tuple[str, Mapping[str, Any]]] = []
        self.answer: Callable[[], Deferred[CommandResult]] = lambda: succeed(DONE)
        bench.add(self)

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        self.told.append((command, dict(args)))
        return self.answer()


@implementer(IRelay)
class Relay(Device):
    place = ("192.168.1.9", 8080)
    pending_on = "relay.192.168.1.9:8080.a0.on-pending"


@implementer(IBatteryTester)
class Ups(Device):
    """A UPS with a battery that can be tested, and the points of its supply."""

    battery_test: BatteryTest | None = None
    why = ""

    def __init__(self, bench: Bench, name: str) -> None:
        super().__init__(bench, name, {"T": command_type()})
        self._points = bench.points
        bench.points.declare(name, [PointType(each, "", each, each) for each in SUPPLY])
        self.read()

    def read(self, **values: Value) -> None:
        good = {name: (value, Quality.GOOD) for name, value in (SUPPLY | values).items()}
        self._points.update(self.called, good)

    def why_not_test(self) -> str:
        return self.why


@implementer(IPlatform)
class Uplink(Service):
    """An uplink that notes how it is steered."""

    kind = "etc"
    last_delivered = None

    def __init__(self, bench: Bench, name: str = "etc") -> None:
        self.status = Status(name, bench.clock.now)
        self.steered: list[tuple[Any, ...]] = []
        self.fail: Exception | None = None

    def retry(self) -> None:
        """Do nothing."""

    def server(self, subject: Subject) -> str:
        return "https://platform.example/monitor.do"

    def report_now(self, subject: Subject) -> None:
        self.steered.append(("report-now", subject))

    def set_period(self, subject: Subject, seconds: float) -> Deferred[None]:
        self.steered.append(("period", subject, seconds))
        return succeed(None)

    def set_server(self, subject: Subject, url: str) -> Deferred[None]:
        if self.fail is not None:
            raise self.fail
        self.steered.append(("server", subject, url))
        return succeed(None)


class RemoteRig:
    """The site, its devices, and the port that the platform commands."""

    def __init__(
        self,
        *,
        cabinets: tuple[Cabinet, ...] | None = None,
        platform: bool = True,
        in_thread: Callable[..., Deferred[Any]] = in_no_thread,
        home: str = "https://platform.example/monitor.do",
        **settings: Any,
    ) -> None:
        sources: dict[str, tuple[str, ...]] = {"elec": ("ups1",), "ups": ("ups1",)}
        sources |= dict.fromkeys(("doors", "air_conditioners", "rectifier"), ("cab1",))
        self.bench = Bench(*(cabinets if cabinets is not None else (Cabinet("1", sources),)))
        self.clock = self.bench.clock
        self.cab = Device(self.bench, "cab1", CABINET_COMMANDS)
        self.ups = Ups(self.bench, "ups1")
        self.relay = Relay(self.bench, "relay1", {"power-cycle": command_type()})
        self.uplink = Uplink(self.bench)
        self.settings = RemoteControlSettings(listen="tcp:3699", **settings)
        self._platform, self._in_thread, self._home = platform, in_thread, home
        self.restart()

    def use(self, store: SqliteStore) -> None:
        """Begin anew on another store."""
        bench, site = self.bench, self.bench.site
        bench.store = site.store = store
        bench.door = site.door = CommandDoor(
            site.devices, store, self.clock, self.clock.now, bench.door.new_id
        )
        self.restart()

    def commanders(self) -> list[Commander]:
        """Return the platforms that may command."""
        return [Commander(Secret(AUTH), self.uplink if self._platform else None, "etc", self._home)]

    def restart(self) -> None:
        """Begin anew on the same store and devices, as the program does."""
        self.control = RemoteControl(
            self.settings,
            self.bench.site,
            self.commanders(),
            clock=self.clock,
            now=self.clock.now,
            in_thread=self._in_thread,
        )
        control = self.control
        limits = replace(control.limits, work=0)  # real time and that of the clock differ
        self.client = Client(
            control.resource(), self.clock, limits, control.counts, control.allowed
        )

    def body(self, method: Method, fields: Any, time_stamp: float | None = None) -> bytes:
        """Return the body of a request, made now."""
        moment = self.clock.now() if time_stamp is None else time_stamp
        return encode_request(GANTRY, method, moment, fields)

    def send(
        self,
        body: bytes,
        headers: Mapping[str, str] | None = None,
        host: str = "192.0.2.7",
        *,
        path: str = "/remotecontrol.do",
        verb: str = "POST",
    ) -> Exchange:
        """Send a body, signed as it should be unless other headers are given."""
        self.client.peer = IPv4Address("TCP", host, 5555)
        sent = signed_headers(body, AUTH) if headers is None else headers
        return self.client.send(verb, path, body, "gantry", **sent)

    def ask(self, method: Method, fields: Any, **more: Any) -> Answer:
        exchange = self.send(self.body(method, fields), **more)
        return exchange.ended()

    def cabinet(self, **fields: Any) -> Answer:
        """Return the answer to a `cabinetControl`."""
        return self.ask(Method.CABINET_CONTROL, fields)

    def computer(self, **fields: Any) -> Answer:
        """Return the answer to a `computerControl`."""
        return self.ask(Method.COMPUTER_CONTROL, fields)

    def untouched(self) -> bool:
        told = self.cab.told + self.ups.told + self.relay.told
        return not told and not self.uplink.steered

    def stop(self) -> None:
        self.bench.alarms.stop()
        assert self.clock.getDelayedCalls() == []
