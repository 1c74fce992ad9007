"""What the gantry itself takes: appliances behind a UPS, switched, scaled, and dark with it."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.twin.world.load import PHASES_IN_OUT, Appliance, Load
from twisted_gantry.twin.world.mains import PHASES
from twisted_gantry.twin.world.model import World

UPS1 = ("antennas", "toll_computers", "lane_controllers")


@pytest.fixture
def world() -> World:
    return World(random.Random(1))


def show(world: World, name: str) -> Any:
    return world.snapshot()[name]


def test_the_loads_are_what_the_ups_carries(world: World) -> None:
    """The sum of the appliances is the load of their UPS, phase by phase."""
    assert (
        sum(show(world, f"loads.{name}_w") for name in UPS1) == show(world, "ups1.load_w") == 2000
    )
    assert show(world, "ups1.load_w_s") == show(world, "loads.toll_computers_w")
    assert show(world, "loads.total_w") == 4000


def test_what_is_switched_off_is_no_load(world: World) -> None:
    """Less hangs on the phase, and comes back; a larger appliance is a larger load."""
    world.change({"loads.toll_computers_on": False})
    assert (show(world, "ups1.load_w_s"), show(world, "ups1.output_w")) == (0, 1200)
    assert show(world, "loads.toll_computers_powered") is False
    world.change({"loads.toll_computers_on": True, "loads.toll_computers_w": 1000})
    assert show(world, "ups1.load_w_s") == 1000


@pytest.mark.parametrize(
    "change",
    [
        {"ups1.output_on": False},
        {"mains.voltage": 0, "ups1.battery_charge": 0},
        {"ups1.fault": "short-circuit"},
    ],
)
def test_loads_go_dark_with_their_ups(world: World, change: dict[str, Any]) -> None:
    """Those of the other are fed on while that one can."""
    world.change(change)
    for name in UPS1:
        assert show(world, f"loads.{name}_powered") is False
        assert show(world, f"loads.{name}_fed_w") == 0
    assert show(world, "loads.network_powered") is True
    assert show(world, "loads.total_w") == 2000


def test_more_load_than_the_appliances_is_something_else(world: World) -> None:
    """Set to more, a UPS carries more; set to less, its appliances take less."""
    world.change({"ups1.load_w": 6000})
    assert show(world, "loads.antennas_fed_w") == 533
    world.change({"loads.antennas_on": False})
    assert show(world, "ups1.load_w") == 6000 - 533
    world.change({"loads.antennas_on": True, "ups1.load_w": 600})
    fed = [show(world, f"loads.{name}_fed_w") for name in UPS1]
    assert fed == [200, 200, 200]


@given(
    st.lists(st.tuples(st.sampled_from(PHASES), st.floats(0, 5000), st.booleans()), max_size=6),
    st.lists(
        st.one_of(
            st.tuples(st.sampled_from([*PHASES, "all"]), st.floats(0, 50_000)),
            st.tuples(st.just("phases"), st.sampled_from(list(PHASES_IN_OUT))),
        ),
        max_size=8,
    ),
)
def test_what_is_put_is_what_is_there(
    appliances: list[tuple[str, float, bool]], deeds: list[tuple[str, Any]]
) -> None:
    """Whatever hangs on it, a UPS carries what it was set to, and a change of phases keeps it."""
    load = Load(tuple(Appliance(str(at), *each) for at, each in enumerate(appliances)))
    for what, value in deeds:
        if what == "phases":
            before = load.total_w
            load.phases = value
            assert load.total_w == pytest.approx(before)
        elif what == "all":
            load.total_w = value
            assert load.total_w == pytest.approx(value)
        elif what in load.outputs:
            load.put(what, value)
            assert load.of(what) == pytest.approx(value)
        taken = sum(load.taken_w(each) for each in load.appliances)
        assert -1e-9 <= taken <= load.total_w * (1 + 1e-9)
