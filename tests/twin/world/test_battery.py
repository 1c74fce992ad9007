"""The battery: what goes in and out of it, and what its terminals show."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.twin.world.battery import BLOCKS, CUT_OFF_V, FLOAT_V, Battery


def stored_wh(battery: Battery, charge: float) -> float:
    """Integrate the rest voltage over the charge, from empty to `charge`."""
    steps = 2000
    total = 0.0
    for at in range(steps):
        probe = Battery(battery.rated_ah, charge * (at + 0.5) / steps, battery.health)
        total += probe.open_circuit_v * charge * battery.capacity_ah / steps
    return total


def run(battery: Battery, power_w: float, seconds: int) -> float:
    """Discharge (or, below 0, charge) second by second; return the Wh that came out."""
    out = 0.0
    for _ in range(seconds):
        if power_w < 0:
            battery.feed()
        else:
            battery.load(power_w)
            if battery.empty:
                battery.rest()
        out += battery.voltage_v * battery.current_a / 3600
        battery.step(1.0)
    return out


@given(
    st.floats(0, 1),
    st.floats(0.1, 1),
    st.lists(st.tuples(st.sampled_from([-1.0, 40.0, 900.0, 6000.0]), st.integers(1, 400))),
)
def test_no_energy_is_made(charge: float, health: float, phases: list[tuple[float, int]]) -> None:
    """Whatever is done to it, a battery gives no more energy than it held and was given."""
    battery = Battery(40.0, charge, health)
    before = stored_wh(battery, charge)
    net = sum(run(battery, power, seconds) for power, seconds in phases[:6])
    after = stored_wh(battery, battery.charge)
    assert net <= before - after + 0.05
    assert 0 <= battery.charge <= 1


@given(st.floats(0, 1), st.lists(st.floats(-1, 90_000), max_size=20), st.floats(0, 20_000))
def test_the_charge_stays_within_its_bounds(
    charge: float, powers: list[float], seconds: float
) -> None:
    """However long and hard it is used, the charge is never below 0 or above 100 %."""
    battery = Battery(40.0, charge)
    for power in powers:
        if power < 0:
            battery.feed()
        else:
            battery.load(power)
        battery.step(seconds)
        assert 0 <= battery.charge <= 1
        assert battery.voltage_v > 0


def test_a_load_drains_it_until_it_is_empty() -> None:
    """A discharge goes on, at a falling voltage, until the cut-off."""
    battery = Battery(10.0, 1.0)
    voltages = []
    while not battery.empty:
        battery.load(1000.0)
        battery.step(10.0)
        voltages.append(battery.voltage_v)
    assert all(later < earlier for earlier, later in itertools.pairwise(voltages))
    assert voltages[-1] <= CUT_OFF_V or battery.charge == 0
    assert 3600 < len(voltages) * 10 < 7200  # 1 kW from 10 Ah at 192 V, faster than rated


def test_charging_is_first_at_constant_current_then_at_constant_voltage() -> None:
    """A charge begins with a tenth of the capacity, ends at the float voltage, with ever less."""
    battery = Battery(40.0, 0.3)
    battery.feed()
    assert battery.current_a == pytest.approx(-4.0)
    assert battery.voltage_v < FLOAT_V
    run(battery, -1, 8 * 3600)
    late = -battery.current_a
    assert battery.voltage_v == FLOAT_V
    assert 0 < late < 4.0
    run(battery, -1, 3 * 3600)
    assert -battery.current_a < late / 2
    assert battery.charge > 0.95


def test_a_large_current_uses_up_more_than_it_carries() -> None:
    """By Peukert's law ten times the power lasts less than a tenth of the time."""
    battery = Battery()
    assert battery.runtime_s(4000) < battery.runtime_s(400) / 10
    assert battery.runtime_s(0) == 0  # nothing to run for


def test_the_runtime_is_what_a_discharge_takes() -> None:
    """The estimate is within a tenth of the time that the discharge really takes."""
    battery = Battery(10.0, 1.0)
    estimate = battery.runtime_s(1000)
    seconds = 0
    while not battery.empty:
        battery.load(1000)
        battery.step(1.0)
        seconds += 1
    assert seconds == pytest.approx(estimate, rel=0.1)


