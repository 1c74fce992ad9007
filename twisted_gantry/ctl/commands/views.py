"""The state of the gantry as tables: points, alarms, audit."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import click

from twisted_gantry.core.alarms import urgency
from twisted_gantry.ctl import completing
from twisted_gantry.ctl.errors import Exit, Trouble
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.output import Column, Row, reading, scalar, word
from twisted_gantry.ctl.session import Session, json_option, pass_session
from twisted_gantry.ctl.texts.catalogue import Texts
from twisted_gantry.texts.phrases import detail_in
from twisted_gantry.wire import local_api


@click.command(
    cls=Command, short_help="Measured values, units, qualities, times. · 测点的值、质量与时间"
)
@click.argument("prefix", default="", shell_complete=completing.points)
@json_option
@pass_session
def points(session: Session, prefix: str) -> int:
    """Show the points, or those with a name that begins with PREFIX (ups1. is all of ups1).

    显示测点；给出 PREFIX 时只显示以其开头的（如 ups1.）。找不到时退出码为 1。
    """
    answer = session.get("/api/v1/points", {"prefix": prefix or None})
    found = answer.fit(local_api.Points).points
    missing = bool(prefix) and not found
    if missing and not session.json:
        raise Trouble("no-such-points", prefix=prefix)
    texts = session.texts
    name, label = Column("point"), Column("label")
    value = Column("value", number=True), Column("unit"), Column("quality")
    time = Column("at", spare=True)
    # Names are English words, so an English reader on a narrow terminal can do without labels.
    if texts.language == "zh":
        columns = (name, label, *value, time)
    else:
        columns = (name, *value, time, replace(label, spare=True))
    rows = []
    for each in found:
        cells: dict[str, object] = {
            "point": each.point,
            "label": texts.pick(each.label.en, each.label.zh),
            "value": reading(texts, each.point, each.value),
            "unit": each.unit or "",
            "quality": word(texts, each.quality),
            "at": each.at,
        }
        rows.append([cells[column.title] for column in columns])
    session.show_rows(answer, columns, rows, texts("no-points"))
    return Exit.WRONG if missing else Exit.FINE


ALARM_COLUMNS = (
    *Column.each("alarm", "severity"),
    Column("message", prose=True, under="alarm"),
    Column("raised"),
    Column("cleared", under="raised"),
)


def folded(alarms: Sequence[local_api.AlarmView]) -> list[local_api.AlarmView]:
    """Return the causes among active alarms, the most urgent first, then the ended alarms.

    A consequence stands in the line of its cause; one without its cause in `alarms` for itself.
    """
    active = {each.alarm for each in alarms if each.cleared_at is None}
    now = [each for each in alarms if each.cleared_at is None and each.cause not in active]
    ended = [each for each in alarms if each.cleared_at is not None]
    return [*sorted(now, key=lambda each: urgency(each.alarm, each.severity)), *ended]


def alarm_row(texts: Texts, alarm: local_api.AlarmView) -> Row:
    message = texts.pick(alarm.message, alarm.message_zh)
    if names := alarm.consequences:
        listed = texts.pick(", ", "、").join(names)
        message = texts("explains", message=message, count=len(names), names=listed)
    for said in _what_people_did(texts, alarm):
        message = texts("alarm-note", message=message, said=said)
    severity = word(texts, alarm.severity)
    return alarm.alarm, severity, message, alarm.raised_at, alarm.cleared_at


def _what_people_did(texts: Texts, alarm: local_api.AlarmView) -> Iterator[str]:
    """Yield what a reader of an alarm must know besides."""
    if alarm.unknown:
        yield texts("alarm-unknown")
    if alarm.acked_by is not None:
        yield texts("alarm-acked", by=alarm.acked_by)
    if alarm.shelved_until is not None and alarm.cleared_at is None:
        yield texts("alarm-shelved", until=scalar(texts, alarm.shelved_until))
    if alarm.state == "maintenance":
        yield texts("alarm-maintenance")
    if alarm.note:
        yield alarm.note
    if alarm.ended_by:
        yield word(texts, alarm.ended_by).plain


@click.command(cls=Command, short_help="Alarms, raised and cleared. · 告警的发生与恢复")
@click.option("--active", is_flag=True, help="Only active ones. · 仅当前告警。")
@click.option(
    "--since",
    metavar="T",
    help="Raised since: RFC 3339, Unix seconds, or an age (24h). · 起始时间。",
)
@click.option("--until", metavar="T", help="Raised until then. · 截止时间。")
@click.option(
    "--limit",
    type=click.IntRange(min=1, max=local_api.MAX_LIMIT),
    metavar="N",
    help="Only the newest N (500). · 最新的 N 条（500）。",
)
@json_option
@pass_session
def alarms(
    session: Session, active: bool, since: str | None, until: str | None, limit: int | None
) -> int:
    """Show the alarms: first the active ones, the most urgent on top, then those that are over.

    An alarm that explains others has these in its line. The history goes back a year.

    显示告警记录：当前告警在前，最紧急的在最上；一个原因引起的告警合并在其所在行，随后为已恢复的告警。
    历史保留一年。
    """
    query = {"active": 1 if active else None, "since": since, "until": until, "limit": limit}
    answer = session.get("/api/v1/alarms", query)
    found = answer.fit(local_api.AlarmList).alarms
    rows = [alarm_row(session.texts, each) for each in folded(found)]
    none = session.texts("no-active-alarms" if active else "no-alarms")
    session.show_rows(answer, ALARM_COLUMNS, rows, none)
    return Exit.FINE


@click.command(cls=Command, short_help="Commands, who asked, results. · 命令审计记录")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Only the newest N. · 最新的 N 条。"
)
@json_option
@pass_session
def audit(session: Session, limit: int | None) -> int:
    """Show the commands, who asked for them, and their results; the newest first.

    显示谁对哪台设备下过什么命令及其结果，最新的在前。
    """
    texts = session.texts
    answer = session.get("/api/v1/audit", {"limit": limit})
    found = answer.fit(local_api.Audit).entries
    columns = (
        Column("at"),
        Column("who", under="at"),
        Column("target", under="command"),
        Column("command"),
        Column("arguments", prose=True),
        Column("result"),
        Column("detail", prose=True, under="arguments"),
    )
    rows = [
        (
            *(e.at, e.who, e.target, e.command, e.args or None, word(texts, e.result)),
            detail_in(texts.language, e.detail or "") or None,
        )
        for e in found
    ]
    session.show_rows(answer, columns, rows, texts("no-entries"))
    return Exit.FINE
