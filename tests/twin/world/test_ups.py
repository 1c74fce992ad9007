"""One UPS: its states, its commands, and how they act on the load and the battery."""

import itertools
import random
from typing import Any

import pytest

from tests.wire.upscard.readings import decode_live, decode_ratings
from twisted_gantry.twin.world.load import RATED_VA
from twisted_gantry.twin.world.mains import Mains
from twisted_gantry.twin.world.ups import START_S, TEST_S, Mode, Ups, UpsFault
from twisted_gantry.twin.world.ups_readings import live, ratings
from twisted_gantry.wire.reading import Quality
from twisted_gantry.wire.upscard import values as wire


@pytest.fixture
def ups() -> Ups:
    return Ups(Mains(), random.Random(1))


def mains(ups: Ups, volts: float, *phases: str) -> None:
    for phase in phases or ("r", "s", "t"):
        ups.mains.voltage_v[phase] = volts
    ups.settle()


def put(ups: Ups, **values: Any) -> None:
    """Set attributes, `load__total_w` for one of the load, and let the UPS follow."""
    for name, value in values.items():
        owner, _, own = name.rpartition("__")
        setattr(getattr(ups, owner) if owner else ups, own, value)
    ups.settle()


def run(ups: Ups, seconds: float) -> None:
    """Let time pass, in steps of at most a second."""
    while seconds > 0:
        ups.step(min(seconds, 1.0))
        seconds -= 1.0


def state(ups: Ups) -> wire.UpsState:
    return ups.state


def value(ups: Ups, name: str) -> Any:
    """Return what the card shows under a name, after the way over the wire."""
    return decode_live(wire.encode_live(live(ups)))[name].value


def test_it_begins_on_line_with_a_full_battery(ups: Ups) -> None:
    """A fresh UPS works from the mains, 20 to 30 % loaded, with 95 to 100 % of charge."""
    assert value(ups, "state") == "line"
    assert [value(ups, f"load_{phase}") for phase in "rst"] == [20, 30, 25]
    assert 95 <= value(ups, "battery_charge") <= 100
    assert not any(value(ups, flag) for flag in ("overload", "battery_low", "mains_abnormal"))


def test_every_live_value_but_the_input_currents_is_there(ups: Ups) -> None:
    """A QAD of three phases has all its numbers, but for the input currents, to a tenth."""
    ups.draw_noise()
    readings = decode_live(wire.encode_live(live(ups)))
    absent = {name for name in wire.LIVE_UNITS if readings[name].quality is Quality.NOT_SUPPORTED}
    assert absent == {"input_current_r", "input_current_s", "input_current_t"}
    numbers = [r.value for r in readings.values() if isinstance(r.value, float)]
    assert all(round(number, 1) == number for number in numbers)


def test_the_ratings_are_those_of_the_document(ups: Ups) -> None:
    """RTD reads as the document's sample, with the phases that this UPS has."""
    text = wire.encode_ratings(ratings(ups))
    assert text == "(Sunshine V1.0 C10KS 220 220 20 50.0 192 3/3 10000"
    assert decode_ratings(text)["rated_power"].value == 10000


@pytest.mark.parametrize(
    ("phases", "inputs", "outputs"), [("1/1", "r", "r"), ("3/1", "rst", "r"), ("3/3", "rst", "rst")]
)
def test_phases_that_are_not_there_have_no_values(
    ups: Ups, phases: str, inputs: str, outputs: str
) -> None:
    """A UPS of one phase shows no values for the others, and keeps its load."""
    put(ups, load__phases=phases)
    readings = decode_live(wire.encode_live(live(ups)))
    for phase in "rst":
        assert (readings[f"input_voltage_{phase}"].value is not None) == (phase in inputs)
        for name in ("output_voltage", "output_current", "load"):
            assert (readings[f"{name}_{phase}"].value is not None) == (phase in outputs)
    assert ups.load.total_w == pytest.approx(2000)
    assert readings["load_r"].value == pytest.approx(25, abs=0.1)


@pytest.mark.parametrize("volts", [0.0, 175.9, 264.1])
def test_bad_mains_move_the_load_to_the_battery_at_once(ups: Ups, volts: float) -> None:
    """Outside its limits the mains are left without a moment in between, and the load stays fed."""
    mains(ups, volts)
    assert value(ups, "state") == "battery"
    assert value(ups, "mains_abnormal") is True
    assert value(ups, "output_voltage_r") == 220
    assert value(ups, "output_frequency") == 50
    assert value(ups, "fault_voltage") == volts
    mains(ups, 220)
    assert value(ups, "state") == "line"
    assert value(ups, "fault_voltage") == volts


