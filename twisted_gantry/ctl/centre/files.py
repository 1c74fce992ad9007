"""`gantryctl centre import|export`: the registry and lists as files of a spreadsheet."""

from pathlib import Path

import click
from rich.text import Text

from twisted_gantry.ctl.errors import Exit, Trouble
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.output import Column, plain
from twisted_gantry.ctl.saving import save_table
from twisted_gantry.ctl.session import Session, json_option, pass_session
from twisted_gantry.wire import centre_api as api
from twisted_gantry.wire.centre_operations import EXPORTS

_BAD_ROWS = 400


@click.command("import", cls=Command, short_help="Take a file of gantries. · 导入门架表")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Only say what it would do. · 仅检查，不写入。")
@json_option
@pass_session
def import_(session: Session, file: Path, dry_run: bool) -> int:
    """Add and change gantries by FILE, CSV or a workbook: all rows or, with a mistake, none.

    `gantryctl centre export template FILE` makes a file with the headings.

    按 FILE（CSV 或 Excel 工作簿）添加和修改门架：全部导入，有错误则都不导入。
    `gantryctl centre export template FILE` 生成带标题的模板。
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise Trouble("bad-file", Exit.USAGE, file=file, reason=reason) from None
    path = "/api/v1/gantries/import" + ("?dryRun=1" if dry_run else "")
    texts = session.texts
    with session.waiting(texts("importing", file=plain(str(file)))):
        answer = session.api.upload(path, content, also=(_BAD_ROWS,), result="errors")
    found = answer.fit(api.Imported)
    if session.json:
        session.show_json(answer.document)
    elif found.errors:
        columns = (
            Column("row", number=True),
            Column("column"),
            Column("mistake", prose=True),
        )
        rows = [
            (each.row, each.column or None, texts.pick(each.message, each.message_zh))
            for each in found.errors
        ]
        text = texts("import-refused", number=len(found.errors))
        session.show(session.table(columns, rows), Text(text, "bold red"))
    else:
        numbers = {"created": found.created, "changed": found.changed, "same": found.same}
        session.show(texts("import-planned" if dry_run else "imported", **numbers))
    return Exit.WRONG if found.errors else Exit.FINE


@click.command(cls=Command, short_help="Write CSV or a workbook. · 导出 CSV 或 Excel 表格")
@click.argument("what", type=click.Choice(EXPORTS))
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--gantry", metavar="ID", help="Of this gantry: reports need one. · 门架编号。")
@click.option("--road", metavar="ROAD", help="Only this road. · 仅该路线。")
@click.option("--since", metavar="TIME", help="RFC 3339, or Unix seconds. · 起始时间。")
@click.option("--until", metavar="TIME", help="The same. · 结束时间。")
@click.option("--force", is_flag=True, help="Replace FILE. · 覆盖已有的 FILE。")
@json_option
@pass_session
def export(
    session: Session,
    what: str,
    file: Path,
    gantry: str | None,
    road: str | None,
    since: str | None,
    until: str | None,
    force: bool,
) -> int:
    """Write gantries, the template of an import, alarms, incidents, reports or the audit into FILE.

    FILE ending in .xlsx is a workbook, any other CSV. Headings are in the language of --lang.

    把门架、导入模板、告警、事件、上报或审计导出到 FILE；扩展名为 .xlsx 时为 Excel 工作簿，
    否则为 CSV；表头语言由 --lang 决定。
    """
    query = {
        "gantry": gantry,
        "road": road,
        "since": since,
        "until": until,
    }
    return save_table(session, what, query, file, force=force)
