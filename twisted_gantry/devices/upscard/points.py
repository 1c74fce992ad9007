"""The points of a UPS card, the alarms over them, and the commands it takes: data, no action.

Names: `docs/points.md`; decisions: `docs/protocols/ups-card.md`.
"""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial

from twisted_gantry.core import bounds
from twisted_gantry.core.alarms import Read, Rule
from twisted_gantry.core.bounds import Bounds
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import Argument, CommandType, Endangers
from twisted_gantry.devices.conditions import equals
from twisted_gantry.devices.power import Limits, Shares, power_rule, share, voltage_rules
from twisted_gantry.wire.etc.conditions import NOMINAL_VOLTAGE
from twisted_gantry.wire.reading import Quality
from twisted_gantry.wire.upscard.messages import MAX_PASSWORD
from twisted_gantry.wire.upscard.values import LIVE_UNITS, RATED_UNITS, STATUS_NAMES


def _phases(name: str, en: str, zh: str) -> dict[str, tuple[str, str]]:
    return {f"{name}_{p}": (f"{en} {p.upper()}", f"{zh}{p.upper()}") for p in "rst"}


# The names of the points, English and Chinese.
LABELS: Mapping[str, tuple[str, str]] = {
    **_phases("input_voltage", "Input voltage", "输入电压"),
    "input_frequency": ("Input frequency", "输入频率"),
    **_phases("input_current", "Input current", "输入电流"),
    "fault_voltage": ("Fault voltage", "故障电压"),
    **_phases("output_voltage", "Output voltage", "输出电压"),
    "output_frequency": ("Output frequency", "输出频率"),
    **_phases("output_current", "Output current", "输出电流"),
    **_phases("load", "Load", "负载"),
    "battery_voltage": ("Battery voltage", "电池电压"),
    "battery_runtime": ("Battery time left", "电池剩余时间"),
    "battery_charge": ("Battery charge", "电池容量"),
    "temperature": ("Inner temperature", "机内温度"),
    "state": ("State", "工作状态"),
    "ups_type": ("UPS type", "UPS类型"),
    "mains_abnormal": ("Mains abnormal", "市电异常"),
    "battery_low": ("Battery low", "电池电压低"),
    "overload": ("Overload", "过载"),
    "shutting_down": ("Shutting down", "正在关机"),
    "buzzer_muted": ("Buzzer muted", "蜂鸣器静音"),
    "self_test": ("Battery self-test", "电池自检"),
    "manufacturer": ("Manufacturer", "工厂名称"),
    "hardware_version": ("Hardware version", "硬件版本"),
    "model": ("Model", "机型"),
    "rated_input_voltage": ("Rated input voltage", "额定输入电压"),
    "rated_output_voltage": ("Rated output voltage", "额定输出电压"),
    "rated_current": ("Rated current", "额定电流"),
    "rated_frequency": ("Rated frequency", "额定频率"),
    "rated_battery_voltage": ("Rated battery voltage", "额定电池电压"),
    "phases": ("Phases in/out", "输入输出相数"),
    "rated_power": ("Rated power", "额定功率"),
    "output_off": ("Output off", "输出关闭"),
    "nominal_voltage": ("Nominal input voltage", "额定相电压"),
    "battery_remaining": ("Battery capacity left", "剩余电池容量"),
    "battery_test_end_voltage": ("Voltage at the end of the battery test", "电池测试结束电压"),
    "battery_test_duration": ("Duration of the battery test", "电池测试时长"),
}

BATTERY_REMAINING = "battery_remaining"
"""Ah, derived from the charge and the setting `battery_ah`."""
TEST_END_VOLTAGE, TEST_DURATION = "battery_test_end_voltage", "battery_test_duration"
"""About the last battery test that ended; its verdict is `self_test`."""
OUTPUT_OFF, NOMINAL = "output_off", "nominal_voltage"
"""Whether the output is off, and the V of a phase by which the inputs are judged."""
LIVE = (
    *LIVE_UNITS,
    *STATUS_NAMES,
    OUTPUT_OFF,
    NOMINAL,
    BATTERY_REMAINING,
    TEST_END_VOLTAGE,
    TEST_DURATION,
)
"""The points that a QAD brings, and those derived from them."""
RATED = tuple(RATED_UNITS)

_DERIVED_UNITS = {BATTERY_REMAINING: "Ah", TEST_END_VOLTAGE: "V", TEST_DURATION: "s", NOMINAL: "V"}
_UNITS = {**LIVE_UNITS, **RATED_UNITS, **_DERIVED_UNITS}

_UNIT_BOUNDS = {
    "V": bounds.VOLTS,
    "A": bounds.AMPERES,
    "Hz": bounds.HERTZ,
    "°C": bounds.CELSIUS,
    "%": bounds.PERCENT,
    "Ah": bounds.COUNT,
    "VA": Bounds(0, 1e6),
}
# An overload is more than 100 %; the time left is a count of 16 bits.
_BOUNDS = {
    **{f"load_{phase}": Bounds(0, 250) for phase in "rst"},
    "battery_runtime": bounds.SECONDS,
}


