"""The site: all that the gantry knows, in one place, to be shown and reported."""

from collections import Counter
from dataclasses import dataclass, field

from twisted_gantry.core.alarms import Alarms
from twisted_gantry.core.commands.door import CommandDoor
from twisted_gantry.core.interfaces import IDevice, IStore, IUplink
from twisted_gantry.core.points import Points


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
    `reloads` counts `done` and `failed` reloads.
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
