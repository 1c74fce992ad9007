"""What several rooms' tests need: an in-memory network, a store in memory, a site."""

import sqlite3
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.test.iosim import IOPump, connect, makeFakeClient, makeFakeServer
from zope.interface import implementer

from twisted_gantry.core.alarms import Alarms
from twisted_gantry.core.catalogue import Catalogue
from twisted_gantry.core.commands.door import CommandDoor
from twisted_gantry.core.interfaces import DeviceContext, ICallbackHost, IDevice, IUplink
from twisted_gantry.core.moments import Moment
from twisted_gantry.core.points import Points
from twisted_gantry.core.recorder import HOLD_INTERVALS, INTERVAL
from twisted_gantry.core.site import Cabinet, Site
from twisted_gantry.store.history import schema as history_schema
from twisted_gantry.store.history.sqlite import SqliteHistory
from twisted_gantry.store.schema import MIGRATIONS
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.writer import InlineWriter

NOWHERE = IPv4Address("TCP", "127.0.0.1", 1)
START = 1_700_000_000.0
"""The moment at which tests begin, Unix seconds."""


class TestClock(Clock):
    """A Clock that also tells the time of day, and moves in small steps."""

    __test__ = False

    def __init__(self) -> None:
        super().__init__()
        self.network: MemoryNetwork | None = None
        self.wall_offset = START
        self.boot, self.trusted = "boot-1", True

    def now(self) -> float:
        """Return Unix seconds."""
        return float(self.seconds()) + self.wall_offset

    def moment(self) -> Moment:
        """Return the present moment; `boot` and `trusted` are what a test sets."""
        return Moment(self.now(), self.boot, float(self.seconds()), self.trusted)

    def run(self, seconds: float, step: float = 0.05) -> None:
        """Let time pass; what is on the wire arrives after each step."""
        self.settle()
        for _ in range(round(seconds / step)):
            self.advance(step)
            self.settle()

    def settle(self) -> None:
        """Deliver what is on the wire, and run what is due now."""
        for _ in range(50):
            moved = self.network is not None and self.network.flush()
            self.advance(0)
            if not moved:
                return


@implementer(IStreamClientEndpoint)
class MemoryNetwork:
    """An endpoint that connects clients to `server`, a factory, without a socket.

    While `reachable` is false, connections are refused. `pumps` has every connection ever made.
    """

    def __init__(self, clock: TestClock, server: IProtocolFactory) -> None:
        self.server, self.reachable = server, True
        self.pumps: list[IOPump] = []
        self.attempts: list[float] = []
        self._clock = clock
        clock.network = self

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:  # noqa: N803
        self.attempts.append(self._clock.seconds())
        server = self.server.buildProtocol(NOWHERE) if self.reachable else None
        client = protocolFactory.buildProtocol(NOWHERE)
        if server is None or client is None:
            return fail(Refused("refused by the test"))
        self.pumps.append(
            connect(server, makeFakeServer(server), client, makeFakeClient(client), greet=False)
        )
        # As a real endpoint does: the protocol is connected when the Deferred fires.
        return succeed(client)

    def flush(self) -> bool:
        """Deliver what was written; True if there was anything."""
        return sum(_pump(pump) for pump in list(self.pumps)) > 0

    def cut(self) -> None:
        pump = self.pumps[-1]
        pump.serverIO.abortConnection()
        pump.clientIO.abortConnection()
        self.flush()


def _pump(pump: IOPump) -> bool:
    moved = False
    while pump.pump():
        moved = True
    return moved


def moments(now: Callable[[], float]) -> Callable[[], Moment]:
    """Return the moments of a clock that is right, on a computer that runs since 1970."""
    return lambda: moment_at(now())


def moment_at(seconds: float) -> Moment:
    return Moment(seconds, "boot-1", seconds, True)


def memory_store(moment: Callable[[], Moment]) -> SqliteStore:
    """Return a store in memory, whose Deferreds have fired when they are returned."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    for script in MIGRATIONS:
        db.executescript(script)
    return SqliteStore(InlineWriter(db), moment)


def memory_history(now: Callable[[], float]) -> SqliteHistory:
    """Return a history in memory, whose Deferreds have fired when they are returned."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    for script in history_schema.MIGRATIONS:
        db.executescript(script)
    return SqliteHistory(InlineWriter(db), now, HOLD_INTERVALS * INTERVAL)


def in_no_thread(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
    """Run a blocking function at once."""
    return execute(function, *args)


@implementer(ICallbackHost)
class MemoryCallbacks:
    """A callback host without a socket; `post` is what a peer does."""

    def __init__(self) -> None:
        self.receivers: dict[str, list[Callable[[bytes], bool]]] = {}

    def register(
        self, url: str, receiver: Callable[[bytes], bool], is_source: Callable[[str], bool]
    ) -> Callable[[], None]:
        """Hand bodies that are posted to `url` to `receiver`."""
        self.receivers.setdefault(url, []).append(receiver)
        return lambda: self.receivers[url].remove(receiver)

    def post(self, url: str, body: bytes) -> bool:
        """Hand over a body; returns whether a receiver took it."""
        return any(receiver(body) for receiver in self.receivers.get(url, []))


class Bench:
    """A site on a Clock, with a store in memory; devices are added with `add`."""

    def __init__(self, *cabinets: Cabinet) -> None:
        self.clock = TestClock()
        now = self.clock.now
        self.points = Points(Catalogue(), now)
        self.alarms = Alarms(self.points, self.clock, now)
        self.store = memory_store(self.clock.moment)
        self.random = Random(1)
        devices: dict[str, IDevice] = {}
        uplinks: dict[str, IUplink] = {}
        numbers = iter(range(1, 1_000_000))
        self.door = CommandDoor(
            devices, self.store, self.clock, now, lambda: f"command-{next(numbers)}"
        )
        self.site = Site(
            gantry_id="G000211001002110010",
            name="test",
            timezone="Asia/Shanghai",
            started_at=now(),
            points=self.points,
            alarms=self.alarms,
            door=self.door,
            store=self.store,
            devices=devices,
            uplinks=uplinks,
            cabinets=cabinets,
        )
        self.callbacks = MemoryCallbacks()
        self.context = DeviceContext(
            self.clock,
            self.points,
            now,
            self.random,
            in_no_thread,
            self.store,
            self.callbacks,
            self.site.gantry_id,
        )

    def add(self, device: Any) -> None:
        """Make a device part of the site, as the wiring does."""
        self.alarms.watch(device.name, device.rules, device.status)
        self.site.devices[device.name] = device

    def good(self, name: str) -> Any:
        """Return the value of a point that is good, else its quality."""
        point = self.points[name]
        return point.quality.value if point.good is None else point.value

    def raised(self) -> set[str]:
        """Return the names of the raised alarms."""
        return {alarm.name for alarm in self.alarms.active()}


def fired(deferred: Deferred[Any]) -> list[Any]:
    """Return a list that gains the Deferred's result, or its Failure."""
    results: list[Any] = []
    deferred.addBoth(results.append)
    return results


def no_computers(fields: Any, *, clock_good: bool) -> None:
    """Refuse a report of computers: a test of something else has none."""
    raise ValueError("no report of computers is expected")
