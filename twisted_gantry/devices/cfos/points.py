"""The points of a cFos Charging Manager, its EVSEs and meters, and the alarms over them: data.

The points of a part are `<part>.<name>`, such as `E1.power`. Parts come and go: alarms are over
points of the manager itself, which sum its parts up. Names of readings: `wire/cfos/values.py`.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping

from twisted_gantry.core import bounds
from twisted_gantry.core.alarms import Read, Rule, Severity
from twisted_gantry.core.bounds import Bounds
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.devices.conditions import equals
from twisted_gantry.devices.power import Limits, Shares, power_rule, share, voltage_rules
from twisted_gantry.wire.cfos.calls import DisablePolicy
from twisted_gantry.wire.cfos.values import EVSE_UNITS, METER_UNITS, PARAM_UNITS

PARTS = r"[EM][0-9]{1,3}"
"""The names of parts: EVSEs begin with E, meters with M."""

MAINS_ABNORMAL = "mains_abnormal"
"""True or false, of a meter that reports voltages; and of the manager: that of any meter."""
EVSE_ERROR = "evse_error"
PART_OFFLINE = "part_offline"
"""Whether the manager cannot reach a part that is enabled."""

_MANAGER_LABELS: Mapping[str, tuple[str, str]] = {
    "title": ("Title", "名称"),
    "version": ("Firmware version", "固件版本"),
    "max_total_current": ("Installed current", "总安装电流"),
    "max_total_power": ("Installed power", "总安装功率"),
    "reserve_current": ("Reserved current", "预留电流"),
    "reserve_power": ("Reserved power", "预留功率"),
    "overdraft_current": ("Overdraft current", "透支电流"),
    "overdraft_power": ("Overdraft power", "透支功率"),
    "max_evse_current": ("Current for all EVSEs", "充电桩总电流上限"),
    "max_evse_power": ("Power for all EVSEs", "充电桩总功率上限"),
    "evse_power": ("Power of all EVSEs", "充电桩总功率"),
    "available_evse_power": ("Power available to EVSEs", "充电桩可用功率"),
    "load_balancing": ("Load balancing", "负载均衡"),
    "disable_policy": ("When an EVSE is disabled", "充电桩停用策略"),
    "cycle_time": ("Cycle time", "循环周期"),
    "trial_version": ("Trial version", "试用版"),
    EVSE_ERROR: ("An EVSE has an error", "有充电桩故障"),
    PART_OFFLINE: ("A part is not reached", "有设备通信中断"),
    MAINS_ABNORMAL: ("Mains abnormal", "市电异常"),
}

_UNIT_BOUNDS = {
    "V": bounds.VOLTS,
    "A": bounds.AMPERES,
    "W": bounds.WATTS,
    "VA": bounds.WATTS,
    "Wh": bounds.ENERGY,
    "s": bounds.COUNT,
}


def _bounds(name: str, unit: str) -> Bounds | None:
    return bounds.FLOW if name in _FLOWS else _UNIT_BOUNDS.get(unit)


# Currents with a direction: a site may feed power back, and a reserve may be negative.
_FLOWS = frozenset({*(f"current_l{n}" for n in (1, 2, 3)), "reserve_current", "overdraft_current"})

_FLAGS = frozenset(
    {
        *("load_balancing", "trial_version", EVSE_ERROR, PART_OFFLINE, MAINS_ABNORMAL),
        *("enabled", "communication_error", "charging_enabled", "paused"),
        *("feed_working", "feed_device_enabled", "feed_charging_enabled", "feed_paused"),
    }
)
_COUNTS = frozenset({"communication_errors", "priority"})


def _values(name: str, unit: str) -> type[bool | str] | None:
    if unit or name in _COUNTS:
        return None
    return bool if name in _FLAGS else str


MANAGER_POINTS = tuple(
    PointType(name, unit, *labels, _bounds(name, unit), _values(name, unit))
    for name, labels in _MANAGER_LABELS.items()
    for unit in [PARAM_UNITS.get(name, "")]
)

_PART_LABELS: Mapping[str, tuple[str, str]] = {
    "name": ("name", "名称"),
    "description": ("description", "说明"),
    "type": ("type", "类型"),
    "model": ("model", "型号"),
    "enabled": ("enabled", "启用"),
    "communication_error": ("communication error", "通信故障"),
    "communication_errors": ("communication errors", "通信故障次数"),
    "last_error": ("last error", "最近错误"),
    **{f"current_l{n}": (f"current L{n}", f"L{n}相电流") for n in (1, 2, 3)},
    **{f"voltage_l{n}": (f"voltage L{n}", f"L{n}相电压") for n in (1, 2, 3)},
    "state": ("state", "状态"),
    "charging_enabled": ("charging allowed", "允许充电"),
    "paused": ("paused", "暂停"),
    "pause_time": ("time paused", "已暂停时间"),
    "pause_min_time": ("shortest pause", "最短暂停时间"),
    "power": ("power", "功率"),
    "apparent_power": ("apparent power", "视在功率"),
    "import_energy": ("imported energy", "用电量"),
    "export_energy": ("exported energy", "馈电量"),
    "charging_current": ("charging current set", "充电电流设定值"),
    "min_charging_current": ("least charging current", "最小充电电流"),
    "max_charging_current": ("most charging current", "最大充电电流"),
    "max_charging_power": ("most charging power", "最大充电功率"),
    "phases": ("phases in use", "使用的相"),
    "priority": ("priority", "优先级"),
    "label": ("label", "标签"),
    "role": ("role", "用途"),
    MAINS_ABNORMAL: ("mains abnormal", "市电异常"),
    "feed_working": ("is fed", "数据输入正常"),
    "feed_device_enabled": ("fed: device enabled", "输入设备启用"),
    "feed_charging_enabled": ("fed: charging allowed", "输入设备允许充电"),
    "feed_paused": ("fed: paused", "输入设备暂停"),
    "feed_current": ("fed: current to set", "输入设备电流设定值"),
}

_EVSE: Mapping[str, str] = EVSE_UNITS
_METER: Mapping[str, str] = {**METER_UNITS, MAINS_ABNORMAL: ""}

FEED_WORKING = "feed_working"
FEED_CONTROL: Mapping[str, str] = {
    "feed_device_enabled": "",
    "feed_charging_enabled": "",
    "feed_paused": "",
    "feed_current": "A",
}
"""What the manager asks of an EVSE that is fed."""

MEASURED = frozenset(
    {
        *(f"{what}_l{n}" for what in ("current", "voltage") for n in (1, 2, 3)),
        "power",
        "apparent_power",
        "import_energy",
        "export_energy",
        "charging_current",
        "phases",
        MAINS_ABNORMAL,
    }
)
"""What the manager knows of a part only while it reaches it."""


def part_points(part: str) -> tuple[PointType, ...]:
    return _types(part, _EVSE if part.startswith("E") else _METER)


def feed_points(part: str) -> tuple[PointType, ...]:
    control = FEED_CONTROL if part.startswith("E") else {}
    return _types(part, {FEED_WORKING: "", **control})


def _types(part: str, units: Mapping[str, str]) -> tuple[PointType, ...]:
    return tuple(
        PointType(
            *(f"{part}.{name}", unit, f"{part} {en}", f"{part} {zh}"),
            _bounds(name, unit),
            _values(name, unit),
        )
        for name, unit in units.items()
        for en, zh in [_PART_LABELS[name]]
    )


def point_type(name: str) -> PointType | None:
    """Return the type of a point of a part, by the name without the device's: `M1.power`."""
    part = name.partition(".")[0]
    types = (*part_points(part), *feed_points(part)) if re.fullmatch(PARTS, part) else ()
    return next((each for each in types if each.name == name), None)


