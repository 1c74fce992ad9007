"""Cells whose value a spreadsheet lost: Excel's short numbers, errors, formulas, merged cells."""

import re
from collections.abc import Iterator, Mapping
from typing import IO

from openpyxl.utils.cell import coordinate_from_string, range_boundaries
from openpyxl.xml.functions import iterparse

MOST_MERGED = 500_000
"""Cells that may be merged into others in a workbook."""
MOST_DIGITS = 15
"""Digits of a number that a spreadsheet keeps."""
_SHORTENED = re.compile(r"-?\d(\.\d+)?E\+\d+")
_FAILED = re.compile(r"#(N/A|REF!|VALUE!|NAME\?|DIV/0!|NUM!|NULL!)")


class Marred(str):
    """What is left of a cell; `en` and `zh` say what happened to its value."""

    en: str
    zh: str

    def __new__(cls, text: str, en: str, zh: str) -> "Marred":
        made = super().__new__(cls, text)
        made.en, made.zh = en, zh
        return made


def shortened(text: str) -> Marred:
    """Return a number that has lost digits."""
    en = "is a number that the spreadsheet shortened: make the cell a text"
    return Marred(text, en, "数字已被表格软件缩短：请将单元格设为文本")


def checked(text: str) -> str:
    """Return a text, Marred if a spreadsheet left it in place of a value."""
    if _SHORTENED.fullmatch(text):
        return shortened(text)
    if _FAILED.fullmatch(text):
        return Marred(text, "is the error of a formula", "公式出错")
    return text


class TooManyMerged(ValueError):
    """A workbook has more merged cells than a table has."""


def marred_cells(sheet: IO[bytes]) -> Mapping[tuple[int, int], Marred]:
    """Return the cells of a sheet, by row and column from 1, that look empty and are not: formulas
    that nothing has calculated, and cells that are merged into the first one of their range.
    Raises TooManyMerged.
    """
    formula = Marred(
        "", "is a formula without a value: put the value there", "公式没有值：请改为数值"
    )
    found: dict[tuple[int, int], Marred] = {}
    for _, element in iterparse(sheet):
        name = element.tag.rpartition("}")[2]
        if name == "c":
            parts = {each.tag.rpartition("}")[2]: each for each in element}
            value = parts.get("v")
            calculated = value is not None and (value.text or element.get("t") == "str")
            if "f" in parts and not calculated:
                found[_place(element.get("r", ""))] = formula
        elif name == "mergeCell":
            found.update(_merged(element.get("ref", "")))
            if len(found) > MOST_MERGED:
                raise TooManyMerged
        elif name == "row":
            element.clear()
    return found


def _place(coordinate: str) -> tuple[int, int]:
    column, row = coordinate_from_string(coordinate)
    first, *_ = range_boundaries(column + "1")
    return row, first or 0


def _merged(given: str) -> Iterator[tuple[tuple[int, int], Marred]]:
    left, top, right, bottom = (each or 0 for each in range_boundaries(given))
    if (right - left + 1) * (bottom - top + 1) > MOST_MERGED:
        raise TooManyMerged
    start = given.partition(":")[0]
    mark = Marred("", f"is merged into {start}: unmerge the cells", f"已并入{start}：请取消合并")
    for row in range(top, bottom + 1):
        for column in range(left, right + 1):
            if (row, column) != (top, left):
                yield (row, column), mark
