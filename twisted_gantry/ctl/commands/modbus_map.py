"""`gantryctl modbus-map`: the registers of the Modbus server, to set up a SCADA."""

import csv
import io
import sys
from collections.abc import Sequence

import click
import xlsxwriter

from twisted_gantry.ctl.errors import Exit, Trouble
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.output import Column
from twisted_gantry.ctl.session import Session, json_option, pass_session
from twisted_gantry.wire.local_registers import RegisterMap, RegisterView

_FIELDS = (
    *("point", "register", "type", "scaled", "scale", "quality", "age", "bit", "text", "order"),
    *("unit", "label", "label-zh"),
)
_ALARM_FIELDS = ("alarm", "bit")
_COMMAND_FIELDS = ("target", "command", "coil", "register", "type", "scaled")
_Rows = Sequence[Sequence[object]]


@click.command(cls=Command, short_help="Registers of the Modbus server. · Modbus 服务的寄存器表")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV. · 输出 CSV。")
@click.option("--xlsx", "as_xlsx", is_flag=True, help="Write a workbook. · 输出 Excel 工作簿。")
@json_option
@pass_session
def modbus_map(session: Session, as_csv: bool, as_xlsx: bool) -> int:
    """Print where each point stands in the registers of the Modbus server.

    Addresses count from 0; holding and input registers are alike, and so are discrete inputs and
    coils. Values come highest byte and highest word first.

    列出各测点在 Modbus 服务中的寄存器地址（从 0 开始）。
    保持寄存器与输入寄存器相同；高字节、高字在前。

    \b
      gantryctl modbus-map --csv > map.csv
      gantryctl modbus-map --xlsx > map.xlsx
    """
    if as_csv + as_xlsx + session.json > 1:
        raise click.UsageError(session.texts("usage-one-format"))
    if as_xlsx and session.on_terminal():
        raise Trouble("map-to-file")
    answer = session.get("/api/v1/modbus-map")
    found = answer.fit(RegisterMap)
    if session.json:
        session.show_json(answer.document["registers"])
        return Exit.FINE
    rows = [_row(each) for each in found.registers]
    alarms = [(each.alarm, each.bit) for each in found.alarms]
    commands = [(c.target, c.command, c.coil, c.register, c.type, c.scaled) for c in found.commands]
    if as_csv:
        sys.stdout.write(_as_csv(rows))
    elif as_xlsx:
        sys.stdout.buffer.write(_as_xlsx(rows, commands, alarms))
    else:
        _show(session, rows, commands, alarms)
    return Exit.FINE


def _row(each: RegisterView) -> Sequence[object]:
    places = (each.point, each.register, each.type, each.scaled, each.scale, each.quality)
    more = (each.age, each.bit, each.text, each.order, each.unit)
    return (*places, *more, each.label.en, each.label.zh)


def _show(session: Session, rows: _Rows, commands: _Rows, alarms: _Rows) -> None:
    columns = [Column(field, number=field not in {"point", "type"}) for field in _FIELDS[:9]]
    at = _FIELDS.index("scale")  # as it is: 1e-05 is not 0.0
    shown = [(*row[:at], f"{row[at]:g}", *row[at + 1 : 9]) for row in rows]
    things = [session.table(columns, shown) if rows else session.texts("no-points")]
    for fields, lines in ((_ALARM_FIELDS, alarms), (_COMMAND_FIELDS, commands)):
        if lines:
            things += ["", session.table(Column.each(*fields), lines)]
    session.show(*things)


def _as_csv(rows: _Rows) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_FIELDS)
    writer.writerows(rows)
    return out.getvalue()


def _as_xlsx(rows: _Rows, commands: _Rows, alarms: _Rows) -> bytes:
    out = io.BytesIO()
    # Texts stay texts: a label that begins with = is no formula.
    options = {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    with xlsxwriter.Workbook(out, options) as book:
        bold = book.add_format({"bold": True})
        for name, fields, lines in (
            ("registers", _FIELDS, rows),
            ("alarms", _ALARM_FIELDS, alarms),
            ("commands", _COMMAND_FIELDS, commands),
        ):
            sheet = book.add_worksheet(name)
            sheet.freeze_panes(1, 0)
            sheet.set_column(0, 0, 36)
            sheet.write_row(0, 0, fields, bold)
            for at, line in enumerate(lines, 1):
                sheet.write_row(at, 0, line)
    return out.getvalue()
