"""`gantryctl command`: send a command to a device, and show its result."""

import uuid
from typing import Any

import click
from rich.text import Text

from twisted_gantry.ctl import arguments, client, completing
from twisted_gantry.ctl.client import ApiError
from twisted_gantry.ctl.errors import Exit, Trouble, WrongUsage
from twisted_gantry.ctl.output import NOTHING, Column, plain, scalar, word
from twisted_gantry.ctl.session import Session, json_option, pass_session
from twisted_gantry.texts.phrases import detail_in
from twisted_gantry.wire import local_api

EXPIRES = 30.0  # the default of --expires in seconds: that of the gantry

_EXITS = {"done": Exit.FINE, "timeout": Exit.UNKNOWN}


@click.command(
    cls=completing.DeviceCommand,
    short_help="Send a command to a device. · 向设备下命令",
    context_settings={"ignore_unknown_options": True},
    options_metavar="[OPTIONS]",
)
@click.argument(
    "words", nargs=-1, metavar="[TARGET COMMAND [--NAME VALUE]…]", shell_complete=completing.words
)
@click.option("--yes", is_flag=True, help="Do not ask before one that can hurt. · 不再确认。")
@click.option(
    "--id",
    "command_id",
    metavar="ID",
    help="A command with a known id is not repeated. · 同一编号只执行一次。",
)
@click.option(
    "--expires",
    type=click.FloatRange(min=0, min_open=True, max=300),
    metavar="S",
    help="Seconds to begin and end in (30). · 有效期，秒（30）。",
)
@click.option(
    "--arg",
    "pairs",
    multiple=True,
    metavar="NAME=VALUE",
    help="An argument by its exact name, also one like --id. · 按原名给出参数。",
)
@json_option
@pass_session
def command(
    session: Session,
    words: tuple[str, ...],
    yes: bool,
    command_id: str | None,
    expires: float | None,
    pairs: tuple[str, ...],
) -> int:
    """Send COMMAND to the device TARGET, with its arguments as options.

    向设备 TARGET 下达 COMMAND，参数写作选项。不带参数时列出所有可用命令。

    \b
      gantryctl command                         list the commands · 列出命令
      gantryctl command ups1 BZOFF              mute the buzzer · 蜂鸣器静音
      gantryctl command ups1 query --cmd QAD    ask the UPS · 查询
      gantryctl command ups1 set-password --new -

    A command that can hurt asks first; a script gives --yes. A secret argument is `-` (hidden
    input) or `@FILE`.

    可能造成危害的命令先要求确认，脚本中用 --yes。保密参数写作 `-`（隐藏输入）或 `@文件`。

    \b
    Exit code · 退出码
      0  done · 完成
      1  failed or refused · 失败或被拒绝
      2  no connection; nothing was sent · 无法连接，未发送
      3  timeout: outcome unknown · 超时，是否执行未知
    """
    texts = session.texts
    if any(each.startswith("-") for each in words[:2]):
        raise WrongUsage(texts("usage-order"))
    given = arguments.split(session, words[2:], pairs)
    answer = session.get("/api/v1/commands")
    devices = answer.fit(local_api.CommandList).devices
    if len(words) < 2:
        return _list(session, answer.document, devices, words[0] if words else None)
    device = _device(devices, words[0])
    info = _info(device, words[1])
    wish: dict[str, Any] = {
        "target": device.target,
        "command": info.command,
        "args": arguments.settle(session, info, given),
        "id": command_id or uuid.uuid4().hex,
    }
    if yes or _confirmed(session, device.target, info):
        wish["confirm"] = True
    if expires is not None:
        wish["expires"] = expires
    return _do(session, wish, expires or EXPIRES)


def _device(devices: list[local_api.DeviceCommands], target: str) -> local_api.DeviceCommands:
    for device in devices:
        if device.target == target:
            return device
    known = ", ".join(device.target for device in devices) or NOTHING
    raise Trouble("no-target", target=target, known=known)


def _info(device: local_api.DeviceCommands, name: str) -> local_api.CommandInfo:
    for info in device.commands:
        if info.command == name:
            return info
    known = ", ".join(info.command for info in device.commands) or NOTHING
    raise Trouble("no-command", target=device.target, command=name, known=known)


