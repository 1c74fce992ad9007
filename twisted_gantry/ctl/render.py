"""How things look: cells, and tables that lose nothing, whatever the width."""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from rich import box
from rich.cells import cell_len
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from twisted_gantry.ctl.texts import Texts

# Where there is no terminal, nothing is wrapped.
WIDE = 100_000
# A column of prose may be folded, but not below this.
NARROWEST_PROSE = 24
NOTHING = "–"

STYLES = {
    "online": "green",
    "connecting": "yellow",
    "offline": "bold red",
    "get-failed": "yellow",
    "no-data": "yellow",
    "not-supported": "dim",
    "critical": "bold red",
    "warning": "yellow",
    "done": "green",
    "failed": "bold red",
    "refused": "bold red",
    "timeout": "bold yellow",
    "set-aside": "yellow",
    "ok": "green",
}


def plain(text: str) -> str:
    """Make text from elsewhere safe for a terminal: what cannot be seen is spelled out."""
    return "".join(
        char if char.isprintable() or unicodedata.category(char) == "Zs" else _spelled(char)
        for char in text
    )


def _spelled(char: str) -> str:
    return char.encode("unicode_escape").decode("ascii")


def scalar(texts: Texts, value: object) -> str:
    """Return a value as a person reads it; numbers keep all their digits."""
    if value is None or value == "":
        return NOTHING
    if isinstance(value, bool):
        return texts("yes" if value else "no")
    if isinstance(value, str):
        return plain(value)
    if isinstance(value, float | int):
        return repr(value)
    return plain(msgspec.json.encode(value).decode())


def word(texts: Texts, value: str | None) -> Text:
    """Return a word of the API in the language and the colour that it has."""
    if not value:
        return Text(NOTHING)
    return Text(plain(texts.word(value)), STYLES.get(value, ""))


@dataclass(frozen=True)
class Column:
    """A column of a table; `title` is the key of its text.

    `prose` may be folded at words. Where the terminal is too narrow, a column moves `under`
    another one, and a `spare` one is left out, which is said.
    """

    title: str
    prose: bool = False
    number: bool = False
    under: str = ""
    spare: bool = False


Cell = Text | str
Row = Sequence[Cell]


def table(
    texts: Texts, console: Console, columns: Sequence[Column], rows: Sequence[Row]
) -> RenderableType:
    """Lay out a table for the console."""
    cells = [[Text(c) if isinstance(c, str) else c for c in row] for row in rows]
    titles = [Text(texts(column.title)) for column in columns]
    left_out: list[str] = []
    if _needed(columns, [titles, *cells]) > console.width:
        columns, (titles, *cells), left_out = _narrowed(texts, columns, [titles, *cells])
    laid = _lay_out(console, columns, titles, cells)
    if not left_out:
        return laid
    note = texts("not-shown", columns=texts.pick(", ", "、").join(left_out))
    return Group(laid, Text(note, "dim"))


def _width(cell: Text) -> int:
    return max((cell_len(line) for line in cell.plain.split("\n")), default=0)


def _needed(columns: Sequence[Column], rows: Sequence[Sequence[Text]]) -> int:
    total = 2
    for place, column in enumerate(columns):
        natural = max(_width(row[place]) for row in rows)
        total += 2 + (min(natural, NARROWEST_PROSE) if column.prose else natural)
    return total


def _narrowed(
    texts: Texts, columns: Sequence[Column], rows: Sequence[Sequence[Text]]
) -> tuple[list[Column], list[list[Text]], list[str]]:
    """Return the columns that stay, the rows with the others under them, and who was left out."""
    places = {column.title: place for place, column in enumerate(columns)}
    staying = [c for c in columns if not c.under and not c.spare]
    stacked = []
    for row in rows:
        cells = []
        for column in staying:
            parts = [row[places[column.title]]]
            parts += [row[places[c.title]] for c in columns if c.under == column.title]
            while len(parts) > 1 and parts[-1].plain == NOTHING:
                parts.pop()
            cells.append(Text("\n").join(parts))
        stacked.append(cells)
    prose = {c.under for c in columns if c.prose}
    staying = [Column(c.title, c.prose or c.title in prose, c.number) for c in staying]
    return staying, stacked, [texts(c.title) for c in columns if c.spare]


def _lay_out(
    console: Console,
    columns: Sequence[Column],
    titles: Sequence[Text],
    rows: Sequence[Sequence[Text]],
) -> Table:
    terminal = console.is_terminal
    laid = Table(
        box=box.SIMPLE_HEAD if terminal else None,
        pad_edge=False,
        padding=(0, 2, 0, 0),
        header_style="bold",
        show_edge=False,
    )
    rigid = _needed(columns, [titles, *rows]) <= console.width
    for column, title in zip(columns, titles, strict=True):
        laid.add_column(
            title,
            justify="right" if column.number else "left",
            no_wrap=rigid and not column.prose,
            overflow="fold",
        )
    for row in rows:
        laid.add_row(*row)
    return laid