def test_age_takes_capacity_and_adds_resistance() -> None:
    """A worn battery holds less, and its voltage sags more under the same load."""
    new, old = Battery(40.0, 0.9), Battery(40.0, 0.9, health=0.5)
    new.load(2000)
    old.load(2000)
    assert old.charge_ah == pytest.approx(new.charge_ah / 2)
    assert old.voltage_v < new.voltage_v


def test_the_rest_voltage_follows_the_table() -> None:
    """Full, half and empty, a block shows 12.73, 12.10 and 10.50 V."""
    shown = [Battery(40.0, charge).open_circuit_v / BLOCKS for charge in (1.0, 0.5, 0.0)]
    assert shown == pytest.approx([12.73, 12.10, 10.50])


def test_the_length_of_the_steps_hardly_matters() -> None:
    """An hour in steps of a tenth of a second and of ten seconds ends alike."""
    fine, coarse = Battery(), Battery()
    for battery, dt in ((fine, 0.1), (coarse, 10.0)):
        for _ in range(round(3600 / dt)):
            battery.load(2200)
            battery.step(dt)
    assert coarse.charge == pytest.approx(fine.charge, rel=1e-3)


def test_too_large_a_load_breaks_the_voltage_down() -> None:
    """A load beyond its greatest power takes the voltage below the cut-off: as good as empty."""
    battery = Battery(1.0, 1.0)
    battery.load(1e6)
    assert battery.empty


def test_the_stored_energy_is_the_integral_of_the_rest_voltage() -> None:
    """In closed form as by adding up, at any charge and health."""
    for charge, health in ((0.0, 1.0), (0.055, 1.0), (0.5, 0.7), (1.0, 1.0)):
        battery = Battery(40.0, charge, health)
        assert battery.stored_j == pytest.approx(stored_wh(battery, charge) * 3600, rel=1e-5)


def test_what_is_neither_given_nor_stored_is_heat() -> None:
    """At rest none; under load and while charging it warms the battery, which cools again."""
    battery = Battery(40.0, 0.5)
    assert battery.heat_w == 0
    for power_w in (3000.0, -1.0):
        battery.temperature_c = 25.0
        run(battery, power_w, 600)
        assert battery.heat_w > 0
        assert battery.temperature_c > 25
        assert battery.given_off_w > 0
    warm = battery.temperature_c
    battery.rest()
    battery.step(3600, ambient_c=20.0)
    assert 20 < battery.temperature_c < warm


@pytest.mark.parametrize(("cold_c", "factor"), [(25.0, 1.0), (40.0, 1.0), (10.0, 1.19), (4.0, 1.3)])
def test_the_cold_takes_runtime(cold_c: float, factor: float) -> None:
    """By the factors of IEEE 485; warmth gives none."""
    battery = Battery(40.0, 1.0, temperature_c=cold_c)
    assert battery.runtime_s(2000) == pytest.approx(Battery(40.0, 1.0).runtime_s(2000) / factor)
    assert Battery(temperature_c=-30.0).runtime_s(2000) < Battery(temperature_c=-4).runtime_s(2000)


@pytest.mark.parametrize(("hot_c", "years"), [(25.0, 10.0), (35.0, 5.0), (45.0, 2.5)])
def test_the_life_halves_with_each_ten_degrees(hot_c: float, years: float) -> None:
    """At rest and at 25 °C it has lost a fifth of its capacity after ten years."""
    battery = Battery(temperature_c=hot_c)
    for _ in range(1000):
        battery.step(years * 365.25 * 86.4, ambient_c=hot_c)
    assert battery.health == pytest.approx(0.8, abs=1e-3)


def test_discharges_use_it_up() -> None:
    """Three hundred times its capacity is its life; the hours that it takes add a little."""
    battery = Battery(40.0, 1.0)
    discharged_ah = 0.0
    while not battery.empty:
        battery.load(1000)
        discharged_ah += battery.current_a / 3600
        battery.step(1.0)
    used_up = 0.2 * discharged_ah / (300 * 40)
    assert used_up < 1 - battery.health < 1.06 * used_up
