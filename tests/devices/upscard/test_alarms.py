"""The alarm rules of a UPS card on the engine: the bands of the voltage, lost phases, the flags."""

from collections.abc import Mapping

import pytest
from twisted.internet.task import Clock

from twisted_gantry.core.alarms import Alarms
from twisted_gantry.core.catalogue import Catalogue
from twisted_gantry.core.points import Points
from twisted_gantry.core.status import Status
from twisted_gantry.devices.power import HYSTERESIS, TEXTS, Limits
from twisted_gantry.devices.upscard.points import POINTS, rules
from twisted_gantry.wire.etc.conditions import LOST_PHASE
from twisted_gantry.wire.reading import Quality, Value

NOT_SUPPORTED = object()
OVER, UNDER = 1.15, 0.85
PHASES = ("input_voltage_r", "input_voltage_s", "input_voltage_t")


class Ups:
    """The points of a UPS card under its own rules, with voltages as shares of the nominal."""

    def __init__(self, nominal: float = 220.0) -> None:
        self.clock = Clock()
        self.nominal = nominal
        self.points = Points(Catalogue(), self.clock.seconds)
        self.points.declare("ups1", POINTS)
        self.alarms = Alarms(self.points, self.clock, self.clock.seconds)
        self.alarms.watch("ups1", rules(Limits(OVER, UNDER)), Status("ups1", self.clock.seconds))
        self.told: list[tuple[str, bool]] = []
        self.alarms.subscribe(lambda a: self.told.append((a.name.partition(".")[2], a.active)))
        if nominal != 220.0:
            self.read(nominal_voltage=nominal)

    def read(self, **values: Value | object) -> None:
        """Take a reading; None is a value that failed."""
        update: dict[str, tuple[Value, Quality]] = {}
        for name, value in values.items():
            if value is NOT_SUPPORTED:
                update[name] = (None, Quality.NOT_SUPPORTED)
            elif value is None:
                update[name] = (None, Quality.GET_FAILED)
            else:
                assert isinstance(value, float | str | bool)
                update[name] = (value, Quality.GOOD)
        self.points.update("ups1", update)

    def phases(self, *shares: float | object | None, wait: float = 10.0) -> set[str]:
        """Read the phases, and again after `wait` seconds; returns what is raised then."""
        values: Mapping[str, Value | object] = {
            name: share * self.nominal if isinstance(share, float) else share
            for name, share in zip(PHASES, shares, strict=True)
        }
        self.read(**values)
        self.clock.advance(wait)
        self.read(**values)
        return self.raised()

    def raised(self) -> set[str]:
        """Return the names of the raised alarms, without the device's."""
        return {alarm.name.partition(".")[2] for alarm in self.alarms.active()}


@pytest.fixture
def ups() -> Ups:
    """Return a UPS of 220 V."""
    return Ups()


def test_a_normal_voltage_is_no_alarm(ups: Ups) -> None:
    """Within the band of three phases nothing is raised, up to the limits themselves."""
    assert ups.phases(1.0, 1.0, 1.0) == set()
    assert ups.phases(OVER - 0.001, UNDER, 1.0) == set()
    assert ups.told == []


@pytest.mark.parametrize("phase", [0, 1, 2])
def test_one_phase_over_the_band_is_over_voltage(ups: Ups, phase: int) -> None:
    """Any phase over the limit raises over-voltage, and nothing else."""
    shares = [1.0, 1.0, 1.0]
    shares[phase] = OVER + 0.01
    assert ups.phases(*shares) == {"input-over-voltage"}


@pytest.mark.parametrize("phase", [0, 1, 2])
def test_one_phase_under_the_band_is_under_voltage(ups: Ups, phase: int) -> None:
    """Any phase under the limit raises under-voltage, and nothing else."""
    shares = [1.0, 1.0, 1.0]
    shares[phase] = UNDER - 0.01
    assert ups.phases(*shares) == {"input-under-voltage"}


def test_over_voltage_ends_below_its_hysteresis(ups: Ups) -> None:
    """Once raised, over-voltage stays until the voltage is back by the hysteresis."""
    ups.phases(1.0, OVER + 0.01, 1.0)
    assert ups.phases(1.0, OVER - HYSTERESIS + 0.005, 1.0) == {"input-over-voltage"}
    assert ups.phases(1.0, OVER - HYSTERESIS - 0.005, 1.0) == set()
    assert ups.phases(1.0, OVER - 0.005, 1.0) == set()
    assert ups.told == [("input-over-voltage", True), ("input-over-voltage", False)]


def test_under_voltage_ends_above_its_hysteresis(ups: Ups) -> None:
    """Once raised, under-voltage stays until the voltage is back by the hysteresis."""
    ups.phases(1.0, UNDER - 0.01, 1.0)
    assert ups.phases(1.0, UNDER + HYSTERESIS - 0.005, 1.0) == {"input-under-voltage"}
    assert ups.phases(1.0, UNDER + HYSTERESIS + 0.005, 1.0) == set()
    assert ups.phases(1.0, UNDER + 0.005, 1.0) == set()
    assert ups.told == [("input-under-voltage", True), ("input-under-voltage", False)]


