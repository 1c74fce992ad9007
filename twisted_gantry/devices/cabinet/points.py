"""The points of a smart cabinet and the alarms over them: data, no action.

A group that is an object has the points `<group>.<field>`, an array `<group>.<row>.<field>`; fields
are those of `wire/etc/uploads.py`. Rows come and go: the alarm of such a group is about any of its
rows. Source: the ETC document, section 3.1.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from operator import is_

from twisted_gantry.core import bounds
from twisted_gantry.core.alarms import Read, Rule, Severity
from twisted_gantry.core.bounds import Bounds
from twisted_gantry.core.catalogue import PointType
from twisted_gantry.devices.conditions import Condition, when
from twisted_gantry.wire.etc.conditions import CABINET, ReportCondition
from twisted_gantry.wire.etc.uploads import GROUPS
from twisted_gantry.wire.reading import Quality, Value

CLOCK_GOOD = "clock_good"
"""Whether its clock and ours agree, by its uploads and its answers to our commands."""
COMMANDS_ANSWERED = "commands_answered"
LIGHTNING_STRUCK = "lightning_struck"
"""Whether the last upload with a count showed more strikes than the one before."""

_LABELS: Mapping[str, tuple[str, str]] = {
    "elec": ("Mains", "市电"),
    "rectifier": ("Rectifier", "整流模块"),
    "ups": ("UPS", "UPS"),
    "air_conditioners": ("Air conditioner", "空调"),
    "thermohygrometer": ("Thermohygrometer", "温湿度计"),
    "waterlogging_sensor": ("Water sensor", "水浸传感器"),
    "doors": ("Doors", "门禁"),
    "smoke_sensor": ("Smoke sensor", "烟雾传感器"),
    "thunder_spd": ("Surge arrester", "防雷器"),
}

_FIELD_LABELS: Mapping[str, tuple[str, str]] = {
    "status": ("normal", "状态正常"),
    "voltage": ("voltage", "电压"),
    "current": ("current", "电流"),
    "power": ("power", "功率"),
    "frequency": ("frequency", "频率"),
    "elec_consumption": ("energy used", "累计用电量"),
    "warning_msg": ("warnings", "告警描述"),
    "current_limiting": ("limits the current", "限流"),
    "output_voltage": ("output voltage", "输出电压"),
    "output_current": ("output current", "输出电流"),
    "output_power": ("output power", "输出功率"),
    "running_state": ("running state", "运行状态"),
    "input_voltage": ("input voltage", "输入电压"),
    "input_current": ("input current", "输入电流"),
    "power_rate": ("battery charge", "电池充电率"),
    "surplus_time": ("time left", "供电剩余时间"),
    "remain_capacity": ("capacity left", "剩余电池容量"),
    "temperature": ("temperature", "温度"),
    "error_msg": ("fault", "故障描述"),
    "is_working": ("runs", "运行"),
    "work_mode": ("mode", "工作制式"),
    "system_warning": ("system warning", "系统告警"),
    "temperature_warning": ("temperature warning", "温度告警"),
    "humidity": ("humidity", "湿度"),
    "is_warning": ("alarm", "报警"),
    "warning_change_time": ("alarm changed at", "报警状态变化时间"),
    "defend_mode": ("armed", "布防"),
    **{
        f"{side}_door_{name}": (f"{side} {en}", f"{side_zh}{zh}")
        for side, side_zh in (("front", "前门"), ("back", "后门"))
        for name, en, zh in (
            ("closed", "closed", "已关"),
            ("locked", "locked", "已锁"),
            ("unlock_type", "unlocked by", "开锁类型"),
            ("unlock_card_id", "unlocked by the card", "刷卡卡号"),
            ("open_illegally", "opened illegally", "非法开门"),
            ("change_time", "changed at", "开关状态变化时间"),
        )
    },
    "lightning_count": ("strikes", "雷击次数"),
}
# Meaning of the input and output of a UPS (section 3.1.2).
_UPS_LABELS: Mapping[str, tuple[str, str]] = {
    "input_voltage": ("charge voltage", "充电电压"),
    "input_current": ("charge current", "充电电流"),
    "output_voltage": ("discharge voltage", "放电电压"),
    "output_current": ("discharge current", "放电电流"),
}


# A telecom supply has -48 V.
_SIGNED_VOLTS = Bounds(-600, 600)
_FIELD_BOUNDS: Mapping[str, Bounds] = {
    "voltage": bounds.VOLTS,
    "current": bounds.FLOW,
    "power": bounds.WATTS,
    "frequency": bounds.HERTZ,
    "elec_consumption": bounds.ENERGY,
    "input_voltage": _SIGNED_VOLTS,
    "input_current": bounds.FLOW,
    "output_voltage": _SIGNED_VOLTS,
    "output_current": bounds.FLOW,
    "output_power": bounds.WATTS,
    "power_rate": bounds.PERCENT,
    # Minutes as sent.
    "surplus_time": Bounds(0, 60 * bounds.SECONDS.high),
    "remain_capacity": Bounds(0, 65_534),
    "temperature": bounds.CELSIUS,
    "humidity": bounds.PERCENT,
    # The counters of surge arresters have up to four digits.
    "lightning_count": Bounds(0, 9999),
}


def group_points(group: str, row: str = "") -> tuple[PointType, ...]:
    """Return the points of a group that is an object, or those of one row of an array."""
    en, zh = _LABELS[group]
    prefix, number = (f"{group}.{row}.", f" {row}") if row else (f"{group}.", "")
    labels = {**_FIELD_LABELS, **(_UPS_LABELS if group == "ups" else {})}
    types = []
    for field in GROUPS[group].fields:
        field_en, field_zh = labels[field.name]
        texts = f"{en}{number} {field_en}", f"{zh}{number} {field_zh}"
        within = _FIELD_BOUNDS.get(field.name)
        flag_or_text = bool if field.kind.is_flag else str
        values = None if field.kind.unit or within is not None else flag_or_text
        types.append(PointType(prefix + field.name, field.kind.unit, *texts, within, values))
    return tuple(types)


def point_type(name: str) -> PointType | None:
    """Return the type of a point of a row, by the name without the device's: `elec.1.voltage`."""
    group, _, rest = name.partition(".")
    if group not in GROUPS or not GROUPS[group].is_array:
        return None
    row = rest.partition(".")[0]
    return next((each for each in group_points(group, row) if each.name == name), None)


