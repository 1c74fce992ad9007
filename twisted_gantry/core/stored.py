"""The records of the store: reports, their ledger, the audit, the white list."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import msgspec

from twisted_gantry.core.moments import Moment
from twisted_gantry.wire.reading import Value


class Urgency(IntEnum):
    """What a report may overtake."""

    NONE = 0
    """Nothing: the oldest goes first."""
    URGENT = 1
    """All others, while it is fresh."""
    IN_ORDER = 2
    """All but those of its own kind: openings of doors are told in their order."""


@dataclass(frozen=True, slots=True)
class Report:
    """A stored report; a newer one of the same `kind` and `subject` may replace it.

    `made` is when it was stored; `urgent` is an Urgency. `requeued`: a person took the report back
    from those set aside; it is sent whatever its age. `answer` is the beginning of the answer for
    which the report was set aside, without secrets. `stored` False: the disk failed, and the report
    is in memory.
    """

    id: int
    uplink: str
    kind: str
    subject: str
    body: bytes
    made: Moment
    urgent: int
    state: str = "queued"
    reason: str = ""
    tries: int = 0
    requeued: bool = False
    answer: bytes = b""
    stored: bool = True


@dataclass(frozen=True, slots=True)
class Destination:
    """An uplink as the store knows it: `kind` is `etc` or `fogslink`, `place` its URL or address
    and number.
    """

    name: str
    kind: str
    place: str


@dataclass(frozen=True, slots=True)
class Ledger:
    """Counts of an uplink's reports: created = delivered + queued + set_aside + dropped.

    `oldest` is when the oldest queued report was made, or None; `size` is the bytes of all kept
    reports. `not_stored` of the kept ones are in memory alone. `as_of` is when the counts were last
    read, None for now.
    """

    created: int = 0
    delivered: int = 0
    queued: int = 0
    set_aside: int = 0
    dropped: int = 0
    size: int = 0
    oldest: Moment | None = None
    not_stored: int = 0
    as_of: Moment | None = None


@dataclass(frozen=True, slots=True)
class Cap:
    """The limits of a back-log: bytes, and age in seconds."""

    size: int
    age: float


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """A command in the audit; `result` is empty until the command has ended. The entry is kept
    until `kept_until` at least, Unix seconds: the replay guard needs it.
    """

    id: str
    at: float
    who: str
    target: str
    command: str
    args: Mapping[str, Any]
    result: str = ""
    detail: str = ""
    value: Value = None
    kept_until: float = 0.0


class StoredCard(msgspec.Struct, frozen=True, gc=False):
    """A card of the white list, with the texts that the platform sent. The garbage collector does
    not look at it: a list has a hundred thousand.
    """

    card_id: str
    valid_time: str
    invalid_time: str
