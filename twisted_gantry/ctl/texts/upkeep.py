"""The texts of `watch`, `init`, `backup` and `outbox drop`, in English and in Chinese."""

from collections.abc import Mapping

UPKEEP: Mapping[str, tuple[str, str]] = {
    # watch
    "watch-line": (
        "{what} of {where} at {at}, until Ctrl-C",
        "{what}  {where}  {at}，按 Ctrl-C 结束",
    ),
    "watch-devices": ("Devices and uplinks", "设备与上报通道"),
    "watch-points": ("Points", "测点"),
    "watch-alarms": ("Alarms", "告警"),
    "away": ("No connection. {message}", "连接中断。{message}"),
    "back": ("Connected again.", "连接已恢复。"),
    "nothing-here": ("Nothing to show.", "没有可显示的内容。"),
    "more-rows": (
        "{count} more do not fit; --prefix selects.",
        "另有 {count} 行未显示；可用 --prefix 筛选。",
    ),
    # outbox drop
    "dropped-now": ("{count} dropped.", "已丢弃 {count} 条。"),
    "dropped-less": (
        "{count} of {wanted} dropped; the others are not set aside, or do not exist.",
        "{wanted} 条中丢弃 {count} 条；其余并未搁置或不存在。",
    ),
    "reports-by-id": ("the reports {ids}", "上报 {ids}"),
    "reports-set-aside": (
        "all reports of {uplink} that were set aside",
        "{uplink} 被搁置的全部上报",
    ),
    "every-uplink": ("every uplink", "所有上报通道"),
    "confirm-drop": (
        "Drop {what}? They are lost for good, and never sent. [y/N] ",
        "丢弃{what}？将永久删除，不再发送。[y/N] ",
    ),
    "needs-yes-to-drop": (
        "Dropped reports are deleted for good. Without a terminal to ask on, --yes is needed.",
        "丢弃的上报将永久删除。没有终端可供确认，需要 --yes。",
    ),
    "usage-drop": (
        "`outbox drop` takes the ids of reports, or --all-set-aside.",
        "`outbox drop` 需要上报编号，或 --all-set-aside。",
    ),
    # backup, and files
    "copying": ("{where}: copying to {file} …", "{where}：正在备份到 {file} …"),
    "copied": ("{file}: {bytes} bytes, checked.", "{file}：{bytes} 字节，已校验。"),
    "exporting": ("{where}: writing {file} …", "{where}：正在导出到 {file} …"),
    "exported": ("{file}: {bytes} bytes.", "{file}：{bytes} 字节。"),
    "bad-copy": (
        "The received database is damaged, and was not kept: {reason}.",
        "收到的数据库不完整，未保留：{reason}。",
    ),
    "file-exists": (
        "{file} exists already; --force replaces it.",
        "{file} 已存在；--force 可覆盖。",
    ),
    "cannot-write": ("{file}: cannot be written: {reason}", "{file}：无法写入：{reason}"),
    # init
    "init-needs-terminal": (
        "No terminal to ask on; --yes takes every default.",
        "需要在终端上回答问题；--yes 全部采用默认值。",
    ),
    "init-begin": (
        "Enter takes the value in brackets, or goes on. Ctrl-C ends without writing a file.",
        "直接回车采用方括号中的值或跳过。按 Ctrl-C 结束，不写入任何文件。",
    ),
    "init-problem": ("  not accepted: {problem}", "  未采用：{problem}"),
    "init-no-kind": ("  no kind {kind!r}; known: {kinds}", "  没有类型 {kind!r}；可选：{kinds}"),
    "init-needed": ("A device of these needs [{name}].", "以上设备需要 [{name}]。"),
    "init-wrong": (
        "the configuration is wrong, and was not written:\n{problems}",
        "配置有误，未写入：\n{problems}",
    ),
    "init-written": (
        "{file} is written. `twistd -n gantry --config {file}` runs it.",
        "已写入 {file}。用 `twistd -n gantry --config {file}` 运行。",
    ),
    "init-whose": (
        "The gantry's number in it, {id}, is a placeholder: replace it, or give --id.",
        "其中门架编号 {id} 为占位值，请改为实际编号，或使用 --id。",
    ),
    "init-secret": ("{file} holds one of its secrets.", "{file} 保存其密码。"),
    "ask-id": ("Number of the gantry", "门架编号"),
    "ask-name": ("A name for people (may be empty)", "门架名称（可为空）"),
    "ask-computer": ("Watch this computer, as pc1?", "监测本机（名称 pc1）？"),
    "ask-kind": (
        "Kind of the next device ({kinds}; none: go on)",
        "下一台设备的类型（{kinds}；回车继续）",
    ),
    "ask-device-name": ("  Its name", "  设备名称"),
    "ask-setting": ("  {name} {key}", "  {name} 的 {key}"),
    "ask-setting-such-as": ("  {name} {key}, such as {example}", "  {name} 的 {key}，如 {example}"),
    "ask-etc-url": (
        "URL of the ETC platform, https://…/monitor.do (none: go on)",
        "ETC 平台地址，https://…/monitor.do（回车跳过）",
    ),
    "ask-cabinet": ("Report these devices to it as cabinet 1?", "将以上设备作为机柜 1 上报？"),
    "ask-fogslink": (
        "Address of the Fogslink cloud, tcp:www.fogslink.com:63321 (none: go on)",
        "Fogslink 云地址，tcp:www.fogslink.com:63321（回车跳过）",
    ),
    "ask-eq-sn": ("  eqSN of this equipment", "  设备序列号 eqSN"),
    "ask-channel": (
        "  A channel and its point, P0-C1=ups1.input_voltage_r (none: go on)",
        "  通道与测点，P0-C1=ups1.input_voltage_r（回车继续）",
    ),
    "ask-remotecontrol": (
        "Take commands of the platform (remotecontrol.do)?",
        "接受平台的控制命令（remotecontrol.do）？",
    ),
    "ask-monitor": ("Take uploads of cabinets (monitor.do)?", "接收机柜上传（monitor.do）？"),
    "ask-listen": ("  Listen at", "  监听端点"),
    "no-targets": (
        "Nobody is called: there is no [[notify]].",
        "未配置告警通知对象（[[notify]]）。",
    ),
    "calling": ("Calling {name} …", "正在通知 {name} …"),
    "called": ("{name} took the test message.", "{name} 已收到测试通知。"),
    "not-called": (
        "{name} did not take the test message: {reason}",
        "{name} 未收到测试通知：{reason}",
    ),
    "hidden-or-none": ("{name} (not shown; none: Enter): ", "{name}（不显示，无则回车）："),
}
"""A part of `catalogue.TEXTS`."""
