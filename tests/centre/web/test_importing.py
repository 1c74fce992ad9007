"""Files with many gantries: all rows or none, mistakes by row and column, both ways."""

import io
import re
import zipfile
from itertools import product
from typing import Any

import pytest
from openpyxl import Workbook, load_workbook

from tests.centre.web.rig import API, WebRig

CSV = "门架编号,门架名称,路线编号,桩号,授权码\nG1,北,G2,K1+200,c1\nG2,南,G3,,\n"


def take(rig: WebRig, content: bytes | str, query: str = "", who: str = "") -> Any:
    body = content.encode() if isinstance(content, str) else content
    return rig.ask("POST", f"/gantries/import{query}", body, who, Content_Type="text/csv")


def workbook(*rows: list[Any]) -> bytes:
    book, file = Workbook(), io.BytesIO()
    for row in rows:
        book.active.append(row)
    book.save(file)
    return file.getvalue()


def test_csv(rig: WebRig) -> None:
    """New entries are made, others changed, and what is as it was is neither."""
    answer = take(rig, CSV)
    assert answer.json == {
        "created": 2,
        "changed": 0,
        "same": 0,
        "dryRun": False,
        "errors": [],
    }
    shown = rig.get("/gantries/G1")
    assert (shown["name"], shown["road"], shown["stake"]) == ("北", "G2", "K1+200")
    assert shown["hasAuth"] is True
    again = take(rig, CSV.replace("南", "东")).json
    assert (again["created"], again["changed"], again["same"]) == (0, 1, 1)


def test_as_spreadsheets_save_csv(rig: WebRig) -> None:
    """Excel in China saves GB 18030, or UTF-8 with a mark; some save semicolons or tabs."""
    for number, (encoding, separator) in enumerate(
        product(("utf-8-sig", "gb18030"), (",", ";", "\t"))
    ):
        file = CSV.replace(",", separator).replace("南", f"南{number}")
        answer = take(rig, file.encode(encoding)).json
        assert answer["created"] + answer["changed"] == (1 if number else 2), answer
        assert rig.get("/gantries/G2")["name"] == f"南{number}"


def test_a_workbook(rig: WebRig) -> None:
    """English headings or those of the API do as well; numbers are texts; empty rows are none."""
    content = workbook(["Gantry id", "name", "eqSN"], ["G1", "x", 17], [], ["G2", None, 18.0])
    assert take(rig, content).json["created"] == 2
    assert [each["eqSN"] for each in rig.get("/gantries")["gantries"]] == ["17", "18"]


def test_errors_by_row_and_column(rig: WebRig) -> None:
    """All mistakes are told by the headings of the file, in both languages; nothing is stored."""
    rig.put("G9", eqSN="S9")
    content = (
        "门架编号,桩号,远程控制地址,设备序列号,备注\n"
        "G1,K1,,,\n,K2,,,\nG1,K1,,,\nG3,abc,,,\nG5,,,S9,\nG4,x,nowhere,,\n"
    )
    answer = take(rig, content)
    assert (answer.status, answer.json["error"]["code"]) == (400, "bad-rows")
    errors = [(each["row"], each["column"]) for each in answer.json["errors"]]
    assert errors == [
        (1, "备注"),
        (3, "门架编号"),
        (4, "门架编号"),
        (5, "桩号"),
        (6, "设备序列号"),
        (7, "桩号"),
        (7, "远程控制地址"),
    ]
    assert all(each["message"] and each["messageZh"] for each in answer.json["errors"])
    assert rig.ask("GET", "/gantries/G1").status == 404


def mistakes(rig: WebRig, content: bytes | str) -> list[tuple[int, str, str]]:
    answer = take(rig, content)
    assert answer.status == 400, answer.json
    assert all(each["messageZh"] for each in answer.json["errors"])
    return [
        (e["row"], e["column"], " ".join(e["message"].split()[:4])) for e in answer.json["errors"]
    ]


def test_numbers_that_a_spreadsheet_shortened(rig: WebRig) -> None:
    """An id or a code whose digits are lost is a mistake, in CSV and in a workbook: a gantry with
    such a code would be refused each report.
    """
    told = "is a number that"
    assert mistakes(rig, "门架编号,授权码\nG1,1.00021E+17\n1E+11,c\nG3,1e5\n") == [
        (2, "授权码", told),
        (3, "门架编号", told),
    ]
    content = workbook(["门架编号", "eqSN"], ["G1", 123456789012345], ["G2", 1234567890123456])
    assert mistakes(rig, content) == [(3, "eqSN", told)]


def test_formulas(rig: WebRig) -> None:
    """The value of a formula counts. One that failed or was never calculated is a mistake: it would
    empty what the registry has.
    """
    rig.put("G1", name="north")
    content = workbook(["门架编号", "门架名称"], ["G1", '=A2&"x"'], ["G2", "#N/A"])
    assert mistakes(rig, content) == [
        (2, "门架名称", "is a formula without"),
        (3, "门架名称", "is the error of"),
    ]
    assert mistakes(rig, "id,name\nG1,#REF!\n") == [(2, "name", "is the error of")]
    for value, name in ((b"<v>north</v>", "north"), (b"<v></v>", "")):
        calculated = sheet_with(
            content, rb'<c r="B2">(<f>.*?</f>)<v ?/>', rb'<c r="B2" t="str">\1' + value
        )
        calculated = sheet_with(calculated, rb'<row r="3".*?</row>', b"")
        assert take(rig, calculated).json["errors"] == []
        assert rig.get("/gantries/G1")["name"] == name


