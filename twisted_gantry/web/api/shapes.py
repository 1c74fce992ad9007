"""What the site looks like in JSON: the shapes of the local API, without HTTP.

A time is RFC 3339 text with the offset of the site's timezone and milliseconds, or null.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from twisted.internet.defer import ensureDeferred, gatherResults
from twisted.logger import Logger

from twisted_gantry.core.alarms import Alarm
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import CommandType
from twisted_gantry.core.interfaces import IDevice, IUplink
from twisted_gantry.core.points import Point
from twisted_gantry.core.site import Site
from twisted_gantry.core.stored import AuditEntry, Ledger, Report

_log = Logger()

Json = dict[str, Any]
Time = Callable[[float | None], str | None]

_TYPE_NAMES: Mapping[type, str] = {
    str: "string",
    int: "integer",
    float: "number",
    bool: "boolean",
    dict: "object",
    list: "array",
}


def times_in(timezone: str) -> Time:
    """Return the function from Unix seconds to text. Raises ZoneInfoNotFoundError, ValueError."""
    zone = ZoneInfo(timezone)

    def time(at: float | None) -> str | None:
        if at is None:
            return None
        return datetime.fromtimestamp(at, zone).isoformat(timespec="milliseconds")

    return time


class Ledgers:
    """Reads what became of every uplink's reports; says once when the store cannot tell."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._failing = False

    async def read(self) -> dict[str, Ledger | None]:
        """Return the ledgers by the uplinks' names; None for what the store failed to tell."""
        names = list(self._site.uplinks)
        found = await gatherResults([ensureDeferred(self._read(name)) for name in names])
        failing = None in found
        if failing and not self._failing:
            _log.warn("the store cannot tell what the outbox holds")
        self._failing = failing
        return dict(zip(names, found, strict=True))

    async def _read(self, uplink: str) -> Ledger | None:
        try:
            ledger: Ledger = await self._site.store.ledger(uplink)
        except Exception:  # the rest of the page is wanted most when the disk is ill
            _log.debug("the ledger of {uplink} cannot be read", uplink=uplink)
            return None
        return ledger


def device(name: str, device: IDevice, time: Time) -> Json:
    """Return a device: `{"name", "kind", "state", "since", "lastError"}`."""
    status = device.status
    return {
        "name": name,
        "kind": device.kind,
        "state": status.state.value,
        "since": time(status.since),
        "lastError": status.last_error,
    }


def uplink(name: str, uplink: IUplink, ledger: Ledger | None, time: Time) -> Json:
    """Return an uplink; what the store cannot tell is null."""
    status = uplink.status
    return {
        "name": name,
        "state": status.state.value,
        "since": time(status.since),
        "lastError": status.last_error,
        "queued": ledger and ledger.queued,
        "setAside": ledger and ledger.set_aside,
        "lastDelivered": time(uplink.last_delivered),
        "ledger": ledger
        and {
            "created": ledger.created,
            "delivered": ledger.delivered,
            "queued": ledger.queued,
            "setAside": ledger.set_aside,
            "dropped": ledger.dropped,
            "bytes": ledger.size,
            "oldest": time(ledger.oldest),
        },
    }


def point(point: Point, kind: PointType, time: Time) -> Json:
    """Return a point: `{"point", "value", "unit", "quality", "at", "label": {"en", "zh"}}`."""
    return {
        "point": point.name,
        "value": point.value,
        "unit": kind.unit,
        "quality": point.quality.value,
        "at": time(point.at),
        "label": {"en": kind.en, "zh": kind.zh},
    }


def alarm(alarm: Alarm, time: Time) -> Json:
    """Return an alarm; `clearedAt` is null while it is active."""
    return {
        "alarm": alarm.name,
        "source": alarm.source,
        "severity": alarm.severity.value,
        "message": alarm.en,
        "messageZh": alarm.zh,
        "raisedAt": time(alarm.raised_at),
        "clearedAt": time(alarm.cleared_at),
    }


def command(name: str, kind: CommandType) -> Json:
    """Return what there is to know of a command; `danger` and `locked` are empty if there is no."""
    return {
        "command": name,
        "en": kind.en,
        "zh": kind.zh,
        "arguments": [
            {
                "name": argument_name,
                "type": _TYPE_NAMES.get(argument.type, argument.type.__name__),
                "required": argument.required,
                "secret": argument.secret,
                "choices": argument.choices,
            }
            for argument_name, argument in kind.arguments.items()
        ],
        "danger": kind.danger,
        "dangerZh": kind.danger_zh or kind.danger,
        "locked": kind.locked,
        "lockedZh": kind.locked_zh or kind.locked,
    }


def audit_entry(entry: AuditEntry, time: Time) -> Json:
    """Return an entry of the audit; the command door masked what is secret before it was kept."""
    return {
        "id": entry.id,
        "at": time(entry.at),
        "who": entry.who,
        "target": entry.target,
        "command": entry.command,
        "args": entry.args,
        "result": entry.result,
        "detail": entry.detail,
    }


def report(report: Report, time: Time, *, with_body: bool = False) -> Json:
    """Return a stored report; its body holds no secret, codes and keys go beside it."""
    body = {"body": report.body.decode("utf-8", "replace")} if with_body else {}
    return {
        "id": report.id,
        "uplink": report.uplink,
        "kind": report.kind,
        "subject": report.subject,
        "state": report.state,
        "createdAt": time(report.created),
        "urgent": report.urgent,
        "tries": report.tries,
        "reason": report.reason,
        "bytes": len(report.body),
        **body,
    }
