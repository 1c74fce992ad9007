"""The platform judges the values of a report, and says which one is wrong."""

import random
from typing import Any

import msgspec
import pytest

from tests.twin.helpers import AUTH, NOW, http, report, sentinel_cabinet
from tests.twin.test_control import Bench
from twisted_gantry.twin.faces.cabinet import readings
from twisted_gantry.twin.faces.etc.values import complaints
from twisted_gantry.twin.times import CHINA
from twisted_gantry.twin.world.model import World
from twisted_gantry.wire.etc import envelope as etc
from twisted_gantry.wire.etc.reports import Cabinet, Computer, decode_report, filled

WORLD = World(random.Random(1))
_REPORT = readings.report(WORLD.cabinet, "1", readings.Moments(NOW, CHINA))
GOOD: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(_REPORT))
COMPUTER: dict[str, str] = {
    **msgspec.to_builtins(filled(Computer, etc.Sentinel.NO_DATA, id="1")),
    "isMonitorComputer": "1",
    "sysDiskUsage": "45.00",
    "sysDiskSize": "8388608",
    "cpuTemperature": "41.50",
    "ip": "192.168.1.5",
}


def wrong(method: etc.Method, fields: Any) -> list[str]:
    return list(complaints(decode_report(method, fields)))


def test_good_reports_have_no_complaint() -> None:
    """The twin's own cabinet, sentinels in every field, and a computer are good."""
    assert wrong(etc.Method.CABINET_STATUS, GOOD) == []
    assert list(complaints(sentinel_cabinet())) == []
    assert wrong(etc.Method.COMPUTER_STATUS, [COMPUTER]) == []


@pytest.mark.parametrize(
    ("group", "key", "value", "error"),
    [
        ("elec", "voltage", "220.123", "a number with at most two decimals"),
        ("elec", "voltage", "2.2e2", "a number"),
        ("elec", "voltage", "nan", "a number"),
        ("elec", "voltage", "", "a number"),
        ("elec", "voltage", "Nodata", "a number"),
        ("elec", "status", "true", "0 or 1"),
        ("elec", "status", "1.0", "0 or 1"),
        ("elec", "id", "NotSupport", "a number from 1"),
        ("elec", "id", "0", "a number from 1"),
        ("elec", "warningMsg", "输入过压,", "texts with commas"),
        ("elec", "warningMsg", "输入过压\n", "texts with commas"),
        ("ups", "runningState", "0", "1 to 5"),
        ("ups", "powerRate", "98", "a percentage with two decimals"),
        ("ups", "powerRate", "255.00", "a percentage"),
        ("thermohygrometer", "humidity", "40.5", "a percentage"),
        ("smokeSensor", "warningChangeTime", "2026-01-31 12:00:00", "a time like"),
        ("smokeSensor", "warningChangeTime", "2026-02-30 12:00:00.000", "a time like"),
        ("doors", "frontDoorUnlockType", "4", "0 to 3"),
        ("doors", "frontDoorUnlockCardId", "", "the id of a card"),
        ("thunderSpd", "lightningCount", "3.0", "a whole number"),
        ("airConditioners", "workMode", "3", "0, 1 or 2"),
    ],
)
def test_a_wrong_value_is_named(group: str, key: str, value: str, error: str) -> None:
    """A value that is not in its form is named with its place, its form and its text."""
    fields = msgspec.json.decode(msgspec.json.encode(GOOD))
    rows = fields[group]
    (rows[0] if isinstance(rows, list) else rows)[key] = value
    [complaint] = wrong(etc.Method.CABINET_STATUS, fields)
    assert error in complaint
    assert repr(value) in complaint
    assert complaint.split(" is not ")[0].endswith(_snake(key))


def _snake(key: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in key)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("sysDiskUsage", "45.0"),
        ("sysDiskUsage", "45"),
        ("sysDiskSize", "8388608.0"),
        ("cpuTemperature", "41.5"),
        ("ip", "localhost"),
        ("isMonitorComputer", "2"),
    ],
)
def test_a_computer_is_judged_as_well(key: str, value: str) -> None:
    """So are the values of computers, and ids that come twice."""
    assert len(wrong(etc.Method.COMPUTER_STATUS, [COMPUTER | {key: value}])) == 1
    assert wrong(etc.Method.COMPUTER_STATUS, [COMPUTER, COMPUTER]) == [
        "computerStatus: two rows have the same id"
    ]


def test_each_field_of_the_document_is_judged() -> None:
    """No field of either report takes just any text."""
    odd = filled(Computer, etc.Sentinel.NO_DATA)
    assert len(list(complaints((msgspec.structs.replace(odd, id=" "),)))) == 1
    text = "\n"
    rows = {
        name: text if isinstance(value, str) else _spoilt(value, text)
        for name, value in GOOD.items()
    }
    cabinet = msgspec.convert(rows, Cabinet)
    fields = [value for value in GOOD.values() if isinstance(value, dict)]
    fields += [row for rows in GOOD.values() if isinstance(rows, list) for row in rows]
    twice = sum(isinstance(rows, list) and len(rows) > 1 for rows in GOOD.values())
    assert len(list(complaints(cabinet))) == 1 + sum(map(len, fields)) + twice


def _spoilt(value: Any, text: str) -> Any:
    if isinstance(value, list):
        return [dict.fromkeys(row, text) for row in value]
    return dict.fromkeys(value, text)


def test_the_control_api_says_why() -> None:
    """A report with a wrong value is answered 1002, and the reason is shown with the request."""
    bench = Bench()
    fields = {**GOOD, "elec": [{**GOOD["elec"][0], "voltage": "220.1234"}]}
    for each in (GOOD, fields):
        body = report(etc.Method.CABINET_STATUS, fields=each)
        http(bench.monitor, "POST", "/monitor.do", body, etc.signed_headers(body, AUTH))
    newest, first = bench.call("GET", "/etc/requests").json["requests"]
    assert (first["answer"]["code"], first["reason"]) == ("1000", None)
    assert newest["answer"]["code"] == "1002"
    assert newest["reason"] == (
        "elec[0].voltage is not a number with at most two decimals: '220.1234'"
    )