POINTS = (
    PointType(CLOCK_GOOD, "", "Clock agrees with ours", "时钟一致", values=bool),
    PointType(COMMANDS_ANSWERED, "", "Commands are answered", "控制通道正常", values=bool),
    PointType(LIGHTNING_STRUCK, "", "Struck by lightning", "发生雷击", values=bool),
    *(
        point
        for name, shape in GROUPS.items()
        if not shape.is_array
        for point in group_points(name)
    ),
)

Rows = Callable[[str], Iterable[str] | None]
"""Returns the ids of the present rows of a group that is an array; None before any upload."""
_Bad = Callable[[Value], bool]

_false, _true = partial(is_, False), partial(is_, True)


def _some(rows: Rows, group: str, field: str, bad: _Bad) -> Condition:
    """Return the condition that some row is bad; None when none is and one is not known, and while
    no upload has told of rows: an alarm of an earlier process is not over by that.
    """

    def condition(read: Read, raised: bool) -> bool | None:
        present = rows(group)
        if present is None:
            return None
        points = [read(f"{group}.{row}.{field}") for row in present]
        if any(point.good is not None and bad(point.good) for point in points):
            return True
        untold = [p for p in points if p.good is None and p.quality is not Quality.NOT_SUPPORTED]
        return None if untold else False

    return condition


def rules(rows: Rows) -> tuple[Rule, ...]:
    """Return the alarm rules; `rows` returns the present rows of an array group. An open or
    unlocked door is an alarm: the platform wants to know of both at once.
    """

    def rule(about: ReportCondition) -> Rule:
        return Rule(
            about.name,
            Severity(about.severity),
            about.en,
            about.zh,
            _condition(about, rows),
            about.group,
            each_time=about.each_time,
        )

    clock, commands = when(CLOCK_GOOD, _false), when(COMMANDS_ANSWERED, _false)
    clock_text = "the cabinet's clock and ours disagree"
    commands_text = "the cabinet uploads but answers no command"
    return (
        *map(rule, CABINET),
        Rule("clock-skew", Severity.WARNING, clock_text, "机柜时钟偏差过大", clock),
        Rule("no-commands", Severity.WARNING, commands_text, "机柜控制通道中断", commands),
    )


def _condition(about: ReportCondition, rows: Rows) -> Condition:
    if not about.field:
        return when(LIGHTNING_STRUCK, _true)
    if GROUPS[about.group].is_array:
        return _some(rows, about.group, about.field, about.holds)
    return when(f"{about.group}.{about.field}", about.holds)
