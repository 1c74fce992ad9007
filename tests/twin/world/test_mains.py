"""The mains of the world: sags that come and go, and what is usable."""

import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.twin.world.mains import HIGHEST_V, LOWEST_V, NOMINAL_V, PHASES, Mains
from twisted_gantry.twin.world.model import World

DEAD, GOOD = 0.0, NOMINAL_V


def test_a_sag_ends_by_itself_with_what_was_before() -> None:
    """For its time each phase has no more than what is left; then it is as before."""
    mains = Mains()
    mains.voltage_v["t"] = 80.0
    mains.sag(0.3)
    assert mains.voltage_v == {"r": 110, "s": 110, "t": 80}
    assert mains.until_change_s == 0.3
    mains.step(0.2)
    assert mains.voltage_v["r"] == 110
    mains.step(mains.until_change_s)
    assert mains.voltage_v == {"r": 220, "s": 220, "t": 80}
    assert mains.until_change_s == math.inf


def test_a_sag_of_one_phase_leaves_the_others() -> None:
    """`sag_phases` says where it is."""
    mains = Mains(sag_v=20.0, sag_phases="s")
    mains.sag(1.0)
    assert mains.voltage_v == {"r": 220, "s": 20, "t": 220}


def test_what_is_set_during_a_sag_stays() -> None:
    """A phase that fails in the sag is not brought back by its end."""
    mains = Mains()
    mains.sag(1.0)
    mains.voltage_v["r"] = DEAD
    mains.step(1.0)
    assert mains.voltage_v == {"r": DEAD, "s": GOOD, "t": GOOD}


def test_a_second_sag_takes_the_place_of_the_first() -> None:
    """It begins from the voltages before the first; 0 seconds end one."""
    mains = Mains()
    mains.sag(5.0)
    mains.sag_v = 150.0
    mains.sag(2.0)
    assert mains.voltage_v["r"] == 150
    mains.sag(0.0)
    assert (mains.voltage_v["r"], mains.sag_left_s) == (GOOD, 0)


@given(st.floats(0, 500), st.floats(40, 60))
def test_usable_is_what_has_no_bad_voltage_and_a_good_frequency(volts: float, hertz: float) -> None:
    """Both ways of asking agree, for any phase."""
    mains = Mains(dict.fromkeys(PHASES, volts), hertz)
    good = LOWEST_V <= volts <= HIGHEST_V
    assert mains.usable(PHASES) is (good and 45 <= hertz <= 55)
    assert bool(mains.bad_voltages(("s",))) is not good


def snapshot(world: World, *names: str) -> list[Any]:
    shown = world.snapshot()
    return [shown[name] for name in names]


def test_a_sag_shorter_than_a_step_lasts_its_own_time() -> None:
    """In a world that is stepped by the second, a fifth of it is on battery, no more."""
    short, long = World(random.Random(1)), World(random.Random(1))
    for world, seconds in ((short, 0.2), (long, 1.0)):
        world.change({"mains.sag_v": 0, "mains.sag_s": seconds})
        assert snapshot(world, "ups1.state", "mains.voltage_r") == ["battery", 0]
        world.step(1.0)
        assert snapshot(world, "ups1.state", "mains.voltage_r") == ["line", 220]
    used = [0.98 - world.ups["ups1"].battery.charge for world in (short, long)]
    assert used[1] > 4 * max(used[0], 0)


def test_a_shallow_sag_moves_nothing() -> None:
    """A UPS bears 20 % less, and so does all else."""
    world = World(random.Random(1))
    world.change({"mains.sag_v": 180, "mains.sag_s": 10})
    assert snapshot(world, "ups1.state", "cab1.rectifier1_output_w")[0] == "line"
    assert world.cabinet.supply.mains_good


@pytest.mark.parametrize("mode", ["online", "economy"])
def test_only_economy_has_a_break_when_the_mains_fail(mode: str) -> None:
    """Double conversion feeds on without one; from the bypass it takes 10 ms."""
    world = World(random.Random(1))
    world.change({"ups1.mode": mode})
    world.change({"mains.voltage": 0})
    assert snapshot(world, "ups1.state", "ups1.break_ms") == [
        "battery",
        0 if mode == "online" else 10,
    ]
