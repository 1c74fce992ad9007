"""A site on a clock that the test moves, with a store in memory."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, execute
from zope.interface import implementer

from twisted_gantry.core.alarms import Alarms
from twisted_gantry.core.catalogue import Catalogue
from twisted_gantry.core.commands.door import CommandDoor
from twisted_gantry.core.interfaces import DeviceContext, ICallbackHost, IDevice, ITap, IUplink
from twisted_gantry.core.points import Points
from twisted_gantry.core.site import Cabinet, Site
from twisted_gantry.testing.clock import ManualClock
from twisted_gantry.testing.store import memory_store


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


class FakeSite:
    """A site on a Clock, with a store in memory; devices are added with `add`."""

    def __init__(self, *cabinets: Cabinet) -> None:
        self.clock = ManualClock()
        now = self.clock.now
        self.points = Points(Catalogue(), now)
        self.alarms = Alarms(self.points, self.clock, now)
        self.store = memory_store(self.clock.moment)
        self.random = Random(1)  # noqa: S311 - no secret
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

    def use(self, tap: ITap) -> None:
        """Let the traffic of the devices that are built from now on go through `tap`."""
        self.context = replace(self.context, tap=tap)

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
