"""UPS-MIB and the MIB of the program: which object has which value, and where."""

import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.ctl.snmp.site import NOW, alarm, point, snapshot
from twisted_gantry.ctl.snmp import gantry_mib
from twisted_gantry.ctl.snmp.agent import built
from twisted_gantry.ctl.snmp.gantry_mib import GANTRY_MIB, mirror
from twisted_gantry.ctl.snmp.snapshot import Snapshot
from twisted_gantry.ctl.snmp.tree import SnmpTree, SnmpValue, integer, text, unsigned
from twisted_gantry.ctl.snmp.ups_mib import UPS_MIB

FOLDER = Path(gantry_mib.__file__).parent
STAND_INS = Path(__file__).parent / "mibs"


def tree(looked: Snapshot | None, ups: str = "", known: tuple[str, ...] = ()) -> SnmpTree:
    return built(looked, ups, known, NOW, NOW - 1000, NOW - 60)


def ups(looked: Snapshot, *arcs: int) -> str | None:
    """Return an object of UPS-MIB at the standard place."""
    return text_of(tree(looked).get((*UPS_MIB, *arcs)))


def text_of(value: SnmpValue | None) -> str | None:
    return None if value is None else value.text


@pytest.mark.parametrize(
    ("arcs", "value"),
    [
        ((1, 1, 1, 0), "Sunshine"),
        ((1, 1, 2, 0), "?? C10KS"),
        ((1, 1, 5, 0), "ups1"),
        ((1, 2, 1, 0), "2"),
        ((1, 2, 2, 0), "0"),
        ((1, 2, 3, 0), "59"),
        ((1, 2, 4, 0), "98"),
        ((1, 2, 5, 0), "2178"),
        ((1, 3, 2, 0), "3"),
        ((1, 3, 3, 1, 2, 3), "500"),
        ((1, 3, 3, 1, 3, 1), "220"),
        ((1, 4, 1, 0), "3"),
        ((1, 4, 3, 0), "1"),
        ((1, 4, 4, 1, 3, 1), "46"),
        ((1, 4, 4, 1, 5, 1), "200"),
        ((1, 4, 4, 1, 2, 2), None),
        ((1, 6, 1, 0), "0"),
        ((1, 7, 3, 0), "1"),
        ((1, 9, 2, 0), "500"),
        ((1, 9, 5, 0), "10000"),
        ((1, 9, 8, 0), "3"),
    ],
)
def test_an_object_of_a_ups_has_its_unit(arcs: tuple[int, ...], value: str | None) -> None:
    """Each object of RFC 1628 is in the unit that the RFC says, and in its range."""
    assert ups(snapshot(), *arcs) == value


@pytest.mark.parametrize(
    ("state", "off", "source"),
    [
        ("line", False, "3"),
        ("he", False, "4"),
        ("battery", False, "5"),
        ("test", False, "5"),
        ("fault", False, "1"),
        ("standby", True, "2"),
    ],
)
def test_the_source_of_the_output_follows_the_state(state: str, source: str, off: object) -> None:
    """An output that is off has no source."""
    assert ups(snapshot(state=state, output_off=off), 1, 4, 1, 0) == source


def test_a_low_battery_is_told_by_the_flag_or_the_runtime() -> None:
    """As `LB` of the NUT server; a value that is missing tells nothing."""
    assert ups(snapshot(battery_low=True), 1, 2, 1, 0) == "3"
    assert ups(snapshot(battery_runtime=300.0), 1, 2, 1, 0) == "3"
    assert ups(snapshot(battery_runtime=0.0), 1, 2, 1, 0) == "2"
    assert ups(snapshot(quality="get-failed"), 1, 2, 1, 0) == "1"


def test_values_that_do_not_hold_are_left_out() -> None:
    """The last good values of a lost card are no present ones; its ratings are."""
    lost = snapshot(alarm("ups1.offline"), quality="get-failed")
    assert ups(lost, 1, 3, 3, 1, 3, 1) is None
    assert ups(lost, 1, 4, 1, 0) == "1"
    assert ups(lost, 1, 1, 1, 0) == "Sunshine"


def test_alarms_are_the_well_known_ones() -> None:
    """Several of our alarms may be one of the RFC, which has each once; other devices have none."""
    looked = snapshot(
        alarm("ups1.mains-abnormal"),
        alarm("ups1.phase-l1-lost", raised_at="2026-09-21T22:13:10.000+08:00"),
        alarm("ups1.on-battery", "warning"),
        alarm("ups2.overload"),
        alarm("meter.mains-abnormal"),
    )
    objects = tree(looked)
    assert text_of(objects.get((*UPS_MIB, 1, 6, 1, 0))) == "2"
    rows = walked(objects, (*UPS_MIB, 1, 6, 2))
    told = sorted(value for oid, value in rows.items() if oid[-2] == 2)
    assert told == [".1.3.6.1.2.1.33.1.6.3.2", ".1.3.6.1.2.1.33.1.6.3.6"]
    assert {value for oid, value in rows.items() if oid[-2] == 3} == {"98000"}
    assert text_of(objects.get((*UPS_MIB, 1, 2, 2, 0))) == "20"
    again = walked(tree(looked), (*UPS_MIB, 1, 6, 2))
    assert again == rows


