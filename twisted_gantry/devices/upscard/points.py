"""The points of a UPS card, the alarms over them, and the commands it takes: data, no action.

Names are those of `docs/points.md`; the decisions are in
`docs/protocols/ups-card.md`.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from twisted_gantry.core.alarms import Read, Rule, Severity
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.core.commands.types import Argument, CommandType
from twisted_gantry.wire.reading import Quality
from twisted_gantry.wire.upscard.messages import MAX_PASSWORD
from twisted_gantry.wire.upscard.values import LIVE_UNITS, RATED_UNITS, STATUS_NAMES

# The names of the points, English and Chinese.
LABELS: Mapping[str, tuple[str, str]] = {
    **{f"input_voltage_{p}": (f"Input voltage {p.upper()}", f"输入电压{p.upper()}") for p in "rst"},
    "input_frequency": ("Input frequency", "输入频率"),
    **{f"input_current_{p}": (f"Input current {p.upper()}", f"输入电流{p.upper()}") for p in "rst"},
    "fault_voltage": ("Fault voltage", "故障电压"),
    **{
        f"output_voltage_{p}": (f"Output voltage {p.upper()}", f"输出电压{p.upper()}")
        for p in "rst"
    },
    "output_frequency": ("Output frequency", "输出频率"),
    **{
        f"output_current_{p}": (f"Output current {p.upper()}", f"输出电流{p.upper()}")
        for p in "rst"
    },
    **{f"load_{p}": (f"Load {p.upper()}", f"负载{p.upper()}") for p in "rst"},
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
"""Of the last battery test that ended; the verdict is `self_test`."""
LIVE = (*LIVE_UNITS, *STATUS_NAMES, BATTERY_REMAINING, TEST_END_VOLTAGE, TEST_DURATION)
"""The points that a QAD brings, and what follows from them."""
RATED = tuple(RATED_UNITS)
"""The points that an RTD brings."""

_UNITS = {
    **LIVE_UNITS,
    **RATED_UNITS,
    BATTERY_REMAINING: "Ah",
    TEST_END_VOLTAGE: "V",
    TEST_DURATION: "s",
}
POINTS = tuple(PointType(name, _UNITS.get(name, ""), *LABELS[name]) for name in (*LIVE, *RATED))

# The share of the nominal voltage under which a phase is lost rather than low.
LOST_PHASE = 0.4
# A voltage must come back by this share of the nominal one before its alarm ends.
HYSTERESIS = 0.02
# What is taken as nominal until the card has told its ratings.
NOMINAL_VOLTAGE = 220.0

_INPUTS = tuple(f"input_voltage_{phase}" for phase in "rst")


def _is(name: str, *values: object) -> Callable[[Read, bool], bool | None]:
    def test(read: Read, raised: bool) -> bool | None:
        value = read(name).good
        return None if value is None else value in values

    return test


def _shares(read: Read) -> list[float | None]:
    """Return each phase as a share of the nominal voltage; a phase the UPS has not is left out."""
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
    """Tell whether some phase is bad; None when none is and one is not known."""
    if any(share is not None and bad(share) for share in shares):
        return True
    return None if not shares or None in shares else False


def _over(limit: float) -> Callable[[Read, bool], bool | None]:
    def test(read: Read, raised: bool) -> bool | None:
        return _some(_shares(read), lambda s: s > limit - HYSTERESIS * raised)

    return test


def _under(limit: float) -> Callable[[Read, bool], bool | None]:
    def test(read: Read, raised: bool) -> bool | None:
        # A phase that is gone is lost, not low; all gone is a mains failure.
        return _some(_shares(read), lambda s: LOST_PHASE <= s < limit + HYSTERESIS * raised)

    return test


def _lost(phase: int) -> Callable[[Read, bool], bool | None]:
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
    """Return the alarm rules; the limits are shares of the rated input voltage.

    The Chinese texts of the group `elec` are those of `warningMsg` in the source document
    (the ETC document, section 3.1.2). The fault voltage is never an alarm by itself.
    """
    critical, warning = Severity.CRITICAL, Severity.WARNING
    return (
        # No delay: the platform wants to know at once.
        Rule(
            "mains-abnormal",
            critical,
            "mains abnormal",
            "市电异常",
            _is("mains_abnormal", True),
            "elec",
        ),
        Rule(
            "input-over-voltage",
            warning,
            "input over-voltage",
            "输入过压",
            _over(over_voltage),
            "elec",
            2.0,
        ),
        Rule(
            "input-under-voltage",
            warning,
            "input under-voltage",
            "输入欠压",
            _under(under_voltage),
            "elec",
            2.0,
        ),
        *(
            Rule(
                f"phase-l{n}-lost",
                critical,
                f"phase L{n} lost",
                f"交流L{n}相缺相",
                _lost(n - 1),
                "elec",
                1.0,
            )
            for n in (1, 2, 3)
        ),
        Rule("battery-low", critical, "battery low", "电池电压低", _is("battery_low", True), "ups"),
        Rule("overload", critical, "overload", "UPS过载", _is("overload", True), "ups"),
        Rule("ups-fault", critical, "UPS fault", "UPS故障", _is("state", "fault"), "ups"),
        Rule(
            "self-test-failed",
            warning,
            "battery self-test failed",
            "电池自检失败",
            _is("self_test", "failed"),
            "ups",
        ),
        Rule(
            "on-raw-mains",
            warning,
            "the load is on raw mains (bypass or economy)",
            "负载由旁路供电",
            _is("state", "bypass", "he"),
            "ups",
            1.0,
        ),
    )


def _control(en: str, zh: str, about: str = "") -> CommandType:
    return CommandType(MappingProxyType({}), en, zh, about=about)


MAX_COMMAND = 64
"""Characters that a text for the card may have."""
STOP_TEST = "stop-test"
"""The command that ends a battery test; it is there when the setting `test_stop` says how."""


def commands(allow_off: bool, test_stop: str = "") -> Mapping[str, CommandType]:
    """Return what a card can be told; `allow_off` unlocks the one that darkens the gantry.

    `test_stop` is what the card is told to stop a battery test, empty if nothing is known.
    """
    stop_test = _control("stop the battery test", "停止电池测试", about="battery-test")
    stop = {STOP_TEST: stop_test} if test_stop else {}
    return MappingProxyType(
        {
            "SON": _control("output on", "打开输出", about="output"),
            "SOFF": CommandType(
                MappingProxyType({}),
                "output off",
                "关闭输出",
                danger="darkens the gantry",
                danger_zh="使门架断电",
                locked="" if allow_off else "needs allow_off = true on the device",
                locked_zh="" if allow_off else "需在该设备上设置 allow_off = true",
                about="output",
            ),
            "BZON": _control("buzzer on", "打开蜂鸣器", about="buzzer"),
            "BZOFF": _control("buzzer off", "关闭蜂鸣器", about="buzzer"),
            "T": _control("battery test", "电池测试", about="battery-test"),
            **stop,
            "query": CommandType(
                MappingProxyType({"cmd": Argument(longest=MAX_COMMAND)}), "query", "查询"
            ),
            "set-password": CommandType(
                MappingProxyType({"new": Argument(secret=True, longest=MAX_PASSWORD)}),
                "set the card's password",
                "设置管理卡密码",
            ),
        }
    )
