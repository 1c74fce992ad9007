"""The cabinet as a part of the world: its variables, its meter, its power, who watches it."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.twin.faces.cabinet.bench import change, shown
from twisted_gantry.twin.world.cabinet import (
    CONTROLLER_W,
    REAR_ANTENNAS_W,
    REAR_PLATE_READERS_W,
    Cabinet,
)
from twisted_gantry.twin.world.mains import Mains
from twisted_gantry.twin.world.variables import Variable

VARIABLES = dict(Cabinet(Mains()).variables())


def test_every_variable_can_be_shown_or_set() -> None:
    """No two have one name; all of them are read without a complaint."""
    names = [name for name, _ in Cabinet(Mains()).variables()]
    assert len(names) == len(set(names))
    for name, variable in VARIABLES.items():
        assert variable.get is not None or variable.put is not None, name
        if variable.get is not None:
            assert isinstance(variable.get(), float | int | str | bool), name


def settable(variable: Variable) -> st.SearchStrategy[object]:
    if variable.choices:
        return st.sampled_from(variable.choices)
    if variable.check is not None:
        return st.sampled_from(["A1", "B2"])
    if variable.low is not None and variable.high is not None:
        return st.floats(variable.low, variable.high)
    return st.booleans()


CHANGES = st.sampled_from([name for name, each in VARIABLES.items() if each.put]).flatmap(
    lambda name: st.tuples(st.just(name), settable(VARIABLES[name]))
)


@given(st.lists(CHANGES, max_size=12), st.sampled_from([0.0, 150.0, 220.0]))
def test_no_change_breaks_the_world(changes: list[tuple[str, object]], volts: float) -> None:
    """Whatever is set, one after the other, the world goes on, and shows what was set."""
    mains = Mains()
    mains.voltage_v["r"] = volts
    cabinet = Cabinet(mains)
    for name, value in changes:
        try:
            change(cabinet, **{name: value})
        except ValueError:
            continue  # it depends on others: a locked door, set points that cross
        for _ in range(3):
            cabinet.step(1.0)
        for variable in dict(cabinet.variables()).values():
            if variable.get is not None:
                seen = variable.get()
                assert not isinstance(seen, float) or -1e12 < seen < 1e12


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(st.floats(0, 2000), st.integers(1, 60)), min_size=1, max_size=5))
def test_the_meter_adds_up_the_power(stretches: list[tuple[float, int]]) -> None:
    """The kWh are those of the W that were shown."""
    cabinet = Cabinet(Mains())
    joules = 0.0
    for watts, seconds in stretches:
        change(cabinet, equipment_w=watts)
        for _ in range(seconds):
            joules += shown(cabinet, "input_w") * 1.0
            cabinet.step(1.0)
    assert shown(cabinet, "energy_kwh") == pytest.approx(joules / 3.6e6)


def test_a_power_mode_switches_off_what_it_names_and_what_is_below_it() -> None:
    """1 the air conditioners, 2 the rear plate readers too, 3 the rear antennas too."""
    cabinet = Cabinet(Mains())
    base = shown(cabinet, "equipment_w") + CONTROLLER_W
    expected = [
        (0, True, True, True, REAR_PLATE_READERS_W + REAR_ANTENNAS_W),
        (1, False, True, True, REAR_PLATE_READERS_W + REAR_ANTENNAS_W),
        (2, False, False, True, REAR_ANTENNAS_W),
        (3, False, False, False, 0.0),
    ]
    for mode, air, readers, antennas, outside_w in expected:
        change(cabinet, power_mode=mode)
        assert shown(cabinet, "power_mode") == mode
        assert shown(cabinet, "air1_running") is air
        assert shown(cabinet, "plate_readers_on") is readers
        assert shown(cabinet, "antennas_on") is antennas
        assert shown(cabinet, "load_w") == base + outside_w


def test_without_mains_and_battery_all_is_dark() -> None:
    """Neither the controller nor what stands on the gantry is fed."""
    mains = Mains()
    cabinet = Cabinet(mains)
    change(cabinet, battery_fuse_blown=True)
    assert shown(cabinet, "powered") is True
    mains.voltage_v["r"] = 0.0
    cabinet.settle()
    assert not cabinet.powered
    assert shown(cabinet, "antennas_on") is False
    assert shown(cabinet, "input_w") == 0


def test_a_sensor_keeps_the_time_of_its_last_change() -> None:
    """To be told the same again is no change."""
    cabinet = Cabinet(Mains())
    cabinet.step(1.0)
    change(cabinet, smoke=True)
    cabinet.step(1.0)
    change(cabinet, smoke=True)
    assert (cabinet.smoke.changed_s, cabinet.water.changed_s) == (1.0, 0.0)
    change(cabinet, smoke=False, water=True)
    assert (cabinet.smoke.changed_s, cabinet.water.changed_s) == (2.0, 2.0)


def test_lightning_is_counted_in_whole_strikes() -> None:
    """A count is an integer, whatever number is set."""
    cabinet = Cabinet(Mains())
    change(cabinet, lightning_count_1=3.0)
    assert repr(shown(cabinet, "lightning_count_1")) == "3"


def test_who_watches_sees_every_change() -> None:
    """A pulse between two steps is seen twice: when it comes and when it goes."""
    cabinet = Cabinet(Mains())
    seen: list[bool] = []
    cabinet.observer = lambda: seen.append(cabinet.smoke.warns)
    change(cabinet, smoke=True)
    change(cabinet, smoke=False)
    cabinet.step(1.0)
    assert seen == [True, False, False]
