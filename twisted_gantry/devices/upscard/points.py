"""The points of a UPS card, the alarms over them, and the commands it takes: data, no action.

Names: `docs/points.md`; decisions: `docs/protocols/ups-card.md`.
"""

from collections.abc import Callable, Mapping
from functools import partial

from twisted_gantry.core.alarms import Read, Rule, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import Argument, CommandType
from twisted_gantry.devices.conditions import Condition, equals
from twisted_gantry.wire.reading import Quality, Value
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
    "battery_remaining": ("Battery capacity left", "剩余电池容量"),
    "battery_test_end_voltage": ("Voltage at the end of the battery test", "电池测试结束电压"),
    "battery_test_duration": ("Duration of the battery test", "电池测试时长"),
}

BATTERY_REMAINING = "battery_remaining"
"""Ah, derived from the charge and the setting `battery_ah`."""
TEST_END_VOLTAGE, TEST_DURATION = "battery_test_end_voltage", "battery_test_duration"
"""About the last battery test that ended; its verdict is `self_test`."""
LIVE = (*LIVE_UNITS, *STATUS_NAMES, BATTERY_REMAINING, TEST_END_VOLTAGE, TEST_DURATION)
"""The points that a QAD brings, and those derived from them."""
RATED = tuple(RATED_UNITS)

_DERIVED_UNITS = {BATTERY_REMAINING: "Ah", TEST_END_VOLTAGE: "V", TEST_DURATION: "s"}
_UNITS = {**LIVE_UNITS, **RATED_UNITS, **_DERIVED_UNITS}
POINTS = tuple(PointType(name, _UNITS.get(name, ""), *LABELS[name]) for name in (*LIVE, *RATED))

# Shares of the nominal voltage: below the first a phase is lost rather than low; an alarm ends when
# the voltage is back by the second.
LOST_PHASE, HYSTERESIS = 0.4, 0.02
# The nominal voltage until the card has told its ratings, in V.
NOMINAL_VOLTAGE = 220.0

_INPUTS = tuple(f"input_voltage_{phase}" for phase in "rst")


def _shares(read: Read) -> list[float | None]:
    """Return each phase that the UPS has as a share of the nominal voltage."""
    nominal = read("rated_input_voltage").good
    if not isinstance(nominal, float) or nominal <= 0:
        nominal = NOMINAL_VOLTAGE
    shares: list[float | None] = []
    for name in _INPUTS:
        point = read(name)
        if point.quality is not Quality.NOT_SUPPORTED:
            value = point.good
            shares.append(value / nominal if isinstance(value, int | float) else None)
    return shares


def _some(shares: list[float | None], bad: Callable[[float], bool]) -> bool | None:
    """Return whether some phase is bad; None when none is and one is not known."""
    if any(share is not None and bad(share) for share in shares):
        return True
    return None if not shares or None in shares else False


def _over(limit: float) -> Condition:
    return lambda read, raised: _some(_shares(read), lambda s: s > limit - HYSTERESIS * raised)


def _under(limit: float) -> Condition:
    """A phase that is gone is lost, not low; if all are gone, the mains failed."""
    return lambda read, raised: _some(
        _shares(read), lambda s: LOST_PHASE <= s < limit + HYSTERESIS * raised
    )


def _lost(phase: int) -> Condition:
    def test(read: Read, raised: bool) -> bool | None:
        shares = _shares(read)
        if len(shares) <= phase:
            return False  # a UPS with fewer phases cannot lose this one
        share, limit = shares[phase], LOST_PHASE + HYSTERESIS * raised
        if share is None or None in shares:
            return None
        others = shares[:phase] + shares[phase + 1 :]
        return share < limit and any(s is not None and s >= LOST_PHASE for s in others)

    return test


def rules(over_voltage: float, under_voltage: float) -> tuple[Rule, ...]:
    """Return the alarm rules; the limits are shares of the rated input voltage. The Chinese texts
    of the group `elec` are those of `warningMsg` in the ETC document, section 3.1.2. The fault
    voltage is never an alarm by itself.
    """
    critical, warning = Severity.CRITICAL, Severity.WARNING

    def elec(name: str, severity: Severity, en: str, zh: str, bad: Condition, s: float = 0) -> Rule:
        return Rule(name, severity, en, zh, bad, "elec", s)

    def ups(name: str, severity: Severity, en: str, zh: str, point: str, *values: Value) -> Rule:
        return Rule(name, severity, en, zh, equals(point, *values), "ups")

    mains, lost = equals("mains_abnormal", True), (_lost(0), _lost(1), _lost(2))
    over, under = _over(over_voltage), _under(under_voltage)
    raw_mains = "the load is on raw mains (bypass or economy)"
    failed = "battery self-test failed"
    on_raw_mains = equals("state", "bypass", "he")
    return (
        # No delay: the platform wants to know at once.
        elec("mains-abnormal", critical, "mains abnormal", "市电异常", mains),
        elec("input-over-voltage", warning, "input over-voltage", "输入过压", over, 2),
        elec("input-under-voltage", warning, "input under-voltage", "输入欠压", under, 2),
        *(
            elec(f"phase-l{n}-lost", critical, f"phase L{n} lost", f"交流L{n}相缺相", gone, 1)
            for n, gone in enumerate(lost, 1)
        ),
        ups("battery-low", critical, "battery low", "电池电压低", "battery_low", True),
        ups("overload", critical, "overload", "UPS过载", "overload", True),
        ups("ups-fault", critical, "UPS fault", "UPS故障", "state", "fault"),
        ups("self-test-failed", warning, failed, "电池自检失败", "self_test", "failed"),
        Rule("on-raw-mains", warning, raw_mains, "负载由旁路供电", on_raw_mains, "ups", 1.0),
    )


_control = partial(CommandType, {})


MAX_COMMAND = 64
STOP_TEST = "stop-test"
"""The command that ends a battery test; it exists when `test_stop` is set."""


def commands(allow_off: bool, test_stop: str = "") -> Mapping[str, CommandType]:
    """Return the commands; `test_stop` is the card's to stop a battery test, empty if unknown."""
    stop_test = _control("stop the battery test", "停止电池测试", about="battery-test")
    query = {"cmd": Argument(longest=MAX_COMMAND)}
    new_password = {"new": Argument(secret=True, longest=MAX_PASSWORD)}
    off = CommandType(
        {},
        "output off",
        "关闭输出",
        danger="darkens the gantry",
        danger_zh="使门架断电",
        locked="" if allow_off else "needs allow_off = true on the device",
        locked_zh="" if allow_off else "需在该设备上设置 allow_off = true",
        about="output",
    )
    return {
        "SON": _control("output on", "打开输出", about="output"),
        "SOFF": off,
        "BZON": _control("buzzer on", "打开蜂鸣器", about="buzzer"),
        "BZOFF": _control("buzzer off", "关闭蜂鸣器", about="buzzer"),
        "T": _control("battery test", "电池测试", about="battery-test"),
        **({STOP_TEST: stop_test} if test_stop else {}),
        "query": CommandType(query, "query", "查询"),
        "set-password": CommandType(new_password, "set the card's password", "设置管理卡密码"),
    }
