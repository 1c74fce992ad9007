"""What a report tells: the conditions that hold, by subject, and how long the batteries last.

A group of a cabinet's report without any fault is recognised by the exact spellings of its flags,
without an object a field. All others are read leniently by `wire/etc/uploads.py`: a condition that
cannot be read is unknown, which neither raises nor clears its alarm. A row or a device that is gone
clears.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from twisted_gantry.centre.model import Told
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.computers import MAX_ROWS as MOST_COMPUTERS
from twisted_gantry.wire.etc.conditions import (
    ANY_TEXT,
    CABINET,
    LOST_PHASE,
    NOMINAL_HZ,
    NOMINAL_VOLTAGE,
    POWER,
    ReportCondition,
)
from twisted_gantry.wire.etc.envelope import Method, Sentinel
from twisted_gantry.wire.etc.uploads import (
    GROUPS,
    MAX_ROWS,
    RUNNING_STATES,
    GroupShape,
    GroupUpload,
    Readings,
    decode_group,
    decode_upload,
    reports_of,
)
from twisted_gantry.wire.json import readable_text
from twisted_gantry.wire.numbers import text
from twisted_gantry.wire.reading import Quality, Reading, Value

MOST_CABINETS = 16
"""Cabinets of one report that are read; a gantry has two at most."""
LONGEST_MINUTES = 65_534.0
"""Battery minutes; UPSs mark an unknown time by 65535."""

CONDITIONS = tuple({each.name: each for each in (*CABINET, *POWER.values())}.values())
"""What a cabinet's report raises at the centre: by a field, or by a text in `warningMsg`."""
_BY_TEXT = {(each.group, each.zh): each.name for each in POWER.values()}
_COMMAS = re.compile("[,，;；、]")
_ONLY_CABINET = "1"  # the id of a cabinet without one that can be read


def told(method: Method | str, fields: Any) -> tuple[Told, ...]:
    """Return what an upload tells of each of its subjects: `cabinet-ID`, `computer-ID`.

    `fields` is the value under the method's own key (`FIELDS_KEY`), decoded by `wire/json.py`,
    numbers as text or not. Never raises: what cannot be read makes its conditions unknown.
    """
    if method == Method.CABINET_STATUS:
        plain = _read_plain(fields)
        return (plain,) if plain is not None else read_cabinets(fields)
    return _computers(fields) if method == Method.COMPUTER_STATUS else ()


def subject(kind: str, which: str) -> str:
    """Return the name of a subject; letters that are no part of a name become `_`."""
    return f"{kind}-{re.sub('[^A-Za-z0-9_-]', '_', which)}"


# -- clean reports


class CleanCheck(NamedTuple):
    """A field of a row, and the spellings that tell that nothing is wrong."""

    key: str
    clean: frozenset[Any]


NOT_SUPPORTED = Sentinel.NOT_SUPPORT.value
_DISCHARGING = next(code for code, word in RUNNING_STATES.items() if word == "discharging")


def _clean_values(about: ReportCondition) -> frozenset[Any]:
    kind = next(e.kind for e in GROUPS[about.group].fields if e.name == about.field)
    if about.worse == ANY_TEXT:
        return frozenset({"", NOT_SUPPORTED})
    if not kind.is_flag:  # the running state
        return frozenset(RUNNING_STATES) - {_DISCHARGING} | {NOT_SUPPORTED}
    better = kind.write(not about.worse)
    return frozenset({better, int(better), NOT_SUPPORTED})


def clean_checks(group: str) -> tuple[CleanCheck, ...]:
    """Return the checks of a group's rows that tell that nothing is wrong with them."""
    keys = {each.name: each.key for each in GROUPS[group].fields}
    return tuple(
        CleanCheck(keys[e.field], _clean_values(e))
        for e in CONDITIONS
        if e.group == group and e.field
    )


_CHECKS = tuple((shape, clean_checks(shape.name)) for shape in GROUPS.values())
_MAINS, _SPD = GROUPS["elec"].key, GROUPS["thunder_spd"].key
DEAD_V = LOST_PHASE * NOMINAL_VOLTAGE
_NOTHING: frozenset[str] = frozenset()
# Cabinets built to 0.36 or older send no `thunderSpd`.
UNTOLD_SPD = frozenset(e.name for e in CONDITIONS if e.group == "thunder_spd" and e.field)
PLAIN_ID = re.compile(r"[1-9][0-9]{0,8}")


