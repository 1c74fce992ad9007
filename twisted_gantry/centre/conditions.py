"""All alarms at the centre: severities and texts by the condition, in both languages.

What reports tell is in `wire/etc/conditions.py`; here are the conditions that the centre finds
itself, and those of channels, which have no text but the name of the channel.
"""

from collections.abc import Mapping

from twisted_gantry.wire.etc.conditions import CABINET, POWER, WARNING, ReportCondition

SILENT = "gantry.silent"
"""The name of the alarm of a gantry that sends nothing. It is a warning at first, and critical once
nothing came for an hour, or at once if the gantry was on battery when it was heard last.
"""
CLOCK_SKEW = "gantry.clock-skew"
FOGSLINK = "fogslink"
"""The subject of all channels: packs tell of this one alone, and other reports do not."""
CHANNEL = "-abnormal"  # how the conditions of Fogslink's channels end

_OWN = (
    ReportCondition("silent", WARNING, "no report for two periods", "连续两个周期未上报"),
    ReportCondition("clock-skew", WARNING, "the clock of the gantry is wrong", "门架时钟偏差"),
)
CONDITIONS: Mapping[str, ReportCondition] = {
    each.name: each for each in (*CABINET, *POWER.values(), *_OWN)
}


def condition(name: str) -> ReportCondition:
    """Return severity and texts of a condition, or of an alarm `SUBJECT.CONDITION`. What has none
    is a warning, and its name is its text.
    """
    short = name.rpartition(".")[2]
    known = CONDITIONS.get(short)
    if known is not None:
        return known
    if short.endswith(CHANNEL):
        channel = short.removesuffix(CHANNEL)
        texts = f"channel {channel} is abnormal", f"通道{channel}异常"
        return ReportCondition(short, WARNING, *texts)
    return ReportCondition(short, WARNING, short.replace("-", " "), short)