VOLTAGES = tuple(f"voltage_l{n}" for n in (1, 2, 3))
"""Of a meter, by phase."""

Meters = Callable[[], Mapping[str, Collection[int]]]
"""Returns the present meters with a voltage, each with the phases, from 0, that ever had one."""


def rules(meters: Meters, limits: Limits, nominal: float) -> tuple[Rule, ...]:
    """Return the alarm rules; each meter has those over voltages, of `nominal` V."""

    def with_voltage() -> Iterable[str]:
        return meters()

    def shares(read: Read) -> Shares:
        which = read(VOLTAGES[0]).name.split(".")[1]
        phases = meters().get(which, ())
        return {phase: share(read(VOLTAGES[phase]).good, nominal) for phase in sorted(phases)}

    critical, warning = Severity.CRITICAL, Severity.WARNING
    unlimited = "a disabled EVSE charges without a current limit"
    unreached = "the manager does not reach an EVSE or a meter"
    policy = equals("disable_policy", DisablePolicy.UNLIMITED.text)
    offline = equals(PART_OFFLINE, True)
    return (
        Rule("error", critical, "an EVSE reports an error", "充电桩故障", equals(EVSE_ERROR, True)),
        Rule("part-offline", warning, unreached, "充电桩或电表通信中断", offline, delay=30.0),
        Rule("no-current-limit", warning, unlimited, "停用的充电桩没有电流限制", policy),
        power_rule("mains-abnormal", equals(MAINS_ABNORMAL, True)),
        *voltage_rules(shares, limits, with_voltage),
    )
