"""The shapes of the API's answers, as far as they are shown; what else is there is let be."""

from typing import Any, TypeVar

import msgspec

from twisted_gantry.ctl.client import Answer, ApiError

_T = TypeVar("_T")


class _Shape(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """An object with the API's camelCase names."""


class Device(_Shape):
    """A device of the site."""

    name: str
    kind: str = ""
    state: str = ""
    since: str | None = None
    last_error: str | None = None


class Ledger(_Shape):
    """What became of the reports of an uplink."""

    created: int = 0
    delivered: int = 0
    queued: int = 0
    set_aside: int = 0
    dropped: int = 0
    bytes: int = 0
    oldest: str | float | None = None


class Uplink(_Shape):
    """An uplink of the site."""

    name: str
    state: str = ""
    since: str | None = None
    queued: int = 0
    set_aside: int = 0
    last_delivered: str | None = None
    last_error: str | None = None
    ledger: Ledger | None = None


class Site(_Shape):
    """`GET /api/v1/site`."""

    gantry_id: str
    version: str = ""
    started_at: str | None = None
    devices: list[Device]
    uplinks: list[Uplink]


class Health(_Shape):
    """`GET /healthz`."""

    status: str = ""
    reasons: list[Any] = []
    notes: list[Any] = []


class Label(_Shape):
    """A name in both languages."""

    en: str = ""
    zh: str = ""


class Point(_Shape):
    """A point of the site."""

    point: str
    value: Any = None
    unit: str | None = None
    quality: str = ""
    at: str | None = None
    label: Label = Label()


class Points(_Shape):
    """`GET /api/v1/points`."""

    points: list[Point]


class Alarm(_Shape):
    """A raised or ended alarm."""

    alarm: str
    severity: str = ""
    message: str = ""
    message_zh: str = ""
    raised_at: str | None = None
    cleared_at: str | None = None


class Alarms(_Shape):
    """`GET /api/v1/alarms`."""

    alarms: list[Alarm]


class Entry(_Shape):
    """A command in the audit."""

    at: str | None = None
    who: str = ""
    target: str = ""
    command: str = ""
    args: Any = None
    result: str | None = None
    detail: str | None = None


class Audit(_Shape):
    """`GET /api/v1/audit`."""

    entries: list[Entry]


class Report(_Shape):
    """A report that is kept."""

    id: int
    uplink: str = ""
    kind: str = ""
    subject: str | None = None
    state: str = ""
    created_at: str | None = None
    urgent: bool = False
    tries: int = 0
    reason: str | None = None
    bytes: int = 0


class Outbox(_Shape):
    """`GET /api/v1/outbox`."""

    reports: list[Report]


class Retried(_Shape):
    """`POST /api/v1/outbox/retry`."""

    retried: int


class Argument(_Shape):
    """An argument of a command; `type` is the name of a Python type."""

    name: str
    type: str = "str"
    required: bool = True
    secret: bool = False


class CommandInfo(_Shape):
    """A command that a device can do."""

    command: str
    en: str = ""
    zh: str = ""
    arguments: list[Argument] = []
    danger: str | None = None
    locked: str | None = None


class DeviceCommands(_Shape):
    """What one device can do."""

    target: str
    commands: list[CommandInfo]


class Commands(_Shape):
    """`GET /api/v1/commands`."""

    devices: list[DeviceCommands]


class Outcome(_Shape):
    """`POST /api/v1/commands`."""

    id: str = ""
    result: str
    detail: str | None = None
    value: Any = None


def read(answer: Answer, shape: type[_T], where: str) -> _T:
    """Fit an answer into its shape. Raises ApiError when it is none of this API."""
    try:
        return msgspec.convert(answer.document, shape)
    except (msgspec.ValidationError, RecursionError) as error:
        raise ApiError(
            "odd-answer", status=answer.status, where=where, detail=str(error)[:200]
        ) from None
