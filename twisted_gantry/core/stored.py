"""The records of the store: reports, their ledger, the audit, the white list."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from twisted_gantry.core.moments import Moment
from twisted_gantry.wire.reading import Value


@dataclass(frozen=True, slots=True)
class Report:
    """A stored report; a newer one of the same `kind` and `subject` may replace it.

    `made` is when it was stored. `requeued`: a person took the report back from those set aside; it
    is sent whatever its age. `answer` is the beginning of the answer for which the report was set
    aside, without secrets. `stored` False: the disk failed, and the report is in
    memory alone.
    """

    id: int
    uplink: str
    kind: str
    subject: str
    body: bytes
    made: Moment
    urgent: bool
    state: str = "queued"
    reason: str = ""
    tries: int = 0
    requeued: bool = False
    answer: bytes = b""
    stored: bool = True


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
    """A command in the audit; `result` is empty until the command has ended."""

    id: str
    at: float
    who: str
    target: str
    command: str
    args: Mapping[str, Any]
    result: str = ""
    detail: str = ""
    value: Value = None


class StoredCard(msgspec.Struct, frozen=True, gc=False):
    """A card of the white list, with the texts that the platform sent. The garbage collector does
    not look at it: a list has a hundred thousand.
    """

    card_id: str
    valid_time: str
    invalid_time: str
