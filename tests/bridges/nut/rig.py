"""A site with UPSes, the NUT server on it, and its clients in memory."""

from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from zope.interface import implementer

from tests.support import Bench, in_no_thread
from twisted_gantry.bridges.nut.bridge import NutBridge
from twisted_gantry.bridges.nut.settings import NutSettings, NutUser
from twisted_gantry.core.commands.types import CommandResult, Outcome
from twisted_gantry.core.interfaces import IDevice
from twisted_gantry.core.points import Measured
from twisted_gantry.core.site import BridgeContext
from twisted_gantry.core.status import Status
from twisted_gantry.devices.power import Limits
from twisted_gantry.devices.upscard import points as upscard
from twisted_gantry.wire.reading import Quality, Value
from twisted_gantry.wire.secret import Secret

ON_MAINS: Mapping[str, Value] = {
    "state": "line",
    "mains_abnormal": False,
    "battery_low": False,
    "overload": False,
    "shutting_down": False,
    "output_off": False,
    "self_test": "unknown",
    "buzzer_muted": False,
    "input_voltage_r": 219.9,
    "input_voltage_s": 220.0,
    "input_voltage_t": 220.1,
    "load_r": 20.0,
    "load_s": 30.0,
    "load_t": 25.0,
    "battery_charge": 100.0,
    "battery_runtime": 3600.0,
    "ups_type": "online",
}
ON_BATTERY: Mapping[str, Value] = {"state": "battery", "mains_abnormal": True}
RATED: Mapping[str, Value] = {"manufacturer": "Sunshine", "model": "C10KS", "phases": "3/1"}
USERS = (
    NutUser(name="toll1", password=Secret("one"), upsmon="primary", instcmds=("all",)),
    NutUser(name="toll2", password=Secret("two"), upsmon="secondary"),
    NutUser(name="boss", password=Secret("three"), instcmds=("load.off",)),
)


@implementer(IDevice)
class FakeUps(Service):
    """A UPS with the points, alarms and commands of a card; `told` are its commands."""

    kind = "ups-card"

    def __init__(self, name: str, bench: Bench) -> None:
        self.name = name
        self.status = Status(name, bench.clock.now)
        self.rules = upscard.rules(Limits())
        self.commands = upscard.commands(allow_off=True)
        self.told: list[str] = []
        self.answer: Callable[[], Deferred[CommandResult]] = lambda: succeed(
            CommandResult(Outcome.DONE)
        )
        self._device, self._bench = name, bench
        bench.points.declare(name, upscard.points("s"))
        bench.add(self)

    def execute(self, command: str, args: Mapping[str, Any]) -> Deferred[CommandResult]:
        self.told.append(command)
        return self.answer()

    def reads(self, *more: Mapping[str, Value], rated: bool = False) -> None:
        """Take a reading: that on mains, and what differs; a value of None failed."""
        given = dict(ON_MAINS)
        for each in more:
            given |= each
        if rated:
            self._take(RATED)
        self.status.online()
        self._take(given)

    def _take(self, given: Mapping[str, Value]) -> None:
        good, failed = Quality.GOOD, Quality.GET_FAILED
        update: dict[str, Measured] = {
            name: (value, failed if value is None else good) for name, value in given.items()
        }
        self._bench.points.update(self._device, update)
        self._bench.clock.advance(0)

    def fails(self) -> None:
        """Fail a reading as a whole."""
        self._bench.points.fail(self._device)
        self._bench.clock.advance(0)


class NutClient:
    """A client of the server, from `host`."""

    def __init__(self, nut: "NutBench", host: str = "192.0.2.1") -> None:
        made = nut.factory.buildProtocol(IPv4Address("TCP", host, 1))
        assert made is not None
        self.protocol = made
        self.transport = StringTransport()
        transport: Any = self.transport
        self.aborted = False
        transport.abortConnection = self._abort
        protocol: Any = made
        protocol.makeConnection(self.transport)

    def _abort(self) -> None:
        if not self.aborted:
            self.aborted = True
            self.leave()

    def leave(self) -> None:
        self.protocol.connectionLost(Failure(ConnectionDone()))

    def sends(self, data: bytes) -> None:
        self.protocol.dataReceived(data)

    def asks(self, *lines: str) -> list[str]:
        """Send requests at once; returns the lines that are answered at once."""
        self.transport.clear()
        self.sends("".join(f"{line}\n" for line in lines).encode())
        return self.heard()

    def heard(self) -> list[str]:
        """Return the lines that came since the last request."""
        heard: bytes = self.transport.value()
        return heard.decode().splitlines()

    def logs_in(self, name: str, password: str) -> "NutClient":
        assert self.asks(f"USERNAME {name}", f"PASSWORD {password}") == ["OK", "OK"]
        return self


class NutBench(Bench):
    """A site with one UPS that was read once, on mains, and the server."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.ups = FakeUps("ups1", self)
        given = NutSettings(**{"listen": "tcp:0:interface=127.0.0.1", "user": USERS, **settings})
        context = BridgeContext(self.site, self.clock, self.clock.now, self.random, in_no_thread)
        self.bridge = NutBridge(given, context)
        self.factory = self.bridge._factory
        self.bridge.upses.start()
        self.ups.reads(rated=True)

    def client(self, host: str = "192.0.2.1") -> NutClient:
        return NutClient(self, host)

    def status(self) -> str:
        """Return `ups.status` as a client reads it, or the error."""
        client = self.client("192.0.2.99")
        [line] = client.asks("GET VAR ups1 ups.status")
        client.leave()
        return line.removeprefix('VAR ups1 ups.status "').removesuffix('"')

    def stop(self) -> None:
        """Stop, and see that no timer is left."""
        for connection in list(self.factory.open):
            connection.connectionLost()
        self.bridge.upses.stop()
        self.alarms.stop()
        assert self.clock.getDelayedCalls() == []
