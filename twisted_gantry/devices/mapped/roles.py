"""Roles: what a mapped point means in the report of a `[[cabinet]]`, and the alarms over it.

A device with roles has the points of a smart cabinet beside its own (`devices/cabinet/points.py`),
so that its rows are reported, judged and alarmed as those of one.
Decisions: `docs/protocols/modbus.md`, "Roles".
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from twisted_gantry.core import bounds
from twisted_gantry.core.alarms import Read, Rule
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.points import Measured
from twisted_gantry.devices.cabinet.points import LIGHTNING_STRUCK, group_points
from twisted_gantry.devices.cabinet.points import POINTS as CABINET
from twisted_gantry.devices.cabinet.points import rules as cabinet_rules
from twisted_gantry.devices.cabinet.power import RowOfMains
from twisted_gantry.devices.cabinet.rows import Strikes
from twisted_gantry.devices.conditions import Condition, equals
from twisted_gantry.devices.power import (
    TEXTS,
    Limits,
    Shares,
    no_frequency,
    none_flows,
    power_rule,
    share,
    voltage_rules,
)
from twisted_gantry.wire.etc.uploads import GROUPS, Kind
from twisted_gantry.wire.reading import Quality

_ROW = re.compile(r"[A-Za-z0-9_-]{1,16}")
_PHASES = ("voltage", "voltage_l2", "voltage_l3")
_MORE_PHASES = {"voltage_l2": ("voltage L2", "L2相电压"), "voltage_l3": ("voltage L3", "L3相电压")}
# Alarms about power that a device may tell by a flag of its own. The first of each group is the
# opposite of the field `status`.
_FAULTS = {"elec": "mains-abnormal", "ups": "ups-fault"}
_FLAGS = {
    "elec": (_FAULTS["elec"],),
    "ups": tuple(name for name, text in TEXTS.items() if text[3] == "ups"),
}
_NOT_SUPPORTED: Measured = (None, Quality.NOT_SUPPORTED)


class WrongRole(ValueError):
    """An unknown role; the text names the known ones."""


@dataclass(frozen=True, slots=True)
class Role:
    """The field of a row of a group, `elec.1.voltage`; of a group without rows, `row` is empty. A
    `flag` is an alarm about power: `ups.1.battery-low`.
    """

    group: str
    row: str
    field: str
    flag: bool = False

    @classmethod
    def parse(cls, text: str) -> "Role":
        """Read `<group>.<field>` or `<group>.<row>.<field>`. Raises WrongRole."""
        group, _, rest = text.partition(".")
        shape = GROUPS.get(group)
        if shape is None:
            raise WrongRole(f"there is no group {group!r}; there are: {', '.join(GROUPS)}")
        row, dot, field = rest.rpartition(".")
        if shape.is_array:
            row = row if dot else "1"
        if (dot and not shape.is_array) or (shape.is_array and not _ROW.fullmatch(row)):
            if shape.is_array:
                raise WrongRole(f"must be {group}.<field>, or {group}.<row>.<field>")
            raise WrongRole(f"must be {group}.<field>")
        fields = [each.name for each in shape.fields]
        more = tuple(_MORE_PHASES) if group == "elec" else ()
        flags = _FLAGS.get(group, ())
        if field not in (*fields, *more, *flags):
            known = ", ".join((*fields, *more, *flags))
            raise WrongRole(f"{group} has no {field!r}; it has: {known}")
        return cls(group, row, field, field in flags)

    @property
    def part(self) -> str:
        """The row that the field belongs to, `elec.1`, or its group."""
        return f"{self.group}.{self.row}" if self.row else self.group

    @property
    def point(self) -> str:
        """The name of the point that the role makes."""
        return f"{self.part}.{self.field.replace('-', '_')}"

    @property
    def kind(self) -> Kind | None:
        """The kind of value; None for a flag."""
        fields = {each.name: each.kind for each in GROUPS[self.group].fields}
        return fields.get("voltage" if self.field in _MORE_PHASES else self.field)

    def wrong_for(self, unit: str, *, is_text: bool, texts: Mapping[str, str]) -> str:
        """Return why a point cannot have this role, empty if it can."""
        kind = self.kind
        if kind is None:
            return f"{self.field} is true or false" if is_text or unit else ""
        if kind.unit != unit:
            need = f"the unit {kind.unit}; use scale" if kind.unit else "no unit"
            return f"{self.field} needs {need}"
        word = kind.read("1")
        if isinstance(word, str) and word != "1" and not is_text:
            return f"{self.field} is a word such as {word!r}; use texts"
        for text in texts.values():
            try:
                kind.write(text)
            except (TypeError, KeyError, ValueError):
                return f"{self.field} cannot be {text!r}"
        return ""

    def takes(self, measured: Measured) -> Measured:
        """Return a value as this role has it: a flag, or a whole number, where one is wanted."""
        value, quality = measured
        if quality is not Quality.GOOD or isinstance(value, bool | str):
            return measured
        kind = self.kind
        meant = True if kind is None else kind.read("1")
        if isinstance(meant, bool):
            return (bool(value), quality)
        return (round(value or 0), quality) if isinstance(meant, int) else measured


class Roles:
    """The rows that the roles of a device's points make. `given` has the roles by point."""

    def __init__(
        self, given: Mapping[str, Role], limits: Limits, nominal: float | None = None
    ) -> None:
        self._given, self._limits = given, limits
        roles = given.values()
        self._rows: dict[str, dict[str, None]] = {}
        for role in roles:
            self._rows.setdefault(role.group, {})[role.row] = None
        self._mains = {row: RowOfMains(limits, nominal) for row in self._rows.get("elec", {})}
        self._made = {role.point for role in roles}
        counted = [role.row for role in roles if role.field == "lightning_count"]
        self._counted, self._strikes = counted, Strikes()

    @property
    def groups(self) -> frozenset[str]:
        return frozenset(self._rows)

    @property
    def doubtful(self) -> bool:
        """Whether a voltage was gone for the first time: another reading is needed soon."""
        return any(each.judge.doubtful for each in self._mains.values())

    def points(self) -> tuple[PointType, ...]:
        """Return the points of all rows; those without a role are for ever `not-supported`."""
        found = {
            point.name: point
            for group, rows in self._rows.items()
            for row in rows
            for point in group_points(group, row)
        }
        for role in self._given.values():
            if role.flag and role.field not in _FAULTS.values():
                _, en, zh, _ = TEXTS[role.field]
                number = f" {role.row}"
                found[role.point] = PointType(
                    role.point, "", f"UPS{number} {en}", f"UPS{number} {zh}", values=bool
                )
            elif role.field in _MORE_PHASES:
                en, zh = _MORE_PHASES[role.field]
                texts = f"Mains {role.row} {en}", f"市电 {role.row} {zh}"
                found[role.point] = PointType(role.point, "V", *texts, bounds.VOLTS)
        strikes = [each for each in CABINET if each.name == LIGHTNING_STRUCK and self._counted]
        return (*found.values(), *strikes)

    def untold(self) -> dict[str, Measured]:
        """Return the points that no role makes."""
        derived = {
            f"{group}.{row}.status" for group in _FAULTS for row in self._rows.get(group, {})
        }
        made = self._made | derived | {LIGHTNING_STRUCK}
        return {each.name: _NOT_SUPPORTED for each in self.points() if each.name not in made}

    def derive(self, judged: Mapping[str, Measured]) -> dict[str, Measured]:
        """Return the values of the rows, from one reading of the device's points."""
        found = {
            role.point: role.takes(judged[name])
            for name, role in self._given.items()
            if name in judged
        }
        for row, mains in self._mains.items():
            found |= self._judged_mains(f"elec.{row}", mains, found)
        for row in self._rows.get("ups", {}):
            found |= self._judged_ups(f"ups.{row}", found)
        known = self._made | {f"{part}.status" for part in self._parts("elec", "ups")}
        if self._counted:
            known |= {LIGHTNING_STRUCK}
            found[LIGHTNING_STRUCK] = self._strikes.take(found, self._counted)
        return {name: value for name, value in found.items() if name in known}

    def _parts(self, *groups: str) -> list[str]:
        return [f"{group}.{row}" for group in groups for row in self._rows.get(group, {})]

    def _judged_mains(
        self, part: str, mains: RowOfMains, found: dict[str, Measured]
    ) -> dict[str, Measured]:
        normal = found.get(f"{part}.status")
        flag = found.pop(f"{part}.mains_abnormal", None)
        if flag is None and normal is not None:
            flag = (None if normal[0] is None else normal[0] is False, normal[1])
        volts = [found.get(f"{part}.{phase}", _NOT_SUPPORTED) for phase in _PHASES]
        abnormal, quality = mains.judge.judge(
            mains.shares(*volts),
            flag=flag,
            agrees=no_frequency(found.get(f"{part}.frequency", _NOT_SUPPORTED))
            or none_flows([found.get(f"{part}.current", _NOT_SUPPORTED)]),
        )
        return {f"{part}.status": (None if abnormal is None else not abnormal, quality)}

    def _judged_ups(self, part: str, found: dict[str, Measured]) -> dict[str, Measured]:
        """Return the status: abnormal by a flag of a critical alarm, else as the device says."""
        flags = [
            found[role.point]
            for role in self._given.values()
            if role.part == part
            and role.flag
            and TEXTS[role.field][0].value == "critical"
            and role.point in found
        ]
        found.pop(f"{part}.ups_fault", None)
        if any(value is True for value, _ in flags):
            return {f"{part}.status": (False, Quality.GOOD)}
        if f"{part}.status" in found:
            return {}
        if not flags:
            return {f"{part}.status": _NOT_SUPPORTED}
        unknown = next((each for each in flags if each[1] is not Quality.GOOD), None)
        return {f"{part}.status": unknown or (True, Quality.GOOD)}

    def rules(self) -> tuple[Rule, ...]:
        """Return the alarms over the rows: those of a cabinet, and those about power."""
        if not self._rows:
            return ()
        rows = self._rows
        cabinet = [
            rule
            for rule in cabinet_rules(lambda group: rows.get(group, {}))
            if rule.group in rows and (rule.name != "lightning" or self._counted)
        ]
        with_volts = [part for part in self._parts("elec") if f"{part}.voltage" in self._made]
        volts = voltage_rules(self._shares, self._limits, lambda: with_volts)
        return (*cabinet, *(volts if with_volts else ()), *self._ups_rules())

    def _shares(self, read: Read) -> Shares:
        first = read("voltage")
        part = first.name.split(".", 1)[1].rpartition(".")[0]
        nominal = self._mains[part.partition(".")[2]].volts
        known = [first] + [read(each) for each in _MORE_PHASES if f"{part}.{each}" in self._made]
        return {
            phase: share(point.good, nominal)
            for phase, point in enumerate(known)
            if point.quality is not Quality.NOT_SUPPORTED
        }

    def _ups_rules(self) -> list[Rule]:
        rules = []
        for name in _FLAGS["ups"]:
            field = name.replace("-", "_")
            parts = [part for part in self._parts("ups") if f"{part}.{field}" in self._made]
            test: Condition = equals(field, True)
            if name == "on-battery":
                told = [p for p in self._parts("ups") if f"{p}.running_state" in self._made]
                told = [part for part in told if part not in parts]
                if told:
                    discharging = equals("running_state", "discharging")
                    rules.append(power_rule(name, discharging, parts=_constant(told)))
            if parts and name not in _FAULTS.values():
                rules.append(power_rule(name, test, parts=_constant(parts)))
        return rules


def _constant(parts: list[str]) -> Callable[[], Iterable[str]]:
    return lambda: parts
