"""Cells, and tables that lose no text, whatever the width of the terminal."""

import re
import unicodedata
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import msgspec
from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from twisted_gantry.ctl.texts.catalogue import Texts

WIDE = 100_000  # the width without a terminal: nothing is wrapped
# Cells to which a column of prose may be folded.
NARROWEST_PROSE = 24
NOTHING = "–"
DECIMALS = 3  # of a number, as on the page

_STYLED = {
    "green": ("online", "done", "ok"),
    "yellow": ("connecting", "get-failed", "no-data", "warning", "set-aside"),
    "bold yellow": ("timeout",),
    "bold red": ("offline", "critical", "failed", "refused"),
    "dim": ("not-supported",),
}
STYLES = {word: style for style, words in _STYLED.items() for word in words}


def plain(text: str) -> str:
    """Make foreign text safe for a terminal: unprintable characters are spelled out."""

    def shown(char: str) -> str:
        if char.isprintable() or unicodedata.category(char) == "Zs":
            return char
        return char.encode("unicode_escape").decode("ascii")

    return "".join(map(shown, text))


_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")


def short_time(moment: str, now: datetime | None = None) -> str:
    """Return an RFC 3339 time as `09:33:56`, with its date unless that is today over there."""
    at = datetime.fromisoformat(moment)
    today = (now or datetime.now(at.tzinfo)).astimezone(at.tzinfo).date()
    return f"{at:%H:%M:%S}" if at.date() == today else f"{at:%Y-%m-%d %H:%M:%S}"


def scalar(texts: Texts, value: object) -> str:
    """Return a value for a person to read; numbers are rounded as on the page."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return texts("yes" if value else "no")
    if isinstance(value, str):
        return short_time(value) if _MOMENT.fullmatch(value) else plain(value)
    if isinstance(value, float):
        return repr(round(value, DECIMALS))
    if isinstance(value, int):
        return repr(value)
    return plain(msgspec.json.encode(value).decode())


def reading(texts: Texts, point: str, value: object) -> str:
    """Return the value of a point as the page has it: states by their names, a word for an empty
    text.
    """
    if value == "":
        return texts("none")
    return scalar(texts, texts.state(point, value) if isinstance(value, str) else value)


def cell(texts: Texts, value: object) -> Text:
    """Return the cell of a value: a Text and an empty string stay, others as `scalar`."""
    if isinstance(value, Text):
        return value
    return Text(scalar(texts, value) if value != "" else "")


def word(texts: Texts, value: str | None) -> Text:
    """Return a word of the API in the reader's language and in its colour."""
    if not value:
        return Text(NOTHING)
    return Text(plain(texts.word(value)), STYLES.get(value, ""))


@dataclass(frozen=True)
class Column:
    """A column of a table; `title` is the key of its text.

    `prose` may be folded at words, to no less than `floor` cells. In a table that is too wide for
    the terminal, columns give way, the last first: a column moves `under` another, or a `spare`
    one is left out and named in a note.
    """

    title: str
    prose: bool = False
    number: bool = False
    under: str = ""
    spare: bool = False
    floor: int = NARROWEST_PROSE

    @classmethod
    def each(cls, *titles: str, prose: bool = False, number: bool = False) -> tuple["Column", ...]:
        return tuple(cls(title, prose=prose, number=number) for title in titles)


Row = Sequence[object]  # the values of a row, each shown by `cell`
_Grid = list[list[Text]]

_GAP = 2  # cells between two columns


def table(
    texts: Texts, console: Console, columns: Sequence[Column], rows: Sequence[Row]
) -> RenderableType:
    grid = [[Text(texts(column.title)) for column in columns]]
    grid += [[cell(texts, value) for value in row] for row in rows]
    staying, narrow = list(columns), grid
    moved: set[str] = set()
    for column in reversed(columns):
        if _fits(staying, narrow, console.width):
            break
        if column.under or column.spare:
            moved.add(column.title)
            staying, narrow = _without(moved, columns, grid)
    laid = _lay_out(console, staying, narrow)
    left_out = [texts(c.title) for c in columns if c.title in moved and c.spare]
    if not left_out:
        return laid
    note = texts("not-shown", columns=texts.pick(", ", "、").join(left_out))
    return Group(laid, Text(note, "dim"))


def _natural(grid: _Grid, place: int) -> int:
    return max(cell_len(line) for row in grid for line in row[place].plain.split("\n"))


def _least(columns: Sequence[Column], grid: _Grid) -> list[int]:
    naturals = [_natural(grid, place) for place in range(len(columns))]
    return [min(n, c.floor) if c.prose else n for c, n in zip(columns, naturals, strict=True)]


def _fits(columns: Sequence[Column], grid: _Grid, width: int) -> bool:
    return sum(_least(columns, grid)) + _GAP * (len(columns) - 1) <= width


def _without(
    moved: Collection[str], columns: Sequence[Column], grid: _Grid
) -> tuple[list[Column], _Grid]:
    places = {column.title: place for place, column in enumerate(columns)}
    staying = []
    stacks = []
    for column in columns:
        if column.title not in moved:
            below = [c for c in columns if c.title in moved and c.under == column.title]
            stacks.append([places[c.title] for c in (column, *below)])
            rigid = [_natural(grid, places[c.title]) for c in (column, *below) if not c.prose]
            prose = any(c.prose for c in (column, *below))
            staying.append(replace(column, prose=prose, floor=max(NARROWEST_PROSE, *rigid, 0)))
    return staying, [[_stacked([row[at] for at in stack]) for stack in stacks] for row in grid]


def _stacked(cells: list[Text]) -> Text:
    while len(cells) > 1 and cells[-1].plain == NOTHING:
        cells.pop()
    return Text("\n").join(cells)


def _lay_out(console: Console, columns: Sequence[Column], grid: _Grid) -> Table:
    # The simple box adds a space of its own between columns.
    gap = _GAP - 1 if console.is_terminal else _GAP
    laid = Table(
        box=box.SIMPLE_HEAD if console.is_terminal else None,
        pad_edge=False,
        padding=(0, gap, 0, 0),
        header_style="bold",
        show_edge=False,
    )
    fits = _fits(columns, grid, console.width)
    for column, title, least in zip(columns, grid[0], _least(columns, grid), strict=True):
        laid.add_column(
            title,
            min_width=least if fits else None,
            justify="right" if column.number else "left",
            no_wrap=fits and not column.prose,
            overflow="fold",
        )
    for row in grid[1:]:
        laid.add_row(*row)
    return laid
