"""The names of a UPS card's values in both languages, for `probe`, which has no gantry to ask."""

from collections.abc import Mapping


def _phases(name: str, en: str, zh: str) -> dict[str, tuple[str, str]]:
    return {f"{name}_{p}": (f"{en} {p.upper()}", f"{zh}{p.upper()}") for p in "rst"}


LABELS: Mapping[str, tuple[str, str]] = {
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
    "ups_type": ("UPS type", "UPS类型"),
    "self_test": ("Battery self-test", "电池自检"),
    "overload": ("Overload", "过载"),
    "mains_abnormal": ("Mains abnormal", "市电异常"),
    "battery_low": ("Battery low", "电池电压低"),
    "shutting_down": ("Shutting down", "正在关机"),
    "buzzer_muted": ("Buzzer muted", "蜂鸣器静音"),
    "state": ("State", "工作状态"),
}
