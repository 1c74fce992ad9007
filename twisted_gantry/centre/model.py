"""What the rooms of the centre hand to each other: gantries, reports, and what a report tells."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from twisted_gantry.wire.secret import Secret

PERIOD = 300.0
"""Seconds between two uploads of a gantry (the ETC document, section 1.3)."""


@dataclass(frozen=True, slots=True)
class Gantry:
    """An entry of the registry. `id` is the `gantryId`; `stake` is like `K123+456`. Fields that are
    not known are empty. A gantry that is `pending` registered itself and waits for a person.
    """

    id: str
    name: str = ""
    road: str = ""
    section: str = ""
    stake: str = ""
    direction: str = ""
    position: str = ""
    remote_control: str = ""
    """The URL of its `remotecontrol.do`."""
    eq_sn: str = ""
    auth: Secret | None = field(default=None, repr=False)
    """The `binfile-auth` of both directions."""
    api_key: Secret | None = field(default=None, repr=False)
    pending: bool = False


class GantryState(StrEnum):
    """How a gantry is; one that never reported is `never`, one that misses two periods `silent`."""

    WELL = "well"
    WARNING = "warning"
    CRITICAL = "critical"
    SILENT = "silent"
    MAINTENANCE = "maintenance"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Told:
    """What a report tells of one subject, such as `cabinet-1`, `computer-1` or `fogslink`.

    `raised` are the conditions that hold, such as `mains-abnormal`; `unknown` are those that the
    report does not tell, which stay as they were. All other conditions of the subject do not hold;
    where `ended` is given, it names those that do not hold, and all others stay as they were: a
    Fogslink pack tells of some channels alone. `battery_minutes` is the time that the batteries
    last. `strikes` are the counts of the surge arresters: one that rises is a strike of lightning.
    """

    subject: str
    raised: frozenset[str]
    unknown: frozenset[str] = frozenset()
    battery_minutes: float | None = None
    on_battery: bool | None = None
    strikes: tuple[int, ...] | None = None
    ended: frozenset[str] | None = None

    def holding(self, before: frozenset[str]) -> frozenset[str]:
        """Return the conditions that hold after the report, of those that held `before` it."""
        stay = self.unknown if self.ended is None else before - self.ended
        return self.raised | (before & stay)

    def tells(self, condition: str) -> bool:
        """Tell whether the report says of a condition that it holds, or that it does not."""
        if condition in self.raised:
            return True
        return condition not in self.unknown if self.ended is None else condition in self.ended


@dataclass(frozen=True, slots=True)
class Received:
    """A report as a front took it.

    `gantry` is the id in the registry; `method` is that of the ETC document, or `req200`/`req201`
    of Fogslink. `stamp` is Unix seconds as the gantry wrote it, None if that cannot be read (then
    the report is filed by reception). `digest` is the MD5 of the body. `key` is the `packID` of a
    Fogslink pack, which has no stamp; empty for others.
    """

    gantry: str
    method: str
    stamp: float | None
    received_at: float
    body: bytes = field(repr=False)
    digest: bytes = field(repr=False)
    told: tuple[Told, ...]
    key: str = ""


class Verdict(StrEnum):
    """What became of a report; all three are acknowledged. `late` is stored as well: its stamp is
    older than the state.
    """

    STORED = "stored"
    DUPLICATE = "duplicate"
    LATE = "late"


Row = tuple[Any, ...]