def _confirmed(session: Session, target: str, info: local_api.CommandInfo) -> bool:
    """Ask before a dangerous command; False if no question is needed. Raises Trouble."""
    if not info.danger or info.locked:
        return False  # the gantry refuses a locked command, and keeps that in the audit
    fields = {
        "command": info.command,
        "target": target,
        "danger": _in(session, info.danger, info.danger_zh),
    }
    if not session.can_ask():
        raise Trouble("needs-yes", **fields)
    what = session.texts.pick(info.en, info.zh)
    if not session.confirm(session.texts("confirm", what=what, **fields)):
        raise Trouble("not-confirmed")
    return True


def _do(session: Session, wish: dict[str, Any], expires: float) -> int:
    names = {"target": wish["target"], "command": wish["command"]}
    try:
        with session.waiting(session.texts("doing", **names)):
            answer = session.api.post("/api/v1/commands", wish, expires + client.GRACE)
        outcome = answer.fit(local_api.CommandAnswer)
    except ApiError as error:
        if error.sent and (error.status is None or not 300 <= error.status < 500):
            fields = {**names, "id": wish["id"], "message": session.explain(error)}
            raise Trouble("unknown-outcome", Exit.UNKNOWN, error.code, **fields) from None
        raise
    if session.json:
        session.show_json(answer.document)
    else:
        _show(session, outcome, wish)
    return _EXITS.get(outcome.result, Exit.WRONG)


def _show(session: Session, outcome: local_api.CommandAnswer, wish: dict[str, Any]) -> None:
    texts = session.texts
    result = word(texts, outcome.result)
    head = texts(
        "outcome", result=result.plain, target=plain(wish["target"]), command=plain(wish["command"])
    )
    line = Text(head)
    line.stylize(result.style, 0, len(result.plain))
    lines = [line]
    if outcome.detail:
        detail = detail_in(texts.language, outcome.detail)
        lines.append(Text(texts("outcome-detail", detail=plain(detail))))
    if outcome.value is not None:
        lines.append(Text(texts("outcome-value", value=scalar(texts, outcome.value))))
    lines.append(Text(texts("outcome-id", id=plain(outcome.id or wish["id"]))))
    if outcome.result == "timeout":
        lines.append(Text(texts("outcome-unknown", id=plain(wish["id"])), "yellow"))
    session.show(*lines)


def _list(
    session: Session,
    document: dict[str, Any],
    devices: list[local_api.DeviceCommands],
    target: str | None,
) -> int:
    texts = session.texts
    if target is not None:
        devices = [_device(devices, target)]
        document = {"devices": [d for d in document["devices"] if d["target"] == target]}
    if session.json:
        session.show_json(document)
        return Exit.FINE
    rows = [
        (
            device.target,
            info.command,
            texts.pick(info.en, info.zh),
            " ".join(_argument(each) for each in info.arguments) or None,
            _note(session, info),
        )
        for device in devices
        for info in device.commands
    ]
    if not rows:
        session.show(texts("no-commands"))
        return Exit.FINE
    columns = (
        *Column.each("target", "command"),
        Column("what", prose=True),
        Column("arguments", prose=True, under="what"),
        Column("note", prose=True),
    )
    session.show(session.table(columns, rows))
    return Exit.FINE


def _argument(argument: local_api.ArgumentInfo) -> str:
    value = "|".join(argument.choices) or argument.type.upper()
    if argument.secret:
        value = "-|@FILE"
    shown = f"--{argument.name}={value}"
    return shown if argument.required else f"[{shown}]"


def _in(session: Session, en: str | None, zh: str | None) -> str:
    return session.texts.pick(en or "", zh or en or "")


def _note(session: Session, info: local_api.CommandInfo) -> Text:
    texts = session.texts
    if info.locked:
        locked = _in(session, info.locked, info.locked_zh)
        return Text(plain(texts("locked", locked=locked)), "dim")
    if info.danger:
        danger = _in(session, info.danger, info.danger_zh)
        what = texts.word(info.endangers or "device")
        return Text(plain(texts("danger", what=what, danger=danger)), "bold red")
    return Text(NOTHING)
