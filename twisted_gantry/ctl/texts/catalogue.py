"""The texts of `gantryctl`, in English and in Chinese side by side."""

import os
from collections.abc import Mapping

from twisted_gantry.ctl.texts.centre import CENTRE
from twisted_gantry.ctl.texts.people import PEOPLE
from twisted_gantry.ctl.texts.scenario import SCENARIO
from twisted_gantry.ctl.texts.upkeep import UPKEEP
from twisted_gantry.ctl.texts.users import USERS
from twisted_gantry.texts.phrases import Language, preferred, table

TEXTS: Mapping[str, tuple[str, str]] = {
    # Headers of tables
    "address": ("Address", "地址"),
    "alarm": ("Alarm", "告警"),
    "age": ("Age", "时效"),
    "alarms": ("Active alarms", "当前告警"),
    "arguments": ("Arguments", "参数"),
    "at": ("Time", "时间"),
    "bit": ("Bit", "位"),
    "bridge": ("Bridge", "桥接"),
    "bridges": ("Bridges", "桥接"),
    "bytes": ("Bytes", "字节"),
    "cleared": ("Cleared", "恢复时间"),
    "coil": ("Coil", "线圈"),
    "command": ("Command", "命令"),
    "created": ("Created", "产生"),
    "created-at": ("Created", "产生时间"),
    "delivered": ("Delivered", "已送达"),
    "detail": ("Detail", "说明"),
    "device": ("Device", "设备"),
    "devices": ("Devices", "设备"),
    "dropped": ("Dropped", "已丢弃"),
    "id": ("Id", "编号"),
    "kind": ("Kind", "类型"),
    "label": ("Label", "名称"),
    "last-delivered": ("Last delivered", "最近送达"),
    "last-error": ("Last error", "最近错误"),
    "ledger": ("Reports", "上报账目"),
    "maximum": ("Maximum", "最大值"),
    "mean": ("Mean", "平均值"),
    "message": ("Message", "内容"),
    "minimum": ("Minimum", "最小值"),
    "name": ("Name", "名称"),
    "note": ("Note", "备注"),
    "notify": ("Notifications", "告警通知"),
    "oldest": ("Oldest queued", "最早待发"),
    "peers": ("Peers", "对端"),
    "point": ("Point", "测点"),
    "quality": ("Quality", "质量"),
    "queued": ("Queued", "待发"),
    "raised": ("Raised", "发生时间"),
    "reason": ("Reason", "原因"),
    "result": ("Result", "结果"),
    "set-aside": ("Set aside", "搁置"),
    "severity": ("Severity", "级别"),
    "since": ("Since", "起始时间"),
    "state": ("State", "状态"),
    "subject": ("Subject", "对象"),
    "target": ("Target", "目标"),
    "tries": ("Tries", "次数"),
    "trouble": ("{error} [{cause}]", "{error}［{cause}］"),
    "trouble-over": ("over; last at {at}: {error}", "已恢复；最近一次 {at}：{error}"),
    "register": ("Register", "寄存器"),
    "scale": ("Scale", "倍率"),
    "scaled": ("Scaled (s16)", "整数 (s16)"),
    "text": ("Text", "文本"),
    "type": ("Type", "类型"),
    "unit": ("Unit", "单位"),
    "uplink": ("Uplink", "上报通道"),
    "uplinks": ("Uplinks", "上报通道"),
    "urgent": ("Urgent", "紧急"),
    "value": ("Value", "值"),
    "what": ("What it does", "作用"),
    "who": ("Who", "操作者"),
    # Values and marks
    "yes": ("yes", "是"),
    "no": ("no", "否"),
    "none": ("none", "无"),
    "danger": ("dangerous ({what}): {danger}", "危险（{what}）：{danger}"),
    "locked": ("locked: {locked}", "已锁定：{locked}"),
    # Single lines of a view
    "gantry-line": ("Gantry {id}  {name}", "门架 {id}  {name}"),
    "version-line": ("Version {version}, started {at}", "版本 {version}，启动于 {at}"),
    "health-line": ("Health: {status}", "健康状况：{status}"),
    "health-reason": ("reason: {reason}", "原因：{reason}"),
    "health-note": ("note: {note}", "提示：{note}"),
    "explains": ("{message}, explains {count}: {names}", "{message}，引起 {count} 条：{names}"),
    "no-alarms": ("No alarm.", "没有告警。"),
    "no-active-alarms": ("No active alarm.", "没有当前告警。"),
    "no-points": ("No point.", "没有测点。"),
    "map-to-file": (
        "A workbook is no text: gantryctl modbus-map --xlsx > map.xlsx",
        "工作簿不是文本：gantryctl modbus-map --xlsx > map.xlsx",
    ),
    "usage-one-format": (
        "One of --csv, --xlsx and --json.",
        "--csv、--xlsx、--json 只能选一个。",
    ),
    "no-such-points": (
        "No point begins with {prefix!r}; `gantryctl points` lists all.",
        "没有以 {prefix!r} 开头的测点；`gantryctl points` 列出全部测点。",
    ),
    "no-entries": ("The audit is empty.", "审计记录为空。"),
    "no-samples": ("No data of {point} in that time.", "该时间段内没有 {point} 的数据。"),
    "history-line": (
        "{point} {unit}  minimum to maximum, in steps of {step} s",
        "{point} {unit}  最小值至最大值，每段 {step} 秒",
    ),
    "no-reports": ("No report is queued or set aside.", "没有待处理的上报。"),
    "no-report": (
        "No report {number} is queued or set aside.",
        "没有编号为 {number} 的待发或搁置的上报。",
    ),
    "report-reason": ("Reason: {reason}", "原因：{reason}"),
    "report-answer": ("Answer: {answer}", "应答：{answer}"),
    "report-body": ("Body:", "内容："),
    "no-devices": ("None is configured.", "没有配置。"),
    "no-commands": ("No device takes commands.", "没有可接受命令的设备。"),
    "not-shown": ("Not shown, too narrow: {columns}.", "终端较窄，未显示：{columns}。"),
    "config-fine": ("{file}: nothing is wrong.", "{file}：没有发现问题。"),
    "config-warning": ("Warning: {problem}", "警告：{problem}"),
    "config-later": (
        "Files that only the service can read: {count}. They are checked when it starts.",
        "仅服务运行时可读取的文件：{count} 个，将在启动时检查。",
    ),
    "config-wrong": ("Problems: {count}.", "问题：{count} 个。"),
    "retried": ("{count} queued again.", "已重新排队 {count} 条。"),
    "retried-less": (
        "{count} of {wanted} queued again; the others are not set aside, or do not exist.",
        "{wanted} 条中有 {count} 条重新排队；其余并未搁置或不存在。",
    ),
    "outcome": ("{result}: {target} {command}", "{result}：{target} {command}"),
    "outcome-detail": ("  detail: {detail}", "  说明：{detail}"),
    "outcome-value": ("  answer: {value}", "  应答：{value}"),
    "outcome-id": ("  id: {id}", "  编号：{id}"),
    "outcome-unknown": (
        "  The outcome is unknown. Sent again with --id {id}, it is the same command.",
        "  无法得知命令是否已执行。用 --id {id} 重发，仍是同一条命令。",
    ),
    "probe-line": ("{uid} at {address}", "{uid}，地址 {address}"),
    "step-connect": ("connection", "建立连接"),
    "step-exchange": ("exchange  ", "应答检查"),
    "step-name": ("name      ", "域名解析"),
    "step-tls": ("TLS       ", "TLS握手 "),
    # While waiting
    "asking": ("Asking {where} …", "正在询问 {where} …"),
    "doing": ("{target} {command}: waiting for the outcome …", "{target} {command}：等待结果 …"),
    "checking": ("Checking {file} …", "正在检查 {file} …"),
    # Questions
    "confirm": (
        "{command} on {target} ({what}) {danger}. Do it? [y/N] ",
        "在 {target} 上执行 {command}（{what}）：{danger}。确认执行？[y/N] ",
    ),
    "hidden": ("{name} (not shown): ", "{name}（不显示）："),
    "hidden-again": ("{name} once more: ", "再次输入 {name}："),
    # What can be wrong
    "error-line": ("gantryctl: {message}", "gantryctl：{message}"),
    "bad-url": (
        "--url {url}: not a URL of the API. It is like http://127.0.0.1:8080 or unix:/run/gantry.",
        "--url {url}：不是接口地址。应形如 http://127.0.0.1:8080 或 unix:/run/gantry。",
    ),
    "password-in-url": (
        "--url: others can see a password in it. Use --password-file or GANTRY_PASSWORD.",
        "--url：地址中不应含密码，他人可以看到。请用 --password-file 或 GANTRY_PASSWORD。",
    ),
    "bad-token": (
        "The token is empty or has characters that are not allowed.",
        "令牌为空，或含有令牌不允许的字符。",
    ),
    "bad-file": ("{file}: cannot be read: {reason}", "{file}：无法读取：{reason}"),
    "empty-secret": ("{file}: is empty.", "{file}：内容为空。"),
    "cannot-connect": (
        "cannot connect to {where}: {reason}. Is the gantry running? --url gives its address.",
        "无法连接 {where}：{reason}。门架程序是否在运行？用 --url 指定地址。",
    ),
    "bad-certificate": (
        "the certificate of {where} is refused: {reason}. SSL_CERT_FILE names the authority.",
        "{where} 的证书被拒绝：{reason}。SSL_CERT_FILE 指定颁发机构的 PEM 文件。",
    ),
    "cannot-connect-twin": (
        "cannot connect to {where}: {reason}. Is the twin running? --twin gives its address.",
        "无法连接 {where}：{reason}。模拟器是否在运行？用 --twin 指定地址。",
    ),
    "no-answer": (
        "{where} gave no answer within {seconds} s. --timeout sets the limit.",
        "{where} 在 {seconds} 秒内没有应答。可用 --timeout 延长。",
    ),
    "broke-off": (
        "{where} broke off its answer. Is it a gantry, and does its log show a reason?",
        "{where} 的应答中断。该地址是门架程序吗？请查看其日志。",
    ),
    "too-long": (
        "{where} answers with more than {mib} MiB; the answer was not used.",
        "{where} 的应答超过 {mib} MiB，未予采用。",
    ),
    "not-json": (
        "{where} answers {status} without a JSON object. Is --url that of a gantry?",
        "{where} 应答 {status}，但不是 JSON 对象。--url 是门架程序的地址吗？",
    ),
    "redirected": (
        "{where} answers {status}, a redirect to {location!r}: give --url the right address.",
        "{where} 应答 {status}，重定向到 {location!r}：请用 --url 给出正确地址。",
    ),
    "no-password": (
        (
            "{where}: the password or token is missing or wrong:"
            " --password-file or GANTRY_PASSWORD, with --user for a user's;"
            " --token-file or GANTRY_TOKEN."
        ),
        (
            "{where}：密码或令牌缺失或有误：--password-file 或 GANTRY_PASSWORD"
            "（用户的密码加 --user），--token-file 或 GANTRY_TOKEN。"
        ),
    ),
    "refused": (
        "{where} refuses ({status} {name}): {message}",
        "{where} 拒绝（{status} {name}）：{message}",
    ),
    "odd-answer": (
        "{where} gives a malformed answer: {detail}. Do the versions of both sides match?",
        "{where} 的应答不符合接口：{detail}。gantryctl 与门架程序版本一致吗？",
    ),
    "not-read": ("The registers could not be read: {reason}.", "无法读取寄存器：{reason}。"),
    "no-target": (
        "No device {target!r} takes commands; known: {known}.",
        "没有可接受命令的设备 {target!r}；现有：{known}。",
    ),
    "no-command": (
        "{target} has no command {command!r}; known: {known}.",
        "{target} 不支持 {command!r}；支持：{known}。",
    ),
    "no-argument": (
        "{command} has no argument {name!r}; known: {known}.",
        "{command} 没有参数 {name!r}；可用：{known}。",
    ),
    "argument-missing": (
        "{command} needs --{name} ({type}).",
        "{command} 缺少 --{name}（{type}）。",
    ),
    "argument-twice": ("--{name} is given twice.", "--{name} 重复给出。"),
    "argument-value": ("--{name} needs a value.", "--{name} 需要一个值。"),
    "argument-type": (
        "--{name}: {value!r} is not of the type {type}.",
        "--{name}：{value!r} 不是 {type} 类型。",
    ),
    "argument-open": (
        "--{name} is secret, and others can see a command line: use `--{name} -` or @FILE.",
        "--{name} 是保密参数，而命令行他人可见：请用 `--{name} -` 或 @文件。",
    ),
    "hidden-differ": ("{name}: the two entries differ.", "{name}：两次输入不一致。"),
    "hidden-empty": ("{name}: nothing was entered.", "{name}：没有输入。"),
    "not-confirmed": ("not done: it was not confirmed.", "未执行：没有得到确认。"),
    "needs-yes": (
        "{command} on {target} {danger}. Without a terminal to ask on, --yes is needed.",
        "在 {target} 上执行 {command}：{danger}。没有终端可供确认，需要 --yes。",
    ),
    "unknown-outcome": (
        (
            "{message}\nOutcome unknown: {target} {command}. See `gantryctl audit`;"
            " sent again with --id {id}, it is the same command."
        ),
        (
            "{message}\n结果未知：{target} {command}。可查看 `gantryctl audit`；"
            "用 --id {id} 重发，仍是同一条命令。"
        ),
    ),
    "probe-kind": (
        "Unknown kind {kind}; there are: {known}.",
        "未知类型 {kind}；可选：{known}。",
    ),
    "probe-settings": (
        "{kind} cannot be probed so: {message}",
        "{kind} 的参数有误：{message}",
    ),
    "diagnose-config": (
        "{file} is not in order: {message}",
        "{file} 有误：{message}",
    ),
    "diagnose-name": (
        "There is no device or uplink {name}; there are: {known}.",
        "没有名为 {name} 的设备或上报通道；现有：{known}。",
    ),
    # Wrong usage
    "usage-order": (
        "TARGET and COMMAND come first, then the arguments: gantryctl command ups1 query --cmd QRI",
        "先写 TARGET 和 COMMAND，再写参数：gantryctl command ups1 query --cmd QRI",
    ),
    "usage-stray": (
        "{word!r} belongs to no argument; an argument is written --name value.",
        "{word!r} 不属于任何参数；参数写作 --name value。",
    ),
    "usage-arg": ("--arg {word!r}: write NAME=VALUE.", "--arg {word!r}：应为 NAME=VALUE。"),
    "usage-no-filter": (
        "`outbox {name}` takes only --uplink and ids; --state and --limit are for the list.",
        "`outbox {name}` 只接受 --uplink 和编号；--state 与 --limit 用于列表。",
    ),
    "usage-two-files": (
        "--password-file and --token-file exclude each other.",
        "--password-file 与 --token-file 不能同时使用。",
    ),
    "usage-snmptrap": (
        "Options of snmptrap need --traps.",
        "snmptrap 的选项需与 --traps 一起使用。",
    ),
    "no-snmptrap": (
        "snmptrap is not installed (Debian: snmp).",
        "未安装 snmptrap（Debian 软件包：snmp）。",
    ),
    "usage-other": ("wrong usage: {message}", "用法错误：{message}"),
    "usage-option": ("no such option: {name}.", "没有选项 {name}。"),
    "usage-command": ("no such command: {name!r}.", "没有命令 {name!r}。"),
    "usage-missing": ("{name} is missing.", "缺少 {name}。"),
    "usage-value": ("{name}: {message}", "{name} 无效：{message}"),
    "usage-help": ("`{path} --help` shows the usage.", "`{path} --help` 显示用法。"),
    **SCENARIO,
    **UPKEEP,
    **CENTRE,
    **PEOPLE,
    **USERS,
}
"""Each text in English and in Chinese, with the same fields in braces."""


def texts_for(option: str | None) -> "Texts":
    """Return the catalogue in the language of the option `--lang`, else of the environment."""
    return Texts("zh" if (option or preferred(os.environ)) == "zh" else "en")


class Texts:
    def __init__(self, language: Language) -> None:
        self.language: Language = language

    def __call__(self, key: str, /, **fields: object) -> str:
        return TEXTS[key][self.language == "zh"].format(**fields)

    def word(self, word: str) -> str:
        """Return a word of the API in this language; an unknown word stays as it is."""
        return table("words").get(word, word) if self.language == "zh" else word

    def state(self, point: str, value: str) -> str:
        """Return a text that a point says, in this language if it is known."""
        known = table("values") if self.language == "zh" else {}
        return known.get(f"{point.rpartition('.')[2]}.{value}", value)

    def pick(self, en: str, zh: str) -> str:
        """Return the text of this language, or the other one if it is empty."""
        return (zh or en) if self.language == "zh" else (en or zh)
