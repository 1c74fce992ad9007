"""The judgement of power, without a device: mains, output, nominal voltage."""

from itertools import product
from math import sqrt

import pytest

from twisted_gantry.core.points import Measured
from twisted_gantry.devices.power import (
    TEXTS,
    Limits,
    MainsJudge,
    Nominal,
    OutputJudge,
    good_frequency,
    no_frequency,
    none_flows,
)
from twisted_gantry.wire.reading import Quality

FAILED, NOT_SUPPORTED = (None, Quality.GET_FAILED), (None, Quality.NOT_SUPPORTED)
YES, NO = (True, Quality.GOOD), (False, Quality.GOOD)


def shares(*values: float | None) -> dict[int, float | None]:
    return dict(enumerate(values))


# -- the mains: every number of phases, every way in which they go

FLAGS = {"flag": YES, "no flag": NO}
# What says so beside the voltages.
SIGNS = {"nothing": {}, "frequency or current": {"agrees": True}, "battery": {"on_battery": True}}


@pytest.mark.parametrize("phases", [1, 2, 3])
@pytest.mark.parametrize("gone", [0.0, 0.1, 0.39])
@pytest.mark.parametrize(("flag", "sign"), list(product(FLAGS, SIGNS)))
def test_all_phases_gone(phases: int, gone: float, flag: str, sign: str) -> None:
    """Without a voltage the mains are abnormal: at once if anything agrees, else with a second
    reading, whatever the flag says.
    """
    judge = MainsJudge()
    assert judge.judge(shares(*[1.0] * phases), flag=NO) == NO
    told = [judge.judge(shares(*[gone] * phases), flag=FLAGS[flag], **SIGNS[sign])[0] for _ in "ab"]
    at_once = flag == "flag" or sign != "nothing"
    assert told == [at_once, True]
    assert judge.judge(shares(*[1.0] * phases), flag=NO) == NO


@pytest.mark.parametrize("phases", [1, 2, 3])
def test_one_reading_without_voltage_is_no_failure(phases: int) -> None:
    """An outlier is no failure, however often outliers come; the first asks for another reading."""
    judge, good, gone = MainsJudge(), shares(*[1.0] * phases), shares(*[0.0] * phases)
    assert judge.judge(good, flag=NO) == NO
    for _ in range(5):
        assert judge.judge(gone, flag=NO) == NO
        assert judge.doubtful
        assert judge.judge(good, flag=NO) == NO
        assert not judge.doubtful


def test_a_first_reading_without_voltage_says_nothing() -> None:
    """After a restart in a failure nothing is known until the second reading: nothing is over."""
    assert [MainsJudge().judge(shares(0.0), flag=flag) for flag in (NO, None)] == [FAILED] * 2
    judge = MainsJudge()
    assert [judge.judge(shares(each), flag=NO) for each in (0.0, 0.0)] == [FAILED, YES]
    judge = MainsJudge()
    assert [judge.judge(shares(each), flag=NO) for each in (0.0, 1.0)] == [FAILED, NO]
    assert MainsJudge().judge(shares(0.0), flag=NO, agrees=True) == YES


@pytest.mark.parametrize("phases", [2, 3])
def test_one_phase_gone_at_a_ups_is_not_the_mains(phases: int) -> None:
    """While another phase has a voltage, a lost phase is another alarm, but not at a meter."""
    ups, meter = MainsJudge(), MainsJudge()
    given = shares(0.0, *[1.0] * (phases - 1))
    assert [ups.judge(given, flag=NO) for _ in "abc"] == [NO] * 3
    assert [meter.judge(given) for _ in "abc"] == [FAILED, YES, YES]


@pytest.mark.parametrize(
    ("given", "frequency", "abnormal"),
    [
        (shares(1.0, 1.0, 1.0), True, False),
        (shares(1.0), True, False),
        (shares(0.86, 1.14, 1.0), True, False),
        (shares(0.84, 1.0, 1.0), True, True),
        (shares(1.0, 1.0, 1.2), True, True),
        (shares(1.0, None, 1.0), True, True),
        (shares(None, None, None), True, True),
        (shares(), True, True),
        (shares(1.0, 1.0, 1.0), False, True),
    ],
)
def test_on_battery(given: dict[int, float | None], frequency: bool, abnormal: bool) -> None:
    """A UPS on battery means abnormal mains, unless its inputs are read and good."""
    judged = MainsJudge().judge(given, flag=NO, on_battery=True, good_frequency=frequency)
    assert judged == (abnormal, Quality.GOOD)
    assert MainsJudge().judge(given, flag=NO, good_frequency=frequency)[0] is False


@pytest.mark.parametrize(
    ("given", "flag", "judged"),
    [
        (shares(1.0, None), NO, NO),
        (shares(0.0, None), NO, FAILED),
        (shares(None, None), NO, NO),
        (shares(1.0, 1.0), FAILED, FAILED),
        (shares(None), None, FAILED),
        (shares(), None, NOT_SUPPORTED),
        (shares(), NOT_SUPPORTED, NOT_SUPPORTED),
        (shares(), NO, NO),
        (shares(), YES, YES),
        (shares(None, None), YES, YES),
    ],
)
def test_what_is_not_known(
    given: dict[int, float | None], flag: Measured | None, judged: Measured
) -> None:
    """What is unknown hides no failure, and makes none."""
    judge = MainsJudge()
    assert [judge.judge(given, flag=flag) for _ in "ab"] == [judged] * 2


def test_a_failure_ends_by_the_hysteresis() -> None:
    """A voltage just above the limit is none while the mains are abnormal."""
    judge = MainsJudge()
    given = [1.0, 0.39, 0.39, 0.41, 0.43]
    told = [judge.judge(shares(each), flag=NO)[0] for each in given]
    assert told == [False, False, True, True, False]


