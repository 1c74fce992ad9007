"""The states of points and alarms as JSON, and which alarms a site may have."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import msgspec

from twisted_gantry.core.alarms import Alarm, Rule, Severity
from twisted_gantry.core.interfaces import IDevice
from twisted_gantry.core.points import Point
from twisted_gantry.net.times import TimeText

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True)
class AlarmType:
    """An alarm that may be raised, and what it is called."""

    severity: str
    en: str
    zh: str


def alarm_types(devices: Mapping[str, IDevice]) -> dict[str, AlarmType]:
    """Return the alarms of all devices by their full names: those of rules, and `offline`."""
    found: dict[str, AlarmType] = {}
    for name, device in devices.items():
        found[f"{name}.offline"] = AlarmType(Severity.WARNING.value, "offline", "离线")
        for rule in device.rules:
            kind = AlarmType(rule.severity.value, rule.en, rule.zh)
            found |= dict.fromkeys(_names(name, rule), kind)
    return found


def _names(device: str, rule: Rule) -> Iterator[str]:
    if rule.parts is None:
        yield f"{device}.{rule.name}"
    else:
        yield from (f"{device}.{part}.{rule.name}" for part in rule.parts())


def point_state(point: Point, unit: str, time: TimeText) -> bytes:
    """Return `{"value", "unit", "quality", "at"}`, as in the local API."""
    quality, at = point.quality.value, time(point.at)
    return _encode({"value": point.value, "unit": unit, "quality": quality, "at": at})


def alarm_state(name: str, kind: AlarmType, last: Alarm | None, time: TimeText) -> bytes:
    """Return the state of an alarm; `last` is the last one that was raised, None if none was."""
    return _encode(
        {
            "alarm": name,
            "active": last is not None and last.active,
            "severity": kind.severity if last is None else last.severity.value,
            "message": kind.en if last is None else last.en,
            "messageZh": kind.zh if last is None else last.zh,
            "raisedAt": None if last is None else time(last.raised_at),
            "clearedAt": None if last is None else time(last.cleared_at),
            "acknowledged": last is not None and last.acked_at is not None,
        }
    )
