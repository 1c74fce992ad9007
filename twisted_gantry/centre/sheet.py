"""Rows of a CSV file or of a workbook: what a spreadsheet saved, read in bounded memory. Blocks."""

import csv
import io
import zipfile
from collections.abc import Iterator, Sequence
from datetime import date, datetime

from openpyxl import load_workbook

from twisted_gantry.centre.marred import (
    MOST_DIGITS,
    TooManyMerged,
    checked,
    marred_cells,
    shortened,
)
from twisted_gantry.wire.centre_api import MOST_ROWS

MOST_COLUMNS = 100
MOST_UNPACKED = 200 * 1024 * 1024
"""Bytes of a workbook once unpacked: a small file must not become gigabytes."""
LONGEST_CELL = 2000  # characters
_ZIP = b"PK\x03\x04"

Cells = Sequence[str]


class NoTable(ValueError):
    """What came is no table that can be read; `zh` says why in Chinese."""

    def __init__(self, en: str, zh: str) -> None:
        super().__init__(en)
        self.zh = zh


def rows_of(content: bytes, most: int | None = None) -> Iterator[tuple[int, Cells]]:
    """Yield the rows that are not empty with their numbers, from 1, the headings first; there are
    `most` at most, by default MOST_ROWS. Raises NoTable.
    """
    most = MOST_ROWS if most is None else most
    rows = _of_workbook(content) if content.startswith(_ZIP) else _of_csv(content)
    number = 0
    for number, cells in rows:
        if number > most + 1:
            text = f"a file has at most {most} rows"
            raise NoTable(text, f"文件最多{most}行")
        if any(cells):
            yield number, cells


def _of_csv(content: bytes) -> Iterator[tuple[int, Cells]]:
    text = _decoded(content)
    head = text.lstrip("\r\n").partition("\n")[0]
    separator = max(",;\t", key=head.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator)
    try:
        for number, cells in enumerate(reader, 1):
            yield number, [checked(_plain(each)) for each in cells[:MOST_COLUMNS]]
    except csv.Error:
        raise NoTable("the file is no CSV file", "文件不是CSV格式") from None


def _decoded(content: bytes) -> str:
    """Return the text of a file in UTF-8, or in GB 18030, as Excel saves CSV in China."""
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise NoTable("the file is neither CSV nor XLSX", "文件既不是CSV也不是XLSX")


def _of_workbook(content: bytes) -> Iterator[tuple[int, Cells]]:
    """Yield the rows of the first sheet."""
    no_workbook = NoTable("the file is no workbook (XLSX)", "文件不是工作簿（XLSX）")
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            size = sum(each.file_size for each in archive.infolist())
        if size > MOST_UNPACKED:
            raise NoTable("the workbook is too large", "工作簿过大")
        book = load_workbook(io.BytesIO(content), read_only=True, data_only=True)
        sheet = book.worksheets[0]
        # Programs that write a sheet as a stream say that it has one cell.
        sheet.reset_dimensions()
        with sheet._get_source() as source:
            marred = marred_cells(source)
        for number, row in enumerate(sheet.iter_rows(max_col=MOST_COLUMNS, values_only=True), 1):
            cells = [_text(each) for each in row]
            yield number, [marred.get((number, at), each) for at, each in enumerate(cells, 1)]
    except NoTable:
        raise
    except TooManyMerged:
        raise NoTable("the workbook has too many merged cells", "合并单元格过多") from None
    except Exception:  # the reader fails in many ways on a file that is damaged on purpose
        raise no_workbook from None


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, int | float) and abs(value) >= 10**MOST_DIGITS:
        return shortened(f"{value:E}")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime | date):
        return value.isoformat()
    return checked(_plain(str(value)))


def _plain(text: str) -> str:
    """Return the text of a cell; the sign by which exports make a formula harmless is taken off."""
    text = text.strip()[:LONGEST_CELL]
    harmless = len(text) > 1 and text[0] == "'" and text[1] in "=+-@"
    return text[1:] if harmless else text
