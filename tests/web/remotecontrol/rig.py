"""A site that is commanded through `remotecontrol.do`, in memory, and whoever commands it."""

import http.client
import io
import json
from collections.abc import Callable, Mapping
from typing import Any, cast

from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.support import Bench, in_no_thread
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import Argument, CommandResult, CommandType, Outcome
from twisted_gantry.core.interfaces import (
    BatteryTest,
    IBatteryTester,
    IDevice,
    IPlatform,
    IRelay,
    Subject,
)
from twisted_gantry.core.secret import Secret
from twisted_gantry.core.site import Cabinet
from twisted_gantry.core.status import Status
from twisted_gantry.net.http.server import bounded_site
from twisted_gantry.web.remotecontrol.endpoint import RemoteControl, RemoteControlSettings
from twisted_gantry.wire.etc.envelope import Method, encode_request, signed_headers
from twisted_gantry.wire.reading import Quality, Value

AUTH = "8d2f-secret"
GANTRY = "G000211001002110010"
DONE = CommandResult(Outcome.DONE)


def command_type(*arguments: str, danger: str = "", locked: str = "") -> CommandType:
    """Return a command whose arguments are texts."""
    return CommandType({name: Argument() for name in arguments}, "a", "甲", danger, locked)


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
        """Note it."""
        self.told.append((command, dict(args)))
        return self.answer()


@implementer(IRelay)
class Relay(Device):
    """A relay."""

    place = ("192.168.1.9", 8080)


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
        """Take a reading."""
        good = {name: (value, Quality.GOOD) for name, value in (SUPPLY | values).items()}
        self._points.update(self.called, good)

    def why_not_test(self) -> str:
        """Say what speaks against a test."""
        return self.why


@implementer(IPlatform)
class Uplink(Service):
    """An uplink that notes how it is steered."""

    last_delivered = None

    def __init__(self, bench: Bench) -> None:
        self.status = Status("etc", bench.clock.now)
        self.steered: list[tuple[Any, ...]] = []
        self.fail: Exception | None = None

    def retry(self) -> None:
        """Do nothing."""

    def server(self, subject: Subject) -> str:
        """Return where reports go."""
        return "https://platform.example/monitor.do"

    def report_now(self, subject: Subject) -> None:
        """Note it."""
        self.steered.append(("report-now", subject))

    def set_period(self, subject: Subject, seconds: float) -> Deferred[None]:
        """Note it."""
        self.steered.append(("period", subject, seconds))
        return succeed(None)

    def set_server(self, subject: Subject, url: str) -> Deferred[None]:
        """Note it, or fail."""
        if self.fail is not None:
            raise self.fail
        self.steered.append(("server", subject, url))
        return succeed(None)


class Answer:
    """An HTTP answer, as far as it has come."""

    def __init__(self, data: bytes) -> None:
        class _Socket:
            def makefile(self, *_: object) -> io.BytesIO:
                return io.BytesIO(data)

        response = http.client.HTTPResponse(cast(Any, _Socket()), method="POST")
        response.begin()
        self.status, self.headers = response.status, response.headers
        self.body = response.read()

    @property
    def json(self) -> Any:
        """The body, which must say that it is JSON."""
        assert self.headers["Content-Type"] == "application/json; charset=utf-8"
        return json.loads(self.body)

    @property
    def code(self) -> str:
        """The code of an answer of the interface."""
        assert self.status == 200
        return str(self.json["code"])


class Exchange:
    """A connection over which one request was sent."""

    def __init__(self, rig: "RemoteRig", host: str, data: bytes) -> None:
        peer = IPv4Address("TCP", host, 5555)
        self.protocol: Any = rig.factory.buildProtocol(peer)
        self.transport = StringTransport(peerAddress=peer)
        self.aborted = False
        cast(Any, self.transport).abortConnection = self._abort
        self.protocol.makeConnection(self.transport)
        self.protocol.dataReceived(data)

    def _abort(self) -> None:
        self.aborted = True
        self.hang_up()

    @property
    def answered(self) -> bool:
        """Whether anything has come."""
        return bool(self.transport.value())

    def hang_up(self) -> None:
        """Leave."""
        self.protocol.connectionLost(Failure(ConnectionDone()))
        if self.transport.producer is not None:
            self.transport.producer.stopProducing()

    def ended(self) -> Answer:
        """Return what came, and leave."""
        answer = Answer(self.transport.value())
        self.hang_up()
        return answer


class RemoteRig:
    """The site, its devices, and the port that the platform commands."""

    def __init__(
        self,
        *,
        cabinets: tuple[Cabinet, ...] | None = None,
        platform: bool = True,
        in_thread: Callable[..., Deferred[Any]] = in_no_thread,
        home: str = "",
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

    def restart(self) -> None:
        """Begin anew on the same store and devices, as the program does."""
        self.control = RemoteControl(
            self.settings,
            self.bench.site,
            self.uplink if self._platform else None,
            auth=Secret(AUTH),
            clock=self.clock,
            now=self.clock.now,
            in_thread=self._in_thread,
            home=self._home,
        )
        self.factory: Any = bounded_site(
            self.control.resource(), self.clock, self.control.limits, self.control.counts
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
        sent = {"Host": "gantry", "Content-Length": str(len(body))}
        sent |= signed_headers(body, AUTH) if headers is None else headers
        lines = [f"{verb} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in sent.items()), "", ""]
        return Exchange(self, host, "\r\n".join(lines).encode() + body)

    def ask(self, method: Method, fields: Any, **more: Any) -> Answer:
        """Return the answer to a request."""
        exchange = self.send(self.body(method, fields), **more)
        return exchange.ended()

    def cabinet(self, **fields: Any) -> Answer:
        """Return the answer to a `cabinetControl`."""
        return self.ask(Method.CABINET_CONTROL, fields)

    def computer(self, **fields: Any) -> Answer:
        """Return the answer to a `computerControl`."""
        return self.ask(Method.COMPUTER_CONTROL, fields)

    def untouched(self) -> bool:
        """Tell whether nothing was done."""
        told = self.cab.told + self.ups.told + self.relay.told
        return not told and not self.uplink.steered

    def stop(self) -> None:
        """See that no timer is left."""
        self.bench.alarms.stop()
        assert self.clock.getDelayedCalls() == []
