"""The charging place of the world: the wallbox, the car, the meters, and that no energy is lost."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.twin.world.car import EFFICIENCY, FULL, RAMP_A_PER_S, TAPER_FROM, Car, ramp
from twisted_gantry.twin.world.charging import ChargingSite
from twisted_gantry.twin.world.evse import CABLE_A, EvseFault
from twisted_gantry.twin.world.mains import Mains
from twisted_gantry.wire.cfos.calls import PilotState


class Place:
    """A charging place on good mains, and how its time passes."""

    def __init__(self) -> None:
        self.mains = Mains()
        self.site = ChargingSite(self.mains)
        self.evse = self.site.evses["E1"]
        self.variables = dict(self.site.variables())

    def run(self, seconds: float, step: float = 1.0) -> None:
        for _ in range(round(seconds / step)):
            self.site.step(step)

    def put(self, name: str, value: Any) -> None:
        assert self.variables[name].complaint(value) is None
        self.variables[name].set(value)
        self.site.settle()

    def show(self, name: str) -> Any:
        get = self.variables[name].get
        assert get is not None
        return get()


@pytest.fixture
def place() -> Place:
    return Place()


def test_a_car_charges_from_the_start(place: Place) -> None:
    """In the initial state a car is charged at E1, and its charge rises."""
    before = place.show("E1.car_charge")
    place.run(60)
    assert place.show("E1.state") == "charging"
    assert place.show("E1.current") == 16
    assert place.show("E1.power") == pytest.approx(16 * 220 * 3)
    assert place.show("E1.car_charge") > before


def test_the_current_rises_with_a_ramp(place: Place) -> None:
    """A car takes its time, and never more than is offered."""
    place.run(1)
    assert place.show("E1.current") == RAMP_A_PER_S
    place.run(2)
    assert place.show("E1.current") == 3 * RAMP_A_PER_S
    place.evse.offer_a = 6.0
    place.run(1)
    assert place.show("E1.current") == 2 * RAMP_A_PER_S
    place.run(5)
    assert place.show("E1.current") == 6


@given(now=st.floats(0, 63), goal=st.floats(0, 63), dt=st.floats(0, 10))
def test_a_ramp_never_passes_its_goal(now: float, goal: float, dt: float) -> None:
    """Whatever the step, the current stays between where it was and where it goes."""
    after = ramp(now, goal, dt)
    assert min(now, goal) <= after <= max(now, goal)
    assert abs(after - now) <= RAMP_A_PER_S * dt + 1e-9


def test_the_power_is_constant_up_to_the_taper_and_falls_above() -> None:
    """Up to 80 % a car takes all it can, above it in proportion to what is missing; then none."""
    most = Car(charge=0.1).accepted_w
    assert Car(charge=TAPER_FROM).accepted_w == pytest.approx(most)
    assert Car(charge=0.9).accepted_w == pytest.approx(most / 2)
    assert Car(charge=0.95).accepted_w == pytest.approx(most / 4)
    assert Car(charge=FULL).accepted_w == 0


def test_a_full_car_stays_connected_and_takes_nothing(place: Place) -> None:
    """At its end the charge stops by itself, and never passes 100 %."""
    place.put("E1.car_capacity", 1000)
    place.put("E1.car_charge", 70)
    place.run(3600)
    assert place.show("E1.state") == "vehicle-present"
    assert place.show("E1.power") == 0
    assert 99 < place.show("E1.car_charge") <= 100


def test_an_unplugged_car_ends_the_current_at_once(place: Place) -> None:
    """No step is needed for the contactor to open, and none for the pilot to show the next car."""
    place.run(30)
    place.put("E1.car", "none")
    assert (place.show("E1.state"), place.show("E1.power")) == ("waiting", 0)
    assert place.evse.cable_a == 0
    place.put("E1.car", "connected")
    assert place.show("E1.state") == "charging"
    assert place.evse.cable_a == CABLE_A


def test_a_visit_may_be_planned(place: Place) -> None:
    """A car comes and goes when it was said, and a plan is carried out once."""
    place.put("E1.car", "none")
    place.put("E1.car_arrives_s", 60)
    place.put("E1.car_leaves_s", 600)
    assert place.site.until_change_s == 60
    place.run(59)
    assert place.show("E1.car") == "none"
    place.run(1)
    assert place.show("E1.state") == "charging"
    assert place.site.until_change_s == 540
    place.run(539)
    assert place.show("E1.power") > 0
    place.run(1)
    assert (place.show("E1.car"), place.show("E1.power")) == ("none", 0)
    assert place.site.until_change_s == math.inf


@pytest.mark.parametrize(("name", "value"), [("voltage", 0.0), ("frequency", 40.0)])
def test_no_mains_no_charging(place: Place, name: str, value: float) -> None:
    """A car at dead mains is there, and gets nothing; with the mains it goes on."""
    place.run(30)
    variable = dict(place.mains.variables())[name]
    variable.set(value)
    place.site.settle()
    assert (place.show("E1.state"), place.show("E1.power")) == ("vehicle-present", 0)
    assert place.show("M1.power") == 0
    before = place.show("E1.car_charge")
    place.run(30)
    assert place.show("E1.car_charge") == before
    variable.set(220.0 if name == "voltage" else 50.0)
    place.site.settle()
    place.run(30)
    assert place.show("E1.power") > 0


def test_a_dead_phase_leaves_the_others(place: Place) -> None:
    """With a phase lost the car goes on with two, and the meter shows which."""
    place.mains.voltage_v["s"] = 0.0
    place.site.settle()
    place.run(30)
    assert place.show("E1.power") == pytest.approx(16 * 220 * 2)
    assert place.site.mains_meter.voltages_v() == (220, 0, 220)
    assert place.site.mains_meter.currents_a()[1] == 0


def test_a_car_of_one_phase_uses_the_first(place: Place) -> None:
    """A charger of one phase draws from L1 alone."""
    place.put("E1.car_phases", "1")
    place.run(30)
    assert place.evse.phase_currents_a == {"r": 16, "s": 0, "t": 0}


def test_a_car_that_needs_ventilation_shows_it(place: Place) -> None:
    """State D, and it charges."""
    place.put("E1.car_ventilation", True)
    place.run(30)
    assert place.show("E1.state") == "charging-ventilated"
    assert place.show("E1.power") > 0


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("pilot", PilotState.NO_CURRENT),
        ("broken", PilotState.ERROR),
        ("dc-sensor", PilotState.DC_SENSOR),
    ],
)
def test_a_broken_wallbox_charges_nothing(place: Place, fault: str, state: PilotState) -> None:
    """Every fault opens the contactor and is seen in the pilot, until it is mended."""
    place.run(30)
    place.put("E1.fault", fault)
    assert (place.evse.state, place.show("E1.power")) == (state, 0)
    place.put("E1.fault", EvseFault.NONE.value)
    assert place.show("E1.state") == "charging"


def test_the_offer_stays_within_the_cable(place: Place) -> None:
    """A car never draws more than its cable bears, whatever is offered."""
    place.put("E1.car_current", 63)
    place.evse.offer_a = 63.0
    place.run(60)
    assert place.show("E1.current") == CABLE_A


def test_the_grid_meter_counts_both_ways(place: Place) -> None:
    """More sun than need is counted as export, and the import stands still."""
    place.put("E1.car", "none")
    place.put("other_w", -1800)
    place.run(3600)
    assert place.show("M1.power") == pytest.approx(-1800)
    assert place.show("M1.export") == pytest.approx(1800)
    assert place.show("M1.import") == 0


def test_pulses_are_those_of_the_energy(place: Place) -> None:
    """A counter of 1,000 pulses per kWh has one for each Wh, and knows the power by the first."""
    meter = place.site.pulse_meter
    assert (meter.known, meter.power_w, meter.ms_per_pulse) == (False, 0, 0)
    place.run(3600)
    assert meter.pulses == int(place.show("E1.energy"))
    assert meter.import_wh == meter.pulses
    assert meter.ms_per_pulse == round(3_600_000 / meter.power_w)


_CHANGES = st.one_of(
    st.tuples(st.just("E1.car"), st.sampled_from(["none", "connected"])),
    st.tuples(st.just("E1.car_phases"), st.sampled_from(["1", "3"])),
    st.tuples(st.just("other_w"), st.floats(-20_000, 20_000)),
    st.tuples(st.just("offer"), st.floats(0, 63)),
    st.tuples(st.just("voltage"), st.sampled_from([0.0, 180.0, 220.0, 260.0])),
)


@given(
    changes=st.lists(st.tuples(_CHANGES, st.floats(0.01, 1.0), st.integers(1, 60)), max_size=12),
    charge=st.floats(0, 1),
)
def test_energy_is_conserved(changes: list[Any], charge: float) -> None:
    """What the grid gives is what the car and the rest took, whatever happens meanwhile."""
    place = Place()
    place.evse.car.charge = charge
    place.put("E1.car_capacity", 2000)
    other_wh = 0.0
    for (name, value), step, count in changes:
        if name == "offer":
            place.evse.offer_a = value
        elif name == "voltage":
            place.mains.voltage_v.update(dict.fromkeys("rst", value))
        else:
            place.put(name, value)
        place.site.settle()
        dead = not place.mains.usable(("r",))
        for _ in range(count):
            other_wh += 0.0 if dead else place.site.other_w * step / 3600
            place.site.step(step)
    meter, energy = place.site.mains_meter, place.evse.energy_wh
    assert meter.import_wh - meter.export_wh == pytest.approx(energy + other_wh, abs=1e-6)
    stored = (place.evse.car.charge - charge) * 2000
    assert stored == pytest.approx(energy * EFFICIENCY, abs=1e-6)
    assert place.evse.car.charge <= 1
    pulses = place.site.pulse_meter
    assert energy - 1 - 1e-6 <= pulses.pulses <= energy + 1e-6


def test_small_and_large_steps_agree(place: Place) -> None:
    """An hour in steps of 0.1 s and of 1 s ends with the same charge, within a thousandth."""
    other = Place()
    place.run(3600, 0.1)
    other.run(3600, 1.0)
    charges = [each.show("E1.car_charge") for each in (place, other)]
    assert charges[0] == pytest.approx(charges[1], rel=1e-3)


def test_every_settable_variable_is_set(place: Place) -> None:
    """What is said to be settable is shown as it was set."""
    values: dict[str, Any] = {
        "other_w": 100.0,
        "E1.car": "none",
        "E1.car_arrives_s": 60.0,
        "E1.car_leaves_s": 3600.0,
        "E1.car_charge": 20.0,
        "E1.car_capacity": 50_000.0,
        "E1.car_current": 10.0,
        "E1.car_phases": "1",
        "E1.car_ventilation": True,
        "E1.fault": "broken",
    }
    assert {name for name, each in place.variables.items() if each.put} == set(values)
    for name, value in values.items():
        place.put(name, value)
    assert {name: place.show(name) for name in values} == pytest.approx(values)
    assert not list(place.site.complaints(values))