def test_the_voltage_must_be_wrong_for_two_seconds(ups: Ups) -> None:
    """A dip or a peak of less than two seconds is no alarm."""
    assert ups.phases(0.8, 1.0, 1.0, wait=1.9) == set()
    assert ups.phases(1.0, 1.0, 1.0, wait=1.0) == set()
    assert ups.phases(1.2, 1.0, 1.0, wait=1.9) == set()
    assert ups.phases(1.2, 1.0, 1.0, wait=0.2) == {"input-over-voltage"}


def test_the_band_follows_the_rating() -> None:
    """The limits are shares of the rated voltage once the card has told it."""
    low = Ups(nominal=110.0)
    assert low.phases(1.0, 1.0, 1.0) == set()
    assert low.phases(OVER + 0.01, 1.0, 1.0) == {"input-over-voltage"}


# -- one reading is no failure


@pytest.mark.parametrize("shares", [(1.2, 1.0, 1.0), (1.0, 0.7, 1.0), (1.0, 1.0, 0.0)])
def test_one_reading_of_a_slow_poll_is_no_failure(ups: Ups, shares: tuple[float, ...]) -> None:
    """An outlier raises nothing however long the next reading takes; two in a row do."""
    for pause in (5.0, 60.0):
        ups.read(**{n: s * 220 for n, s in zip(PHASES, shares, strict=True)})
        ups.clock.advance(pause)
        ups.read(**dict.fromkeys(PHASES, 220.0))
        ups.clock.advance(pause)
    assert ups.told == []
    for _ in range(3):
        ups.read(**{n: s * 220 for n, s in zip(PHASES, shares, strict=True)})
        ups.clock.advance(60)
    assert len(ups.raised()) == 1


def test_a_reading_of_other_points_is_not_the_second(ups: Ups) -> None:
    """What does not touch the voltages confirms nothing about them."""
    ups.read(**dict.fromkeys(PHASES, 255.0))
    ups.read(temperature=30.0)
    ups.clock.advance(5)
    ups.read(temperature=30.0)
    assert ups.raised() == set()
    ups.read(**dict.fromkeys(PHASES, 255.0))
    assert ups.raised() == {"input-over-voltage"}


# -- lost phases


@pytest.mark.parametrize("phase", [0, 1, 2])
def test_one_phase_gone_is_that_phase_lost(ups: Ups, phase: int) -> None:
    """A phase that is gone while another is there is lost, and it is not also low."""
    shares = [1.0, 1.0, 1.0]
    shares[phase] = 0.1
    assert ups.phases(*shares) == {f"phase-l{phase + 1}-lost"}


def test_two_phases_gone_are_two_alarms(ups: Ups) -> None:
    """Each lost phase is an alarm of its own."""
    assert ups.phases(0.0, 1.0, 0.0) == {"phase-l1-lost", "phase-l3-lost"}


def test_all_phases_gone_is_no_lost_phase(ups: Ups) -> None:
    """A total failure of the mains is what the card says of the mains, not three lost phases."""
    ups.read(mains_abnormal=True)
    assert ups.phases(0.0, 0.0, 0.0) == {"mains-abnormal"}


def test_a_lost_phase_ends_when_the_others_go_too(ups: Ups) -> None:
    """A lost phase that becomes a total failure is no lost phase any more."""
    assert ups.phases(0.0, 1.0, 1.0) == {"phase-l1-lost"}
    assert ups.phases(0.0, 0.0, 0.0) == set()


def test_a_lost_phase_comes_back_by_the_hysteresis(ups: Ups) -> None:
    """A phase just over the limit is still lost, and low only once it is found."""
    ups.phases(LOST_PHASE - 0.01, 1.0, 1.0)
    assert "phase-l1-lost" in ups.phases(LOST_PHASE + HYSTERESIS - 0.005, 1.0, 1.0)
    assert ups.phases(LOST_PHASE + HYSTERESIS + 0.005, 1.0, 1.0) == {"input-under-voltage"}
    assert ups.phases(1.0, 1.0, 1.0) == set()


def test_a_phase_must_be_gone_for_a_second(ups: Ups) -> None:
    """A phase that is gone for less than a second is not lost."""
    assert ups.phases(0.0, 1.0, 1.0, wait=0.9) == set()
    assert ups.phases(0.0, 1.0, 1.0, wait=0.2) == {"phase-l1-lost"}


