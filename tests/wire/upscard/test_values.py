"""The values of a UPS card: RTD, QAD, the status word, the answer to a control."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import checked, document, outcome
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.reading import Quality, Reading, Value
from twisted_gantry.wire.upscard.values import (
    LIVE_UNITS,
    RATED_UNITS,
    STATUS_NAMES,
    UpsState,
    control_succeeded,
    decode_live,
    decode_ratings,
    decode_status,
    encode_live,
    encode_ratings,
    encode_status,
)

_QAD = document("ups-qad").decode()
_RTD = document("ups-rtd").decode()
_ABSENT = Quality.NOT_SUPPORTED

# Numbers as a card prints them: at most nine digits, at most two of them behind the point.
_numbers = st.integers(-99_999_999, 99_999_999).map(lambda hundredths: hundredths / 100)
_words = st.text("ABCxyz019._/成", min_size=1, max_size=8).filter(lambda w: w.strip("-."))
_statuses = st.fixed_dictionaries(
    {
        "ups_type": st.sampled_from(["online", "backup"]),
        "self_test": st.sampled_from(["unknown", "failed", "good"]),
        "overload": st.booleans(),
        "mains_abnormal": st.booleans(),
        "battery_low": st.booleans(),
        "shutting_down": st.booleans(),
        "buzzer_muted": st.booleans(),
        "state": st.sampled_from([state.text for state in UpsState]),
    }
)
# Anything that might stand between two spaces.
_tokens = st.sampled_from(
    [
        "---",
        "---.-",
        "-",
        ".",
        "1.5",
        "-3",
        "+7",
        "1e5",
        "nan",
        "inf",
        "0x10",
        "1,5",
        "1.",
        ".5",
        "",
        "（",
        "(",
        "\x00",
        "\ud800",
        "٣",
        "1" * 9,
        "1" * 10,
        "9" * 5000,
        "0" * 16,
        "1/1",
        "4/1",
    ]
) | st.text(max_size=6)
_values = st.one_of(
    st.text(max_size=60),
    st.lists(_tokens, max_size=25).map(" ".join),
    st.lists(_tokens, min_size=23, max_size=23).map(lambda all_: "(" + " ".join(all_)),
    st.lists(_tokens, min_size=10, max_size=10).map(lambda all_: "(" + " ".join(all_)),
)


def test_the_sample_qad() -> None:
    """The document's live data are read as its prose says, line break and `---.-` included."""
    readings = decode_live(_QAD)
    state = {
        "ups_type": Reading("online"),
        "self_test": Reading("good"),
        "overload": Reading(False),
        "mains_abnormal": Reading(False),
        "battery_low": Reading(False),
        "shutting_down": Reading(False),
        "buzzer_muted": Reading(False),
        "state": Reading("line"),
    }
    assert readings == {
        "input_voltage_r": Reading(220.1, "V"),
        "input_voltage_s": Reading(220.2, "V"),
        "input_voltage_t": Reading(220.3, "V"),
        "input_frequency": Reading(50.1, "Hz"),
        "input_current_r": Reading(None, "A", _ABSENT),
        "input_current_s": Reading(None, "A", _ABSENT),
        "input_current_t": Reading(None, "A", _ABSENT),
        "fault_voltage": Reading(149.5, "V"),
        "output_voltage_r": Reading(221.0, "V"),
        "output_voltage_s": Reading(222.0, "V"),
        "output_voltage_t": Reading(223.0, "V"),
        "output_frequency": Reading(50.0, "Hz"),
        "output_current_r": Reading(5.0, "A"),
        "output_current_s": Reading(6.0, "A"),
        "output_current_t": Reading(7.0, "A"),
        "load_r": Reading(20.0, "%"),
        "load_s": Reading(30.0, "%"),
        "load_t": Reading(25.0, "%"),
        "battery_voltage": Reading(216.5, "V"),
        "battery_runtime": Reading(31687.0, "s"),
        "battery_charge": Reading(90.0, "%"),
        "temperature": Reading(37.5, "°C"),
        **state,
    }
    assert decode_status("0000100000000011") == state


def test_the_sample_rtd() -> None:
    """The document's ratings are read as its prose says."""
    assert decode_ratings(_RTD) == {
        "manufacturer": Reading("Sunshine"),
        "hardware_version": Reading("V1.0"),
        "model": Reading("C10KS"),
        "rated_input_voltage": Reading(220.0, "V"),
        "rated_output_voltage": Reading(220.0, "V"),
        "rated_current": Reading(20.0, "A"),
        "rated_frequency": Reading(50.0, "Hz"),
        "rated_battery_voltage": Reading(192.0, "V"),
        "phases": Reading("1/1"),
        "rated_power": Reading(10000.0, "VA"),
    }


