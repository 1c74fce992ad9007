"""What people do about alarms: acknowledge, shelve, put a device under maintenance."""

import re
from urllib.parse import quote

import click

from twisted_gantry.ctl import completing
from twisted_gantry.ctl.client import Answer
from twisted_gantry.ctl.errors import Exit
from twisted_gantry.ctl.help import Command, Group
from twisted_gantry.ctl.output import Column, scalar
from twisted_gantry.ctl.session import Session, json_option, pass_session
from twisted_gantry.wire import local_api

_ALARMS, _MAINTENANCE = "/api/v1/alarms", "/api/v1/maintenance"
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400}


def _length(context: click.Context, parameter: click.Parameter, text: str) -> float:
    """Return the seconds of a length such as `90m`. Raises BadParameter."""
    found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)([smhd]?)", text, re.ASCII)
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if not 0 < seconds <= local_api.LONGEST_MUTE:
        raise click.BadParameter("90s, 30m, 2h, 7d; 7d at most · 如 90s、30m、2h、7d，最长 7d")
    return seconds


_ALARM = click.argument("alarm", shell_complete=completing.alarms)
_NOTE = click.option("--note", default="", metavar="TEXT", help="Why, for others. · 备注。")
_FOR = click.option(
    "--for",
    "seconds",
    callback=_length,
    required=True,
    metavar="T",
    help="How long: 30m, 2h, 7d at most. · 时长，最长 7d。",
)


def _change(session: Session, path: str, body: dict[str, object]) -> Answer:
    given = {name: value for name, value in body.items() if value != ""}
    with session.asking():
        return session.api.post(f"{_ALARMS}/{path}", given)


def _tell(session: Session, answer: Answer, key: str) -> int:
    alarm = answer.fit(local_api.AlarmView)
    if session.json:
        session.show_json(answer.document)
    else:
        until = scalar(session.texts, alarm.shelved_until)
        session.show(session.texts(key, alarm=alarm.alarm, by=alarm.acked_by, until=until))
    return Exit.FINE


@click.command(cls=Command, short_help="Acknowledge an alarm. · 确认告警")
@_ALARM
@_NOTE
@json_option
@pass_session
def ack(session: Session, alarm: str, note: str) -> int:
    """Note that you have seen ALARM and take care of what it tells: nobody is called again.

    确认一条当前告警：表示已有人处理，不再重复通知。
    """
    return _tell(session, _change(session, "ack", {"alarm": alarm, "note": note}), "acked")


@click.command(cls=Command, short_help="Take an acknowledgement back. · 取消确认")
@_ALARM
@json_option
@pass_session
def unack(session: Session, alarm: str) -> int:
    """Take the acknowledgement of ALARM back.

    取消对一条告警的确认。
    """
    return _tell(session, _change(session, "unack", {"alarm": alarm}), "unacked")


@click.command(cls=Command, short_help="Call nobody for an alarm for a time. · 暂时屏蔽告警通知")
@_ALARM
@_FOR
@_NOTE
@json_option
@pass_session
def shelve(session: Session, alarm: str, seconds: float, note: str) -> int:
    """Call nobody for ALARM for some time, also when it comes again meanwhile.

    The platform is told as before. Smoke and flood are never muted.

    在一段时间内不再通知这条告警（其间再次发生也不通知）；上报平台不受影响。烟雾与水浸不可屏蔽。
    """
    body: dict[str, object] = {"alarm": alarm, "for": seconds, "note": note}
    return _tell(session, _change(session, "shelve", body), "shelved")


@click.command(cls=Command, short_help="Call people again for an alarm. · 恢复告警通知")
@_ALARM
@json_option
@pass_session
def unshelve(session: Session, alarm: str) -> int:
    """Call people again for ALARM.

    提前恢复一条告警的通知。
    """
    return _tell(session, _change(session, "unshelve", {"alarm": alarm}), "unshelved")


@click.group(
    cls=Group,
    invoke_without_command=True,
    short_help="Devices under maintenance. · 检修中的设备",
)
@json_option
@click.pass_context
def maintenance(context: click.Context) -> int:
    """List the devices under maintenance; `begin` and `end` change that.

    Alarms of such a device are kept and reported to the platform, but nobody is called. Smoke and
    flood are never muted.

    列出检修中的设备；`begin` 开始，`end` 结束。检修期间告警照常记录并上报平台，但不通知人员；
    烟雾与水浸除外。
    """
    session = context.ensure_object(Session)
    if context.invoked_subcommand is not None:
        return Exit.FINE
    answer = session.get(_MAINTENANCE)
    found = answer.fit(local_api.MaintenanceList).maintenance
    columns = (*Column.each("device", "since", "until", "by"), Column("note", prose=True))
    rows = [(each.device, each.since, each.until, each.by, each.note) for each in found]
    session.show_rows(answer, columns, rows, session.texts("no-maintenance"))
    return Exit.FINE


@maintenance.command(cls=Command, short_help="Begin the maintenance of a device. · 开始检修")
@click.argument("device", shell_complete=completing.devices)
@_FOR
@_NOTE
@json_option
@click.pass_context
def begin(context: click.Context, device: str, seconds: float, note: str) -> int:
    """Call nobody for the alarms of DEVICE for some time.

    在一段时间内不通知 DEVICE 的告警。
    """
    session = context.ensure_object(Session)
    body: dict[str, object] = {"device": device, "for": seconds}
    with session.asking():
        answer = session.api.post(_MAINTENANCE, {**body, "note": note} if note else body)
    return _tell_maintenance(session, answer, "maintenance-begun")


@maintenance.command(cls=Command, short_help="End the maintenance of a device. · 结束检修")
@click.argument("device", shell_complete=completing.devices)
@json_option
@click.pass_context
def end(context: click.Context, device: str) -> int:
    """Call people again for the alarms of DEVICE.

    结束检修，恢复 DEVICE 的告警通知。
    """
    session = context.ensure_object(Session)
    with session.asking():
        answer = session.api.delete(f"{_MAINTENANCE}?device={quote(device, safe='')}")
    return _tell_maintenance(session, answer, "maintenance-ended")


def _tell_maintenance(session: Session, answer: Answer, key: str) -> int:
    found = answer.fit(local_api.MaintenanceView)
    if session.json:
        session.show_json(answer.document)
    else:
        until = scalar(session.texts, found.until)
        session.show(session.texts(key, device=found.device, until=until))
    return Exit.FINE
