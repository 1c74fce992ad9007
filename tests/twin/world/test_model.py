"""The world: its names, what may be changed, and how time passes."""

import math
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted_gantry.twin.world.model import World, WorldError
from twisted_gantry.twin.world.ups_readings import live
from twisted_gantry.wire.upscard.values import encode_live


@pytest.fixture
def world() -> World:
    return World(random.Random(1))


def test_the_snapshot_is_flat_and_has_the_promised_names(world: World) -> None:
    """Every promised name is there, with a number, a text or a truth."""
    snapshot = world.snapshot()
    promised = (
        "mains.voltage_r mains.voltage_s mains.voltage_t mains.frequency ups1.battery_charge "
        "ups1.battery_voltage ups1.load_w ups1.temperature ups1.state ups1.battery_ah "
        "ups1.battery_health ups1.fault"
    )
    assert set(promised.split()) <= set(snapshot)
    assert all(type(value) in {float, int, str, bool} for value in snapshot.values())


def test_a_change_of_all_phases_is_seen_at_once(world: World) -> None:
    """`mains.voltage` sets the three phases, and the UPS has moved before any time passed."""
    world.change({"mains.voltage": 0})
    snapshot = world.snapshot()
    assert [snapshot[f"mains.voltage_{phase}"] for phase in "rst"] == [0, 0, 0]
    assert snapshot["ups1.state"] == "battery"
    assert encode_live(live(world.ups["ups1"])).endswith(" 0000000010000100")


def test_one_phase_wins_over_all(world: World) -> None:
    """What sets one phase comes after what sets all, whatever their order."""
    every, one = "mains.voltage", "mains.voltage_s"
    for change in ({every: 210, one: 200}, {one: 200, every: 210}):
        world.change(change)
        snapshot = world.snapshot()
        assert [snapshot[f"mains.voltage_{phase}"] for phase in "rst"] == [210, 200, 210]


SETTABLE: dict[str, Any] = {
    "mains.voltage_r": 200.0,
    "mains.frequency": 51.0,
    "mains.sag_v": 90.0,
    "mains.sag_phases": "s",
    "mains.sag_s": 0.5,
    "ups1.phases": "1/1",
    "ups1.mode": "economy",
    "ups1.fault": "charger",
    "ups1.output_on": False,
    "ups1.shutdown_announced": True,
    "ups1.load_w": 3000.0,
    "ups1.load_w_s": 10.0,
    "ups1.battery_charge": 55.0,
    "ups1.battery_health": 70.0,
    "ups1.battery_ah": 65.0,
    "ups1.temperature": 61.0,
    "ups1.battery_temperature": -10.0,
    "ups1.buzzer_muted": True,
}


OWN = {"world", "mains", "ups1"}


@pytest.mark.parametrize(("name", "value"), SETTABLE.items())
def test_what_is_set_is_shown(world: World, name: str, value: Any) -> None:
    """Each variable that can be set shows what it was set to."""
    assert world.snapshot()[name] != value
    world.change({name: value})
    assert world.snapshot()[name] == value


def test_a_derived_variable_cannot_be_set(world: World) -> None:
    """Every other variable of mains and UPS refuses to be set, and says why."""
    for name, value in world.snapshot().items():
        if name in SETTABLE or name in {"mains.voltage_s", "mains.voltage_t"}:
            continue
        if name.startswith("ups1.load_w_") or name.partition(".")[0] not in OWN:
            continue
        with pytest.raises(WorldError, match="follows from the others"):
            world.change({name: value})


def test_a_bad_change_names_everything_that_is_wrong_and_changes_nothing(world: World) -> None:
    """One bad value keeps the whole change out; the error names each."""
    before = world.snapshot()
    bad = {
        "mains.voltage": 0,
        "mains.volts": 1,
        "mains.frequency": "50",
        "ups1.battery_charge": 100.1,
        "ups1.state": "line",
        "ups1.fault": "tired",
        "ups1.output_on": 1,
        "ups1.load_w": True,
        "ups1.battery_temperature": math.nan,
        "ups1.temperature": 10**400,
        "ups1.battery_ah": None,
    }
    with pytest.raises(WorldError) as caught:
        world.change(bad)
    for name in bad.keys() - {"mains.voltage"}:
        assert f"{name}: " in str(caught.value)
    assert "mains.voltage:" not in str(caught.value)
    assert world.snapshot() == before