def test_the_fields_are_as_many_as_the_document_says() -> None:
    """RTD has 10 fields; QAD has 23, the last of which is the status word."""
    assert len(RATED_UNITS) == 10
    assert len(LIVE_UNITS) + 1 == 23


@pytest.mark.parametrize("bracket", ["(", "（", " (", "( ", "\r\n（ "])
def test_either_bracket_opens_a_value(bracket: str) -> None:
    """The full-width bracket of the prose is taken like the one of the samples."""
    assert decode_live(bracket + _QAD[1:]) == decode_live(_QAD)
    assert decode_ratings(bracket + _RTD[1:]) == decode_ratings(_RTD)
    assert control_succeeded(bracket + "OK") is True


@pytest.mark.parametrize("name", LIVE_UNITS)
def test_no_value_is_of_one_field_alone(name: str) -> None:
    """Dashes in one field leave that one without a value, and every other one as it was."""
    place = list(LIVE_UNITS).index(name)
    for absent in ("---", "---.-", "-", "--.--"):
        tokens = _QAD[1:].split()
        tokens[place] = absent
        expected = {**decode_live(_QAD), name: Reading(None, LIVE_UNITS[name], _ABSENT)}
        assert decode_live("(" + " ".join(tokens)) == expected


@pytest.mark.parametrize("absent", ["---", "---.-"])
def test_ratings_without_a_value(absent: str) -> None:
    """Dashes in any field of the ratings leave that one without a value."""
    for place, (name, unit) in enumerate(RATED_UNITS.items()):
        tokens = _RTD[1:].split()
        tokens[place] = absent
        expected = {**decode_ratings(_RTD), name: Reading(None, unit, _ABSENT)}
        assert decode_ratings("(" + " ".join(tokens)) == expected


def test_a_manufacturer_may_hold_spaces() -> None:
    """The ratings are read from the right: what is left over is the manufacturer's name."""
    for maker in ("Sun Shine", "Sun Shine Power Co. Ltd.", "阳光 电源"):
        expected = {**decode_ratings(_RTD), "manufacturer": Reading(maker)}
        assert decode_ratings(_RTD.replace("Sunshine", maker)) == expected


@pytest.mark.parametrize("maker", ["Sunshine", "Sun Shine"])
def test_ratings_that_lack_a_number_are_refused(maker: str) -> None:
    """Ratings without one of the last seven fields are refused, never shifted."""
    tokens = _RTD[1:].replace("Sunshine", maker).split()
    for place in range(len(tokens) - 7, len(tokens)):
        with pytest.raises(BadMessage):
            decode_ratings("(" + " ".join(tokens[:place] + tokens[place + 1 :]))


@pytest.mark.parametrize("phases", ["1/1", "3/1", "3/3", "---"])
def test_phases(phases: str) -> None:
    """One or three phases, in and out, are phases; so are dashes."""
    value = decode_ratings(_RTD.replace("1/1", phases))["phases"].value
    assert value == (None if phases == "---" else phases)


@pytest.mark.parametrize("phases", ["1", "1/", "0/1", "4/1", "1/1/1", "1-1", "a/b", "11"])
def test_other_phases_are_refused(phases: str) -> None:
    """What is not like 1/1 where the phases are due is a failed read of all."""
    with pytest.raises(BadMessage, match="phases"):
        decode_ratings(_RTD.replace("1/1", phases))


def test_another_number_of_fields_is_refused() -> None:
    """Live data with a field too few or too many, wherever, are refused: never shifted."""
    tokens = _QAD[1:].split()
    for place in range(23):
        with pytest.raises(BadMessage, match="22 fields, not 23"):
            decode_live("(" + " ".join(tokens[:place] + tokens[place + 1 :]))
        with pytest.raises(BadMessage, match="24 fields, not 23"):
            decode_live("(" + " ".join([*tokens[:place], "1.0", *tokens[place:]]))
        empty = [*tokens[:place], "", *tokens[place + 1 :]]
        with pytest.raises(BadMessage, match="22 fields, not 23"):
            decode_live("(" + " ".join(empty))