def _read_plain(fields: Any) -> Told | None:
    """Return what a report with a plain id tells; None for any other. Groups without a fault are
    recognised, the others are read as `read_cabinets` does.
    """
    which = fields.get("id") if isinstance(fields, dict) else None
    if not isinstance(which, str) or PLAIN_ID.fullmatch(which) is None:
        return None
    odd = {shape.name for shape, checks in _CHECKS if not _is_clean(fields, shape, checks)}
    if "elec" in odd:
        odd.add("ups")  # without mains the battery minutes count
    groups = {
        shape.name: decode_group(
            {shape.key: readable_text(fields.get(shape.key))}, shape, Counter()
        )
        for shape, _ in _CHECKS
        if shape.name in odd
    }
    told = _cabinet(f"cabinet-{which}", groups)
    on_battery, strikes = told.on_battery, told.strikes
    if "ups" not in odd:
        on_battery = False if fields["ups"] else None
    if "thunder_spd" not in odd:
        strikes = strikes_of(row.get(_COUNT.key) for row in fields[_SPD])
    return replace(told, on_battery=on_battery, strikes=strikes)


def _is_clean(fields: Any, shape: GroupShape, checks: tuple[CleanCheck, ...]) -> bool:
    """Tell whether a group is there, and nothing is wrong in it."""
    try:
        group = fields[shape.key]
        if not shape.is_array:
            return _all_clean(group, checks)
        if type(group) is not list or len(group) > MAX_ROWS:
            return False
        for row in group:
            if not _all_clean(row, checks):
                return False
        return shape.key != _MAINS or all(map(_alive, group))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):
        return False


def _all_clean(row: Any, checks: tuple[CleanCheck, ...]) -> bool:
    for key, clean in checks:
        if row[key] not in clean:
            return False
    return type(row) is dict


_COUNT = next(e for e in GROUPS["thunder_spd"].fields if e.name == "lightning_count")


def strikes_of(counts: Iterable[Any]) -> tuple[int, ...] | None:
    """Return the counts of surge arresters as a report writes them, without those that are not
    supported; None if none can be told, or one cannot be read.
    """
    found = []
    for each in counts:
        if each != NOT_SUPPORTED:
            count = _COUNT.kind.read(each) if isinstance(each, str) else each
            if type(count) is not int or not 0 <= count < _MOST_STRIKES:
                return None
            found.append(count)
    return tuple(found) or None


_MOST_STRIKES = 10**9


def _alive(row: Any) -> bool:
    voltage = row["voltage"]
    return voltage == NOT_SUPPORTED or float(voltage) >= DEAD_V


# -- all others


def read_cabinets(fields: Any) -> tuple[Told, ...]:
    """Return what a `cabinetStatus` of any kind tells of each cabinet in it; nothing for what is no
    object with groups.
    """
    found: dict[str, Told] = {}
    for each in reports_of(readable_text(fields), [_ONLY_CABINET])[:MOST_CABINETS]:
        try:
            upload = decode_upload(each)
        except BadMessage:
            continue
        now = _cabinet(subject("cabinet", upload.id), upload.groups)
        found[now.subject] = _both(found[now.subject], now) if now.subject in found else now
    return tuple(found.values())


_NO_ROWS = GroupUpload({})


def _cabinet(name: str, groups: Mapping[str, GroupUpload]) -> Told:
    """Return what groups tell; in one that is not given nothing is wrong."""
    raised, unknown = set(), set()
    said = {key: _Said.of(key, group) for key, group in groups.items()}
    for each in CONDITIONS:
        if each.group not in groups or not (each.field or said[each.group].texts):
            continue  # the latter is lightning
        holds = _holds(each, groups[each.group], said[each.group])
        if holds is None:
            unknown.add(each.name)
        elif holds:
            raised.add(each.name)
    on_battery, minutes = _batteries(groups.get("ups", _NO_ROWS), "mains-abnormal" in raised)
    strikes = _strikes(groups.get("thunder_spd", _NO_ROWS))
    return Told(name, frozenset(raised), frozenset(unknown), minutes, on_battery, strikes)


def _strikes(group: GroupUpload) -> tuple[int, ...] | None:
    counts = [row[_COUNT.name] for row in group.rows.values()]
    if not group.whole or any(each.quality in _UNTOLD for each in counts):
        return None
    return tuple(each.value for each in counts if isinstance(each.value, int)) or None