def test_a_phase_that_does_not_go_out_takes_no_load(world: World) -> None:
    """A load for an output that is not there, before or after the change, is refused."""
    with pytest.raises(WorldError, match=r"ups1\.load_w_t: a UPS 1/1 has no such output"):
        world.change({"ups1.phases": "1/1", "ups1.load_w_t": 5})
    world.change({"ups1.phases": "3/1"})
    with pytest.raises(WorldError, match="no such output"):
        world.change({"ups1.load_w_s": 5})
    world.change({"ups1.phases": "3/3", "ups1.load_w_s": 5})
    assert world.snapshot()["ups1.load_w_s"] == 5


def test_settings_act_on_the_physics(world: World) -> None:
    """Twice the load empties the battery in less than half the time."""
    other = World(random.Random(1))
    for each, load in ((world, 1000), (other, 2200)):
        each.change({"ups1.load_w": load, "mains.voltage": 0})
        each.step(1800)
    used, more = (98 - float(w.snapshot()["ups1.battery_charge"]) for w in (world, other))
    assert more > 2 * used > 0


@settings(deadline=None, max_examples=12)
@given(st.lists(st.floats(0.05, 200), min_size=1, max_size=5))
def test_time_may_be_cut_as_one_likes(cuts: list[float]) -> None:
    """The same time in one step or in several ends in nearly the same world."""
    whole, parts = World(random.Random(1)), World(random.Random(1))
    for world in (whole, parts):
        world.change({"mains.voltage": 0, "ups1.battery_ah": 20})
    whole.step(sum(cuts))
    for cut in cuts:
        parts.step(cut)
    one, other = whole.snapshot(), parts.snapshot()
    for name in ("ups1.battery_charge", "ups1.battery_voltage", "ups1.temperature"):
        assert one[name] == pytest.approx(other[name], rel=1e-3)
    assert one["world.elapsed"] == pytest.approx(other["world.elapsed"])


def test_equal_seeds_give_equal_runs() -> None:
    """The noise repeats with the seed, and differs with another."""
    runs = []
    for seed in (7, 7, 8):
        world = World(random.Random(seed))
        lines = []
        for _ in range(20):
            world.step(0.1)
            lines.append(encode_live(live(world.ups["ups1"])))
        runs.append(lines)
    assert runs[0] == runs[1] != runs[2]


VARIABLES = World(random.Random(1))._variables


def settable(name: str) -> st.SearchStrategy[tuple[str, Any]]:
    """Return what may be set to a variable, with its name."""
    variable = VARIABLES[name]
    values: st.SearchStrategy[Any] = st.booleans()
    if variable.choices:
        values = st.sampled_from(variable.choices)
    elif variable.check is not None:
        values = st.sampled_from(["A1", "B2"])
    elif variable.low is not None and variable.high is not None:
        values = st.floats(variable.low, variable.high)
    return st.tuples(st.just(name), values)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([name for name, each in VARIABLES.items() if each.put]).flatmap(
                settable
            ),
            st.floats(0, 20),
        ),
        max_size=15,
    )
)
def test_whatever_is_set_the_world_goes_on(changes: list[tuple[tuple[str, Any], float]]) -> None:
    """No value of any variable, after any other, stops it or takes a number out of all bounds."""
    world = World(random.Random(1))
    for (name, value), seconds in changes:
        try:
            world.change({name: value})
        except WorldError:
            continue  # it depends on others: a locked door, set points that cross
        world.step(seconds)
        for shown, seen in world.snapshot().items():
            assert not isinstance(seen, float) or -1e12 < seen < 1e12, shown
        assert all(0 <= ups.battery.charge <= 1 for ups in world.ups.values())


@pytest.mark.parametrize("dt", [-1.0, math.nan, math.inf])
def test_no_time_but_a_length_passes(world: World, dt: float) -> None:
    """A negative or endless step is refused."""
    with pytest.raises(ValueError, match="not a length of time"):
        world.step(dt)


def test_two_ups_share_the_mains_and_nothing_else() -> None:
    """A failure of the mains reaches each UPS; a load of one is not that of the other."""
    world = World(random.Random(1))
    world.change({"mains.voltage": 0, "ups2.load_w": 4000})
    world.step(60)
    snapshot = world.snapshot()
    assert snapshot["ups1.state"] == snapshot["ups2.state"] == "battery"
    assert float(snapshot["ups2.battery_charge"]) < float(snapshot["ups1.battery_charge"])
