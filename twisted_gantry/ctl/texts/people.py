"""The texts of `ack`, `shelve` and `maintenance`, in English and in Chinese."""

from collections.abc import Mapping

PEOPLE: Mapping[str, tuple[str, str]] = {
    "until": ("Until", "结束时间"),
    "by": ("By", "人员"),
    "alarm-note": ("{message} ({said})", "{message}（{said}）"),
    "alarm-unknown": ("not seen again since the restart", "重启后尚未确认状态"),
    "alarm-acked": ("acknowledged by {by}", "{by} 已确认"),
    "alarm-shelved": ("shelved until {until}", "屏蔽至 {until}"),
    "alarm-maintenance": ("under maintenance", "检修中"),
    # What was done
    "acked": ("{alarm}: acknowledged by {by}.", "{alarm}：{by} 已确认。"),
    "unacked": ("{alarm}: not acknowledged any more.", "{alarm}：已取消确认。"),
    "shelved": ("{alarm}: nobody is called until {until}.", "{alarm}：通知屏蔽至 {until}。"),
    "unshelved": ("{alarm}: people are called again.", "{alarm}：已恢复通知。"),
    "no-maintenance": ("No device is under maintenance.", "没有检修中的设备。"),
    "maintenance-begun": (
        "{device}: under maintenance until {until}; nobody is called.",
        "{device}：检修至 {until}，期间不通知。",
    ),
    "maintenance-ended": ("{device}: maintenance has ended.", "{device}：检修已结束。"),
}
