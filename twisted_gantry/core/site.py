"""The site: all that the gantry knows, in one place, to be shown and reported."""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from random import Random
from typing import Any

from twisted.internet.defer import Deferred

from twisted_gantry.core.alarms import Alarms
from twisted_gantry.core.commands.door import CommandDoor
from twisted_gantry.core.interfaces import IBridge, ICalled, IDevice, IStore, IUplink, unseen
from twisted_gantry.core.interlocks.watches import Interlocks
from twisted_gantry.core.points import Points
from twisted_gantry.wire.causes import Fold, Graph


@dataclass(frozen=True)
class Cabinet:
    """A cabinet of the site: the devices, or parts of devices, behind each group of its report.

    The platform may set the power modes in `allow_power_modes`, and with `allow_rectifier_off`
    switch the rectifiers off.
    """

    id: str
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ups_meaning: str = "battery"
    allow_power_modes: tuple[str, ...] = ("0", "1")
    allow_rectifier_off: bool = False


@dataclass(eq=False)
class Site:
    """The site and its state. `started_at` is Unix seconds.

    A reload of the configuration changes the attributes; services that hold one are made anew.
    `reloads` counts `done` and `failed` reloads. `notify` are the targets of notifications by name.
    """

    gantry_id: str
    name: str
    timezone: str
    started_at: float
    points: Points
    alarms: Alarms
    door: CommandDoor
    store: IStore
    devices: dict[str, IDevice]
    uplinks: dict[str, IUplink]
    bridges: dict[str, IBridge] = field(default_factory=dict)
    cabinets: tuple[Cabinet, ...] = ()
    graph: Graph = field(default_factory=Graph)
    reloads: Counter[str] = field(default_factory=Counter)
    notify: dict[str, ICalled] = field(default_factory=dict)
    interlocks: Interlocks | None = None

    def queues(self) -> dict[str, IUplink | ICalled]:
        """Return what sends from the outbox, by the names that reports have there."""
        return {**self.uplinks, **{each.status.name: each for each in self.notify.values()}}

    def fold(self) -> Fold:
        """Return the active alarms by cause."""
        return self.graph.fold(self.alarms.active())


@dataclass(frozen=True)
class BridgeContext:
    """What a bridge is given of its surroundings; a test gives it others.

    `reactor` provides time and networking; `now` returns Unix seconds. `in_thread` runs a blocking
    function in one of the few threads of the bridges, and returns a Deferred of its result.
    `certificate_seen` learns with which host TLS was made, and when that certificate expires. The
    devices of the site come and go with a reload, which does not restart the bridge.
    """

    site: Site
    reactor: Any
    now: Callable[[], float]
    random: Random
    in_thread: Callable[..., Deferred[Any]]
    certificate_seen: Callable[[str, datetime], None] = unseen
