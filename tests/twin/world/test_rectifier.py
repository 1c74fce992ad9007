"""The 48 V supply of a cabinet: modules, battery, what they feed, and the battery test."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted_gantry.twin.world.battery_test import END_V, TEST_S, End, Verdict
from twisted_gantry.twin.world.mains import Mains
from twisted_gantry.twin.world.rectifier import (
    EFFICIENCY,
    EQUALISING_V,
    FLOAT_BUS_V,
    IDLE_W,
    MODULE_W,
    RESERVE_CHARGE,
    DcSupply,
    RectifierFault,
)


class Rig:
    """A supply with its mains."""

    def __init__(self) -> None:
        self.mains = Mains()
        self.supply = DcSupply(self.mains)

    def set_mains(self, volts: float) -> None:
        self.mains.voltage_v.update(dict.fromkeys("rst", volts))
        self.supply.settle()

    def run(self, seconds: float, temperature_c: float = 25.0) -> None:
        for _ in range(round(seconds)):
            self.supply.step(1.0, temperature_c)

    def powered(self) -> bool:
        return self.supply.powered

    def testing(self) -> bool:
        return self.supply.testing

    @property
    def output_w(self) -> float:
        return sum(each.output_w for each in self.supply.rectifiers)


@pytest.fixture
def rig() -> Rig:
    return Rig()


@settings(deadline=None, max_examples=60)
@given(
    volts=st.sampled_from([0.0, 150.0, 220.0, 300.0]),
    load_w=st.floats(0, 2_000),
    outside_w=st.floats(0, 210),
    charge=st.floats(0, 1),
    health=st.floats(0.05, 1),
    fuse_blown=st.booleans(),
    faults=st.tuples(*[st.sampled_from(list(RectifierFault))] * 2),
    wanted=st.tuples(st.booleans(), st.booleans()),
    test=st.booleans(),
    steps=st.integers(0, 5),
)
def test_what_goes_in_comes_out(
    volts: float,
    load_w: float,
    outside_w: float,
    charge: float,
    health: float,
    fuse_blown: bool,
    faults: tuple[RectifierFault, ...],
    wanted: tuple[bool, ...],
    test: bool,
    steps: int,
) -> None:
    """In every state: modules and battery give what the load takes, no module beyond its rating."""
    rig = Rig()
    supply = rig.supply
    supply.equipment_w, supply.outside_w, supply.fuse_blown = load_w, outside_w, fuse_blown
    supply.battery.charge, supply.battery.health = charge, health
    for rectifier, fault, on in zip(supply.rectifiers, faults, wanted, strict=True):
        rectifier.fault, rectifier.wanted = fault, on
    rig.set_mains(volts)
    if test:
        supply.start_test(0.0)
    for _ in range(steps + 1):
        assert rig.output_w + supply.battery_w == pytest.approx(supply.fed_w, abs=1e-6)
        assert -1e-9 <= supply.fed_w <= supply.load_w + 1e-6
        assert all(0 <= each.output_w <= MODULE_W + 1e-9 for each in supply.rectifiers)
        assert supply.input_w >= rig.output_w
        if not supply.powered:
            assert (rig.output_w, supply.fed_w, supply.battery_w) == (0, 0, 0)
        if fuse_blown:
            assert supply.battery.current_a == 0
        if volts != 220.0:
            assert (rig.output_w, supply.input_w) == (0, 0)
        rig.run(1)


def test_the_losses_are_heat(rig: Rig) -> None:
    """What the mains give and neither load nor battery keeps warms the cabinet."""
    supply = rig.supply
    supply.equipment_w, supply.outside_w = 300.0, 100.0
    supply.settle()
    losses_w = rig.output_w * (1 / EFFICIENCY - 1) + 2 * IDLE_W
    assert supply.input_w == pytest.approx(rig.output_w + losses_w)
    assert supply.heat_w == pytest.approx(losses_w + 300.0)


def test_the_modules_share_and_charge(rig: Rig) -> None:
    """Two modules give the same; the battery fills, and floats then."""
    first, second = rig.supply.rectifiers
    assert first.output_w == second.output_w > rig.supply.load_w / 2
    rig.supply.battery.charge = 0.5
    rig.run(8 * 3600)
    assert rig.supply.battery.charge > 0.9
    assert rig.supply.bus_v == FLOAT_BUS_V


def test_without_mains_the_battery_carries_the_load_until_it_is_flat(rig: Rig) -> None:
    """Then all is dark, and stays so until the mains are back."""
    supply = rig.supply
    rig.set_mains(0)
    assert rig.powered()
    assert supply.battery_w == pytest.approx(supply.load_w)
    estimate = supply.runtime_s
    seconds = 0
    while rig.powered():
        rig.run(60)
        seconds += 60
        assert seconds < 100 * 3600
    assert seconds == pytest.approx(estimate, rel=0.35)
    rig.run(600)
    assert not rig.powered()  # the voltage of a battery at rest recovers; it is no reserve
    rig.set_mains(220)
    assert rig.powered()
    assert supply.battery.current_a < 0


def test_a_module_that_fails_leaves_its_load_to_the_other(rig: Rig) -> None:
    """Beyond its rating it limits, and the battery gives the rest."""
    supply = rig.supply
    first, second = supply.rectifiers
    supply.equipment_w, first.fault = 1_800.0, RectifierFault.FAILED
    supply.settle()
    assert (first.output_w, second.output_w, second.limiting) == (0.0, MODULE_W, True)
    assert supply.battery_w == pytest.approx(1_800.0 - MODULE_W)
    supply.fuse_blown = True
    supply.settle()
    assert 0 < supply.bus_v < FLOAT_BUS_V  # too much for it alone: the voltage sinks
    assert supply.fed_w == pytest.approx(MODULE_W)


def test_a_module_that_cannot_be_read_works_on(rig: Rig) -> None:
    """A lost connection is no lost power."""
    supply = rig.supply
    supply.rectifiers[0].fault = RectifierFault.COMMUNICATION
    supply.settle()
    assert supply.rectifiers[0].output_w == supply.rectifiers[1].output_w > 0


def test_the_modules_are_switched_off_over_a_good_battery_alone(rig: Rig) -> None:
    """Off is refused where all would soon be dark; on works where any module does."""
    supply = rig.supply
    assert supply.switch(False)
    assert supply.powered
    assert supply.battery.current_a > 0
    assert supply.switch(True)
    supply.battery.charge = RESERVE_CHARGE - 0.01
    assert not supply.switch(False)
    supply.battery.charge, supply.fuse_blown = 1.0, True
    assert not supply.switch(False)
    assert rig.output_w > 0
    for rectifier in supply.rectifiers:
        rectifier.fault = RectifierFault.PROTECTION
    assert not supply.switch(True)


def test_a_battery_test_judges_the_battery(rig: Rig) -> None:
    """The battery carries the load for the length of the test; then the modules charge it again."""
    supply = rig.supply
    assert supply.start_test(7.0)
    assert (rig.output_w, rig.testing()) == (0.0, True)
    rig.run(TEST_S - 1)
    assert rig.testing()
    assert not supply.start_test(8.0)  # one at a time
    rig.run(1)
    test = supply.test
    assert test is not None
    assert (test.started_s, test.end, test.verdict) == (7.0, End.END_TIME, Verdict.GOOD)
    assert test.average_current_a * test.end_voltage_v == pytest.approx(supply.load_w, rel=0.05)
    assert test.discharged_ah == pytest.approx(test.average_current_a * TEST_S / 3600)
    assert not rig.testing()
    assert rig.output_w > 0


@pytest.mark.parametrize(
    ("health", "verdict"),
    [(0.81, Verdict.GOOD), (0.7, Verdict.SLIGHTLY_ABNORMAL), (0.5, Verdict.BADLY_ABNORMAL)],
)
def test_an_old_battery_is_found_out(rig: Rig, health: float, verdict: Verdict) -> None:
    """Under 80 % of its capacity it is not good, under 60 % it is bad."""
    rig.supply.battery.health = health
    assert rig.supply.start_test(0.0)
    rig.run(TEST_S)
    assert rig.supply.test is not None
    assert rig.supply.test.verdict is verdict


def test_a_dead_battery_does_not_darken_the_cabinet(rig: Rig) -> None:
    """One that bears nothing ends the test at once, and the modules take over."""
    supply = rig.supply
    supply.battery.health, supply.equipment_w = 0.05, 2_000.0
    supply.battery.rated_ah = 10.0
    supply.settle()
    supply.start_test(0.0)
    rig.run(5)
    test = supply.test
    assert test is not None
    assert (test.end, test.verdict) == (End.END_VOLTAGE, Verdict.BADLY_ABNORMAL)
    assert supply.powered
    assert supply.fed_w == pytest.approx(supply.load_w)


@pytest.mark.parametrize(
    ("happens", "end", "verdict"),
    [
        ("stop", End.BY_HAND, Verdict.NONE),
        ("mains", End.ALARM, Verdict.NONE),
        ("fuse", End.FAULT, Verdict.NONE),
        ("frost", End.LOW_TEMPERATURE, Verdict.NONE),
        ("charge", End.LOW_CHARGE, Verdict.BADLY_ABNORMAL),
    ],
)
def test_a_battery_test_may_end_early(rig: Rig, happens: str, end: End, verdict: Verdict) -> None:
    """What ended it is told; only a battery that gave out is judged."""
    supply = rig.supply
    supply.start_test(0.0)
    rig.run(10)
    if happens == "stop":
        assert supply.stop_test()
    elif happens == "mains":
        rig.set_mains(0)
    elif happens == "fuse":
        supply.fuse_blown = True
        supply.settle()
    elif happens == "charge":
        supply.battery.charge = 0.4
    rig.run(1, temperature_c=-5.0 if happens == "frost" else 25.0)
    assert supply.test is not None
    assert (supply.test.end, supply.test.verdict) == (end, verdict)
    assert supply.powered
    assert not supply.stop_test()


def test_the_end_voltage_ends_a_test(rig: Rig) -> None:
    """A heavy load on a weak battery: 46 V are reached before the time."""
    supply = rig.supply
    supply.battery.health, supply.battery.charge, supply.equipment_w = 0.17, 0.82, 1_800.0
    supply.settle()
    assert supply.start_test(0.0)
    rig.run(TEST_S)
    assert supply.test is not None
    assert supply.test.end is End.END_VOLTAGE
    assert supply.test.end_voltage_v <= END_V
    assert supply.test.duration_s < TEST_S


def test_a_battery_test_is_refused_where_it_would_harm(rig: Rig) -> None:
    """Without mains, without modules, with a fuse blown, or with under 80 % of charge."""
    supply = rig.supply
    rig.set_mains(0)
    assert not supply.start_test(0.0)
    rig.set_mains(220)
    for rectifier in supply.rectifiers:
        rectifier.wanted = False
    assert not supply.start_test(0.0)
    for rectifier in supply.rectifiers:
        rectifier.wanted = True
    supply.fuse_blown = True
    assert not supply.start_test(0.0)
    supply.fuse_blown, supply.battery.charge = False, 0.79
    assert not supply.start_test(0.0)
    supply.battery.charge = 0.81
    assert supply.start_test(0.0)


def test_an_equalising_charge_raises_the_voltage(rig: Rig) -> None:
    """It goes on while modules feed the battery; a battery that gives is not equalised."""
    rig.supply.equalise = True
    rig.supply.settle()
    assert rig.supply.bus_v == pytest.approx(FLOAT_BUS_V + EQUALISING_V)
    shown = [rig.supply.equalising]
    rig.set_mains(0.0)
    assert rig.supply.bus_v < FLOAT_BUS_V
    shown.append(rig.supply.equalising)
    rig.set_mains(220.0)
    shown.append(rig.supply.start_test(0.0))
    shown.append(rig.supply.equalising)
    assert shown == [True, False, True, False]


@pytest.mark.parametrize("fuse_blown", [True, False])
def test_a_regulation_that_is_off_moves_the_voltage(rig: Rig, fuse_blown: bool) -> None:
    """What the modules give is off by the error, with a battery and without."""
    rig.supply.fuse_blown, rig.supply.offset_v = fuse_blown, 5.0
    rig.supply.settle()
    assert rig.supply.bus_v == pytest.approx(FLOAT_BUS_V + 5.0)
    rig.set_mains(0.0)
    assert rig.supply.bus_v < FLOAT_BUS_V