def sheet_with(content: bytes, pattern: bytes, by: bytes) -> bytes:
    """Return a workbook with another sheet."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(made, "w") as new:
        for name in old.namelist():
            part = old.read(name)
            if name.endswith("sheet1.xml"):
                part, found = re.subn(pattern, by, part)
                assert found == 1
            new.writestr(name, part)
    return made.getvalue()


def test_merged_cells(rig: WebRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell that is merged into another one looks filled and is empty: it is a mistake."""
    rig.put("G2", road="G9")
    book, file = Workbook(), io.BytesIO()
    for row in (["门架编号", "路线编号"], ["G1", "G9"], ["G2", None], ["G3", None]):
        book.active.append(row)
    book.active.merge_cells("B2:B4")
    book.save(file)
    told = "is merged into B2:"
    assert mistakes(rig, file.getvalue()) == [(3, "路线编号", told), (4, "路线编号", told)]
    monkeypatch.setattr("twisted_gantry.centre.marred.MOST_MERGED", 2)
    assert take(rig, file.getvalue()).error_code == "no-table"


def test_cells_below_no_heading(rig: WebRig) -> None:
    """Nothing of a file is lost: a value without a heading is a mistake, an empty cell is none."""
    content = "门架编号,,门架名称,\nG1,,a,,,\nG2,x,b,,y\n"
    told = "stands below no heading"
    assert mistakes(rig, content) == [(3, "B", told), (3, "E", told)]


def test_a_workbook_that_says_it_is_small(rig: WebRig) -> None:
    """All rows count, also where a program that wrote the sheet as a stream noted one cell."""
    content = workbook(["id"], ["G1"], ["G2"])
    small = sheet_with(content, rb"<dimension .*?/>", b'<dimension ref="A1"/>')
    assert take(rig, small).json["created"] == 2


def test_empty_lines_before_the_headings(rig: WebRig) -> None:
    """They hide no separator."""
    assert take(rig, "\r\n" + CSV.replace(",", ";")).json["created"] == 2


def test_a_dry_run_changes_nothing(rig: WebRig) -> None:
    """It tells what would be, mistakes included, with 200."""
    answer = take(rig, CSV, "?dryRun=1").json
    assert (answer["created"], answer["dryRun"]) == (2, True)
    assert rig.ask("GET", "/gantries/G1").status == 404
    bad = take(rig, CSV.replace("K1+200", "x"), "?dryRun=1")
    assert bad.status == 200
    assert [each["row"] for each in bad.json["errors"]] == [2]


def test_what_is_no_table(rig: WebRig) -> None:
    """It is refused as a whole."""
    for content in (b"", b"PK\x03\x04rest", b"\xff\xfe\x00\x00", b"\x89PNG\r\n\x1a\n\x00\x00"):
        answer = take(rig, content)
        assert (answer.status, answer.error_code) == (400, "no-table"), content


def test_too_many_rows(rig: WebRig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file has a bound, and so has a workbook once it is unpacked."""
    monkeypatch.setattr("twisted_gantry.centre.sheet.MOST_ROWS", 1)
    assert take(rig, CSV).error_code == "no-table"
    monkeypatch.setattr("twisted_gantry.centre.sheet.MOST_UNPACKED", 100)
    assert take(rig, workbook(["id"], ["G1"])).error_code == "no-table"


def test_a_form(rig: WebRig) -> None:
    """As browsers and curl -F send it."""
    form = b'--x\r\nContent-Disposition: form-data; name="f"\r\n\r\n' + CSV.encode() + b"\r\n--x--"
    kind = "multipart/form-data; boundary=x"
    answer = rig.ask("POST", "/gantries/import", form, Content_Type=kind)
    assert answer.json["created"] == 2


def test_other_roads(guarded: WebRig) -> None:
    """A person who is kept to roads cannot make, take or move gantries of others."""
    answer = take(guarded, CSV, who="gao")
    assert [(each["row"], each["column"]) for each in answer.json["errors"]] == [(3, "路线编号")]
    guarded.put("G2", "root", road="G3")
    answer = take(guarded, "门架编号,路线编号\nG2,G2\n", who="gao")
    assert [each["row"] for each in answer.json["errors"]] == [2]
    assert guarded.get("/gantries/G2", "root")["road"] == "G3"


def test_both_ways(rig: WebRig) -> None:
    """What was exported can be imported again, and changes nothing; the secrets are not in it."""
    take(rig, CSV.replace("北", "=1+1"))
    for form, language in product(("csv", "xlsx"), ("en", "zh")):
        path = f"{API}/export/gantries?format={form}&lang={language}"
        answer = rig.send("GET", path).ended()
        assert "attachment" in answer.headers["Content-Disposition"]
        assert b"c1" not in answer.body
        found = take(rig, answer.body).json
        assert (found["errors"], found["created"], found["changed"]) == ([], 0, 0)
        assert found["same"] == 2
        assert rig.get("/gantries/G1")["hasAuth"] is True


def test_the_template(rig: WebRig) -> None:
    """It has Chinese headings unless English is asked for, and can be taken as it is."""
    body = rig.send("GET", f"{API}/export/template?format=xlsx").ended().body
    [[*headings]] = load_workbook(io.BytesIO(body)).active.iter_rows(values_only=True)
    assert headings[:3] == ["门架编号", "门架名称", "路线编号"]
    assert take(rig, body).json["created"] == 0
    english = rig.send("GET", f"{API}/export/template?lang=en").ended().body.decode("utf-8-sig")
    assert english.startswith("Gantry id,Name,Road")
