"""The mains and the battery of a cabinet: flag and voltage compared, and texts for the platform."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.devices.cabinet.rig import Rig
from twisted_gantry.core.site import Cabinet
from twisted_gantry.uplinks.etc.rows import cabinet
from twisted_gantry.wire.etc.reports import Elec, Ups

GOOD: dict[str, Any] = {
    "status": "1",
    "voltage": "220",
    "current": "5",
    "power": "1.1",
    "frequency": "50",
    "elecConsumption": "1000",
    "warningMsg": "",
}


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A cabinet that is well, which is asked once a minute."""
    made = Rig()
    made.start()
    made.upload(elec=GOOD)
    assert made.raised() == set()
    yield made
    made.stop()


def rows(rig: Rig) -> tuple[Elec, Ups]:
    which = Cabinet("1", {"elec": ("cab1",), "ups": ("cab1",)})
    report, _, _ = cabinet(rig.bench.site, which, [])
    return report.elec[0], report.ups[0]


def test_a_flag_that_says_normal_without_a_voltage(rig: Rig) -> None:
    """Without a voltage the mains are abnormal, whatever the flag says: with a second upload."""
    rig.upload(elec=GOOD | {"voltage": "0"})
    assert rig.raised() == set()
    assert rig.good("elec.1.status") is True
    rig.clock.run(3.0)  # it is asked again at once
    assert rig.raised() == {"mains-abnormal"}
    elec, _ = rows(rig)
    assert (elec.status, elec.voltage) == ("0", "0")
    rig.upload(elec=GOOD)
    assert rig.raised() == set()


@pytest.mark.parametrize("sign", [{"frequency": "0"}, {"current": "0"}])
def test_a_second_quantity_agrees(rig: Rig, sign: dict[str, str]) -> None:
    """Without voltage and frequency, or current, one upload is enough."""
    rig.upload(elec=GOOD | {"voltage": "3"} | sign)
    assert rig.raised() == {"mains-abnormal"}


def test_the_flag_alone_is_enough(rig: Rig) -> None:
    """A cabinet that says abnormal is believed at once."""
    rig.upload(elec=GOOD | {"status": "0"})
    assert rig.raised() == {"mains-abnormal"}
    rig.upload(elec=GOOD | {"status": "GetFailed"})
    assert rig.raised() == {"mains-abnormal"}
    rig.upload(elec=GOOD | {"status": "GetFailed", "voltage": "0", "frequency": "0"})
    assert rows(rig)[0].status == "0"


@pytest.mark.parametrize(
    ("voltage", "raised", "text"),
    [
        ("255", {"elec.1.input-over-voltage"}, "输入过压"),
        ("180", {"elec.1.input-under-voltage"}, "输入欠压"),
        ("380", {"elec.1.input-over-voltage"}, "输入过压"),
        ("655.3", set(), ""),
        ("250", set(), ""),
    ],
)
def test_high_and_low_voltages(rig: Rig, voltage: str, raised: set[str], text: str) -> None:
    """A voltage outside the band is a warning with the text of the document, the status stays."""
    for _ in range(2):
        rig.upload(elec=GOOD | {"voltage": voltage})
        rig.clock.run(3.0)
    assert rig.raised() == raised
    elec, _ = rows(rig)
    assert (elec.status, elec.warning_msg) == ("1", text)
    assert elec.voltage == ("GetFailed" if voltage == "655.3" else voltage)


def test_a_text_of_the_cabinet_stays_and_is_there_once(rig: Rig) -> None:
    """Ours stand beside those that the cabinet sent."""
    for _ in range(2):
        rig.upload(elec=GOOD | {"voltage": "180", "warningMsg": "防雷器故障,输入欠压"})
        rig.clock.run(3.0)
    assert rows(rig)[0].warning_msg == "防雷器故障,输入欠压"
    for _ in range(2):
        rig.upload(elec=GOOD | {"voltage": "255", "warningMsg": "NoData"})
        rig.clock.run(3.0)
    assert rows(rig)[0].warning_msg == "输入过压"


@pytest.mark.parametrize(
    ("settings", "voltage", "raised"),
    [
        ({}, "380", set()),
        ({}, "400", set()),
        ({"nominal_voltage": 110.0}, "110", set()),
        ({"nominal_voltage": 220.0}, "380", {"elec.1.input-over-voltage"}),
        ({"over_voltage": 1.05}, "235", {"elec.1.input-over-voltage"}),
    ],
)
def test_the_nominal_voltage(settings: dict[str, Any], voltage: str, raised: set[str]) -> None:
    """A cabinet that measures from line to line from the start is no over-voltage."""
    rig = Rig(**settings)
    rig.report["elec"] = [GOOD | {"id": "1", "voltage": voltage}]
    rig.start()
    for _ in range(2):
        rig.upload()
        rig.clock.run(3.0)
    assert rig.raised() == raised
    rig.stop()


def test_a_battery_that_discharges_is_told_at_once(rig: Rig) -> None:
    """The cabinet runs on its battery: an alarm about that row, with its text."""
    rig.upload(elec=GOOD, ups={"runningState": "3"})
    assert rig.raised() == {"ups.1.on-battery"}
    _, ups = rows(rig)
    assert (ups.running_state, ups.warning_msg) == ("3", "UPS电池放电")
    rig.upload(elec=GOOD, ups={"runningState": "5"})
    assert rig.raised() == set()


@pytest.mark.parametrize(
    ("group", "key", "mark", "point"),
    [
        ("elec", "frequency", "655.35", "elec.1.frequency"),
        ("elec", "elecConsumption", "-1", "elec.1.elec_consumption"),
        ("elec", "elecConsumption", "42949672.95", "elec.1.elec_consumption"),
        ("ups", "powerRate", "255", "ups.1.power_rate"),
        ("ups", "temperature", "655.3", "ups.1.temperature"),
        ("ups", "surplusTime", "65535", "ups.1.surplus_time"),
        ("ups", "remainCapacity", "65535", "ups.1.remain_capacity"),
        ("rectifier", "outputVoltage", "6553.5", "rectifier.1.output_voltage"),
        ("thermohygrometer", "temperature", "255", "thermohygrometer.temperature"),
        ("thermohygrometer", "humidity", "-1", "thermohygrometer.humidity"),
        ("thunderSpd", "lightningCount", "65535", "thunder_spd.1.lightning_count"),
    ],
)
def test_a_mark_costs_its_point(rig: Rig, group: str, key: str, mark: str, point: str) -> None:
    """What cannot be is get-failed, and strikes no lightning; the rest of the row is taken."""
    change = {key: mark} if group != "elec" else GOOD | {key: mark}
    rig.upload(**{"elec": GOOD, group: change})
    assert rig.good(point) == "get-failed"
    assert rig.good("elec.1.voltage") == 220.0
    assert rig.raised() == set()