@pytest.mark.parametrize(
    "token", ["x", "1.2.3", "1e5", "nan", "inf", "0x10", "1,5", "12V", "+", "1_000", "1" * 10]
)
def test_a_field_that_is_no_number_is_refused(token: str) -> None:
    """One field that is no number fails the whole reading, and the error names the field."""
    names = list(LIVE_UNITS)
    for place, name in enumerate(names):
        tokens = _QAD[1:].split()
        tokens[place] = token
        with pytest.raises(BadMessage, match=f"^{name} is no number"):
            decode_live("(" + " ".join(tokens))


@pytest.mark.parametrize("value", ["", " ", "220.1", ")", "[", "((", "OK", "(", "（"])
def test_a_value_without_bracket_or_fields_is_refused(value: str) -> None:
    """What does not begin with a bracket, or holds nothing behind it, is refused by each reader."""
    for decode in (decode_live, decode_ratings, control_succeeded):
        with pytest.raises(BadMessage):
            decode(value)


@pytest.mark.parametrize(("unit", "seconds"), [("s", 31687.0), ("min", 31687.0 * 60)])
def test_the_unit_of_the_time_left_is_a_setting(unit: str, seconds: float) -> None:
    """The battery's time left is in seconds, in whichever unit the card counts."""
    assert decode_live(_QAD, runtime_unit=unit)["battery_runtime"] == Reading(seconds, "s")
    absent = _QAD.replace("31687", "---")
    runtime = decode_live(absent, runtime_unit=unit)["battery_runtime"]
    assert runtime == Reading(None, "s", _ABSENT)


@pytest.mark.parametrize(
    ("bit", "name", "clear", "set_"),
    [
        (15, "ups_type", "online", "backup"),
        (8, "overload", False, True),
        (7, "mains_abnormal", False, True),
        (6, "battery_low", False, True),
        (5, "shutting_down", False, True),
        (4, "buzzer_muted", False, True),
    ],
)
def test_each_bit_says_one_thing(bit: int, name: str, clear: Value, set_: Value) -> None:
    """Each bit of the status word, b15 first, changes the one point that the document names."""
    off, on = decode_status("0" * 16), decode_status(f"{1 << bit:016b}")
    assert (off[name].value, on[name].value) == (clear, set_)
    assert {**on, name: off[name]} == off


@pytest.mark.parametrize(
    ("bits", "result"), [("00", "unknown"), ("01", "failed"), ("10", "good"), ("11", "unknown")]
)
def test_the_self_test(bits: str, result: str) -> None:
    """b11 and b10 tell the last self-test: 00 unknown, 01 failed, 10 good; 11 says nothing."""
    assert decode_status(f"0000{bits}0000000000")["self_test"] == Reading(result)


def test_the_states() -> None:
    """b3 to b0 tell the state by the document's numbers; a number that it lacks is no state."""
    states = ["power-on", "standby", "bypass", "line", "battery", "test", "fault", "converter"]
    states += ["he", "shutdown"]
    for number in range(16):
        state = decode_status(f"{number:016b}")["state"]
        if number < len(states):
            assert state == Reading(states[number])
        else:
            assert state == Reading(None, "", Quality.GET_FAILED)


@pytest.mark.parametrize("bit", [14, 13, 12, 9])
def test_reserved_bits_say_nothing(bit: int) -> None:
    """The bits that the document reserves change nothing."""
    for word in (0, 0b1000110111110011):
        assert decode_status(f"{word | 1 << bit:016b}") == decode_status(f"{word:016b}")


@pytest.mark.parametrize("word", ["", "0" * 15, "0" * 17, "0" * 15 + "2", "0" * 15 + "٠", " " * 16])
def test_another_status_word_is_refused(word: str) -> None:
    """A status word is 16 of 0 and 1."""
    with pytest.raises(BadMessage, match="status word"):
        decode_status(word)


def test_every_status_word_is_written_as_it_was_read() -> None:
    """Encoding undoes decoding for each of the words whose bits are all defined."""
    count = 0
    for type_, self_test, flags, state in itertools.product(
        range(2), range(3), range(32), range(10)
    ):
        word = f"{type_ << 15 | self_test << 10 | flags << 4 | state:016b}"
        readings = decode_status(word)
        assert encode_status({name: readings[name].value for name in STATUS_NAMES}) == word
        count += 1
    assert count == 2 * 3 * 32 * 10


@given(_statuses)
@checked
def test_a_status_is_read_as_it_was_written(status: dict[str, Value]) -> None:
    """Decoding undoes encoding of a status."""
    read = decode_status(encode_status(status))
    assert {name: reading.value for name, reading in read.items()} == status


