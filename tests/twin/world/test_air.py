"""The air in a cabinet: heat that is neither made nor lost, humidity, the air conditioners."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.twin.faces.cabinet.bench import change, shown
from twisted_gantry.twin.world.air import (
    COOLING_W,
    FAN_W,
    HEAT_CAPACITY_J_K,
    HOT_C,
    HYSTERESIS_C,
    PERFORMANCE,
    SUN_M2,
    Air,
    AirConditioner,
    AirFault,
    AirMode,
    saturation_hpa,
)
from twisted_gantry.twin.world.cabinet import Cabinet
from twisted_gantry.twin.world.mains import Mains

DAY_S = 86_400


def day(cabinet: Cabinet, *, mean_c: float, swing_c: float) -> list[float]:
    """Let a day pass in steps of 10 s, and return the temperatures inside."""
    inside = []
    for at in range(0, DAY_S, 10):
        warmth = swing_c * math.sin(2 * math.pi * at / DAY_S)
        cabinet.air.outside_temperature_c = mean_c + warmth
        cabinet.step(10.0)
        inside.append(cabinet.air.temperature_c)
    return inside


def test_a_hot_day_stays_under_35_degrees() -> None:
    """Two units keep 40 degrees out, and neither freezes what they cool."""
    inside = day(Cabinet(Mains()), mean_c=32.0, swing_c=8.0)
    assert max(inside) < 35
    assert min(inside) > 15


def test_one_unit_alone_keeps_the_day_too() -> None:
    """They are two, so that one may fail."""
    cabinet = Cabinet(Mains())
    change(cabinet, air1_fault="compressor")
    assert max(day(cabinet, mean_c=32.0, swing_c=8.0)) < 35


def test_without_air_conditioners_it_becomes_too_hot() -> None:
    """Both fans broken: the heat of the equipment stays, until the alarm and beyond."""
    cabinet = Cabinet(Mains())
    change(cabinet, air1_fault="fan", air2_fault="fan")
    inside = day(cabinet, mean_c=32.0, swing_c=8.0)
    assert max(inside) > HOT_C
    assert cabinet.air.too_hot_or_cold
    change(cabinet, temperature=HOT_C - 1)
    assert cabinet.air.too_hot_or_cold  # until it is well below
    change(cabinet, temperature=HOT_C - 4)
    assert not cabinet.air.too_hot_or_cold


def test_a_cold_night_is_heated() -> None:
    """At 30 degrees of frost nothing inside freezes."""
    cabinet = Cabinet(Mains())
    change(cabinet, equipment_w=50)
    assert min(day(cabinet, mean_c=-25.0, swing_c=5.0)) > 0


@given(
    st.floats(-30, 60),
    st.floats(-30, 45),
    st.floats(0, 2000),
    st.sampled_from(list(AirMode)),
    st.integers(0, 2),
)
def test_heat_is_neither_made_nor_lost(
    inside_c: float, outside_c: float, heat_w: float, mode: AirMode, doors: int
) -> None:
    """What came in, less what left through walls, doors and fans, is what the air is warmer by."""
    air, unit = Air(), AirConditioner()
    air.temperature_c, air.outside_temperature_c, unit.mode = inside_c, outside_c, mode
    added_j = 0.0
    for _ in range(500):
        before = air.temperature_c
        conductance = air.conductance_w_k([unit], doors)
        air.step(0.1, heat_w, [unit], doors)
        middle = (before + air.temperature_c) / 2
        added_j += 0.1 * (heat_w + unit.heat_w - conductance * (middle - outside_c))
    stored_j = (air.temperature_c - inside_c) * HEAT_CAPACITY_J_K
    assert stored_j == pytest.approx(added_j, abs=1.0, rel=1e-5)


@given(st.floats(-40, 100), st.floats(-40, 60), st.floats(0, 2000), st.integers(1, 10))
def test_one_long_step_is_as_many_short_ones(
    inside_c: float, outside_c: float, heat_w: float, parts: int
) -> None:
    """How a second is cut into steps does not matter."""
    whole, cut = Air(), Air()
    for air in (whole, cut):
        air.temperature_c, air.outside_temperature_c = inside_c, outside_c
    whole.step(1.0, heat_w, [], 0)
    for _ in range(parts):
        cut.step(1.0 / parts, heat_w, [], 0)
    assert whole.temperature_c == pytest.approx(cut.temperature_c, abs=1e-9)


def test_the_sun_warms_as_a_heat_inside_would() -> None:
    """What it puts through the walls is a gain like any other."""
    lit, heated = Air(), Air()
    lit.sun_w_m2 = 900.0
    for _ in range(600):
        lit.step(1.0, 100.0, [], 0)
        heated.step(1.0, 100.0 + 900.0 * SUN_M2, [], 0)
    assert lit.temperature_c == pytest.approx(heated.temperature_c)
    assert 100 < 900 * SUN_M2 < 200


def test_saturation_is_that_of_the_tables() -> None:
    """0 degrees: 6.11 hPa, 20: 23.4, 40: 73.8."""
    assert saturation_hpa(0) == pytest.approx(6.112, abs=0.01)
    assert saturation_hpa(20) == pytest.approx(23.39, rel=0.005)
    assert saturation_hpa(40) == pytest.approx(73.85, rel=0.01)


def test_warm_air_is_drier_and_a_cold_coil_dries_it() -> None:
    """The vapour stays when the air warms; a unit that cools takes some out."""
    air, unit = Air(), AirConditioner()
    air.humidity = 60.0
    air.temperature_c += 10
    assert 30 < air.humidity < 40
    air.temperature_c, air.humidity, air.outside_humidity = 30.0, 90.0, 90.0
    air.outside_temperature_c = 30.0
    unit.mode = AirMode.COOLING
    vapour = air.humidity * saturation_hpa(air.temperature_c)
    for _ in range(600):
        air.step(1.0, 1000.0, [unit], 0)
    assert air.humidity * saturation_hpa(air.temperature_c) < 0.8 * vapour


@given(st.floats(-40, 100), st.floats(-40, 60), st.floats(0, 100), st.integers(0, 2))
def test_humidity_is_a_percentage(
    inside_c: float, outside_c: float, outside_humidity: float, doors: int
) -> None:
    """Air that cools below its dew point gives its water away."""
    air = Air()
    air.temperature_c, air.outside_temperature_c = inside_c, outside_c
    air.outside_humidity = outside_humidity
    for _ in range(50):
        air.step(60.0, 100.0, [], doors)
        assert 0 <= air.humidity <= 100


def test_a_unit_works_between_its_set_points() -> None:
    """It cools above one until it is well below it, and heats below the other likewise."""
    unit = AirConditioner()
    seen = []
    for temperature in (27, 29, 28 - HYSTERESIS_C + 1, 28 - HYSTERESIS_C, 6, 4, 7, 8, 20):
        unit.follow(temperature, supplied=True)
        seen.append(unit.mode)
    vent, cool, heat = AirMode.VENTILATION, AirMode.COOLING, AirMode.HEATING
    assert seen == [vent, cool, cool, vent, vent, heat, heat, vent, vent]


@given(st.floats(0, 44), st.floats(0.1, 45), st.lists(st.floats(-40, 80), max_size=40))
def test_a_unit_never_cools_and_heats_the_same_air(
    heat_below: float, gap: float, temperatures: list[float]
) -> None:
    """However close the set points, what it does has its reason in the temperature."""
    unit = AirConditioner()
    cool_above = min(heat_below + gap, 45.0)
    if not unit.set_points(cool_above, heat_below):
        return
    for temperature in temperatures:
        unit.follow(temperature, supplied=True)
        if unit.mode is AirMode.COOLING:
            assert temperature > heat_below
        if unit.mode is AirMode.HEATING:
            assert temperature < cool_above
        assert (temperature <= cool_above) or unit.mode is AirMode.COOLING
        assert (temperature >= heat_below) or unit.mode is AirMode.HEATING


def test_what_a_unit_takes_from_the_mains() -> None:
    """The fan always, the compressor when it cools; nothing in standby or without a fan."""
    unit = AirConditioner()
    unit.follow(40.0, supplied=True)
    assert unit.input_w == FAN_W + COOLING_W / PERFORMANCE
    unit.fault = AirFault.COMPRESSOR
    assert (unit.input_w, unit.heat_w) == (FAN_W, 0.0)
    unit.fault = AirFault.FAN
    unit.follow(40.0, supplied=True)
    assert (unit.running, unit.input_w, unit.heat_w) == (False, 0.0, 0.0)


def test_units_need_mains_and_a_power_mode_that_lets_them() -> None:
    """Power mode 1 and a mains failure stop them; both over, they run again."""
    mains = Mains()
    cabinet = Cabinet(mains)
    assert shown(cabinet, "air1_running") is True
    change(cabinet, power_mode=1)
    assert shown(cabinet, "air1_running") is False
    change(cabinet, power_mode=0)
    mains.voltage_v["r"] = 0.0
    cabinet.settle()
    assert shown(cabinet, "air2_running") is False
    mains.voltage_v["r"] = 220.0
    cabinet.settle()
    assert shown(cabinet, "air2_running") is True


def test_set_points_that_cross_are_refused() -> None:
    """Both may change at once; heating must stay below cooling."""
    cabinet = Cabinet(Mains())
    with pytest.raises(ValueError, match="air1_heat_below: must be below air1_cool_above"):
        change(cabinet, air1_heat_below=30)
    change(cabinet, air1_heat_below=30, air1_cool_above=35)
    assert not cabinet.air_conditioners[0].set_points(20.0, 20.0)
    assert cabinet.air_conditioners[0].cool_above_c == 35
