"""The upload of other computers: the document's example, and values that cost themselves alone."""

from typing import Any

import pytest
from hypothesis import given

from tests.wire.material import document, json_with, outcome
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.etc.computers import MAX_ROWS, decode_computers
from twisted_gantry.wire.etc.reports import Computer
from twisted_gantry.wire.json import loads_text
from twisted_gantry.wire.reading import Quality, Reading

ROW: dict[str, Any] = loads_text(document("etc-2.1.3"))["computerStatus"][0]
GET_FAILED, NO_DATA = Quality.GET_FAILED, Quality.NO_DATA


def test_the_printed_example() -> None:
    """Both computers of the example are read, each field with its unit."""
    found, odd = decode_computers(loads_text(document("etc-2.1.3"))["computerStatus"])
    assert (list(found), odd) == (["1", "2"], {})
    assert set(found["2"]) == set(Computer.__struct_fields__) - {"id"}
    assert found["1"]["is_main_computer"] == Reading(True)
    assert found["1"]["is_monitor_computer"] == Reading(False)
    assert found["1"]["sys_disk_usage"] == Reading(99.99, "%")
    assert found["1"]["memory_size"] == Reading(8388608, "KiB")
    assert found["1"]["cpu_temperature"] == Reading(40.0, "°C")
    assert found["2"]["ip"] == Reading("192.168.1.2")


@pytest.mark.parametrize(
    ("key", "name", "value", "read"),
    [
        ("cpuUsage", "cpu_usage", 12.5, Reading(12.5, "%")),
        ("cpuUsage", "cpu_usage", " 012.50 ", Reading(12.5, "%")),
        ("cpuUsage", "cpu_usage", "101", Reading(None, "%", GET_FAILED)),
        ("cpuUsage", "cpu_usage", "nan", Reading(None, "%", GET_FAILED)),
        ("cpuUsage", "cpu_usage", None, Reading(None, "%", NO_DATA)),
        ("cpuUsage", "cpu_usage", "GetFailed", Reading(None, "%", GET_FAILED)),
        ("cpuTemperature", "cpu_temperature", "NotSupport", None),
        ("cpuTemperature", "cpu_temperature", "65535", Reading(None, "°C", GET_FAILED)),
        ("sysDiskSize", "sys_disk_size", "10485760.0", Reading(10485760, "KiB")),
        ("sysDiskSize", "sys_disk_size", "-1", Reading(None, "KiB", GET_FAILED)),
        ("isMainComputer", "is_main_computer", True, Reading(True)),
        ("isMainComputer", "is_main_computer", 1.0, Reading(True)),
        ("isMainComputer", "is_main_computer", "2", Reading(None, "", GET_FAILED)),
        ("ip", "ip", "10.0.0.1\n", Reading("10.0.0.1")),
        ("ip", "ip", "", Reading(None, "", GET_FAILED)),
        ("ip", "ip", {"a": 1}, Reading(None, "", GET_FAILED)),
    ],
)
def test_a_value_costs_itself_alone(key: str, name: str, value: Any, read: Reading | None) -> None:
    """Spellings of one value are one; what cannot be is get-failed; the other fields stay."""
    found, _ = decode_computers([{**ROW, key: value}])
    expected = Reading(None, "°C", Quality.NOT_SUPPORTED) if read is None else read
    assert found["1"][name] == expected
    assert all(each.quality is Quality.GOOD for n, each in found["1"].items() if n != name)


def test_rows_and_ids() -> None:
    """A row without an id counts by its place; a second of one id, and what is no row, is odd."""
    rows = [{"id": 3.0}, {"id": " 3 "}, {}, 5, {"id": "a/b…" * 10}]
    found, odd = decode_computers(rows)
    assert list(found) == ["3", "a_b_a_b_a_b_a_b_"]
    assert odd["equal-ids"] == 2
    assert odd["odd-row"] == 1
    assert list(decode_computers({"id": "9"})[0]) == ["9"]
    many = [{"id": str(n)} for n in range(MAX_ROWS + 5)]
    assert len(decode_computers(many)[0]) == MAX_ROWS


@pytest.mark.parametrize("fields", [None, [], "x", 5, [1, 2], [[]]])
def test_what_has_no_computer_is_refused(fields: Any) -> None:
    """Without a row a report means nothing."""
    with pytest.raises(BadMessage):
        decode_computers(fields)


@given(json_with("id", "cpuUsage", "ip", "isMainComputer"))
def test_anything_is_read_or_refused(fields: Any) -> None:
    """No content makes an error of another kind."""
    outcome(lambda: decode_computers(fields), BadMessage)
