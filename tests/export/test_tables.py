"""Tables: what Excel reads of them is what was written."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import load_workbook

from twisted_gantry.export import tables
from twisted_gantry.export.tables import Cell, Format, table_of

AT = datetime.fromisoformat("2026-11-30T22:18:31")
TITLES = ("时间", "ups1.input_voltage_r V", "=danger")
ROWS: Sequence[Sequence[Cell]] = (
    (AT, 220.5, "电池"),
    (AT.replace(microsecond=250_000), None, '=HYPERLINK("http://x")'),
    (None, -3, True),
)


def written(format_: Format, *parts: Sequence[Sequence[Cell]]) -> bytes:
    table = table_of(format_, "points")
    body = [table.begin(TITLES), *(table.rows(rows) for rows in parts), *table.end()]
    table.close()
    return b"".join(body)


def read_csv(body: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(body.decode("utf-8-sig"), newline="")))


def read_xlsx(body: bytes) -> dict[str, list[tuple[Any, ...]]]:
    book = load_workbook(io.BytesIO(body))
    return {sheet.title: list(sheet.iter_rows(values_only=True)) for sheet in book}


def test_csv() -> None:
    """Local times, no formula, an empty cell for what is unknown; a mark for Excel."""
    body = written("csv", ROWS[:1], ROWS[1:])
    assert body.startswith(b"\xef\xbb\xbf")
    assert read_csv(body) == [
        ["时间", "ups1.input_voltage_r V", "'=danger"],
        ["2026-11-30 22:18:31", "220.5", "电池"],
        ["2026-11-30 22:18:31.250", "", '\'=HYPERLINK("http://x")'],
        ["", "-3", "1"],
    ]


def test_xlsx() -> None:
    """Times are times and numbers numbers; a text is never a formula."""
    [(name, rows)] = read_xlsx(written("xlsx", ROWS[:1], ROWS[1:])).items()
    assert name == "points"
    assert rows[0] == TITLES
    assert rows[1] == (AT, 220.5, "电池")
    assert rows[2][1:] == (None, '=HYPERLINK("http://x")')
    assert rows[3] == (None, -3, 1)
    sheet = load_workbook(io.BytesIO(written("xlsx", ROWS)))["points"]
    assert sheet["C3"].data_type == "s"


def test_a_sheet_that_is_full_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """No row is lost at the bound of a sheet."""
    monkeypatch.setattr(tables, "MOST_ROWS", 3)
    found = read_xlsx(written("xlsx", [(AT, n, "") for n in range(5)]))
    assert [*found] == ["points", "points 2", "points 3"]
    numbers = chain.from_iterable([row[1] for row in rows[1:]] for rows in found.values())
    assert [*numbers] == [0, 1, 2, 3, 4]


def test_what_is_given_up_leaves_no_file(tmp_path: Path) -> None:
    """A client that goes away costs no disk."""
    table = table_of("xlsx", "points", str(tmp_path))
    table.begin(TITLES)
    table.rows(ROWS)
    table.close()
    table.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format_", ["csv", "xlsx"])
def test_nan_is_no_number(format_: Format) -> None:
    """A value that no spreadsheet has does not spoil the file."""
    assert written(format_, [(AT, float("nan"), "x"), (AT, float("inf"), "y")])


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_any_text_survives_csv(texts: list[str]) -> None:
    """What comes back is the text, with the mark before what might be a formula."""
    table = table_of("csv", "x")
    body = table.begin(["t"]) + table.rows([(text,) for text in texts])
    table.close()
    expected = [tables.harmless(t).encode("utf-8", "replace").decode() for t in texts]
    found = [row[0] if row else "" for row in read_csv(body)[1:]]
    assert found == expected