def _bounds(name: str) -> Bounds | None:
    return _BOUNDS.get(name) or _UNIT_BOUNDS.get(_UNITS.get(name, ""))


_TEXTS = frozenset(
    ("ups_type", "self_test", "state", "manufacturer", "hardware_version", "model", "phases")
)


def _values(name: str) -> type[bool | str] | None:
    if _UNITS.get(name):
        return None
    return str if name in _TEXTS else bool


POINTS = tuple(
    PointType(name, _UNITS.get(name, ""), *LABELS[name], _bounds(name), _values(name))
    for name in (*LIVE, *RATED)
)


def points(runtime_unit: str) -> tuple[PointType, ...]:
    """Return the points of a card; `runtime_unit` is its unit of the time left, `s` or `min`."""
    if runtime_unit == "s":
        return POINTS
    longest = Bounds(0, bounds.SECONDS.high * 60)
    return tuple(
        replace(each, bounds=longest) if each.name == "battery_runtime" else each for each in POINTS
    )


def phase_names(what: str) -> tuple[str, ...]:
    return tuple(f"{what}_{phase}" for phase in "rst")


# What a UPS without the second or third phase has no value of, at its input and its output.
INPUTS = tuple(map(phase_names, ("input_voltage", "input_current")))
OUTPUTS = tuple(map(phase_names, ("output_voltage", "output_current", "load")))


def _shares(read: Read) -> Shares:
    """Return each phase that the UPS has as a share of the nominal voltage."""
    nominal = read(NOMINAL).good
    volts = nominal if isinstance(nominal, float) else NOMINAL_VOLTAGE
    points = enumerate(map(read, INPUTS[0]))
    return {
        phase: share(point.good, volts)
        for phase, point in points
        if point.quality is not Quality.NOT_SUPPORTED
    }


def rules(limits: Limits) -> tuple[Rule, ...]:
    """Return the alarm rules. The fault voltage is never an alarm by itself."""
    return (
        # No delay: the platform wants to know at once.
        power_rule("mains-abnormal", equals("mains_abnormal", True)),
        *voltage_rules(_shares, limits),
        power_rule("on-battery", equals("state", "battery")),
        power_rule("output-off", equals(OUTPUT_OFF, True)),
        power_rule("shutting-down", equals("shutting_down", True)),
        power_rule("battery-low", equals("battery_low", True)),
        power_rule("overload", equals("overload", True)),
        power_rule("ups-fault", equals("state", "fault")),
        power_rule("self-test-failed", equals("self_test", "failed")),
        power_rule("on-raw-mains", equals("state", "bypass", "he"), 1.0),
    )


_control = partial(CommandType, {})
_power = partial(_control, endangers=Endangers.POWER)


MAX_COMMAND = 64
STOP_TEST = "stop-test"
"""The command that ends a battery test; it exists when `test_stop` is set."""


def commands(allow_off: bool, test_stop: str = "") -> Mapping[str, CommandType]:
    """Return the commands; `test_stop` is the card's to stop a battery test, empty if unknown."""
    stop_test = _power(
        "stop the battery test",
        "停止电池测试",
        about="battery-test",
        danger="switches the load from the battery back to the mains",
        danger_zh="会使负载由电池切换回市电",
    )
    query = {"cmd": Argument(longest=MAX_COMMAND)}
    new_password = {"new": Argument(secret=True, longest=MAX_PASSWORD)}
    off = _power(
        "output off",
        "关闭输出",
        danger="darkens the gantry",
        danger_zh="使门架断电",
        locked="" if allow_off else "needs allow_off = true on the device",
        locked_zh="" if allow_off else "需在该设备上设置 allow_off = true",
        about="output",
        once=True,
        local_only=True,
    )
    return {
        "SON": _power(
            "output on",
            "打开输出",
            about="output",
            danger="puts voltage on the output: somebody may be working there",
            danger_zh="会给输出端送电：线路上可能有人作业",
        ),
        "SOFF": off,
        "BZON": _control("buzzer on", "打开蜂鸣器", about="buzzer"),
        "BZOFF": _control("buzzer off", "关闭蜂鸣器", about="buzzer"),
        "T": _power(
            "battery test",
            "电池测试",
            about="battery-test",
            once=True,
            danger="puts the load on the battery: if the battery fails, the gantry darkens",
            danger_zh="使负载转由电池供电：电池有故障时门架断电",
        ),
        **({STOP_TEST: stop_test} if test_stop else {}),
        "query": CommandType(query, "query", "查询", once=True),
        "set-password": CommandType(
            new_password,
            "set the card's password",
            "设置管理卡密码",
            endangers=Endangers.ACCESS,
            danger="locks out everybody who knows the old password alone",
            danger_zh="会使只知道旧密码的人无法访问管理卡",
        ),
    }
