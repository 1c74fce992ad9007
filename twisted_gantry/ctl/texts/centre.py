"""Texts of `gantryctl centre`."""

from collections.abc import Mapping

CENTRE: Mapping[str, tuple[str, str]] = {
    "battery-minutes": ("Battery min", "电池分钟"),
    "column": ("Column", "列"),
    "fields": ("Fields", "字段"),
    "gantries": ("Gantries", "门架数"),
    "gantry": ("Gantry", "门架"),
    "last-report": ("Last report", "最近上报"),
    "mistake": ("Mistake", "错误"),
    "road": ("Road", "路线"),
    "row": ("Row", "行"),
    "section": ("Section", "路段"),
    "seen-by": ("Acknowledged by", "确认人"),
    "stake": ("Stake", "桩号"),
    "alarm-rate": (
        "Alarms: {alarms} now, {rate} in the last hour",
        "告警：当前 {alarms}，最近一小时 {rate}",
    ),
    "backlog-line": ("Backlog: the oldest report is of {at}.", "补传：最早的上报时间为 {at}。"),
    "centre-ledger": (
        (
            "Reports {received} = stored {stored} + duplicate {duplicate} + refused {refused}; "
            "late {late}"
        ),
        "上报：收到 {received} ＝ 入库 {stored} ＋ 重复 {duplicate} ＋ 拒收 {refused}；迟到 {late}",
    ),
    "centre-line": ("Centre {name}, version {version}", "中心 {name}，版本 {version}"),
    "confirm-order": (
        "{what}, at {number} gantries: it {danger}. Go ahead? [y/N] ",
        "{what}，涉及 {number} 个门架：{danger}。继续吗？[y/N] ",
    ),
    "gantries-line": ("Gantries: {total}", "门架：{total}"),
    "import-planned": (
        "The file is right: {created} new, {changed} changed, {same} as before; none stored.",
        "文件无误：新增 {created}，修改 {changed}，不变 {same}。未写入。",
    ),
    "import-refused": ("{number} mistakes: nothing was stored.", "{number} 处错误，均未导入。"),
    "imported": (
        "{created} new, {changed} changed, {same} as before.",
        "新增 {created}，修改 {changed}，不变 {same}。",
    ),
    "importing": ("Sending {file} …", "正在导入 {file} …"),
    "no-gantries": ("There are no such gantries.", "没有符合条件的门架。"),
    "no-incidents": ("There are no incidents.", "没有事件。"),
    "no-order": (
        "There is no command {command!r}; there are: {known}.",
        "没有命令 {command!r}；可用命令：{known}。",
    ),
    "order-needs-yes": (
        "{command} {danger}: it asks, and a script gives --yes.",
        "{command}：{danger}；需要确认，脚本中用 --yes。",
    ),
    "order-open": (
        "Some outcomes are still to come: ask again later.",
        "部分结果尚未返回，请稍后再查。",
    ),
    "order-over": ("Command {id}: {counts}", "命令 {id}：{counts}"),
    "order-taken": ("Command {id} was taken.", "命令 {id} 已受理。"),
    "order-unseen": (
        "Command {id} was taken, and what became of it is unknown: {message}",
        "命令 {id} 已受理，结果未知：{message}",
    ),
    "order-unsure": (
        "It is unknown whether the centre took the command: {message}",
        "中心是否受理该命令未知：{message}",
    ),
    "order-waiting": ("Waiting for the outcomes of {id} …", "正在等待 {id} 的结果 …"),
    "pending-line": (
        "{number} gantries registered themselves and wait for approval.",
        "{number} 个门架自行登记，等待批准。",
    ),
    "preview-line": (
        "{able} of {gantries} gantries will get it.",
        "{gantries} 个门架中有 {able} 个可以下达。",
    ),
    "refused-line": ("refused with {code}: {number}", "以 {code} 拒收：{number}"),
    "rejected-line": (
        "{number} reports are kept as bytes: the database did not take them as they were.",
        "{number} 条上报数据库无法按原样写入，已按字节保存。",
    ),
    "usage-field": ("{word} is no FIELD=VALUE.", "{word} 不是 字段=值 的形式。"),
    "usage-gantries": (
        "Name the gantries by --gantry, by --road (and --section), or by --all.",
        "请用 --gantry、--road（及 --section）或 --all 指定门架。",
    ),
    "waiting-line": ("Waiting for the disk: {number}", "等待写盘：{number}"),
}