def test_one_bad_phase_is_bad_mains(ups: Ups) -> None:
    """A UPS of three phases needs all three; one that uses the first alone does not."""
    mains(ups, 100, "t")
    assert state(ups) is wire.UpsState.BATTERY
    put(ups, load__phases="1/1")
    assert state(ups) is wire.UpsState.LINE


def test_a_bad_frequency_is_bad_mains(ups: Ups) -> None:
    """Mains of 44.9 Hz are not worked from, those of 45 Hz are."""
    put(ups, mains__frequency_hz=44.9)
    assert state(ups) is wire.UpsState.BATTERY
    put(ups, mains__frequency_hz=45.0)
    assert state(ups) is wire.UpsState.LINE


def test_dead_mains_show_no_frequency(ups: Ups) -> None:
    """Without a voltage there is no input frequency, whatever noise there is."""
    ups.draw_noise()
    mains(ups, 0)
    assert value(ups, "input_frequency") == 0
    assert value(ups, "input_voltage_r") == 0


def test_on_battery_it_drains_and_the_time_left_falls(ups: Ups) -> None:
    """On battery the charge, the voltage and the time left fall minute by minute."""
    mains(ups, 0)
    shown = []
    for _ in range(5):
        shown.append([ups.battery.charge, ups.battery.voltage_v, ups.runtime_s])
        run(ups, 600)
    for earlier, later in itertools.pairwise(shown):
        assert all(b < a for a, b in zip(earlier, later, strict=True))
    left = shown[0][2] - shown[1][2]
    assert left == pytest.approx(600, rel=0.2)


def test_on_line_the_battery_is_charged(ups: Ups) -> None:
    """With mains the charge rises, and the terminals show the charging voltage."""
    put(ups, battery__charge=0.5)
    before = ups.battery.voltage_v
    assert before > ups.battery.open_circuit_v
    run(ups, 3600)
    assert ups.battery.charge == pytest.approx(0.595, abs=0.01)


def test_a_broken_charger_charges_nothing(ups: Ups) -> None:
    """With the fault `charger` the UPS works on, and the battery stays as it is."""
    ups.fault, ups.battery.charge = UpsFault.CHARGER, 0.5
    ups.settle()
    run(ups, 600)
    assert state(ups) is wire.UpsState.LINE
    assert ups.battery.charge == 0.5


def test_it_shuts_down_on_an_empty_battery_and_starts_with_the_mains(ups: Ups) -> None:
    """An empty battery darkens the load; the mains bring it back after the start, by itself."""
    ups.battery.charge = 0.05
    mains(ups, 0)
    assert value(ups, "battery_low") is True
    run(ups, 1200)
    assert value(ups, "state") == "shutdown"
    assert value(ups, "shutting_down") is True
    assert value(ups, "output_voltage_r") == 0
    assert value(ups, "load_r") == 0
    left = ups.battery.charge
    run(ups, 600)
    assert ups.battery.charge == left
    mains(ups, 220)
    assert value(ups, "state") == "power-on"
    assert not ups.powered
    run(ups, START_S)
    assert value(ups, "state") == "line"
    assert ups.powered


def test_mains_that_go_again_during_the_start_shut_it_down(ups: Ups) -> None:
    """A start that the mains interrupt ends dark, and begins anew with them."""
    ups.battery.charge = 0.0
    mains(ups, 0)
    mains(ups, 220)
    run(ups, 1)
    mains(ups, 0)
    assert state(ups) is wire.UpsState.SHUTDOWN
    mains(ups, 220)
    assert state(ups) is wire.UpsState.POWER_ON


def test_an_overload_goes_to_bypass_and_back(ups: Ups) -> None:
    """Above 110 % the mains feed the load directly; at 100 % the inverter takes it back."""
    put(ups, load__total_w=RATED_VA * 0.8 * 1.05)
    assert (value(ups, "overload"), value(ups, "state")) == (True, "line")
    ups.load.total_w = RATED_VA * 0.8 * 1.2
    mains(ups, 231)
    assert (value(ups, "overload"), value(ups, "state")) == (True, "bypass")
    assert value(ups, "output_voltage_s") == 231
    put(ups, load__total_w=RATED_VA * 0.8)
    assert (value(ups, "overload"), value(ups, "state")) == (False, "line")


def test_an_overload_without_mains_darkens_the_load(ups: Ups) -> None:
    """Where there is no bypass to go to, an overload shuts the UPS down."""
    ups.load.total_w = 12_000
    mains(ups, 0)
    assert state(ups) is wire.UpsState.SHUTDOWN
    assert value(ups, "output_current_r") == 0


def test_soff_darkens_the_load_and_son_feeds_it_again(ups: Ups) -> None:
    """SOFF leaves a UPS on standby, charging; SON puts it on line."""
    assert ups.switch_off()
    assert value(ups, "state") == "standby"
    assert [value(ups, f"output_voltage_{phase}") for phase in "rst"] == [0, 0, 0]
    assert value(ups, "shutting_down") is True
    assert ups.battery.current_a < 0
    assert ups.switch_on()
    assert value(ups, "state") == "line"
    assert value(ups, "output_voltage_r") == 220


