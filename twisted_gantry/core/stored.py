"""What the store keeps, as everybody sees it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from twisted_gantry.wire.reading import Value


@dataclass(frozen=True, slots=True)
class Report:
    """A stored report. `subject` tells apart what a newer one of the same replaces."""

    id: int
    uplink: str
    kind: str
    subject: str
    body: bytes
    created: float
    urgent: bool
    state: str = "queued"
    reason: str = ""
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Ledger:
    """What became of an uplink's reports: created = delivered + queued + set_aside + dropped.

    `oldest` is Unix seconds of the oldest queued report, or None; `size` the bytes of those kept.
    """

    created: int = 0
    delivered: int = 0
    queued: int = 0
    set_aside: int = 0
    dropped: int = 0
    size: int = 0
    oldest: float | None = None


@dataclass(frozen=True, slots=True)
class Cap:
    """How much of a back-log is kept: bytes, and seconds of age."""

    size: int
    age: float


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who asked what of which device, and how it ended; `result` is empty until it has."""

    id: str
    at: float
    who: str
    target: str
    command: str
    args: Mapping[str, Any]
    result: str = ""
    detail: str = ""
    value: Value = None


@dataclass(frozen=True, slots=True)
class StoredCard:
    """A card of the white list, as the platform sent it."""

    card_id: str
    valid_time: str
    invalid_time: str