def walked(objects: SnmpTree, below: tuple[int, ...]) -> dict[tuple[int, ...], str]:
    """Return what a walk finds below a node."""
    found: dict[tuple[int, ...], str] = {}
    at = below
    while (step := objects.after(at, below)) is not None:
        at, value = step
        found[at] = value.text
    return found


def test_every_ups_has_its_objects() -> None:
    """The standard place has the first UPS or the one that is named, our MIB has all."""
    objects = tree(snapshot())
    assert text_of(objects.get((*mirror("ups1"), 1, 1, 5, 0))) == "ups1"
    assert text_of(objects.get((*mirror("ups2"), 1, 1, 5, 0))) == "ups2"
    assert objects.get((*mirror("meter"), 1, 1, 5, 0)) is None
    named = tree(snapshot(), "ups2")
    assert text_of(named.get((*UPS_MIB, 1, 1, 5, 0))) == "ups2"


def test_points_devices_and_alarms_are_tables_by_name() -> None:
    """A name is the index of its row, so that it never moves."""
    objects = tree(snapshot(alarm("ups1.overload"), big=3e9, label="机房"))

    def at(table: int, column: int, name: str) -> str | None:
        return text_of(objects.get((*GANTRY_MIB, 1, table, 1, column, *name.encode())))

    assert [at(2, column, "ups1") for column in (2, 3, 4)] == ["ups-card", "2", ""]
    volts = [at(3, column, "ups1.input_voltage_r") for column in range(2, 7)]
    assert volts == ["219.6", "219600", "V", "2", "20"]
    assert [at(3, column, "ups1.battery_low") for column in (2, 3)] == ["false", "0"]
    assert [at(3, column, "ups1.big") for column in (2, 3)] == ["3000000000.0", None]
    assert [at(3, column, "ups1.label") for column in (2, 3)] == ["机房", None]
    assert [at(4, column, "ups1.overload") for column in (2, 3, 4, 6)] == [
        *("2", "ups1.overload holds", "告警", "ups1.overload")
    ]
    assert text_of(objects.get((*GANTRY_MIB, 1, 1, 5, 0))) == "1"


def test_a_gantry_that_is_gone_is_told() -> None:
    """Nothing old is shown; each UPS that was known has lost its communications."""
    objects = tree(None, known=("ups1", "ups2"))
    assert text_of(objects.get((*GANTRY_MIB, 1, 1, 1, 0))) == "2"
    assert objects.get((*GANTRY_MIB, 1, 1, 2, 0)) is None
    for place in (UPS_MIB, mirror("ups2")):
        assert text_of(objects.get((*place, 1, 2, 1, 0))) == "1"
        rows = walked(objects, (*place, 1, 6))
        assert ".1.3.6.1.2.1.33.1.6.3.20" in rows.values()
    assert len(tree(None)) == 1
    assert text_of(tree(None, "ups1").get((*UPS_MIB, 1, 6, 1, 0))) == "1"


def test_values_stay_in_their_ranges() -> None:
    """A number beyond a type is left out or held; a text is one line of 255 bytes."""
    assert (integer(2**31), integer(float("nan")), integer(-7.6)) == (
        *(None, None),
        SnmpValue(integer(0).type, "-8"),  # type: ignore[union-attr]
    )
    assert (unsigned(-1).text, unsigned(1e12).text) == ("0", "4294967295")
    assert text("a\nNONE\x00") == text("a NONE ")
    assert len(text("电" * 200).text.encode()) == 255


def test_a_name_that_no_message_can_have_is_left_out() -> None:
    """An identifier has 128 arcs at most."""
    looked = snapshot()
    long = "ups1." + "x" * 100
    points: Any = {**looked.points, long: point(long, 1.0)}
    objects = tree(Snapshot(NOW, looked.site, points, ()))
    assert objects.get((*GANTRY_MIB, 1, 3, 1, 2, *long.encode())) is None


def test_the_mib_is_clean() -> None:
    """`smilint` finds nothing in the file that is shipped."""
    smilint = shutil.which("smilint")
    if smilint is None:
        pytest.skip("smilint is not installed (Debian: smitools)")
    env = {**os.environ, "SMIPATH": str(STAND_INS)}
    command = [smilint, "-s", str(FOLDER / "TWISTED-GANTRY-MIB.txt")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""
