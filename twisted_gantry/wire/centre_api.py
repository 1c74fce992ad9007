"""The HTTP API of the centre: its questions and answers, as one set of types.

The server encodes from these types, `gantryctl centre` decodes into them, and the OpenAPI document
is made from them. A time is RFC 3339 text with offset and milliseconds, or null. Members that a
client does not know are ignored. Commands, white lists and channels stand in `centre_orders`.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from twisted_gantry.wire.local_api import (
    LONGEST_MUTE,
    ROLES,
    SEVERITIES,
    ErrorDetail,
    Health,
    Note,
    Shape,
    Time,
    Wish,
    one_of,
)

GANTRY_STATES = ("well", "warning", "critical", "silent", "maintenance", "never")
SORTS = ("id", "batteryMinutes", "since")
"""Orders of the list of gantries; those without a value come last in each."""
ALARM_STATES = ("raised", "acknowledged", "shelved", "maintenance", "cleared")
MOST_ROWS = 50_000
"""Rows of one import, at most."""

Severity = Annotated[str, one_of(SEVERITIES)]
GantryId = Annotated[str, Meta(min_length=1, max_length=40)]
Cursor = Annotated[
    str | None,
    Meta(extra_json_schema={"description": "`after` of the next page; null on the last"}),
]
Text = Annotated[str, Meta(max_length=200)]
Row = Annotated[int, Meta(ge=1)]
Seconds = Annotated[float, Meta(gt=0, le=LONGEST_MUTE)]


class GantryCounts(Shape, frozen=True):
    """Gantries by state; `pending` ones, which wait for a person, are in no other number."""

    total: int = 0
    well: int = 0
    warning: int = 0
    critical: int = 0
    silent: int = 0
    maintenance: int = 0
    never: int = 0
    pending: int = 0


class LedgerTotals(Shape, frozen=True):
    """Reports since the store was made: received = stored + duplicate + refused. The late ones are
    among the stored.
    """

    received: int = 0
    stored: int = 0
    duplicate: int = 0
    late: int = 0
    refused: int = 0


class CentreTrouble(Shape, frozen=True):
    """A fault of the centre itself, such as that of its database, its disk or its clock; `process`
    is the one that suffers from it, empty for all.
    """

    alarm: str
    severity: Severity = ""
    message: str = ""
    message_zh: str = ""
    since: Time = None
    process: str = ""
    acked_by: str | None = None


class Overview(Shape, frozen=True):
    """`GET /api/v1/overview`: `incidents` is the number of active ones. `alarms` are raised now;
    `alarmRate` is how many were raised in the last hour. `asOf` is the time of the database.
    """

    gantries: GantryCounts = GantryCounts()
    incidents: int = 0
    ledger: LedgerTotals = LedgerTotals()
    alarms: int = 0
    alarm_rate: int = 0
    troubles: list[CentreTrouble] = []
    name: str = ""
    version: str = ""
    as_of: Time = None


class GantryView(Shape, frozen=True, kw_only=True):
    """A gantry. `since` is when it came into its state, `lastReport` when the newest report came.
    `batteryMinutes` is what is left on battery now, null while the mains feed the gantry or nobody
    told; `mainsOff` tells whether the mains are off. `alarms` are the names of the active ones, the
    most urgent first.
    """

    id: str
    name: str = ""
    road: str = ""
    section: str = ""
    stake: str = ""
    direction: str = ""
    position: str = ""
    remote_control: str = ""
    eq_sn: str = msgspec.field(name="eqSN", default="")
    state: Annotated[str, one_of(GANTRY_STATES)] = "never"
    since: Time = None
    last_report: Time = None
    battery_minutes: float | None = None
    mains_off: bool = False
    alarms: list[str] = []
    pending: bool = False
    has_auth: bool = False
    has_api_key: bool = False


class GantryList(Shape, frozen=True):
    """`GET /api/v1/gantries`; `total` counts the matches on all pages."""

    gantries: list[GantryView]
    after: Cursor = None
    total: int = 0


class GantryBody(Wish):
    """`PUT /api/v1/gantries/{id}`. A member that is left out stays as it is, and is empty for a new
    gantry; an empty `auth` or `apiKey` removes the secret. What `GET` gave may be sent back: the
    members that only the centre knows are ignored.
    """

    id: Text | UnsetType = UNSET
    name: Text | UnsetType = UNSET
    road: Text | UnsetType = UNSET
    section: Text | UnsetType = UNSET
    stake: Text | UnsetType = UNSET
    direction: Text | UnsetType = UNSET
    position: Text | UnsetType = UNSET
    remote_control: Annotated[str, Meta(max_length=500)] | UnsetType = UNSET
    eq_sn: Text | UnsetType = msgspec.field(name="eqSN", default=UNSET)
    auth: Text | UnsetType = UNSET
    api_key: Text | UnsetType = UNSET
    state: Any = UNSET
    since: Any = UNSET
    last_report: Any = UNSET
    battery_minutes: Any = UNSET
    mains_off: Any = UNSET
    alarms: Any = UNSET
    pending: Any = UNSET
    has_auth: Any = UNSET
    has_api_key: Any = UNSET

    def __repr__(self) -> str:
        """Leave the secrets out."""
        return f"GantryBody(name={self.name!r})"


class RowError(Shape, frozen=True):
    """What is wrong with a cell of an import. `row` counts from 1, the headings included; `column`
    is the heading as the file has it, empty where the whole row is wrong.
    """

    row: Row
    column: str
    message: str
    message_zh: str


class Imported(Shape, frozen=True):
    """`POST /api/v1/gantries/import`: all rows or none. With errors nothing was stored, and the
    answer is 400 with `error`, except for a dry run.
    """

    created: int = 0
    changed: int = 0
    same: int = 0
    dry_run: bool = False
    errors: list[RowError] = []
    error: ErrorDetail | UnsetType = UNSET


class ApproveBody(Wish):
    """`POST /api/v1/gantries/approve`: gantries that registered themselves."""

    gantries: Annotated[list[GantryId], Meta(min_length=1, max_length=1000)]


class Approved(Shape, frozen=True):
    """How many gantries wait no longer."""

    approved: int


class ReportOfGantry(Shape, frozen=True):
    """A stored report; `body` is its JSON, or a text where the body is none."""

    method: str
    time_stamp: Time
    received_at: Time
    late: bool
    body: Any


class ReportsOfGantry(Shape, frozen=True):
    """`GET /api/v1/gantries/{id}/reports`, newest first."""

    reports: list[ReportOfGantry]
    after: Cursor = None


class IncidentView(Shape, frozen=True, kw_only=True):
    """One cause with all that it explains, at a gantry or along a road section; `gantries` is how
    many it struck. `alarms` are the names of its alarms, without those of several gantries twice;
    `GET /api/v1/alarms?incident=` lists them one by one. `batteryMinutes` is the least that is left
    at any of its gantries.
    """

    id: str
    cause: str
    severity: Severity = ""
    road: str = ""
    section: str = ""
    since: Time = None
    gantries: int = 0
    alarms: list[str] = []
    gantry: str | None = None
    until: Time = None
    message: str = ""
    message_zh: str = ""
    battery_minutes: float | None = None
    acked_by: str | None = None
    muted: bool = False


class IncidentList(Shape, frozen=True):
    """`GET /api/v1/incidents`, the most urgent first; without `active=1` also those of a year."""

    incidents: list[IncidentView]
    after: Cursor = None


class GantryAlarm(Shape, frozen=True, kw_only=True):
    """An alarm of a gantry; `clearedAt` is null while it is active. One that is `late` became known
    from a report that came after a newer one, and called nobody if it was over.
    """

    id: str
    gantry: str
    alarm: str
    severity: Severity = ""
    message: str = ""
    message_zh: str = ""
    raised_at: Time = None
    cleared_at: Time = None
    late: bool = False
    state: Annotated[str, one_of(ALARM_STATES)] = "raised"
    incident: str | None = None
    road: str = ""
    section: str = ""
    acked_by: str | None = None
    acked_at: Time = None
    note: str | None = None
    shelved_until: Time = None
    muted: bool = False


class GantryAlarms(Shape, frozen=True):
    """`GET /api/v1/alarms`, newest first."""

    alarms: list[GantryAlarm]
    after: Cursor = None


class UnmuteBody(Wish):
    """`POST /api/v1/alarms/unack` and `/unshelve`: one alarm of a gantry, or a whole incident. An
    `alarm` alone is a fault of the centre, which can be acknowledged, and not shelved.
    """

    gantry: GantryId = ""
    alarm: Text = ""
    incident: Text = ""

    def __post_init__(self) -> None:
        """Refuse what names neither or both. Raises ValueError."""
        if bool(self.incident) == bool(self.alarm) or (self.gantry and not self.alarm):
            raise ValueError("name either gantry and alarm, or incident")


class AcknowledgeBody(UnmuteBody, forbid_unknown_fields=True, rename="camel"):
    """`POST /api/v1/alarms/ack`."""

    note: Note = ""


class ShelveAlarmBody(UnmuteBody, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """`POST /api/v1/alarms/shelve`: nobody is called for `for` seconds."""

    seconds: Seconds = msgspec.field(name="for")
    note: Note = ""


class PlaceBody(Wish):
    """A gantry, or a road, or a section of it."""

    gantry: Text = ""
    road: Text = ""
    section: Text = ""

    def __post_init__(self) -> None:
        """Refuse what is no one place. Raises ValueError."""
        if bool(self.gantry) == bool(self.road) or (self.section and not self.road):
            raise ValueError("name either gantry, or road and perhaps section")


class MaintainPlaceBody(PlaceBody, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """`POST /api/v1/maintenance`: people work there for `for` seconds."""

    seconds: Seconds = msgspec.field(name="for")
    note: Note = ""


class PlaceMaintenance(Shape, frozen=True):
    """Where people work: nobody is called, but for emergencies."""

    gantry: str = ""
    road: str = ""
    section: str = ""
    since: Time = None
    until: Time = None
    by: str = ""
    note: str | None = None


class PlaceMaintenances(Shape, frozen=True):
    """`GET /api/v1/maintenance`."""

    maintenance: list[PlaceMaintenance]


class CentreLedger(LedgerTotals, frozen=True):
    """`GET /api/v1/ledger`: totals, or what came since the hour of `since`. `refusedBy` has the
    codes of the protocols. The bytes of `rejected` reports are stored, because the database did not
    take them as they were. `waiting` reports have no commit yet. `oldestBacklog` is the oldest
    stamp among the reports that came late just now, null while all are fresh.
    """

    refused_by: dict[str, int] = {}
    rejected: int = 0
    since: Time = None
    waiting: int = 0
    oldest_backlog: Time = None


class RefusedView(Shape, frozen=True):
    """Requests to `monitor.do` that were refused: they named this gantry, which may be a lie or
    empty, came from this address, and got this code so many times. `reason` is the last one.
    """

    gantry: str
    address: str
    code: str
    reason: str
    times: int
    first_at: Time = None
    last_at: Time = None


class RefusedList(Shape, frozen=True):
    """`GET /api/v1/refusals`: the latest ones, the last one first."""

    refusals: list[RefusedView]


class CentreAuditEntry(Shape, frozen=True):
    """Who did what to which gantry, road or thing; secrets are not in `details`."""

    id: str
    at: Time = None
    who: str = ""
    action: str = ""
    target: str = ""
    details: Annotated[Any, Meta(extra_json_schema={"type": "object"})] = None


class CentreAudit(Shape, frozen=True):
    """`GET /api/v1/audit`, newest first."""

    entries: list[CentreAuditEntry]
    after: Cursor = None


class CentrePerson(Shape, frozen=True):
    """`GET /api/v1/whoami`; `roads` are those that the person sees, null for all."""

    name: str
    role: Annotated[str, one_of(ROLES)] = ""
    roads: list[str] | None = None


class CentreUser(Shape, frozen=True):
    """A person who may come in, without any secret."""

    name: str
    role: Annotated[str, one_of(ROLES)] = ""
    roads: list[str] | None = None
    password: bool = False
    token: bool = False


class CentreUsers(Shape, frozen=True):
    """`GET /api/v1/users`: for admins."""

    users: list[CentreUser]


class CentreHealth(Health, frozen=True):
    """`GET /healthz`: 200, or 503 with the reasons; `role` is that of the process."""

    role: str = ""


class Gone(Shape, frozen=True):
    """An event of the stream: a gantry or an incident that is over."""

    kind: Annotated[str, one_of(("gantry", "incident"))]
    id: str