# -- the output


@pytest.mark.parametrize("state", ["standby", "shutdown", "power-on"])
@pytest.mark.parametrize("share", [0.0, 1.0, None])
def test_states_without_output(state: str, share: float | None) -> None:
    """The state is believed at once, whatever is measured."""
    judge = OutputJudge()
    assert judge.judge(shares(share), (state, Quality.GOOD), agrees=False) == YES
    assert judge.judge(shares(1.0), ("line", Quality.GOOD), agrees=False) == NO


@pytest.mark.parametrize("phases", [1, 2, 3])
@pytest.mark.parametrize("state", ["line", "battery", "bypass", "fault", "test", "he"])
def test_an_output_that_goes(phases: int, state: str) -> None:
    """Any output that was on and is not is off: with a second reading, or if anything agrees."""
    told = (state, Quality.GOOD)
    on, off = shares(*[1.0] * phases), shares(*[1.0] * (phases - 1), 0.1)
    for agrees in (False, True):
        judge = OutputJudge()
        assert judge.judge(on, told, agrees=False) == NO
        assert [judge.judge(off, told, agrees=agrees)[0] for _ in "ab"] == [agrees, True]
        assert judge.judge(on, told, agrees=False) == NO


def test_an_output_that_is_not_measured() -> None:
    """A card that shows 0 from the first reading on does not measure the output."""
    judge = OutputJudge()
    assert [judge.judge(shares(0.0), ("line", Quality.GOOD), agrees=True) for _ in "abc"] == [
        NO
    ] * 3


def test_an_unknown_state() -> None:
    """An unknown state does not clear what was off, and hides no output that goes."""
    judge = OutputJudge()
    assert judge.judge(shares(1.0), FAILED, agrees=False) == FAILED
    assert judge.judge(shares(0.0), FAILED, agrees=True) == YES
    assert judge.judge(shares(None), ("line", Quality.GOOD), agrees=False) == FAILED
    assert judge.judge(shares(1.0), ("line", Quality.GOOD), agrees=False) == NO


# -- the nominal voltage


@pytest.mark.parametrize("rating", [380.0, 400.0, 415.0, 440.0, 480.0, 208.0, 200.0, 190.0])
def test_a_rating_from_line_to_line(rating: float) -> None:
    """With three phases the nominal voltage is rating/√3, before there is a voltage, too."""
    nominal = Nominal()
    for volts in (0.0, rating / sqrt(3), rating / sqrt(3) * 0.6, rating / sqrt(3) * 1.3):
        given = nominal.of(rating, three_phase=True, volts=[volts] * 3)
        assert given == pytest.approx(rating / sqrt(3))


@pytest.mark.parametrize("rating", [380.0, 400.0, 208.0])
def test_inputs_from_line_to_line(rating: float) -> None:
    """A card that measures as it is rated keeps its rating, also when the voltage sinks."""
    nominal = Nominal()
    for volts in (None, rating, rating * 0.58, 0.0):
        given = nominal.of(rating, three_phase=True, volts=[volts] * 3)
        assert given == (rating if volts is not None else pytest.approx(rating / sqrt(3)))


def test_a_brown_out_from_the_start_is_none_of_the_rating() -> None:
    """220 V and 127 V: a rating that may be a phase voltage is one."""
    assert Nominal().of(220.0, three_phase=True, volts=[127.0] * 3) == 220.0
    assert Nominal().of(380.0, three_phase=False, volts=[220.0]) == 380.0


@pytest.mark.parametrize("rating", [None, 0.0, -1.0, "---", True])
def test_without_a_usable_rating_220_v_is_taken(rating: float | str | None) -> None:
    """A rating that is missing, zero or no number counts as 220 V; the setting wins over all."""
    assert Nominal().of(rating, three_phase=True, volts=[230.0]) == 220.0
    assert Nominal(230.0).of(rating, three_phase=True, volts=[230.0]) == 230.0
    assert Nominal(230.0).of(380.0, three_phase=True, volts=[230.0]) == 230.0


def test_another_rating_is_decided_anew() -> None:
    """A UPS that is replaced brings its own rating."""
    nominal = Nominal()
    assert nominal.of(380.0, three_phase=True, volts=[380.0]) == 380.0
    assert nominal.of(400.0, three_phase=True, volts=[231.0]) == pytest.approx(230.94, abs=0.01)


# -- second quantities and texts


def test_second_quantities() -> None:
    """What agrees with a missing voltage is known, and nothing."""
    good = Quality.GOOD
    assert no_frequency((0.0, good))
    assert not no_frequency((50.0, good))
    assert not no_frequency(FAILED)
    assert not no_frequency(NOT_SUPPORTED)
    assert none_flows([(0.0, good), NOT_SUPPORTED])
    assert not none_flows([(0.0, good), (0.3, good)])
    assert not none_flows([NOT_SUPPORTED] * 3)
    assert good_frequency((54.9, good))
    assert not good_frequency((56.0, good))
    assert good_frequency(FAILED)


def test_every_text_is_in_both_languages_once() -> None:
    """Each alarm has its own words."""
    for language in (1, 2):
        texts = [entry[language] for entry in TEXTS.values()]
        assert all(texts)
        assert len(set(texts)) == len(texts)


def test_limits() -> None:
    """A band holds when every phase is known and inside."""
    assert Limits().hold(shares(1.0, 0.85, 1.15))
    assert not Limits().hold(shares())
    assert not Limits(1.1, 0.9).hold(shares(1.0, 0.85))