def test_an_unknown_state_stays_unknown() -> None:
    """A state that is not known is written as a number that the document does not define."""
    readings = decode_status("0000000000001010")
    word = encode_status({name: readings[name].value for name in STATUS_NAMES})
    assert decode_status(word) == readings


@given(st.fixed_dictionaries({name: st.none() | _numbers for name in LIVE_UNITS}), _statuses)
@checked
def test_live_data_are_read_as_they_were_written(
    numbers: dict[str, float | None], status: dict[str, Value]
) -> None:
    """Decoding undoes encoding of live data, missing values included."""
    readings = {name: Reading(value) for name, value in status.items()} | {
        name: Reading(None, unit, _ABSENT)
        if numbers[name] is None
        else Reading(numbers[name], unit)
        for name, unit in LIVE_UNITS.items()
    }
    assert decode_live(encode_live(readings)) == readings


@given(
    st.lists(_words, min_size=1, max_size=3).map(" ".join),
    _words,
    _words,
    st.lists(st.none() | _numbers, min_size=6, max_size=6),
    st.sampled_from([None, "1/1", "3/1", "3/3"]),
)
@checked
def test_ratings_are_read_as_they_were_written(
    maker: str, version: str, model: str, numbers: list[float | None], phases: str | None
) -> None:
    """Decoding undoes encoding of ratings, missing values and a maker of several words included."""
    values = [maker, version, model, *numbers[:5], phases, numbers[5]]
    readings = {
        name: Reading(None, unit, _ABSENT) if value is None else Reading(value, unit)
        for (name, unit), value in zip(RATED_UNITS.items(), values, strict=True)
    }
    assert decode_ratings(encode_ratings(readings)) == readings


def test_what_is_written_is_spelt_as_in_the_document() -> None:
    """Values begin with a bracket and stand one space apart; no value is `---`."""
    assert encode_ratings(decode_ratings(_RTD)) == (
        "(Sunshine V1.0 C10KS 220 220 20 50 192 1/1 10000"
    )
    assert encode_live(decode_live(_QAD)) == (
        "(220.1 220.2 220.3 50.1 --- --- --- 149.5 221 222 223 50 5 6 7 20 30 25 216.5 31687 90 "
        "37.5 0000100000000011"
    )
    assert encode_ratings({}) == "(" + " ".join(["---"] * 10)


@pytest.mark.parametrize(
    ("value", "succeeded"),
    [
        ("(OK", True),
        ("（OK", True),
        ("(ok\r\n", True),
        ("(OK)", True),
        ("(FAILED", False),
        ("(FAILED .", False),
        ("（FAILED）", False),
    ],
)
def test_the_answer_to_a_control(value: str, succeeded: bool) -> None:
    """`(OK` is success and `(FAILED` is none, with the document's stray point or without."""
    assert control_succeeded(value) is succeeded


@pytest.mark.parametrize("value", ["(", "(NO", "(OKAY", "(OK FAILED", "OK", "(NAK", "(1.0"])
def test_another_answer_to_a_control_is_neither(value: str) -> None:
    """What is neither of the two is taken for neither."""
    with pytest.raises(BadMessage):
        control_succeeded(value)


@given(_values)
@checked
def test_any_value_raises_badmessage_alone(value: str) -> None:
    """No text raises anything but BadMessage, and a reading is whole or not at all."""
    live = outcome(lambda: decode_live(value, runtime_unit="min"), BadMessage)
    assert isinstance(live, Exception) or live.keys() == {*LIVE_UNITS, *STATUS_NAMES}
    ratings = outcome(lambda: decode_ratings(value), BadMessage)
    assert isinstance(ratings, Exception) or ratings.keys() == RATED_UNITS.keys()
    status = outcome(lambda: decode_status(value), BadMessage)
    assert isinstance(status, Exception) or status.keys() == set(STATUS_NAMES)
    assert isinstance(outcome(lambda: control_succeeded(value), BadMessage), bool | BadMessage)


@given(st.lists(_tokens, min_size=22, max_size=22), st.integers(0, 65535))
@checked
def test_any_fields_with_a_good_status_word(tokens: list[str], word: int) -> None:
    """Whatever stands in the 22 fields, each is a number, is absent, or the whole is refused."""
    value = "(" + " ".join([*tokens, f"{word:016b}"])
    live = outcome(lambda: decode_live(value), BadMessage)
    if not isinstance(live, Exception):
        for name, unit in LIVE_UNITS.items():
            assert live[name].unit == unit
            assert isinstance(live[name].value, float) or live[name].quality is _ABSENT