def test_soff_on_battery_shuts_down_and_son_starts_cold(ups: Ups) -> None:
    """Without mains SOFF ends in shutdown, and SON starts from the battery."""
    mains(ups, 0)
    assert ups.switch_off()
    assert value(ups, "state") == "shutdown"
    assert ups.switch_on()
    assert value(ups, "state") == "battery"
    assert value(ups, "output_voltage_t") == 220


def test_son_is_refused_without_mains_on_an_empty_battery(ups: Ups) -> None:
    """SON cannot start what has neither mains nor charge; the return of the mains leaves it off."""
    ups.switch_off()
    ups.battery.charge = 0.01
    mains(ups, 0)
    assert not ups.switch_on()
    assert not ups.powered
    mains(ups, 220)
    assert state(ups) is wire.UpsState.STANDBY


def test_a_rectifier_that_fails(ups: Ups) -> None:
    """With the fault `rectifier` the load lives on the battery while the mains are good."""
    put(ups, fault=UpsFault.RECTIFIER)
    assert (value(ups, "state"), value(ups, "mains_abnormal")) == ("battery", False)
    before = ups.battery.charge
    run(ups, 60)
    assert ups.battery.charge < before
    assert ups.input_w == 0
    put(ups, fault=UpsFault.NONE)
    assert value(ups, "state") == "line"


def test_a_shutdown_that_is_announced(ups: Ups) -> None:
    """The UPS says that it will shut down, and still feeds its load."""
    put(ups, shutdown_announced=True)
    assert value(ups, "shutting_down") is True
    assert (value(ups, "state"), ups.powered) == ("line", True)
    put(ups, shutdown_announced=False)
    assert value(ups, "shutting_down") is False


def test_son_is_refused_with_a_fault(ups: Ups) -> None:
    """SON does not start a broken inverter."""
    ups.switch_off()
    put(ups, fault=UpsFault.INVERTER)
    assert not ups.switch_on()
    assert not ups.powered


def test_the_buzzer_is_muted_and_sounds_again(ups: Ups) -> None:
    """BZOFF mutes, BZON does not."""
    assert ups.mute_buzzer(True)
    assert value(ups, "buzzer_muted") is True
    assert ups.mute_buzzer(False)
    assert value(ups, "buzzer_muted") is False


def test_a_test_discharges_a_little_and_finds_a_good_battery(ups: Ups) -> None:
    """T feeds the load from the battery for some seconds; a sound battery is found good."""
    before = ups.battery.charge
    assert ups.start_test()
    assert value(ups, "state") == "test"
    assert value(ups, "self_test") == "unknown"
    assert value(ups, "output_voltage_r") == 220
    run(ups, TEST_S - 1)
    assert state(ups) is wire.UpsState.TEST
    assert ups.battery.charge < before
    run(ups, 1)
    assert value(ups, "state") == "line"
    assert value(ups, "self_test") == "good"


def test_a_test_finds_a_worn_battery(ups: Ups) -> None:
    """A battery under 80 % of its capacity fails its test."""
    ups.battery.health = 0.79
    assert ups.start_test()
    run(ups, TEST_S)
    assert value(ups, "self_test") == "failed"
    assert state(ups) is wire.UpsState.LINE


def test_a_test_that_empties_the_battery_ends_at_once_as_failed(ups: Ups) -> None:
    """The load is back on the mains as soon as the tested battery gives out."""
    assert ups.start_test()
    ups.battery.charge = 0.0
    run(ups, 1)
    assert value(ups, "self_test") == "failed"
    assert state(ups) is wire.UpsState.LINE
    assert ups.powered


def test_mains_that_fail_during_a_test_end_it_without_a_result(ups: Ups) -> None:
    """A failure of the mains turns a test into the real thing."""
    ups.start_test()
    mains(ups, 0)
    assert state(ups) is wire.UpsState.BATTERY
    mains(ups, 220)
    assert state(ups) is wire.UpsState.LINE
    assert ups.self_test == "unknown"


@pytest.mark.parametrize(
    "make",
    [
        lambda ups: mains(ups, 0),
        lambda ups: put(ups, battery__charge=0.19),
        lambda ups: ups.start_test(),
        lambda ups: ups.switch_off(),
        lambda ups: put(ups, load__total_w=8100),
        lambda ups: put(ups, fault=UpsFault.INVERTER),
    ],
)
def test_a_test_is_refused_where_it_would_harm(ups: Ups, make: Any) -> None:
    """T is refused on battery, with a low one, while testing, off, overloaded and broken."""
    make(ups)
    state, result = ups.state, ups.self_test
    assert not ups.start_test()
    assert (ups.state, ups.self_test) == (state, result)


