"""The mains and the battery of a smart cabinet: what its rows say twice is compared.

A row has a flag and a voltage. The rules are those of every source (`devices/power.py`).
Decisions: `docs/points.md`, "Power".
"""

from collections.abc import Iterable, Mapping
from math import sqrt

from twisted_gantry.core.alarms import Read, Rule
from twisted_gantry.core.points import Measured
from twisted_gantry.devices.cabinet.rows import Rows
from twisted_gantry.devices.conditions import equals
from twisted_gantry.devices.power import (
    Limits,
    MainsJudge,
    Nominal,
    Shares,
    no_frequency,
    none_flows,
    power_rule,
    share,
    voltage_rules,
)
from twisted_gantry.wire.etc.conditions import NOMINAL_VOLTAGE
from twisted_gantry.wire.reading import Quality

# A row does not tell between which conductors it measures: one phase, or line to line.
_LINE_VOLTAGE = NOMINAL_VOLTAGE * sqrt(3)
_NORMAL: Measured = (True, Quality.GOOD)


class RowOfMains:
    """One row of the mains: its judge, and its nominal voltage in V."""

    def __init__(self, limits: Limits, nominal: float | None) -> None:
        self.judge, self.volts = MainsJudge(limits), NOMINAL_VOLTAGE
        self._nominal = Nominal(nominal)

    def shares(self, *voltages: Measured) -> Shares:
        """Take the voltages of the phases; returns the known ones as shares."""
        volts = [value for value, _ in voltages]
        self.volts = self._nominal.of(_LINE_VOLTAGE, three_phase=True, volts=volts)
        return {
            phase: share(value, self.volts)
            for phase, (value, quality) in enumerate(voltages)
            if quality is not Quality.NOT_SUPPORTED
        }


class CabinetPower:
    """Judges the rows of the mains; `nominal` is the setting in V, if given."""

    def __init__(self, rows: Rows, limits: Limits, nominal: float | None) -> None:
        self._rows, self._limits, self._nominal = rows, limits, nominal
        self._mains: dict[str, RowOfMains] = {}

    @property
    def doubtful(self) -> bool:
        """Whether a voltage was gone for the first time."""
        return any(each.judge.doubtful for each in self._mains.values())

    def derive(self, judged: Mapping[str, Measured]) -> dict[str, Measured]:
        """Return the flag of each row of the mains without a voltage."""
        present = {row: f"elec.{row}" for row in self._rows.present("elec")}
        self._mains = {row: each for row, each in self._mains.items() if row in present}
        derived: dict[str, Measured] = {}
        for row, prefix in present.items():
            if f"{prefix}.voltage" not in judged:
                continue
            mains = self._mains.setdefault(row, RowOfMains(self._limits, self._nominal))
            normal, quality = judged[f"{prefix}.status"]
            abnormal = mains.judge.judge(
                mains.shares(judged[f"{prefix}.voltage"]),
                flag=(None if normal is None else normal is False, quality),
                agrees=no_frequency(judged[f"{prefix}.frequency"])
                or none_flows([judged[f"{prefix}.current"]]),
            )
            if abnormal == _NORMAL and (normal, quality) != (False, Quality.GOOD):
                derived[f"{prefix}.status"] = (False, Quality.GOOD)
        return derived

    def rules(self) -> tuple[Rule, ...]:
        """Return the rules over single rows."""

        def mains() -> Iterable[str]:
            return [f"elec.{row}" for row in self._rows.present("elec")]

        def batteries() -> Iterable[str]:
            return [f"ups.{row}" for row in self._rows.present("ups")]

        def shares(read: Read) -> Shares:
            voltage = read("voltage")
            if voltage.quality is Quality.NOT_SUPPORTED:
                return {}
            row = self._mains.get(voltage.name.split(".")[2])
            return {0: share(voltage.good, row.volts if row else NOMINAL_VOLTAGE)}

        discharging = equals("running_state", "discharging")
        return (
            *voltage_rules(shares, self._limits, mains, phases=1),
            power_rule("on-battery", discharging, parts=batteries),
        )
