"""The battery store: energy, heat, the contactor, alarms that latch and trip."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.twin.world import storage as module
from twisted_gantry.twin.world.mains import Mains
from twisted_gantry.twin.world.storage import (
    CAPACITY_AH,
    CELLS,
    CONTACTOR_S,
    COOLING_W_K,
    HEAT_CAPACITY_J_K,
    MOST_CURRENT_A,
    Alarm,
    ContactorFault,
    Storage,
)
from twisted_gantry.twin.world.variables import Variable
from twisted_gantry.wire.bms import OperatingStatus

STATUS = OperatingStatus
MIDDLES_V = [(low + high) / 2 for low, high in itertools.pairwise(module._REST_V.ys)]


def stored_j(charge: float) -> float:
    """Integrate the rest voltage over the charge, exactly: it is linear between its points."""
    total = 0.0
    for at, middle in enumerate(MIDDLES_V):
        part = min(max(charge * 10 - at, 0.0), 1.0)
        low = module._REST_V.ys[at]
        total += part * (low + (middle - low) * part)
    return total / 10 * CELLS * CAPACITY_AH * 3600


def changed(store: Storage, **values: object) -> Storage:
    named = dict(store.variables())
    for name, value in values.items():
        assert named[name].complaint(value) is None
        named[name].set(value)
    store.settle()
    return store


def is_closed(store: Storage) -> bool:
    return store.contactor_closed


def run(store: Storage, seconds: float, step: float = 0.1) -> Storage:
    for _ in range(round(seconds / step)):
        store.step(step)
    return store


@given(
    st.floats(0, 1),
    st.lists(
        st.tuples(st.floats(-150_000, 150_000), st.integers(1, 120), st.booleans()), max_size=6
    ),
)
def test_energy_is_neither_made_nor_lost(
    charge: float, phases: list[tuple[float, int, bool]]
) -> None:
    """What went in at the terminals is what is stored more, and what became heat."""
    store = Storage()
    store.charge = charge
    store.settle()
    before, net_j, heat_j, moved_j = stored_j(charge), 0.0, 0.0, 0.0
    for power_w, seconds, closed in phases:
        changed(store, power=power_w)
        if closed:
            store.close_contactor()
        for _ in range(seconds):
            # The step that ends at a bound, or at a movement, is cut there by the model: so here.
            dt = min(1.0, store.until_change_s)
            net_j += store.power_w * dt
            heat_j += store.heat_w * dt
            moved_j += abs(store.power_w) * dt
            store.step(dt)
    # Within one step the current stands while the voltage moves a little: nearly empty, with the
    # most current, by half of 0.3 V in 670 V.
    assert store.charge == pytest.approx(min(max(store.charge, 0), 1))
    assert net_j == pytest.approx(stored_j(store.charge) - before + heat_j, abs=1 + 4e-4 * moved_j)


@given(st.floats(-100_000, 100_000), st.floats(0.05, 0.95), st.integers(1, 20))
def test_one_long_step_is_as_many_short_ones(power_w: float, charge: float, parts: int) -> None:
    """How a second is cut into steps does not matter."""
    whole, cut = Storage(), Storage()
    for store in (whole, cut):
        store.charge = charge
        changed(store, power=power_w)
        store.open_contactor()
    whole.step(1.0)
    for _ in range(parts):
        cut.step(1.0 / parts)
    assert whole.contactor_closed is cut.contactor_closed is False
    assert whole.charge == pytest.approx(cut.charge, abs=1e-7)
    assert whole.temperature_c == pytest.approx(cut.temperature_c, abs=1e-6)


def test_no_time_changes_nothing() -> None:
    """A step of no length leaves everything as it is."""
    store = changed(Storage(), power=50_000.0)
    before = {name: v.get() for name, v in store.variables() if v.get is not None}
    store.step(0.0)
    assert {name: v.get() for name, v in store.variables() if v.get is not None} == before


@pytest.mark.parametrize(
    ("power_w", "status"),
    [(0.0, STATUS.IDLE), (50_000.0, STATUS.CHARGING), (-50_000.0, STATUS.DISCHARGING)],
)
def test_the_demand_flows_through_a_closed_contactor_alone(
    power_w: float, status: OperatingStatus
) -> None:
    """The status tells what flows; opened, nothing does, and the charge stays."""
    store = changed(Storage(), power=power_w)
    assert store.power_w == pytest.approx(power_w)
    assert store.status is status
    before = store.charge
    run(store, 10)
    assert (store.charge > before) is (power_w > 0)
    assert (store.charge < before) is (power_w < 0)
    store.open_contactor()
    run(store, 1)
    assert store.status is STATUS.POWERED_DOWN
    assert store.power_w == 0
    left = store.charge
    run(store, 10)
    assert store.charge == left


@pytest.mark.parametrize(("phase", "volts"), [("r", 0.0), ("t", 150.0)])
def test_without_the_mains_nothing_flows(phase: str, volts: float) -> None:
    """The converter stops on a lost phase, either way, and goes on by itself after it."""
    mains = Mains()
    for power_w in (50_000.0, -50_000.0):
        store = changed(Storage(mains), power=power_w)
        mains.voltage_v[phase] = volts
        store.settle()
        assert (store.power_w, store.grid_w, store.status) == (0, 0, STATUS.IDLE)
        assert is_closed(store)
        before = store.charge
        run(store, 10)
        assert store.charge == before
        mains.voltage_v[phase] = 220.0
        store.settle()
        assert store.power_w == pytest.approx(power_w)


def test_the_converter_loses_either_way() -> None:
    """More comes from the mains than goes in, less goes back than comes out; all phases alike."""
    assert changed(Storage(), power=9_600.0).grid_w == pytest.approx(10_000)
    store = changed(Storage(), power=-10_000.0)
    assert store.grid_w == pytest.approx(-9_600)
    assert store.phase_w() == pytest.approx(dict.fromkeys("rst", -3_200))


@pytest.mark.parametrize(("charge", "power_w"), [(0.9999, 60_000.0), (0.0001, -60_000.0)])
def test_a_full_battery_takes_and_an_empty_one_gives_no_more(charge: float, power_w: float) -> None:
    """At its bound the battery rests with its contactor closed, and goes the other way at once."""
    store = Storage()
    store.charge = charge
    changed(store, power=power_w)
    run(store, 30, 1.0)
    assert store.charge == (1 if power_w > 0 else 0)
    assert (store.status, store.power_w) == (STATUS.IDLE, 0)
    changed(store, power=-power_w)
    assert store.power_w == pytest.approx(-power_w)


def test_losses_warm_it_towards_their_balance_with_the_cooling() -> None:
    """It ends as much warmer than the air as its heat divided by the cooling, and cools again."""
    store = Storage()
    changed(store, power=40_000.0, ambient=20.0, temperature=20.0)
    heat_w = store.heat_w
    run(store, 600, 1.0)
    share = -math.expm1(-600 * COOLING_W_K / HEAT_CAPACITY_J_K)
    assert store.temperature_c == pytest.approx(20 + heat_w / COOLING_W_K * share, rel=1e-2)
    changed(store, power=0.0)
    warm = store.temperature_c
    run(store, 600, 1.0)
    assert 20 < store.temperature_c < warm


def test_the_contactor_takes_its_time() -> None:
    """It is where it was until its time is over; the opposite command in between stops it."""
    store = Storage()
    store.open_contactor()
    run(store, CONTACTOR_S - 0.1)
    assert is_closed(store)
    store.open_contactor()  # said again, it begins no new time
    run(store, 0.2)
    assert not is_closed(store)
    store.close_contactor()
    run(store, 0.2)
    store.open_contactor()
    run(store, 2)
    assert not is_closed(store)


@pytest.mark.parametrize(
    ("fault", "closed", "moves"),
    [
        (ContactorFault.NONE, True, True),
        (ContactorFault.NONE, False, True),
        (ContactorFault.REFUSES, True, False),
        (ContactorFault.REFUSES, False, False),
        (ContactorFault.WELDED, True, True),
        (ContactorFault.WELDED, False, False),
    ],
)
def test_a_contactor_that_does_not_move_is_an_alarm(
    fault: ContactorFault, closed: bool, moves: bool
) -> None:
    """What was commanded and did not happen is reported, until it is mended and reset."""
    store = Storage()
    if closed:
        store.open_contactor()
        run(store, 1)
    changed(store, contactor_fault=fault.value)
    (store.close_contactor if closed else store.open_contactor)()
    run(store, 1)
    assert store.contactor_closed is (closed if moves else not closed)
    assert store.alarms == (frozenset() if moves else {Alarm.CONTACTOR})
    store.reset_fault()
    assert (Alarm.CONTACTOR in store.alarms) is not moves
    changed(store, contactor_fault="none")
    assert (Alarm.CONTACTOR in store.alarms) is not moves
    store.reset_fault()
    assert not store.alarms


CAUSES: dict[Alarm, tuple[dict[str, object], dict[str, object]]] = {
    Alarm.OVER_TEMPERATURE: ({"temperature": 70.0}, {"temperature": 25.0}),
    Alarm.INSULATION: ({"insulation_fault": True}, {"insulation_fault": False}),
    Alarm.OVER_CURRENT: ({"power": 150_000.0}, {"power": 0.0}),
}


@pytest.mark.parametrize("alarm", list(CAUSES))
def test_what_is_dangerous_trips_and_latches(alarm: Alarm) -> None:
    """The contactor opens; the alarm stays until its cause is gone and it is reset, in this order.

    Meanwhile the contactor does not stay closed; with the alarm latched alone, it can be closed.
    """
    store = Storage()
    bad, good = CAUSES[alarm]
    changed(store, **bad)
    assert store.alarms == {alarm}
    assert is_closed(store)
    run(store, 1)
    assert store.status is STATUS.POWERED_DOWN
    store.close_contactor()
    run(store, 2)
    assert not is_closed(store)
    changed(store, **good)
    assert store.alarms == {alarm}
    store.close_contactor()
    run(store, 1)
    assert is_closed(store)
    assert store.alarms == {alarm}
    store.reset_fault()
    assert not store.alarms


def test_a_reset_does_not_clear_what_still_holds() -> None:
    """A reset in the heat leaves the alarm; so does one within the hysteresis."""
    store = changed(Storage(), temperature=70.0)
    for still in (65.0, 57.0):
        changed(store, temperature=still)
        store.reset_fault()
        assert store.alarms == {Alarm.OVER_TEMPERATURE}
    changed(store, temperature=54.0)
    store.reset_fault()
    assert not store.alarms


def test_a_tripping_battery_with_a_welded_contactor_goes_on() -> None:
    """It tries to open again and again, time passes all the same, and both alarms are there."""
    store = changed(Storage(), contactor_fault="welded", temperature=80.0, power=30_000.0)
    run(store, 5, 1.0)
    assert store.alarms == {Alarm.OVER_TEMPERATURE, Alarm.CONTACTOR}
    assert store.status is STATUS.CHARGING


@pytest.mark.parametrize(
    ("alarm", "bad", "between", "good"),
    [(Alarm.LOW_CHARGE, 4.0, 7.0, 9.0), (Alarm.HIGH_CHARGE, 99.0, 96.0, 94.0)],
)
def test_a_low_or_high_charge_is_an_alarm_that_goes_by_itself(
    alarm: Alarm, bad: float, between: float, good: float
) -> None:
    """It neither trips nor latches, and has a hysteresis."""
    store = changed(Storage(), state_of_charge=between)
    assert not store.alarms
    for charge, raised in ((bad, {alarm}), (between, {alarm}), (good, set()), (between, set())):
        run(changed(store, state_of_charge=charge), 1)
        assert store.alarms == raised
        assert is_closed(store)


def test_over_current_is_over_the_rated_current() -> None:
    """Just under the limit it holds; over it, it trips."""
    store = Storage()
    limit_w = (store.open_circuit_v + MOST_CURRENT_A * 0.15) * MOST_CURRENT_A
    changed(store, power=limit_w - 100)
    assert store.alarms == set()
    changed(store, power=limit_w + 100)
    assert store.alarms == {Alarm.OVER_CURRENT}


def test_its_variables_have_ranges_and_what_follows_cannot_be_set() -> None:
    """The names that the world promises are there; each refuses what is out of its range."""
    named: dict[str, Variable] = dict(Storage().variables())
    for name in ("contactor", "status", "alarms", "alarm_names", "power_demand", "voltage"):
        assert "cannot be set" in (named[name].complaint(1.0) or "")
    wrong: dict[str, tuple[object, ...]] = {
        "power": (200_001, "1", True),
        "state_of_charge": (-1, 101),
        "temperature": (-41, 121),
        "contactor_fault": ("stuck", 1),
        "insulation_fault": (1, "true"),
    }
    for name, values in wrong.items():
        assert all(named[name].complaint(value) is not None for value in values), name


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("power"), st.floats(-200_000, 200_000)),
            st.tuples(st.just("state_of_charge"), st.floats(0, 100)),
            st.tuples(st.just("temperature"), st.floats(-40, 120)),
            st.tuples(st.just("contactor_fault"), st.sampled_from(["none", "refuses", "welded"])),
            st.tuples(st.just("insulation_fault"), st.booleans()),
            st.tuples(st.just("command"), st.sampled_from(["open", "close", "reset"])),
            st.tuples(st.just("step"), st.floats(0, 1)),
        ),
        max_size=40,
    )
)
def test_whatever_is_done_it_stays_a_battery(deeds: list[tuple[str, object]]) -> None:
    """The charge keeps its bounds, nothing flows through an open contactor, all is finite."""
    store = Storage()
    commands = {
        "open": store.open_contactor,
        "close": store.close_contactor,
        "reset": store.reset_fault,
    }
    for name, value in deeds:
        if name == "command":
            commands[str(value)]()
        elif name == "step":
            assert isinstance(value, float)
            store.step(value)
        else:
            changed(store, **{name: value})
        assert 0 <= store.charge <= 1
        assert store.contactor_closed or store.current_a == 0
        assert all(map(math.isfinite, (store.power_w, store.voltage_v, store.temperature_c)))
        assert (store.status is STATUS.POWERED_DOWN) is not store.contactor_closed