def test_a_broken_inverter_leaves_the_load_on_the_mains(ups: Ups) -> None:
    """The fault `inverter` shows, and the load lives as long as the mains do."""
    ups.fault = UpsFault.INVERTER
    mains(ups, 215)
    assert value(ups, "state") == "fault"
    assert value(ups, "output_voltage_r") == 215
    mains(ups, 0)
    assert value(ups, "state") == "fault"
    assert value(ups, "output_voltage_r") == 0


def test_a_short_circuit_darkens_the_load_until_it_is_mended(ups: Ups) -> None:
    """The fault `short-circuit` feeds nothing; without it the UPS is back on line."""
    put(ups, fault=UpsFault.SHORT_CIRCUIT)
    assert (value(ups, "state"), value(ups, "output_voltage_r")) == ("fault", 0)
    put(ups, fault=UpsFault.NONE)
    assert (value(ups, "state"), value(ups, "output_voltage_r")) == ("line", 220)


@pytest.mark.parametrize(
    ("mode", "state", "volts"),
    [(Mode.ECONOMY, "he", 210), (Mode.CONVERTER, "converter", 220), (Mode.BYPASS, "bypass", 210)],
)
def test_each_mode_has_its_state(ups: Ups, mode: Mode, state: str, volts: float) -> None:
    """In economy and on bypass the load is on raw mains, as a converter it is not."""
    ups.mode = mode
    mains(ups, 210)
    assert (value(ups, "state"), value(ups, "output_voltage_r")) == (state, volts)


def test_a_bypass_by_hand_does_not_step_in(ups: Ups) -> None:
    """On bypass by hand a failure of the mains darkens the load."""
    ups.mode = Mode.BYPASS
    mains(ups, 0)
    assert state(ups) is wire.UpsState.SHUTDOWN


def test_a_load_warms_it_and_none_cools_it(ups: Ups) -> None:
    """The temperature goes, in some quarters of an hour, to where the losses take it."""
    put(ups, load__total_w=8000)
    before = ups.temperature_c
    run(ups, 3600)
    hot = ups.temperature_c
    assert hot > before + 10
    ups.switch_off()
    run(ups, 7200)
    assert ups.ambient_c() < ups.temperature_c < before


@pytest.mark.parametrize("phases", ["3/3", "3/1", "1/1"])
@pytest.mark.parametrize("mode", list(Mode))
@pytest.mark.parametrize("charge", [0.5, 0.98])
def test_what_it_takes_is_what_it_gives_and_loses(
    ups: Ups, mode: Mode, phases: str, charge: float
) -> None:
    """On the mains, in each mode: the load, what is charged, and the losses."""
    ups.mode, ups.load.phases, ups.battery.charge = mode, phases, charge
    mains(ups, 215)
    assert ups.charging_w > 0
    assert ups.input_w == pytest.approx(ups.output_w + ups.charging_w + ups.losses_w)
    assert set(ups.phase_w()) == set(ups.load.inputs)
    mains(ups, 0)
    assert (ups.input_w, ups.charging_w) == (0, 0)
    assert ups.battery.power_w == pytest.approx(ups.output_w + ups.losses_w)


def test_past_the_inverter_each_load_is_on_its_own_phase(ups: Ups) -> None:
    """Rectified, all phases are taken from alike; on bypass as the load is."""
    even = ups.phase_w()
    assert even["r"] == even["s"] == even["t"]
    put(ups, mode=Mode.BYPASS)
    watts = ups.phase_w()
    assert watts["s"] - watts["r"] == pytest.approx(ups.load.of("s") - ups.load.of("r"))


def test_the_air_around_it_is_where_its_warmth_begins_from() -> None:
    """In hotter air it is as much hotter, in the end."""
    air_c = [10.0]
    ups = Ups(Mains(), random.Random(1), ambient_c=lambda: air_c[0])
    run(ups, 6 * 900)
    cool = ups.temperature_c
    air_c[0] = 40.0
    run(ups, 8 * 900)
    assert ups.ambient_c() == 40
    assert ups.temperature_c - cool == pytest.approx(30, abs=0.5)


def test_the_noise_is_small_and_holds_between_steps(ups: Ups) -> None:
    """Two questions without a step between are answered alike; noise stays within 0.3 V."""
    seen = set()
    for _ in range(50):
        ups.draw_noise()
        first, second = wire.encode_live(live(ups)), wire.encode_live(live(ups))
        assert first == second
        seen.add(value(ups, "input_voltage_r"))
    assert len(seen) > 1
    assert all(abs(volts - 220) <= 0.3 for volts in seen)
