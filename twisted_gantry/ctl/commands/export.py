"""`gantryctl export`: points, alarms, the audit or reports in a file for a spreadsheet."""

from pathlib import Path

import click

from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.saving import save_table
from twisted_gantry.ctl.session import Session, json_option, pass_session

WHAT = ("points", "alarms", "audit", "reports")


@click.command(cls=Command, short_help="Write CSV or a workbook. · 导出 CSV 或 Excel 表格")
@click.argument("what", type=click.Choice(WHAT))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--since",
    metavar="TIME",
    help="RFC 3339, Unix seconds, or an age: 30d 24h 30m; else a day before."
    " · 起始时间，默认一天前。",
)
@click.option("--until", metavar="TIME", help="The same; else now. · 结束时间，默认当前。")
@click.option("--step", metavar="S", help="Points: time of a row, 60, 15m. · 测点每行的时长。")
@click.option("--prefix", help="Points whose names begin so. · 仅导出以此开头的测点。")
@click.option("--force", is_flag=True, help="Replace FILE. · 覆盖已有的 FILE。")
@json_option
@pass_session
def export(
    session: Session,
    what: str,
    file: Path,
    since: str | None,
    until: str | None,
    step: str | None,
    prefix: str | None,
    force: bool,
) -> int:
    """Write points, alarms, the audit or the stored reports into FILE, with local times.

    FILE ending in .xlsx is a workbook, any other CSV. Headings are in the language of --lang.

    把测点历史、告警、审计或上报导出到 FILE，时间为本地时间；扩展名为 .xlsx 时为 Excel 工作簿，
    否则为 CSV；表头语言由 --lang 决定。
    """
    query = {
        "since": since,
        "until": until,
        "step": step,
        "prefix": prefix,
    }
    return save_table(session, what, query, file, force=force)
