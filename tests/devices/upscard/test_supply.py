"""What a UPS card shows of its power, from the bytes to the alarms and the rows of the platform."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.devices.upscard.rigs import ScriptRig
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.site import Cabinet
from twisted_gantry.uplinks.etc.rows import cabinet
from twisted_gantry.wire.etc.reports import Elec, Ups

NORMAL = "0000100000000011"


def qad(
    word: str = NORMAL,
    inputs: str = "220.1 220.2 220.3",
    outputs: str = "221 222 223",
    *,
    hertz: str = "50.1",
    rest: str = "216.5 31687 90 37.5",
) -> str:
    """Return an answer to QAD."""
    return f"({inputs} {hertz} ---.- ---.- ---.- 149.5 {outputs} 50 5 6 7 20 30 25 {rest} {word}"


def rtd(rating: str = "220", phases: str = "3/3", output: str = "220") -> str:
    """Return an answer to RTD."""
    return f"(Sunshine V1.0 C10KS {rating} {output} 20 50.0 192 {phases} 10000"


RTD = rtd()


class Scene:
    """A card that a test scripts, and what the gantry makes of it."""

    def __init__(self, ratings: Any = RTD, live: str = "", **settings: Any) -> None:
        self.rig = ScriptRig(poll=2.0, **settings)
        self.rig.script.answers |= {"RTD": ratings, "QAD": live or qad()}
        self.rig.start(5.0)

    def show(self, answer: str, seconds: float = 6.0) -> set[str]:
        """Let the card answer so; returns what is raised after some readings."""
        self.rig.script.answers["QAD"] = answer
        self.rig.clock.run(seconds)
        return self.raised()

    def raised(self) -> set[str]:
        return {name.removeprefix("ups1.") for name in self.rig.bench.raised()}

    def good(self, name: str) -> object:
        return self.rig.bench.good(f"ups1.{name}")

    def rows(self) -> tuple[Elec, Ups]:
        """Return the rows of the mains and of the UPS as the platform gets them."""
        which = Cabinet("1", {"elec": ("ups1",), "ups": ("ups1",)})
        report, _, _ = cabinet(self.rig.bench.site, which, [])
        return report.elec[0], report.ups[0]


@pytest.fixture
def scene() -> Iterator[Scene]:
    """A UPS of three phases that is well."""
    made = Scene()
    assert made.raised() == set()
    yield made
    made.rig.stop()


# -- on battery


def test_on_battery_with_good_inputs(scene: Scene) -> None:
    """The site runs out of power, whatever b7 says; the mains are well."""
    assert scene.show(qad("0000100000000100"), 2.1) == {"on-battery"}
    elec, ups = scene.rows()
    assert (elec.status, elec.warning_msg) == ("1", "")
    assert (ups.running_state, ups.warning_msg) == ("3", "UPS电池放电")
    assert scene.show(qad()) == set()


@pytest.mark.parametrize("inputs", ["0.0 0.0 0.0", "150.0 220.0 220.0", "--- --- ---", "x y z"])
def test_on_battery_without_good_inputs(scene: Scene, inputs: str) -> None:
    """Without inputs that are read and good the mains are abnormal, at the first reading."""
    raised = scene.show(qad("0000100000000100", inputs), 2.1)
    assert raised >= {"on-battery", "mains-abnormal"}
    elec, ups = scene.rows()
    assert (elec.status, ups.running_state) == ("0", "3")
    assert "市电异常" in elec.warning_msg


def test_a_battery_test_is_not_on_battery(scene: Scene) -> None:
    """The state of a test is another one."""
    assert scene.show(qad("0000100000000101")) == set()


# -- the output


@pytest.mark.parametrize(
    ("word", "outputs", "raised", "text"),
    [
        ("0000100000001001", "0.0 0.0 0.0", {"output-off"}, "UPS输出关闭"),
        ("0000100000000001", "221 222 223", {"output-off"}, "UPS输出关闭"),
        ("0000100000000000", "0.0 0.0 0.0", {"output-off"}, "UPS输出关闭"),
        ("0000100000100011", "221 222 223", {"shutting-down"}, "UPS正在关机"),
        (
            "0000100000101001",
            "0.0 0.0 0.0",
            {"output-off", "shutting-down"},
            "UPS输出关闭,UPS正在关机",
        ),
        # An unknown state beside the flag hides nothing.
        ("0000100000101111", "221 222 223", {"shutting-down"}, "UPS正在关机"),
        ("0000100000000110", "221 222 223", {"ups-fault"}, "UPS故障"),
    ],
)
def test_the_gantry_goes_dark(
    scene: Scene, word: str, outputs: str, raised: set[str], text: str
) -> None:
    """Standby, shutdown, power-on and b5 are told with the first reading that shows them."""
    assert scene.show(qad(word, outputs=outputs), 2.1) == raised
    active = scene.rig.bench.alarms.active("ups1")
    assert {alarm.severity for alarm in active} == {Severity.CRITICAL}
    _, ups = scene.rows()
    assert (ups.status, ups.warning_msg) == ("0", text)
    assert scene.show(qad()) == set()
    assert scene.rows()[1].status == "1"


def test_an_output_that_fails_without_a_word(scene: Scene) -> None:
    """A voltage of the output that goes is read again soon, and told."""
    assert scene.show(qad(outputs="0.0 0.0 0.0"), 2.1) == set()
    scene.rig.clock.run(1.0)
    assert scene.raised() == {"output-off"}


def test_bypass_says_its_text(scene: Scene) -> None:
    """The load is on raw mains: a warning, and the device is well."""
    assert scene.show(qad("0000100000000010")) == {"on-raw-mains"}
    _, ups = scene.rows()
    assert (ups.status, ups.warning_msg) == ("1", "负载由旁路供电")


# -- phases


@pytest.mark.parametrize("outputs", ["221 0.0 0.0", "221 222 223"])
@pytest.mark.parametrize("inputs", ["220.1 0.0 0.0", "220.1 3.2 4.0", "220.1 --- ---"])
def test_phases_that_a_ups_has_not(inputs: str, outputs: str) -> None:
    """RTD decides: a phase that is not there has no values, and cannot be lost."""
    scene = Scene(rtd(phases="1/1"))
    assert scene.show(qad(inputs=inputs, outputs=outputs)) == set()
    for name in ("input_voltage", "input_current", "output_voltage", "output_current", "load"):
        assert {scene.good(f"{name}_{phase}") for phase in "st"} == {"not-supported"}
    elec, _ = scene.rows()
    assert (elec.status, elec.voltage, elec.warning_msg) == ("1", "220.1", "")
    assert scene.show(qad(inputs="0.0 0.0 0.0")) == {"mains-abnormal"}
    scene.rig.stop()


@pytest.mark.parametrize("told", [None, 105, "(NAK", rtd(phases="1:1")])
def test_phases_of_a_card_without_ratings(told: Any) -> None:
    """Two phases that never had a voltage are missing; one of them, or one once seen, is lost."""
    scene = Scene(told, qad(inputs="220 0.0 0.0"))
    assert scene.raised() == set()
    assert scene.good("input_voltage_s") == "not-supported"
    assert scene.show(qad(inputs="0.0 0.0 0.0"), 10.0) == {"mains-abnormal"}
    assert scene.show(qad(inputs="220 220 0.0"), 10.0) == {"phase-l3-lost"}
    assert scene.show(qad(inputs="220 0.0 0.0"), 10.0) == {"phase-l2-lost", "phase-l3-lost"}
    scene.rig.stop()


def test_a_rating_from_line_to_line_beside_unreadable_phases() -> None:
    """A rating of 380 V is one of three phases until the card tells of one."""
    scene = Scene(rtd("380", phases="1:1"), qad(inputs="220 0.0 0.0"))
    assert scene.raised() == set()
    scene.rig.stop()


def test_a_ups_of_one_phase_comes_in_the_place_of_another(scene: Scene) -> None:
    """When phases are gone the ratings are read again: the UPS may never have had them."""
    scene.rig.script.answers["RTD"] = rtd(phases="1/1")
    asked = len(scene.rig.script.commands("RTD"))
    assert scene.show(qad(inputs="220.1 0.0 0.0", outputs="221 0.0 0.0"), 10.0) == set()
    assert scene.good("input_voltage_s") == "not-supported"
    assert len(scene.rig.script.commands("RTD")) == asked + 1


@pytest.mark.parametrize(
    ("phases", "inputs", "raised"),
    [
        ("3/3", "220 0.0 220", {"phase-l2-lost"}),
        ("3/1", "220 0.0 0.0", {"phase-l2-lost", "phase-l3-lost"}),
        ("2/1", "220 0.0 0.0", {"phase-l2-lost"}),
        ("2/1", "220 220 0.0", set()),
        ("1/1", "220 0.0 0.0", set()),
        ("3/3", "0.0 0.0 0.0", {"mains-abnormal"}),
        ("3/1", "80 80 80", {"mains-abnormal"}),
        ("2/1", "0.0 0.0 0.0", {"mains-abnormal"}),
        ("1/1", "0.0 0.0 0.0", {"mains-abnormal"}),
        ("3/3", "100 100 100", {"input-under-voltage"}),
        ("3/3", "220 255 220", {"input-over-voltage"}),
        ("1/1", "255 255 255", {"input-over-voltage"}),
    ],
)
def test_every_way_to_lose_power(phases: str, inputs: str, raised: set[str]) -> None:
    """What the phases that are there show is an alarm, whatever b7 says."""
    scene = Scene(rtd(phases=phases))
    assert scene.show(qad(inputs=inputs), 8.0) == raised
    critical = not raised <= {"input-under-voltage", "input-over-voltage"}
    assert scene.rows()[0].status == ("0" if critical else "1")
    assert scene.show(qad(), 8.0) == set()
    scene.rig.stop()


def test_no_frequency_agrees_with_no_voltage(scene: Scene) -> None:
    """Without voltage and frequency one reading is enough."""
    assert scene.show(qad(inputs="0.0 0.0 0.0", hertz="0.0"), 2.1) == {"mains-abnormal"}


def test_the_flag_alone_is_enough(scene: Scene) -> None:
    """b7 is told at once, with inputs that are good."""
    assert scene.show(qad("0000100010000011"), 2.1) == {"mains-abnormal"}


# -- the rating


@pytest.mark.parametrize("phases", ["3/1", "3/3"])
@pytest.mark.parametrize("rating", ["380", "400", "415"])
def test_a_rating_from_line_to_line(rating: str, phases: str) -> None:
    """A rating of √3 times the phase voltage is no under-voltage, and low is low all the same."""
    phase = float(rating) / 3**0.5
    scene = Scene(rtd(rating, phases, rating))
    assert scene.show(qad(inputs=" ".join([f"{phase:.1f}"] * 3))) == set()
    assert scene.good("nominal_voltage") == pytest.approx(phase)
    low = " ".join([f"{phase * 0.8:.1f}"] * 3)
    assert scene.show(qad(inputs=low)) == {"input-under-voltage"}
    assert scene.rows()[0].warning_msg == "输入欠压"
    scene.rig.stop()


def test_a_setting_wins_over_the_rating() -> None:
    """`nominal_voltage` is the nominal voltage, whatever the card is rated."""
    scene = Scene(rtd("380", "3/1"), nominal_voltage=110.0)
    assert scene.show(qad(inputs="110 110 110")) == set()
    assert scene.show(qad(inputs="130 110 110")) == {"input-over-voltage"}
    scene.rig.stop()


# -- what cannot be


@pytest.mark.parametrize("mark", ["-1", "255", "255.0", "655.3", "65535", "4294967295"])
@pytest.mark.parametrize("place", range(22))
def test_a_mark_costs_its_point(place: int, mark: str) -> None:
    """A number that cannot be is no value of its point; the others, and the alarms, are read."""
    names = [
        *(f"input_voltage_{p}" for p in "rst"),
        "input_frequency",
        *(f"input_current_{p}" for p in "rst"),
        "fault_voltage",
        *(f"output_voltage_{p}" for p in "rst"),
        "output_frequency",
        *(f"output_current_{p}" for p in "rst"),
        *(f"load_{p}" for p in "rst"),
        "battery_voltage",
        "battery_runtime",
        "battery_charge",
        "temperature",
    ]
    name = names[place]
    inside = {
        "-1": name == "temperature",
        "255": not name.startswith("load")
        and name not in {"input_frequency", "output_frequency", "battery_charge", "temperature"},
        "655.3": name == "battery_runtime",
    }
    inside["255.0"] = inside["255"]
    tokens = qad().split()
    tokens[place] = f"({mark}" if place == 0 else mark
    scene = Scene()
    scene.show(" ".join(tokens), 2.1)
    assert scene.good(name) == (float(mark) if inside.get(mark, False) else "get-failed")
    others = [each for each in names if each != name and "current" not in each]
    assert all(isinstance(scene.good(each), float) for each in others)
    assert scene.good("state") == "line"
    assert (scene.good(name) == "get-failed") == (scene.rig.card.status.last_error is not None)
    scene.rig.stop()


@pytest.mark.parametrize("rest", ["216.5 65535 255 255.0", "216.5 -1 101 655.3"])
def test_marks_do_not_go_to_the_platform(rest: str) -> None:
    """What cannot be is GetFailed in the report, and so is what follows from it."""
    scene = Scene(battery_ah=100.0)
    scene.show(qad(rest=rest))
    _, ups = scene.rows()
    told = (ups.power_rate, ups.remain_capacity, ups.surplus_time, ups.temperature)
    assert told == ("GetFailed",) * 4
    assert "battery_charge: " in str(scene.rig.card.status.last_error) or "battery_runtime" in str(
        scene.rig.card.status.last_error
    )
    scene.rig.stop()


def test_a_runtime_in_minutes_has_its_bounds_in_minutes() -> None:
    """65535 min are no time left, and 2000 min are."""
    for minutes, good in (("65535", "get-failed"), ("2000", 120_000.0)):
        scene = Scene(runtime_unit="min")
        scene.show(qad(rest=f"216.5 {minutes} 90 37.5"))
        assert scene.good("battery_runtime") == good
        scene.rig.stop()
