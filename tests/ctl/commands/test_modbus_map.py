"""`gantryctl modbus-map`: the table, CSV, a workbook, JSON."""

import csv
import io
import json
import zipfile

from tests.ctl.conftest import Ctl, FakeGantry

ROWS = [
    {
        "point": "ups1.input_voltage_r",
        "register": 0,
        "type": "f32",
        "unit": "V",
        "label": {"en": "Input voltage", "zh": "=输入电压"},
        "scale": 10.0,
        "scaled": 2,
        "quality": 3,
        "age": 4,
        "bit": 0,
        "text": None,
        "order": "",
    }
]
COMMANDS = [
    {"target": "ups1", "command": "BZOFF", "coil": 20_000, "register": None, "type": ""},
]


def served(gantry: FakeGantry) -> None:
    gantry.says("GET", "/api/v1/modbus-map", {"registers": ROWS, "commands": COMMANDS})


def test_the_table(gantry: FakeGantry, ctl: Ctl) -> None:
    """A person sees points with their registers, and commands with their coils."""
    served(gantry)
    shown = ctl("modbus-map")
    assert shown.exit_code == 0
    assert "ups1.input_voltage_r" in shown.output
    assert "20000" in shown.output


def test_a_small_scale_is_not_zero(gantry: FakeGantry, ctl: Ctl) -> None:
    """The scale of large values, such as energies, is shown as it is."""
    rows = [ROWS[0] | {"scale": 1e-05}]
    gantry.says("GET", "/api/v1/modbus-map", {"registers": rows, "commands": []})
    assert "1e-05" in ctl("modbus-map").output


def test_csv_and_json(gantry: FakeGantry, ctl: Ctl) -> None:
    """Programs get the points alone: a row, or an object, each."""
    served(gantry)
    [row] = csv.DictReader(io.StringIO(ctl("modbus-map", "--csv").output))
    assert (row["point"], row["register"], row["type"]) == ("ups1.input_voltage_r", "0", "f32")
    assert json.loads(ctl("modbus-map", "--json").output) == ROWS


def test_a_workbook(gantry: FakeGantry, ctl: Ctl) -> None:
    """The workbook has the points and the commands; a text stays a text."""
    served(gantry)
    book = zipfile.ZipFile(io.BytesIO(ctl("modbus-map", "--xlsx").stdout_bytes))
    texts = book.read("xl/sharedStrings.xml").decode()
    assert "=输入电压" in texts
    assert "<f>" not in book.read("xl/worksheets/sheet1.xml").decode()


def test_without_the_bridge(gantry: FakeGantry, ctl: Ctl) -> None:
    """A gantry without the bridge says so, and the exit code is 1."""
    shown = ctl("modbus-map")
    assert shown.exit_code == 1
    assert "bridge.modbus" in shown.output + shown.stderr
