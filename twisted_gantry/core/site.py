"""The site: all that the gantry knows, in one place for whoever shows or reports it."""

from collections import Counter
from dataclasses import dataclass, field

from twisted_gantry.core.alarms import Alarms
from twisted_gantry.core.commands.door import CommandDoor
from twisted_gantry.core.interfaces import IDevice, IStore, IUplink
from twisted_gantry.core.points import Points


@dataclass(frozen=True)
class Cabinet:
    """A cabinet of the site: which devices, or parts of one, the groups of its report come from.

    `allow_power_modes` are those that the platform may set, `allow_rectifier_off` whether it may
    switch the rectifiers off.
    """

    id: str
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    ups_meaning: str = "battery"
    allow_power_modes: tuple[str, ...] = ("0", "1")
    allow_rectifier_off: bool = False


@dataclass(eq=False)
class Site:
    """The site and what is known of it. `started_at` is Unix seconds.

    A new configuration changes what is in it; whoever keeps a part of it is made anew then.
    `reloads` counts them, `done` and `failed`.
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
    cabinets: tuple[Cabinet, ...] = ()
    reloads: Counter[str] = field(default_factory=Counter)
