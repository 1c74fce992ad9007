"""The platform's view of the values of a report: whether each is written as the document has it.

Source: the ETC document, sections 1.8, 2.1 and 3.1. A value is a sentinel, or has the form of its
field. The `id` of a cabinet or a row is a number and no sentinel; that of a computer is any text.
The limits of a measured value are not judged.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime

from twisted_gantry.wire.etc.envelope import Sentinel
from twisted_gantry.wire.etc.reports import Computer, Group, Report

_SENTINELS = frozenset(each.value for each in Sentinel)
_QUOTED = 40

Check = Callable[[str], bool]


def _form(pattern: str) -> Check:
    compiled = re.compile(pattern)
    return lambda text: compiled.fullmatch(text) is not None


def _percent(text: str) -> bool:
    return re.fullmatch(r"[0-9]{1,3}\.[0-9]{2}", text) is not None and float(text) <= 100


def _time(text: str) -> bool:
    if not re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{3}", text, re.ASCII):
        return False
    try:
        return bool(datetime.fromisoformat(text))
    except ValueError:
        return False


def _warnings(text: str) -> bool:
    items = text.split(",")
    return not text or all(item and item == item.strip() and item.isprintable() for item in items)


def _address(text: str) -> bool:
    try:
        return bool(ipaddress.ip_address(text))
    except ValueError:
        return False


_WHOLE = ("a whole number", _form("0|[1-9][0-9]{0,15}"))
_ID = ("a number from 1", _form("[1-9][0-9]{0,8}"))
_FLAG = ("0 or 1", _form("[01]"))
_NUMBER = ("a number with at most two decimals", _form(r"-?(0|[1-9][0-9]{0,11})(\.[0-9]{1,2})?"))
_TWO_DECIMALS = ("a number with two decimals", _form(r"-?(0|[1-9][0-9]{0,5})\.[0-9]{2}"))
_PERCENT = ("a percentage with two decimals", _percent)
_TIME = ("a time like 2026-01-31 12:00:00.000", _time)
_TEXTS = ("texts with commas between them", _warnings)

_CHECKS: Mapping[str, tuple[str, Check]] = {
    "id": _ID,
    "computer_id": ("a text", _form(r"\S(.{0,30}\S)?")),
    **dict.fromkeys(
        (
            *("is_monitor_computer", "is_main_computer", "status", "current_limiting"),
            *("is_working", "system_warning", "temperature_warning", "is_warning", "defend_mode"),
        ),
        _FLAG,
    ),
    **dict.fromkeys(
        (
            *("sys_disk_usage", "data_disk_usage", "memory_usage", "net_usage", "cpu_usage"),
            *("power_rate", "humidity"),
        ),
        _PERCENT,
    ),
    "cpu_temperature": _TWO_DECIMALS,
    **dict.fromkeys(("sys_disk_size", "data_disk_size", "memory_size", "lightning_count"), _WHOLE),
    "ip": ("an IP address", _address),
    **dict.fromkeys(
        (
            *("voltage", "current", "power", "frequency", "elec_consumption"),
            *("output_voltage", "output_current", "output_power"),
            *("input_voltage", "input_current", "surplus_time", "remain_capacity", "temperature"),
        ),
        _NUMBER,
    ),
    "running_state": ("1 to 5", _form("[1-5]")),
    "work_mode": ("0, 1 or 2", _form("[012]")),
    "error_msg": ("a text of one line", str.isprintable),
    "warning_msg": _TEXTS,
    "warning_change_time": _TIME,
    **{
        f"{side}_door_{name}": check
        for side in ("front", "back")
        for name, check in {
            "closed": _FLAG,
            "locked": _FLAG,
            "unlock_type": ("0 to 3", _form("[0-3]")),
            "unlock_card_id": ("the id of a card", _form("[!-~]{1,64}")),
            "open_illegally": _FLAG,
            "change_time": _TIME,
        }.items()
    },
}


def complaints(report: Report) -> Iterator[str]:
    """Yield an error for each value that is not written as the document has it."""
    if isinstance(report, tuple):
        yield from _rows("computerStatus", report)
        return
    yield from _value("id", "id", report.id)
    for name in report.__struct_fields__[1:]:
        group = getattr(report, name)
        if isinstance(group, tuple):
            yield from _rows(name, group)
        else:
            yield from _group(name, group)


def _rows(name: str, rows: tuple[Group, ...]) -> Iterator[str]:
    ids = [getattr(row, "id", "") for row in rows]
    if len(set(ids)) < len(ids):
        yield f"{name}: two rows have the same id"
    for at, row in enumerate(rows):
        yield from _group(f"{name}[{at}]", row)


def _group(place: str, group: Group) -> Iterator[str]:
    for name in group.__struct_fields__:
        computer = name == "id" and isinstance(group, Computer)
        which = "computer_id" if computer else name
        yield from _value(f"{place}.{name}", which, getattr(group, name))


def _value(place: str, name: str, text: str) -> Iterator[str]:
    what, holds = _CHECKS[name]
    if (name != "id" and text in _SENTINELS) or holds(text):
        return
    yield f"{place} is not {what}: {text[:_QUOTED]!r}"
