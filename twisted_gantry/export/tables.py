"""Tables as bytes: CSV that Excel opens, and workbooks, both written row by row in bounded memory.

A table is written by `begin`, any number of `rows`, and `end`; each returns the bytes that are
ready. All of it blocks: it runs in a thread.
"""

import csv
import io
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, tzinfo
from typing import IO, Any, Literal, Protocol

from xlsxwriter import Workbook

from twisted_gantry.net.http.arguments import LATEST

Cell = str | int | float | bool | datetime | None
"""A value of a table; a `datetime` is local time and has no zone, None is an empty cell."""
Format = Literal["csv", "xlsx"]

SEVERITIES_ZH = {"warning": "警告", "critical": "严重"}
CHUNK = 64 * 1024  # bytes of a workbook that are returned at once
MOST_ROWS, MOST_COLUMNS, LONGEST = 1_048_576, 16_384, 32_767
"""Bounds of a sheet and of its cells, as Excel has them."""
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class ITable(Protocol):
    """A table of one format; `content_type` and `suffix` are those of its file."""

    content_type: str
    suffix: str

    def begin(self, titles: Sequence[str]) -> bytes:
        """Write the headings."""

    def rows(self, rows: Iterable[Sequence[Cell]]) -> bytes:
        """Write rows, each as wide as the headings."""

    def end(self) -> Iterator[bytes]:
        """Return what is left, in chunks."""

    def close(self) -> None:
        """Give up what was not ended, and free the files; may be called twice."""


def harmless(text: str) -> str:
    """Return a text that no spreadsheet takes for a formula: what a device says may begin with
    `=`.
    """
    return f"'{text}" if text.startswith(_FORMULA) else text


def local_time(at: float | None, zone: tzinfo) -> datetime | None:
    """Return Unix seconds as local time without a zone, as spreadsheets have it; None for what no
    sheet can show.
    """
    if at is None or not 0 <= at <= LATEST:
        return None
    return datetime.fromtimestamp(at, zone).replace(tzinfo=None)


class CsvTable:
    """Lines of RFC 4180, UTF-8 with a byte order mark: without one Excel garbles Chinese."""

    content_type, suffix = "text/csv; charset=utf-8", "csv"

    def __init__(self) -> None:
        self._text = io.StringIO(newline="")
        self._writer = csv.writer(self._text)

    def begin(self, titles: Sequence[str]) -> bytes:
        self._writer.writerow([harmless(title) for title in titles])
        return b"\xef\xbb\xbf" + self._taken()

    def rows(self, rows: Iterable[Sequence[Cell]]) -> bytes:
        self._writer.writerows([_text_of(cell) for cell in row] for row in rows)
        return self._taken()

    def end(self) -> Iterator[bytes]:
        return iter(())

    def close(self) -> None:
        self._text.close()

    def _taken(self) -> bytes:
        taken = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return taken.encode("utf-8", "replace")


def _text_of(cell: Cell) -> str | int | float | None:
    if isinstance(cell, bool):
        return int(cell)
    if isinstance(cell, datetime):
        return cell.isoformat(" ", "milliseconds" if cell.microsecond else "seconds")
    return harmless(cell) if isinstance(cell, str) else cell


class XlsxTable:
    """A workbook of `sheet`, in a temporary file below `folder`. What does not fit on a sheet goes
    on with the next one, with the same headings.
    """

    content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    suffix = "xlsx"

    def __init__(self, sheet: str, folder: str | None = None) -> None:
        self._file: IO[bytes] = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - see close
        options = {
            "constant_memory": True,
            "strings_to_formulas": False,
            "strings_to_urls": False,
            "nan_inf_to_errors": True,
            **({"tmpdir": folder} if folder else {}),
        }
        self._book = Workbook(self._file, options)
        self._bold = self._book.add_format({"bold": True})
        self._time = self._book.add_format({"num_format": "yyyy-mm-dd hh:mm:ss"})
        self._name, self._sheets, self._row = sheet, 0, 0
        self._titles: Sequence[str] = ()
        self._sheet: Any = None
        self._closed = False

    def begin(self, titles: Sequence[str]) -> bytes:
        self._titles = titles[:MOST_COLUMNS]
        self._sheets += 1
        name = self._name if self._sheets == 1 else f"{self._name} {self._sheets}"
        self._sheet = self._book.add_worksheet(name)
        self._sheet.freeze_panes(1, 1)
        self._sheet.set_column(0, 0, 20)
        for place, title in enumerate(self._titles):
            self._sheet.write_string(0, place, title, self._bold)
        self._row = 1
        return b""

    def rows(self, rows: Iterable[Sequence[Cell]]) -> bytes:
        for row in rows:
            if self._row >= MOST_ROWS:
                self.begin(self._titles)
            for place, cell in enumerate(row[:MOST_COLUMNS]):
                self._write(place, cell)
            self._row += 1
        return b""

    def _write(self, place: int, cell: Cell) -> None:
        sheet, row = self._sheet, self._row
        if isinstance(cell, bool):
            sheet.write_number(row, place, int(cell))
        elif isinstance(cell, int | float):
            sheet.write_number(row, place, cell)
        elif isinstance(cell, datetime):
            sheet.write_datetime(row, place, cell, self._time)
        elif cell:
            sheet.write_string(row, place, cell[:LONGEST])

    def end(self) -> Iterator[bytes]:
        self._book.close()
        self._closed = True
        self._file.seek(0)
        while chunk := self._file.read(CHUNK):
            yield chunk

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._book.close()
        self._file.close()


def table_of(format_: Format, sheet: str, folder: str | None = None) -> ITable:
    """Return an empty table; a workbook has a temporary file below `folder`, and one sheet."""
    return CsvTable() if format_ == "csv" else XlsxTable(sheet, folder)
