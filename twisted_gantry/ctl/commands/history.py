"""`gantryctl history`: the past values of a point, as a table or as a plot.

The plot is drawn here: plotext needs 0.1 s for its import, and over 0.5 s to draw 2,000 spans.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated

import click
import msgspec
from rich.console import RenderableType
from rich.text import Text

from twisted_gantry.ctl import completing
from twisted_gantry.ctl.errors import Exit
from twisted_gantry.ctl.help import Command
from twisted_gantry.ctl.output import WIDE, Column, plain
from twisted_gantry.ctl.session import Session, json_option, pass_session

# Lines of a plot; its characters without a terminal, else it is as wide as the terminal.
_HEIGHT, _WIDTH = 14, 80
_NARROWEST = 24

_MOMENT = 16  # characters of a time below the plot

# A braille character has 2 × 4 dots; these are their bits, by column and by line.
_BRAILLE = 0x2800
_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
_ACROSS, _DOWN = 2, 4


_Time = Annotated[datetime, msgspec.Meta(tz=True)]


class History(msgspec.Struct, frozen=True):
    """`GET /api/v1/history`."""

    point: str
    samples: list[tuple[_Time, float, float, float]]
    since: _Time
    until: _Time
    step: float
    unit: str = ""


@click.command(cls=Command, short_help="Past values of a point. · 测点历史，表格或曲线")
@click.argument("point", shell_complete=completing.points)
@click.option(
    "--since",
    metavar="TIME",
    help="RFC 3339, Unix seconds, or an age: 7d 24h 30m 90s; else a day before."
    " · 起始时间，默认一天前。",
)
@click.option("--until", metavar="TIME", help="The same; else now. · 结束时间，默认当前。")
@click.option("--step", metavar="S", help="Time of a row: seconds, 15m, 1h. · 每行的时长。")
@click.option("--plot", is_flag=True, help="Draw it. · 绘制曲线。")
@json_option
@pass_session
def history(
    session: Session, point: str, since: str | None, until: str | None, step: str | None, plot: bool
) -> int:
    """Show the minimum, mean and maximum of POINT, step by step.

    A step without a known value has no row.

    按时间段显示测点 POINT 的最小值、平均值和最大值；无有效数据的时间段不显示。
    """
    query = {"point": point, "since": since, "until": until, "step": step}
    answer = session.get("/api/v1/history", query)
    found = answer.fit(History)
    if plot and found.samples and not session.json:
        session.show(*_plot(session, found))
        return Exit.FINE
    columns = (
        Column("at"),
        *Column.each("minimum", "mean", "maximum", number=True),
        Column("unit", spare=True),
    )
    rows = [
        (at.isoformat(timespec="milliseconds"), low, _short(mean), high, found.unit)
        for at, low, mean, high in found.samples
    ]
    none = session.texts("no-samples", point=plain(found.point))
    session.show_rows(answer, columns, rows, none)
    return Exit.FINE


def _short(number: float) -> str:
    """Return a number with the digits that a person needs of a mean."""
    text = f"{number:.3f}" if abs(number) >= 1 or not number else f"{number:.4g}"
    return text.rstrip("0").rstrip(".") if "." in text and "e" not in text else text


def _plot(session: Session, found: History) -> list[RenderableType]:
    texts = session.texts
    low = min(sample[1] for sample in found.samples)
    high = max(sample[3] for sample in found.samples)
    labels = {0: _short(high), _HEIGHT // 2: _short((low + high) / 2), _HEIGHT - 1: _short(low)}
    if low == high:
        labels = {_HEIGHT // 2: _short(low)}
    margin = max(map(len, labels.values()))
    wide = session.console().width
    width = max(_NARROWEST, (_WIDTH if wide >= WIDE else wide) - margin - 3)
    drawn = draw(found, width, _HEIGHT, low, high)
    lines = [
        f"{labels.get(n, ''):>{margin}} {'┤' if n in labels else '│'}{line}"
        for n, line in enumerate(drawn)
    ]
    style = "%Y-%m-%d %H:%M" if width > 2 * _MOMENT else "%m-%d %H:%M"
    begin, end = found.since.strftime(style), found.until.strftime(style)
    title = texts(
        "history-line", point=plain(found.point), unit=plain(found.unit), step=_short(found.step)
    )
    return [
        Text(title, "bold"),
        *(Text(line.rstrip()) for line in lines),
        Text(" " * margin + " └" + "─" * width),
        Text(" " * (margin + 2) + begin + end.rjust(width - len(begin))),
    ]


def draw(found: History, width: int, height: int, low: float, high: float) -> Sequence[str]:
    """Return the lines of a plot of `width` × `height` characters, `high` at its top."""
    dots_across, dots_down = width * _ACROSS, height * _DOWN
    begin = found.since.timestamp()
    scale = dots_across / max(found.until.timestamp() - begin, found.step, 1e-3)
    cells = [[0] * width for _ in range(height)]

    def line_of(value: float) -> int:
        if low == high:
            return dots_down // 2
        return round((high - value) / (high - low) * (dots_down - 1))

    for at, least, _, most in found.samples:
        first = (at.timestamp() - begin) * scale
        last = max(first + found.step * scale, first + 1)
        top, bottom = line_of(most), line_of(least)
        for x in range(max(0, int(first)), min(dots_across, int(last))):
            for y in range(max(0, top), min(dots_down, bottom + 1)):
                cells[y // _DOWN][x // _ACROSS] |= _DOTS[x % _ACROSS][y % _DOWN]
    return ["".join(chr(_BRAILLE + cell) if cell else " " for cell in line) for line in cells]