def test_a_ups_of_one_phase_cannot_lose_one(ups: Ups) -> None:
    """Without a second phase there is no lost one; low voltage is told all the same."""
    for share in (0.0, 0.1, LOST_PHASE - 0.01):
        assert ups.phases(share, NOT_SUPPORTED, NOT_SUPPORTED) == set()
    assert ups.phases(UNDER - 0.01, NOT_SUPPORTED, NOT_SUPPORTED) == {"input-under-voltage"}
    assert ups.phases(OVER + 0.01, NOT_SUPPORTED, NOT_SUPPORTED) == {"input-over-voltage"}


# -- missing values


def test_a_phase_not_known_raises_nothing_by_itself(ups: Ups) -> None:
    """With nothing known of a phase, nothing is raised of it."""
    assert ups.phases(1.0, None, 1.0) == set()
    assert ups.phases(None, None, None) == set()


def test_a_phase_known_to_be_bad_is_enough(ups: Ups) -> None:
    """Over-voltage on one phase is raised whether the others are known or not."""
    assert ups.phases(None, OVER + 0.01, None) == {"input-over-voltage"}


@pytest.mark.parametrize("bad", [OVER + 0.01, UNDER - 0.01, 0.1])
def test_a_phase_not_known_clears_nothing(ups: Ups, bad: float) -> None:
    """What is raised stays while the phase that was bad is not known."""
    raised = ups.phases(bad, 1.0, 1.0)
    assert len(raised) == 1
    assert ups.phases(None, 1.0, 1.0) == raised
    assert ups.phases(1.0, 1.0, 1.0) == set()


def test_a_phase_not_known_hides_no_lost_phase(ups: Ups) -> None:
    """A phase is lost while any other has a voltage; with no other known, the mains may be gone."""
    assert ups.phases(0.0, None, 0.0) == set()
    assert ups.phases(0.0, None, 1.0) == {"phase-l1-lost"}
    assert ups.phases(0.0, None, None) == {"phase-l1-lost"}
    assert ups.phases(1.0, None, None) == set()


# -- the flags


@pytest.mark.parametrize(
    ("point", "bad", "good", "alarm"),
    [
        ("mains_abnormal", True, False, "mains-abnormal"),
        ("battery_low", True, False, "battery-low"),
        ("overload", True, False, "overload"),
        ("state", "fault", "line", "ups-fault"),
        ("state", "battery", "line", "on-battery"),
        ("output_off", True, False, "output-off"),
        ("shutting_down", True, False, "shutting-down"),
        ("self_test", "failed", "good", "self-test-failed"),
    ],
)
def test_a_flag_is_told_at_once(ups: Ups, point: str, bad: Value, good: Value, alarm: str) -> None:
    """A flag raises and clears with the reading itself; missing it does neither."""
    ups.read(**{point: None})
    assert ups.told == []
    ups.read(**{point: bad})
    assert ups.told == [(alarm, True)]
    ups.read(**{point: None})
    ups.read(**{point: bad})
    ups.read(**{point: good})
    assert ups.told == [(alarm, True), (alarm, False)]
    assert ups.clock.getDelayedCalls() == []


@pytest.mark.parametrize("state", ["bypass", "he"])
def test_raw_mains_is_told_after_a_second(ups: Ups, state: str) -> None:
    """A load on raw mains is an alarm, a switch-over of less than a second is none."""
    ups.read(state=state)
    ups.clock.advance(0.9)
    ups.read(state="line")
    ups.clock.advance(10)
    assert ups.told == []
    ups.read(state=state)
    ups.clock.advance(1)
    assert ups.raised() == {"on-raw-mains"}


def test_the_fault_voltage_is_no_alarm(ups: Ups) -> None:
    """The voltage of the last fault says nothing of now."""
    ups.read(fault_voltage=0.0)
    ups.clock.advance(100)
    ups.read(fault_voltage=400.0)
    ups.clock.advance(100)
    assert ups.told == []


def test_the_texts_are_those_of_the_platform() -> None:
    """Alarms carry in Chinese what `warningMsg` of their group may hold; all are of one table."""
    made = rules(Limits(OVER, UNDER))
    texts = {rule.name: rule.zh for rule in made if rule.group == "elec"}
    assert texts == {
        "mains-abnormal": "市电异常",
        "input-over-voltage": "输入过压",
        "input-under-voltage": "输入欠压",
        "phase-l1-lost": "交流L1相缺相",
        "phase-l2-lost": "交流L2相缺相",
        "phase-l3-lost": "交流L3相缺相",
    }
    assert {rule.name: rule.zh for rule in made if rule.group == "ups"} == {
        "on-battery": "UPS电池放电",
        "output-off": "UPS输出关闭",
        "shutting-down": "UPS正在关机",
        "battery-low": "电池电压低",
        "overload": "UPS过载",
        "ups-fault": "UPS故障",
        "self-test-failed": "电池自检失败",
        "on-raw-mains": "负载由旁路供电",
    }
    assert {rule.name for rule in made} == set(TEXTS)
