"""The local HTTP API: every question and answer, as one set of types.

The server encodes from these types, `gantryctl` decodes into them, and the OpenAPI document is made
from them. A time is RFC 3339 text with offset and milliseconds, or null. What the server answers
always carries every member, but for those that may be `UNSET`; the defaults let a client read the
answer of an older gantry. Members that a client does not know are ignored. The map of registers and
the diagnosis have modules of their own.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from twisted_gantry.wire.reading import Quality

DEFAULT_LIMIT, MAX_LIMIT = 100, 1000
"""Entries of a list that are answered without `limit`, and at most."""
MAX_DEPTH = 8
"""Levels to which the arguments of a command may be nested."""

STATES = ("connecting", "online", "offline")
SEVERITIES = ("warning", "critical")
ROLES = ("viewer", "operator", "admin")
DANGERS = ("tolling", "power", "access", "device")
ALARM_STATES = ("raised", "acknowledged", "shelved", "maintenance", "flapping", "cleared")
ENDINGS = ("not-configured", "part-gone", "not-seen", "disk-failed")
"""Why an alarm ended whose condition was not seen to end: its rule or device is not configured any
more, the part has not come back with its device, nothing told of the alarm after a restart, or it
ended while the disk failed.
"""
DEFAULT_ALARMS = 500
"""Alarms that are answered without `limit`."""
LONGEST_MUTE, LONGEST_NOTE = 7 * 86_400, 500
"""Seconds for which nobody is called, and characters of a note, at most."""
OUTCOMES = ("done", "failed", "refused", "timeout")


def one_of(values: tuple[str | None, ...]) -> Meta:
    """Return what the document says of a text that an older client must not choke on."""
    return Meta(extra_json_schema={"enum": list(values)})


Time = Annotated[
    str | None, Meta(extra_json_schema={"description": "RFC 3339 with offset, milliseconds"})
]
Value = Annotated[Any, Meta(extra_json_schema={"type": ["number", "string", "boolean", "null"]})]
Said = Annotated[Any, Meta(extra_json_schema={"type": "string"})]
State = Annotated[str, one_of(STATES)]
Name = Annotated[str, Meta(min_length=1, max_length=64)]
Ids = Annotated[list[Annotated[int, Meta(ge=1, le=2**53)]], Meta(max_length=MAX_LIMIT)]


class Shape(msgspec.Struct, frozen=True, rename="camel"):
    """What the server answers: an object with camelCase names."""


class Wish(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """What a client sends; an unknown member is a mistake."""


class ErrorDetail(Shape, frozen=True):
    """What is wrong: a code for programs, a sentence for people; in Chinese where the error is a
    question to a person.
    """

    code: str
    message: str
    message_zh: str | UnsetType = UNSET


class ErrorAnswer(Shape, frozen=True):
    """Every answer that is not a success."""

    error: ErrorDetail


class Health(Shape, frozen=True):
    """`GET /healthz`: 200, or 503 with the reasons."""

    status: str = ""
    reasons: list[Said] = []
    notes: list[Said] = []


class Troubled(Shape, frozen=True, kw_only=True):
    """What is wrong with a device, an uplink or a bridge. The last error stays after a recovery,
    with its time. `cause`, a code of docs/troubleshooting.md, and the advice are of now: null while
    all is well.
    """

    last_error_zh: str | None = None
    last_error_at: Time = None
    cause: str | None = None
    advice: str | None = None
    advice_zh: str | None = None


class Device(Troubled, frozen=True):
    """A device of the site. `fed_by` is the device that feeds this one, or `mains`; null where the
    configuration does not say.
    """

    name: str
    kind: str = ""
    state: State = ""
    since: Time = None
    last_error: str | None = None
    fed_by: str | None = None


class LedgerView(Shape, frozen=True):
    """Reports of an uplink: created = delivered + queued + set aside + dropped. `not_stored` of the
    kept ones are in memory alone, because the disk fails. `as_of` is null for counts of now, else
    the time when the disk last told them.
    """

    created: int = 0
    delivered: int = 0
    queued: int = 0
    set_aside: int = 0
    dropped: int = 0
    bytes: int = 0
    oldest: Time = None
    not_stored: int = 0
    as_of: Time = None


class Uplink(Troubled, frozen=True):
    """An uplink, of the kind `etc` or `fogslink`; what the store cannot tell is null."""

    name: str
    state: State = ""
    since: Time = None
    last_error: str | None = None
    queued: int | None = None
    set_aside: int | None = None
    last_delivered: Time = None
    ledger: LedgerView | None = None
    kind: str = ""


class QueueView(Shape, frozen=True):
    """A queue of a bridge: its length and its bound, in entries."""

    name: str
    length: int = 0
    bound: int = 0


class Bridge(Troubled, frozen=True):
    """A bridge of the site; `name` is that of its table. `peers` are the neighbours that are
    connected now; `dropped` counts what a bound made it drop.
    """

    name: str
    kind: str = "bridge"
    state: State = ""
    since: Time = None
    last_error: str | None = None
    peers: int = 0
    dropped: int = 0
    queues: list[QueueView] = []


class NotifyTarget(Uplink, frozen=True):
    """A target of notifications, of the kind `webhook` and so on; its messages stand in the outbox
    as those of `notify.<name>`.
    """


class SiteView(Shape, frozen=True, kw_only=True):
    """`GET /api/v1/site`."""

    gantry_id: str
    name: str = ""
    version: str = ""
    started_at: Time = None
    devices: list[Device]
    uplinks: list[Uplink]
    bridges: list[Bridge] = []
    notify: list[NotifyTarget] = []


class Label(Shape, frozen=True):
    """A name in both languages."""

    en: str = ""
    zh: str = ""


class PointView(Shape, frozen=True):
    """A point; value and time are those of its last good reading."""

    point: str
    value: Value = None
    unit: str | None = None
    quality: Annotated[str, one_of(tuple(each.value for each in Quality))] = ""
    at: Time = None
    label: Label = Label()


class Points(Shape, frozen=True):
    """`GET /api/v1/points`."""

    points: list[PointView]


class History(Shape, frozen=True, kw_only=True):
    """`GET /api/v1/history`: at most 2,000 buckets of time, min, mean and max. A point that is a
    text has `states` instead: the time, and the text that held longest.
    """

    point: str
    unit: str = ""
    since: Time = None
    until: Time = None
    step: float = 0.0
    samples: list[tuple[str, float, float, float]]
    states: list[tuple[str, str]] = []


class QueueDay(Shape, frozen=True):
    """The last day of an uplink, or of `notify.<target>`. A slot is its begin, and how many reports
    were delivered, set aside and dropped in it; slots in which nothing happened are left out.
    """

    name: str
    slots: list[tuple[str, int, int, int]] = []


class DeliveriesView(Shape, frozen=True):
    """`GET /api/v1/deliveries`: slots of `step` seconds."""

    since: Time = None
    until: Time = None
    step: float = 0.0
    queues: list[QueueDay] = []


class CallView(Shape, frozen=True):
    """A target of notifications that a message about an alarm has reached."""

    target: str
    at: Time = None


class AlarmView(Shape, frozen=True):
    """An alarm; `clearedAt` is null while the alarm is active. `cause` is the name of another
    active alarm that explains this one; `consequences` are those that this one explains. `value` is
    what raised the alarm; `count` is how often that happened within `flap_window`, as of the last
    time. `muted`: nobody is called. `unknown`: the condition has not been seen since a restart.
    `endedBy` is why an alarm ended whose condition was not seen to end. `called` are the targets
    that know of it, the newest last.
    """

    alarm: str
    source: str = ""
    severity: Annotated[str, one_of(SEVERITIES)] = ""
    message: str = ""
    message_zh: str = ""
    raised_at: Time = None
    cleared_at: Time = None
    cause: str | None = None
    consequences: list[str] = []
    state: Annotated[str, one_of(ALARM_STATES)] = ""
    value: Value = None
    count: int = 1
    acked_by: str | None = None
    acked_at: Time = None
    note: str | None = None
    shelved_until: Time = None
    muted: bool = False
    unknown: bool = False
    ended_by: Annotated[str | None, one_of((*ENDINGS, None))] = None
    called: list[CallView] = []


class AlarmCounts(Shape, frozen=True):
    """The ledger of alarms since the store was made: raised = cleared + active."""

    raised: int = 0
    cleared: int = 0
    active: int = 0


class AlarmList(Shape, frozen=True):
    """`GET /api/v1/alarms`, newest first; with `active=1` the most urgent first."""

    alarms: list[AlarmView]
    ledger: AlarmCounts = AlarmCounts()


AlarmName = Annotated[str, Meta(min_length=1, max_length=200)]
Note = Annotated[str, Meta(max_length=LONGEST_NOTE)]
For = Annotated[float, Meta(gt=0, le=LONGEST_MUTE)]


class UnackBody(Wish):
    """`POST /api/v1/alarms/unack` and `/unshelve`."""

    alarm: AlarmName


class AckBody(Wish):
    """`POST /api/v1/alarms/ack`."""

    alarm: AlarmName
    note: Note = ""


class ShelveBody(Wish):
    """`POST /api/v1/alarms/shelve`: nobody is called for `for` seconds."""

    alarm: AlarmName
    seconds: For = msgspec.field(name="for")
    note: Note = ""


class MaintainBody(Wish):
    """`POST /api/v1/maintenance`: people work at a device for `for` seconds."""

    device: Name
    seconds: For = msgspec.field(name="for")
    note: Note = ""


class MaintenanceView(Shape, frozen=True):
    """A device under maintenance: nobody is called for its alarms, but for emergencies."""

    device: str
    since: Time = None
    until: Time = None
    by: str = ""
    note: str | None = None


class MaintenanceList(Shape, frozen=True):
    """`GET /api/v1/maintenance`."""

    maintenance: list[MaintenanceView]


class ArgumentInfo(Shape, frozen=True):
    """An argument of a command; `choices`, if there are any, are the texts that are allowed."""

    name: str
    type: Annotated[str, one_of(("string", "integer", "number", "boolean", "object", "array"))] = (
        "string"
    )
    required: bool = True
    secret: bool = False
    choices: tuple[str, ...] = ()


class CommandInfo(Shape, frozen=True):
    """A command of a device; `danger` and `locked` are empty where there is none.

    A command that `endangers` something is refused with 409 `confirm-needed` unless its request
    has `confirm`; `danger` is the consequence.
    """

    command: str
    en: str = ""
    zh: str = ""
    arguments: list[ArgumentInfo] = []
    danger: str | None = None
    danger_zh: str | None = None
    locked: str | None = None
    locked_zh: str | None = None
    endangers: Annotated[str, one_of(DANGERS)] | None = None


INTERLOCK_STATES = ("idle", "waiting", "acting", "in-force")


class InterlockView(Shape, frozen=True, kw_only=True):
    """An interlock: when `when` has held for `delay` seconds, `does` on the device `target`; when
    it is over, `undoes` on `undoes_on`. Arguments may be secret, and are left out. `why` is what
    keeps a `waiting` one from acting.
    """

    name: str
    when: str
    point: str
    delay: float = 0.0
    target: str
    does: str
    undoes_on: str | None = None
    undoes: str | None = None
    state: Annotated[str, one_of(INTERLOCK_STATES)]
    why: str | None = None
    why_zh: str | None = None


class InterlockList(Shape, frozen=True):
    """`GET /api/v1/interlocks`."""

    interlocks: list[InterlockView]


class DeviceCommands(Shape, frozen=True):
    """The commands of one device."""

    target: str
    commands: list[CommandInfo]


class CommandList(Shape, frozen=True):
    """`GET /api/v1/commands`."""

    devices: list[DeviceCommands]


class CommandBody(Wish):
    """`POST /api/v1/commands`. `confirm` is the yes to a command that asks.

    `id` makes a request that is sent twice one command. A command that was not sent within
    `expires` seconds (default: 30) is refused.
    """

    target: Name
    command: Name
    args: dict[str, Any] = msgspec.field(default_factory=dict)
    confirm: bool = False
    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,64}\Z")] | None = None
    expires: float | UnsetType = UNSET

    def __repr__(self) -> str:
        """Leave the arguments out: one may be a password."""
        return f"CommandBody(target={self.target!r}, command={self.command!r})"

    def __post_init__(self) -> None:
        """Refuse arguments that are nested too deep. Raises ValueError."""
        if not _shallow(self.args, MAX_DEPTH):
            raise ValueError(f"the arguments are nested deeper than {MAX_DEPTH} levels")


class CommandAnswer(Shape, frozen=True, kw_only=True):
    """The outcome of a command; `value` is what the device answered. `detail_zh` is for readers of
    Chinese (Accept-Language), as in the audit.
    """

    id: str = ""
    result: Annotated[str, one_of(OUTCOMES)]
    detail: str | None = None
    detail_zh: str | UnsetType = UNSET
    value: Any = None


class AuditView(Shape, frozen=True):
    """An entry of the audit; secret arguments are masked. `result` is empty until the end."""

    id: str = ""
    at: Time = None
    who: str = ""
    target: str = ""
    command: str = ""
    args: Annotated[Any, Meta(extra_json_schema={"type": "object"})] = None
    result: str | None = None
    detail: str | None = None
    detail_zh: str | UnsetType = UNSET


class Audit(Shape, frozen=True):
    """`GET /api/v1/audit`, newest first."""

    entries: list[AuditView]


class ReportView(Shape, frozen=True):
    """A stored report; its body is there when it was asked for, and with the body the beginning of
    the answer for which the report was set aside. One that is
    `not_stored` is in memory alone, because the disk fails.
    """

    id: int
    uplink: str = ""
    kind: str = ""
    subject: str | None = None
    state: Annotated[str, one_of(("queued", "set-aside"))] = ""
    created_at: Time = None
    urgent: bool = False
    tries: int = 0
    reason: str | None = None
    bytes: int = 0
    body: str | UnsetType = UNSET
    answer: str | UnsetType = UNSET
    not_stored: bool = False


class Outbox(Shape, frozen=True):
    """`GET /api/v1/outbox`, oldest first."""

    reports: list[ReportView]


class RetryBody(Wish):
    """`POST /api/v1/outbox/retry`: of one uplink or of all; all that were set aside, or some."""

    uplink: Name | None = None
    ids: Ids | None = None


class Retried(Shape, frozen=True):
    """How many reports were queued again."""

    retried: int


class DropBody(RetryBody, forbid_unknown_fields=True, rename="camel"):
    """`POST /api/v1/outbox/drop`: the reports of `ids`, or all that were set aside.

    `confirm` is the yes to a loss that nothing mends.
    """

    all_set_aside: bool = False
    confirm: bool = False


class Dropped(Shape, frozen=True):
    """How many reports were given up."""

    dropped: int


class NotifyTestBody(Wish):
    """`POST /api/v1/notify/test`: the name of the target."""

    name: Name


class NotifyTested(Shape, frozen=True):
    """What became of a test message; `detail` says why it failed."""

    name: str
    result: Annotated[str, one_of(("done", "failed"))]
    detail: str | None = None


class BackupBody(Wish):
    """`POST /api/v1/backup`: the store, or the history."""

    history: bool = False


class WhoAmI(Shape, frozen=True):
    """`GET /api/v1/whoami`: who asks, and what the role allows: a viewer reads, an operator also
    commands, acknowledges and retries, an admin does all.
    """

    name: str
    role: Annotated[str, one_of(ROLES)] = ""


class UserView(Shape, frozen=True):
    """A person who may come in, by a password, a token or both; `operator` and `viewer` are those
    without an account.
    """

    name: str
    role: Annotated[str, one_of(ROLES)] = ""
    password: bool = False
    token: bool = False


class Users(Shape, frozen=True):
    """`GET /api/v1/users`: for admins; no secret is in it."""

    users: list[UserView]


class SnapshotBegin(Shape, frozen=True):
    """The number of events that follow and describe the whole site: forget what was known."""

    events: int


class SnapshotEnd(Shape, frozen=True):
    """The snapshot is complete; from here on events are changes."""


EVENTS: dict[str, type[msgspec.Struct]] = {
    "snapshot": SnapshotBegin,
    "live": SnapshotEnd,
    "device": Device,
    "uplink": Uplink,
    "bridge": Bridge,
    "point": PointView,
    "alarm": AlarmView,
}


def _shallow(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, list):
        return True
    return levels > 0 and all(_shallow(each, levels - 1) for each in value)
