"""`[[alarm]]`: own rules are read, and checked against the points, the cabinets and each other."""

import re
from collections.abc import Callable, Sequence
from typing import Any

from twisted_gantry.config.devices import Devices
from twisted_gantry.config.settings import OwnRuleSettings
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.condition import Condition
from twisted_gantry.core.own_rules import OwnRule
from twisted_gantry.core.site import Cabinet
from twisted_gantry.settings.tables import Document, Path, shown
from twisted_gantry.wire.secret import Secret

LONGEST_MESSAGE = 200  # characters
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,31}")
_REPORTED = ("elec", "ups", "rectifier")
"""The groups of the cabinet report whose rows have a `warningMsg`."""
_MAINS = re.compile(r"input_.*|voltage_.*|mains_abnormal|fault_voltage")


def read_own_rules(
    document: Document,
    secret: Callable[[Any], Secret],
    devices: Devices,
    cabinets: Sequence[Cabinet],
) -> tuple[OwnRule, ...]:
    """Return the own rules; what is wrong is noted in `document`."""
    found: list[OwnRule] = []
    names: set[str] = set()
    checks = {
        "name": _wrong_name,
        "when": devices.wrong_condition,
        "clear": devices.wrong_condition,
        "message": _wrong_message,
        "message_zh": _wrong_message,
    }
    for index, table in enumerate(document.tables("alarm")):
        path: Path = ("alarm", index)
        settings = document.read(table, OwnRuleSettings, path, secret, checks=checks)
        # From the table itself: another mistake in it must not hide these.
        name = table.get("name")
        if isinstance(name, str) and name in names:
            document.wrong((*path, "name"), f"a second alarm is named {name!r}")
        elif isinstance(name, str):
            names.add(name)
        when, clear = _condition(table, "when"), _condition(table, "clear")
        if when is not None and clear is not None and (both := when.overlap(clear)) is not None:
            document.wrong((*path, "clear"), f"clear and when both hold at {shown(both)}")
        group = ""
        if table.get("report") is True and when is not None:
            group = _group(when.point, devices, cabinets)
            if not group:
                document.wrong((*path, "report"), _NOT_REPORTED.format(point=when.point))
            for key in ("message", "message_zh"):
                if "," in str(table.get(key, "")):
                    document.wrong((*path, key), "with report = true it must not hold a comma")
        if settings is not None and when is not None:
            zh = settings.message_zh or settings.message
            severity = Severity(settings.severity)
            found.append(
                OwnRule(
                    settings.name,
                    when,
                    severity,
                    settings.message,
                    zh,
                    clear,
                    settings.lasting,
                    group,
                )
            )
    return tuple(found)


_NOT_REPORTED = (
    "the platform has no place for {point}: a text about a device goes into warningMsg of its row "
    "in a [[cabinet]], group elec, ups or rectifier"
)


def _condition(table: dict[str, Any], key: str) -> Condition | None:
    try:
        return Condition.parse(table[key])
    except (KeyError, ValueError, AttributeError, TypeError):
        return None  # noted by the check of the key


def _wrong_name(name: str) -> str:
    if _NAME.fullmatch(name):
        return ""
    return f"letters, digits, _ and -, a letter first, at most 32; it is {shown(name)}"


def _wrong_message(text: str) -> str:
    if not text.strip() or not text.isprintable():
        return "must be one line of text"
    return "" if len(text) <= LONGEST_MESSAGE else f"must be at most {LONGEST_MESSAGE} characters"


def _group(point: str, devices: Devices, cabinets: Sequence[Cabinet]) -> str:
    """Return the group of the report that has a row for the device of a point, empty for none.

    A cabinet has rows of its own: the point names the group. A UPS may have a row in two groups:
    its input belongs to `elec`, the rest to `ups`.
    """
    device, _, name = point.partition(".")
    subject = point.rpartition(".")[0]
    groups = {
        group
        for cabinet in cabinets
        for group, sources in cabinet.sources.items()
        if {device, subject} & set(sources) and group in _REPORTED
    }
    rows = getattr(getattr(devices.entries.get(device), "kind", None), "row_points", None)
    own = {group for group in groups if rows is not None and rows(group)}
    if own:
        group = name.partition(".")[0]
        return group if group in own and subject.count(".") == 2 else ""
    groups &= {"elec", "ups"}
    if len(groups) == 2:
        return "elec" if _MAINS.fullmatch(name.rpartition(".")[2]) else "ups"
    return next(iter(groups), "")
