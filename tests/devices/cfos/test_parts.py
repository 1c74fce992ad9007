"""What of a part's readings is believed: counters of energy, and voltages."""

from collections.abc import Iterator

import pytest

from tests.devices.cfos.rig import Rig, evse, meter
from twisted_gantry.core.condition import Condition
from twisted_gantry.core.interlocks.rules import Action, Interlock
from twisted_gantry.core.interlocks.watches import Interlocks
from twisted_gantry.core.points import Measured
from twisted_gantry.devices.cfos.parts import MainsWatch
from twisted_gantry.devices.power import Limits
from twisted_gantry.uplinks.fogslink.channels import Channels
from twisted_gantry.wire.reading import Quality

FAILED, NOT_SUPPORTED, NO_DATA = (
    (None, q) for q in (Quality.GET_FAILED, Quality.NOT_SUPPORTED, Quality.NO_DATA)
)
ABNORMAL, NORMAL = (True, Quality.GOOD), (False, Quality.GOOD)


def volts(*values: float | None) -> list[Measured]:
    """Return three readings; None is one that failed."""
    return [FAILED if v is None else (float(v), Quality.GOOD) for v in values]


def watch() -> MainsWatch:
    return MainsWatch(Limits(), 220.0)


@pytest.mark.parametrize("voltage", [400.0, 265.0, 255.0, 230.0, 182.0, 90.0])
def test_a_voltage_is_no_failure_of_the_mains(voltage: float) -> None:
    """High or low is not gone: other alarms say so."""
    judge = watch()
    for _ in range(3):
        assert judge.judge(volts(voltage, 230, 230)) == NORMAL


@pytest.mark.parametrize("voltage", [0, 30, 87])
def test_abnormal_mains(voltage: float) -> None:
    """Nothing on a phase that had a voltage is abnormal, with the second reading."""
    judge = watch()
    assert judge.judge(volts(230, 230, 230)) == NORMAL
    assert judge.judge(volts(230, voltage, 230)) == NORMAL
    assert judge.judge(volts(230, voltage, 230)) == ABNORMAL
    assert judge.judge(volts(230, 230, 230)) == NORMAL


def test_currents_agree_with_a_failure() -> None:
    """Without voltage and without current one reading is enough."""
    judge = watch()
    assert judge.judge(volts(230, 230, 230), none_flows=True) == NORMAL
    assert judge.judge(volts(0, 0, 0), none_flows=True) == ABNORMAL


def test_a_phase_that_never_had_a_voltage() -> None:
    """A single-phase meter shows 0 on the others: that is no failure. All 0 says nothing."""
    judge = watch()
    assert judge.judge(volts(0, 0, 0)) == NO_DATA
    assert judge.judge(volts(230, 0, 0)) == NORMAL
    assert judge.live == {0}
    assert [judge.judge(volts(0, 0, 0)) for _ in "ab"] == [NORMAL, ABNORMAL]


def test_a_phase_that_is_lost_from_the_start() -> None:
    """A meter with two phases is one of three that has lost one, also after our restart."""
    judge = watch()
    assert [judge.judge(volts(230, 0, 230)) for _ in "ab"] == [FAILED, ABNORMAL]
    assert watch().judge([*volts(230, 230), NOT_SUPPORTED]) == NORMAL


def test_unknown_voltages() -> None:
    """What is not known is not called normal; what is known to be bad is bad all the same."""
    judge = watch()
    assert judge.judge([NOT_SUPPORTED] * 3) == NOT_SUPPORTED
    assert judge.judge(volts(None, 0, 0)) == FAILED
    assert judge.judge(volts(230, 230, 230)) == NORMAL
    assert judge.judge(volts(230, None, 230)) == FAILED
    assert judge.judge(volts(None, None, None)) == FAILED
    assert [judge.judge(volts(230, None, 2)) for _ in "ab"] == [FAILED, ABNORMAL]


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