_UNTOLD = (Quality.NO_DATA, Quality.GET_FAILED)


class _Said(NamedTuple):
    """What the warnings of a group say: the conditions by the texts of the one table, whether there
    is any other text, and whether all that is said could be read. `texts`: the group has warnings.
    """

    names: frozenset[str] = _NOTHING
    other: bool = False
    whole: bool = True
    texts: bool = False

    @classmethod
    def of(cls, name: str, group: GroupUpload) -> "_Said":
        if not any(each.name == "warning_msg" for each in GROUPS[name].fields):
            return cls()
        readings = [row["warning_msg"] for row in group.rows.values()]
        texts = [each for e in readings for each in _COMMAS.split(str(e.value or ""))]
        names = [_BY_TEXT.get((name, each.strip())) for each in texts if each.strip()]
        known = frozenset(each for each in names if each is not None)
        return cls(known, None in names, _is_whole(group, readings), texts=True)


def _is_whole(group: GroupUpload, readings: Iterable[Reading]) -> bool:
    """Tell whether each row of a group is told."""
    untold = any(each.quality in _UNTOLD for each in readings) or group.untold in _UNTOLD
    return group.whole and not untold


def _holds(about: ReportCondition, group: GroupUpload, said: _Said) -> bool | None:
    """Tell whether a condition holds in some row; None when in none and one is not known."""
    if about.name in said.names or (about.worse == ANY_TEXT and said.other):
        return True
    if not about.field or about.worse == ANY_TEXT:
        return False if said.whole else None
    readings = [row[about.field] for row in group.rows.values()]
    if any(_known(each) and about.holds(each.value) for each in readings):
        return True
    if about.name == "mains-abnormal" and any(map(_dead, group.rows.values())):
        return True
    return False if _is_whole(group, readings) else None


def _known(reading: Reading) -> bool:
    return reading.quality is Quality.GOOD


def _dead(row: Readings) -> bool:
    """Tell whether a row of the mains has no voltage, and a second quantity agrees: one reading of
    a voltage alone is no failure (`docs/points.md`, "Power").
    """
    volts, hertz, amperes = (row[name].value for name in ("voltage", "frequency", "current"))
    none = _below(hertz, LOST_PHASE * NOMINAL_HZ) or amperes == 0
    return _below(volts, DEAD_V) and none


def _below(value: Value, limit: float) -> bool:
    return isinstance(value, int | float) and value < limit


def _batteries(ups: GroupUpload, no_mains: bool) -> tuple[bool | None, float | None]:
    """Return whether the load is on battery, and the least minutes left of the UPSs that discharge.
    Without mains all UPSs count if none says that it discharges.
    """
    states = [(row["running_state"], row) for row in ups.rows.values()]
    on = [row for state, row in states if state.value == "discharging"]
    untold = not states or any(state.quality in _UNTOLD for state, _ in states)
    on_battery = True if on else None if untold else False
    counted = on or ([row for _, row in states] if no_mains else [])
    return on_battery, min(_minutes(counted), default=None)


def _minutes(rows: Iterable[Readings]) -> Iterable[float]:
    for row in rows:
        seconds = row["surplus_time"].value
        if isinstance(seconds, int | float) and seconds / 60 <= LONGEST_MINUTES:
            yield seconds / 60


def _both(one: Told, other: Told) -> Told:
    """Return what two reports of one subject tell together: the worst of both."""
    raised = one.raised | other.raised
    minutes = [e.battery_minutes for e in (one, other) if e.battery_minutes is not None]
    on_battery = [e.on_battery for e in (one, other)]
    return Told(
        one.subject,
        raised,
        (one.unknown | other.unknown) - raised,
        min(minutes, default=None),
        True if True in on_battery else None if None in on_battery else False,
        other.strikes if one.strikes is None else one.strikes,
    )


def _computers(fields: Any) -> tuple[Told, ...]:
    """Return the computers of a `computerStatus`; no condition is told of them."""
    rows: Sequence[Any] = [fields] if isinstance(fields, dict) else fields
    if not isinstance(rows, list):
        return ()
    names: dict[str, None] = {}
    for place, row in enumerate(rows[:MOST_COMPUTERS], 1):
        if isinstance(row, dict):
            which = text(row.get("id")) or str(place)
            names[subject("computer", which[:16])] = None
    return tuple(Told(name, _NOTHING) for name in names)
