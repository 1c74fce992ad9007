"""What a report of a cabinet can raise, and the alarms about power: names, severities, texts.

The one table of the gantry's drivers and of the centre. Groups and fields are those of
`wire/etc/uploads.py`. Source: the ETC document, section 3.1; decisions: `docs/points.md`, "Power".
"""

from collections.abc import Mapping
from dataclasses import dataclass

from twisted_gantry.wire.reading import Value

WARNING, CRITICAL = "warning", "critical"

NOMINAL_VOLTAGE = 220.0
"""V, of a phase, where neither a rating nor a setting tells."""
NOMINAL_HZ = 50.0
LOST_PHASE = 0.4
"""The share of the nominal voltage below which a phase is lost rather than low."""

ANY_TEXT = "*"
"""The worse value of a field that warns by any text."""
DISCHARGING = "discharging"


@dataclass(frozen=True, slots=True)
class ReportCondition:
    """A condition that is an alarm while it holds.

    `group` is that of the report, empty for one that no group tells of. A report tells the
    condition in `field` of the group, by the value `worse`: a flag, a word, or `ANY_TEXT`. Without
    a `field` the driver judges it. `each_time`: the alarm is never held as flapping.
    """

    name: str
    severity: str
    en: str
    zh: str
    group: str = ""
    field: str = ""
    worse: Value = None
    each_time: bool = False

    def holds(self, value: Value) -> bool:
        """Tell whether a known value of the field is the worse one."""
        return value != "" if self.worse == ANY_TEXT else value == self.worse


_POWER = (
    ReportCondition(
        "mains-abnormal", CRITICAL, "mains abnormal", "市电异常", "elec", "status", False
    ),
    ReportCondition("input-over-voltage", WARNING, "input over-voltage", "输入过压", "elec"),
    ReportCondition("input-under-voltage", WARNING, "input under-voltage", "输入欠压", "elec"),
    *(
        ReportCondition(f"phase-l{n}-lost", CRITICAL, f"phase L{n} lost", f"交流L{n}相缺相", "elec")
        for n in (1, 2, 3)
    ),
    ReportCondition(
        *("on-battery", WARNING, "the load runs on battery", "UPS电池放电"),
        *("ups", "running_state", DISCHARGING),
    ),
    ReportCondition("output-off", CRITICAL, "the output is off", "UPS输出关闭", "ups"),
    ReportCondition("shutting-down", CRITICAL, "the UPS shuts down", "UPS正在关机", "ups"),
    ReportCondition("battery-low", CRITICAL, "battery low", "电池电压低", "ups"),
    ReportCondition("overload", CRITICAL, "overload", "UPS过载", "ups"),
    ReportCondition("ups-fault", CRITICAL, "UPS fault", "UPS故障", "ups", "status", False),
    ReportCondition("self-test-failed", WARNING, "battery self-test failed", "电池自检失败", "ups"),
    ReportCondition(
        *("on-raw-mains", WARNING, "the load is on raw mains (bypass or economy)"),
        *("负载由旁路供电", "ups"),
    ),
)

POWER: Mapping[str, ReportCondition] = {each.name: each for each in _POWER}
"""The alarms about power by name; the Chinese texts are those of `warningMsg`."""


def _fault(name: str, group: str, en: str, zh: str, severity: str = WARNING) -> ReportCondition:
    text = f"{en} fault"
    return ReportCondition(f"{name}-fault", severity, text, f"{zh}异常", group, "status", False)


def _warned(name: str, group: str, en: str, zh: str) -> ReportCondition:
    texts = f"{en} warning", f"{zh}告警"
    return ReportCondition(f"{name}-warning", WARNING, *texts, group, "warning_msg", ANY_TEXT)


def _air(name: str, en: str, zh: str, field: str, worse: bool) -> ReportCondition:
    texts = f"air conditioner {en}", zh
    name = f"air-conditioner-{name}"
    return ReportCondition(name, WARNING, *texts, "air_conditioners", field, worse)


def _sensor(name: str, text_zh: str) -> ReportCondition:
    group = {"smoke": "smoke_sensor", "water": "waterlogging_sensor"}[name]
    return ReportCondition(name, CRITICAL, name, text_zh, group, "is_warning", True)


def _door(side: str, where: str) -> tuple[ReportCondition, ...]:
    def about(
        name: str, severity: str, en: str, zh: str, field: str, worse: bool
    ) -> ReportCondition:
        texts = f"the {side} door {en}", where + zh
        about, field = f"{side}-door-{name}", f"{side}_door_{field}"
        return ReportCondition(about, severity, *texts, "doors", field, worse, each_time=True)

    illegally = "was opened illegally"
    return (
        about("illegal", CRITICAL, illegally, "非法开门", "open_illegally", True),
        about("open", WARNING, "is open", "打开", "closed", False),
        about("unlocked", WARNING, "is unlocked", "未锁", "locked", False),
    )


CABINET: tuple[ReportCondition, ...] = (
    _sensor("smoke", "烟雾报警"),
    _sensor("water", "水浸报警"),
    *_door("front", "前门"),
    *_door("back", "后门"),
    POWER["mains-abnormal"],
    _warned("mains", "elec", "mains", "市电"),
    _fault("rectifier", "rectifier", "rectifier", "整流模块", CRITICAL),
    _warned("rectifier", "rectifier", "rectifier", "整流模块"),
    POWER["ups-fault"],
    _warned("ups", "ups", "UPS", "UPS"),
    _air("fault", "fault", "空调异常", "status", False),
    _air("system", "system warning", "空调系统告警", "system_warning", True),
    _air("temperature", "temperature warning", "空调温度告警", "temperature_warning", True),
    ReportCondition("lightning", WARNING, "lightning struck", "雷击", "thunder_spd"),
    _fault("thunder-spd", "thunder_spd", "surge arrester", "防雷器", CRITICAL),
    _fault("smoke-sensor", "smoke_sensor", "smoke sensor", "烟雾传感器"),
    _fault("water-sensor", "waterlogging_sensor", "water sensor", "水浸传感器"),
    _fault("door-controller", "doors", "door controller", "门禁"),
    _fault("thermohygrometer", "thermohygrometer", "thermohygrometer", "温湿度计"),
)
"""What the report of a cabinet raises. A group of rows raises a condition when any row does. A
strike of lightning shows between two reports: the count of an arrester has risen."""
