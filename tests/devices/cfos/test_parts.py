"""What of a part's readings is believed: counters of energy, and voltages."""

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.devices.cfos.rig import Rig, evse, meter
from tests.wire.material import checked
from twisted_gantry.core.interlocks.rules import Action, Condition, Interlock
from twisted_gantry.core.interlocks.watches import Interlocks
from twisted_gantry.devices.cfos.parts import (
    CONFIRM,
    CONFIRM_ZERO,
    EnergyCounter,
    MainsWatch,
    Measured,
)
from twisted_gantry.uplinks.fogslink.channels import Channels
from twisted_gantry.wire.reading import Quality

FAILED, NOT_SUPPORTED, NO_DATA = (
    (None, q) for q in (Quality.GET_FAILED, Quality.NOT_SUPPORTED, Quality.NO_DATA)
)
ABNORMAL, NORMAL = (True, Quality.GOOD), (False, Quality.GOOD)


def believed(*values: float) -> list[bool]:
    """Return which of some readings a new counter believes."""
    counter = EnergyCounter()
    return [counter.believes(value) for value in values]


def test_a_growing_counter_is_believed() -> None:
    """A counter that grows, or stands still, is believed from its first reading."""
    assert believed(5, 5, 6, 1000) == [True] * 4


def test_a_zero_after_a_boot_is_not_believed() -> None:
    """A 0 first, or in between, is no reading; the counter goes on where it was."""
    assert believed(0, 0, 100) == [False, False, True]
    assert believed(100, 0, 0, 0, 0, 0, 101) == [True, *[False] * 5, True]


def test_a_jump_back_is_believed_when_it_is_sure() -> None:
    """A counter that was set back is believed with the third reading that is none under it."""
    assert believed(100, 5, 5, 6, 7) == [True, False, False, True, True]
    assert believed(100, 5, 4, 5, 3, 100) == [True, False, False, False, False, True]
    assert believed(100, 0, 0, 0, 1, 1, 1) == [True, *[False] * 5, True]


def test_a_counter_that_stays_at_zero() -> None:
    """A new meter says 0 for long: that is believed in the end."""
    readings = believed(*[0] * (CONFIRM_ZERO + 1))
    assert readings == [False] * (CONFIRM_ZERO - 1) + [True, True]


@checked
@given(st.lists(st.integers(0, 5), max_size=40))
def test_no_counter_goes_back_by_one_reading(values: list[int]) -> None:
    """Whatever comes, a smaller value is believed only after enough that did not fall."""
    counter = EnergyCounter()
    last, row, before = None, 0, None
    for value in values:
        row = row + 1 if before is not None and value >= before else 1
        before = value
        if counter.believes(value):
            assert last is None or value >= last or row >= CONFIRM
            last = value
    assert counter.last == last


def volts(*values: float | None) -> list[Measured]:
    """Return three readings; None is one that failed."""
    return [FAILED if v is None else (float(v), Quality.GOOD) for v in values]


def test_normal_mains() -> None:
    """220 V and 230 V, and what the grid may do to them, are normal."""
    for voltage in (190, 220, 230, 260):
        assert MainsWatch().judge(volts(voltage, 230, 230)) == NORMAL


@pytest.mark.parametrize("voltage", [0, 30, 120, 186, 265, 400])
def test_abnormal_mains(voltage: float) -> None:
    """Too little, too much, or nothing on a phase that had a voltage is abnormal."""
    watch = MainsWatch()
    assert watch.judge(volts(230, 230, 230)) == NORMAL
    assert watch.judge(volts(230, voltage, 230)) == ABNORMAL
    assert watch.judge(volts(230, 230, 230)) == NORMAL


def test_a_phase_that_never_had_a_voltage() -> None:
    """A single-phase meter shows 0 on the others: that is no failure. All 0 says nothing."""
    watch = MainsWatch()
    assert watch.judge(volts(0, 0, 0)) == NO_DATA
    assert watch.judge(volts(230, 0, 0)) == NORMAL
    assert watch.judge(volts(0, 0, 0)) == ABNORMAL


def test_unknown_voltages() -> None:
    """What is not known is not called normal; what is known to be bad is bad all the same."""
    watch = MainsWatch()
    assert watch.judge([NOT_SUPPORTED] * 3) == NOT_SUPPORTED
    assert watch.judge(volts(230, 230, 230)) == NORMAL
    assert watch.judge(volts(230, None, 230)) == FAILED
    assert watch.judge(volts(None, None, None)) == FAILED
    assert watch.judge(volts(230, None, 2)) == ABNORMAL


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A driver that has polled once: E1 charges."""
    made = Rig()
    made.start()
    yield made
    made.stop()


def interlocks(rig: Rig, delay: float) -> Interlocks:
    """Return an interlock that stops E2 while E1 charges."""
    off, on = (Action("cfos", "override", {"dev_id": "E2", "flags": each}) for each in "Cc")
    lock = Interlock("1", Condition("cfos.E1.state", "==", "charging"), delay, off, on)
    bench = rig.bench
    made = Interlocks([lock], bench.points, bench.door, bench.alarms, bench.store, rig.clock)
    made.start()
    return made


def flags(rig: Rig) -> list[str]:
    return [each.args["flags"] for each in rig.manager.calls("override_device")]


def test_a_part_that_goes_switches_nothing(rig: Rig) -> None:
    """An interlock on a part that is gone neither acts nor undoes, until the part is back."""
    locks = interlocks(rig, 12.0)
    rig.manager.devices = [meter()]
    rig.polls(5)
    assert "E1.state" not in rig.names()
    assert flags(rig) == []
    rig.manager.devices = [evse(), meter()]
    rig.polls(5)
    assert flags(rig) == ["C"]
    rig.manager.devices = [meter()]
    rig.polls(5)
    assert flags(rig) == ["C"]
    rig.manager.devices = [evse(state=1), meter()]
    rig.polls(2)
    assert flags(rig) == ["C", "c"]
    locks.stop()


def test_a_channel_of_a_part_that_goes_has_no_data(rig: Rig) -> None:
    """A Fogslink channel of a part survives its going and coming."""
    channels = Channels({"P0-C1": "cfos.E1.power"}, rig.bench.points, 10.0)
    shown = [channels.items()[0].e_val or ""]
    for devices in ([meter()], [evse(cur_charging_power=1380), meter()]):
        rig.manager.devices = devices
        rig.polls(4)
        shown.append(channels.items()[0].e_val or "")
    assert shown == ["6900", "", "1380"]
