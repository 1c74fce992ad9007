"""The shapes of the API's answers, as far as they are shown; what else is there is let be."""

from typing import Any, TypeVar

import msgspec

from twisted_gantry.ctl.client import Answer, ApiError

_T = TypeVar("_T")


class _Shape(msgspec.Struct, frozen=True, rename="camel"):
    """An object with the API's camelCase names."""


class Device(_Shape, frozen=True):
    """A device of the site."""

    name: str
    kind: str = ""
    state: str = ""
    since: str | None = None
    last_error: str | None = None


class Ledger(_Shape, frozen=True):
    """What became of the reports of an uplink."""

    created: int = 0
    delivered: int = 0
    queued: int = 0
    set_aside: int = 0
    dropped: int = 0
    bytes: int = 0
    oldest: str | None = None


class Uplink(_Shape, frozen=True):
    """An uplink of the site."""

    name: str
    state: str = ""
    since: str | None = None
    queued: int | None = None
    set_aside: int | None = None
    last_delivered: str | None = None
    last_error: str | None = None
    ledger: Ledger | None = None


class Site(_Shape, frozen=True):
    """`GET /api/v1/site`."""

    gantry_id: str
    devices: list[Device]
    uplinks: list[Uplink]
    name: str = ""
    version: str = ""
    started_at: str | None = None


class Health(_Shape, frozen=True):
    """`GET /healthz`."""

    status: str = ""
    reasons: list[Any] = []
    notes: list[Any] = []


class Label(_Shape, frozen=True):
    """A name in both languages."""

    en: str = ""
    zh: str = ""


class Point(_Shape, frozen=True):
    """A point of the site."""

    point: str
    value: Any = None
    unit: str | None = None
    quality: str = ""
    at: str | None = None
    label: Label = Label()


class Points(_Shape, frozen=True):
    """`GET /api/v1/points`."""

    points: list[Point]


class Alarm(_Shape, frozen=True):
    """A raised or ended alarm."""

    alarm: str
    severity: str = ""
    message: str = ""
    message_zh: str = ""
    raised_at: str | None = None
    cleared_at: str | None = None


class Alarms(_Shape, frozen=True):
    """`GET /api/v1/alarms`."""

    alarms: list[Alarm]


class Entry(_Shape, frozen=True):
    """A command in the audit."""

    at: str | None = None
    who: str = ""
    target: str = ""
    command: str = ""
    args: Any = None
    result: str | None = None
    detail: str | None = None


class Audit(_Shape, frozen=True):
    """`GET /api/v1/audit`."""

    entries: list[Entry]


class Report(_Shape, frozen=True):
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


class Outbox(_Shape, frozen=True):
    """`GET /api/v1/outbox`."""

    reports: list[Report]


class Retried(_Shape, frozen=True):
    """`POST /api/v1/outbox/retry`."""

    retried: int


class Dropped(_Shape, frozen=True):
    """`POST /api/v1/outbox/drop`."""

    dropped: int


class Argument(_Shape, frozen=True):
    """An argument of a command; `type` is string, integer, number, boolean, object or array.

    `choices`, if there are any, are the texts that it may be.
    """

    name: str
    type: str = "string"
    required: bool = True
    secret: bool = False
    choices: tuple[str, ...] = ()


class CommandInfo(_Shape, frozen=True):
    """A command that a device can do."""

    command: str
    en: str = ""
    zh: str = ""
    arguments: list[Argument] = []
    danger: str | None = None
    danger_zh: str | None = None
    locked: str | None = None
    locked_zh: str | None = None


class DeviceCommands(_Shape, frozen=True):
    """What one device can do."""

    target: str
    commands: list[CommandInfo]


class Commands(_Shape, frozen=True):
    """`GET /api/v1/commands`."""

    devices: list[DeviceCommands]


class Outcome(_Shape, frozen=True):
    """`POST /api/v1/commands`."""

    result: str
    id: str = ""
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
