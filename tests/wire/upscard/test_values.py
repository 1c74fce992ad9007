"""The values of a UPS card: RTD, QAD, the status word, the answer to a control."""

import itertools
import re
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import checked, document, outcome
from tests.wire.upscard.readings import decode_live, decode_ratings
from twisted_gantry.wire.errors import BadMessage
from twisted_gantry.wire.reading import Quality, Reading, Value
from twisted_gantry.wire.upscard.values import (
    LIVE_UNITS,
    RATED_UNITS,
    STATUS_NAMES,
    UpsState,
    control_succeeded,
    decode_status,
    encode_live,
    encode_ratings,
    encode_status,
    read_live,
    read_ratings,
)

_QAD = document("ups-qad").decode()
_RTD = document("ups-rtd").decode()
_ABSENT, _FAILED = Quality.NOT_SUPPORTED, Quality.GET_FAILED

# Numbers as a card prints them: at most nine digits, at most two of them behind the point.
_numbers = st.integers(-99_999_999, 99_999_999).map(lambda hundredths: hundredths / 100)
_words = st.text("ABCxyz019._/成", min_size=1, max_size=8).filter(lambda w: w.strip("-."))
_names = _words.filter(lambda word: not re.fullmatch(r"[0-9.]+|[1-3]/[1-3]", word))
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


def _shown(readings: dict[str, Reading]) -> dict[str, Value]:
    return {name: each.value for name, each in readings.items() if each.quality is Quality.GOOD}


_RATED = _shown(decode_ratings(_RTD))
_RATED_NUMBERS = {name: value for name, value in _RATED.items() if RATED_UNITS[name]}
_NAMES = {"manufacturer", "hardware_version", "model"}


@pytest.mark.parametrize(
    ("names", "read"),
    [
        ("山特 V1.0 C10KS", ("山特", "V1.0", "C10KS")),
        ("                V6.00", (None, "V6.00", None)),
        ("                6.00", (None, "6.00", None)),
        ("STK             V6.00     ", ("STK", "V6.00", None)),
        ("STK Power       V6.00     ", ("STK Power", "V6.00", None)),
        ("V6.00 C10", (None, "V6.00", "C10")),
        ("Sun Shine V1.0 C10 KS", ("Sun Shine", "V1.0", "C10 KS")),
        ("Sun Shine V1.0 3000", ("Sun Shine", "V1.0", "3000")),
        ("Sun Shine A1 C10KS", ("Sun Shine", "A1", "C10KS")),
        ("Sun\x00Shine\tV1.0\x00C10KS", ("Sun Shine", "V1.0", "C10KS")),
        ("--- --- ---", (None, None, None)),
        ("", (None, None, None)),
    ],
)
def test_names_may_hold_blanks_or_be_missing(names: str, read: tuple[str | None, ...]) -> None:
    """Whatever the names are, the ratings behind them are read; a missing name is none."""
    readings = decode_ratings(_RTD.replace("Sunshine V1.0 C10KS", names))
    assert {name: readings[name].value for name in sorted(_NAMES)} == dict(
        zip(("manufacturer", "hardware_version", "model"), read, strict=True)
    )
    assert _RATED_NUMBERS.items() <= _shown(readings).items()


@pytest.mark.parametrize("maker", ["Sunshine", "Sun Shine"])
def test_ratings_that_lack_a_number_are_not_shifted(maker: str) -> None:
    """Without one of the last seven fields, what is still read has its own value."""
    tokens = _RTD[1:].replace("Sunshine", maker).split()
    first = len(tokens) - 7
    for place in range(first, len(tokens)):
        fewer = "(" + " ".join(tokens[:place] + tokens[place + 1 :])
        if tokens[place] == "1/1" and len(tokens) == 10:
            with pytest.raises(BadMessage, match="RTD has 9 fields, not 10; the answer is"):
                read_ratings(fewer)
            continue
        values = read_ratings(fewer)
        read = _shown(values.readings)
        assert {name: each for name, each in read.items() if name not in _NAMES}.items() <= (
            _RATED.items()
        )
        assert list(RATED_UNITS)[place - len(tokens)] not in read
        assert values.wrong or place == len(tokens) - 1


@pytest.mark.parametrize("place", range(3, 10))
def test_an_odd_rating_costs_itself(place: int) -> None:
    """A rating that cannot be read fails alone, and is named."""
    tokens = _RTD[1:].split()
    tokens[place] = "2x0"
    name = list(RATED_UNITS)[place]
    values = read_ratings("(" + " ".join(tokens))
    failed = Reading(None, RATED_UNITS[name], _FAILED)
    assert values.readings == {**decode_ratings(_RTD), name: failed}
    assert "2x0" in values.wrong[0]


@pytest.mark.parametrize(
    ("phases", "means"),
    [
        ("1/1", "1/1"),
        ("3/1", "3/1"),
        ("3/3", "3/3"),
        ("---", None),
        ("01/01", "1/1"),
        ("3.0/1", "3/1"),
    ],
)
def test_phases(phases: str, means: str | None) -> None:
    """One or three phases, in and out, are phases in any spelling; so are dashes."""
    assert decode_ratings(_RTD.replace("1/1", phases))["phases"].value == means


@pytest.mark.parametrize("phases", ["1", "1/", "0/1", "4/1", "1/1/1", "1-1", "a/b", "11"])
def test_other_phases_cost_the_phases(phases: str) -> None:
    """What is not like 1/1 where the phases are due fails alone."""
    values = read_ratings(_RTD.replace("1/1", phases))
    assert values.readings == {**decode_ratings(_RTD), "phases": Reading(None, "", _FAILED)}
    assert values.wrong == (f"phases are not like 1/1: {phases!r}",)


_LIVE = decode_live(_QAD)
_LIVE_NUMBERS = {name: Reading(None, unit, _FAILED) for name, unit in LIVE_UNITS.items()}


def test_another_number_of_fields_leaves_the_status() -> None:
    """With a number too few or too many nothing is shifted: the numbers fail, the status holds."""
    tokens = _QAD[1:].split()
    for place in range(22):
        fewer = [*tokens[:place], *tokens[place + 1 :]]
        more = [*tokens[:place], "1.0", *tokens[place:]]
        for count, fields in ((22, fewer), (24, more)):
            values = read_live("(" + " ".join(fields))
            assert values.readings == {**_LIVE, **_LIVE_NUMBERS}
            assert values.wrong == (f"QAD has {count} fields, not 23",)


def test_fields_behind_the_status_word_are_of_a_newer_card() -> None:
    """What follows the status word changes nothing."""
    for more in ("1.0", "0001", "QMOD 25 C"):
        assert read_live(f"{_QAD.strip()} {more}") == (_LIVE, ())


def test_without_a_status_word_the_numbers_are_not_assigned() -> None:
    """22 numbers alone may be any 22 of 23."""
    with pytest.raises(BadMessage, match="22 fields, not 23; the answer is"):
        decode_live(_QAD.strip().removesuffix("0000100000000011"))


def test_a_lost_blank_costs_the_two_beside_it() -> None:
    """Two numbers in one field are found by their points; the status word by its shape."""
    values = read_live(_QAD.replace("220.1 220.2", "220.1220.2"))
    lost = ("input_voltage_r", "input_voltage_s")
    assert values.readings == {**_LIVE, **{name: _LIVE_NUMBERS[name] for name in lost}}
    assert decode_live(_QAD.replace("37.5 0000", "37.50000")) == _LIVE
    longer = decode_live(_QAD.replace("0000100000000011", "00001000000000011"))
    assert [longer[name].quality for name in STATUS_NAMES] == [_FAILED] * len(STATUS_NAMES)


@pytest.mark.parametrize(
    "token",
    ["x", "1.2.3", "1e5", "nan", "inf", "0x10", "1,5", "12V", "+", "1_000", "1" * 10, "1.#QNAN"],
)
def test_a_field_that_is_no_number_costs_itself(token: str) -> None:
    """One field that is no number fails alone, and the error names the field."""
    for place, name in enumerate(LIVE_UNITS):
        tokens = _QAD[1:].split()
        tokens[place] = token
        values = read_live("(" + " ".join(tokens))
        assert values.readings == {**_LIVE, name: _LIVE_NUMBERS[name]}
        assert values.wrong == (f"{name} is no number: {token[:20]!r}",)


@pytest.mark.parametrize("end", ["\r", "\x00", "\r\n", "\x00\x00\x1f", ")", "）", ",", " \ufeff"])
def test_control_characters_are_blanks(end: str) -> None:
    """The CR or NUL of a Megatec reply is no part of a value, at its end or between two fields."""
    assert read_live(_QAD.strip() + end) == (_LIVE, ())
    assert decode_ratings(_RTD.strip() + end) == decode_ratings(_RTD)
    assert decode_live(_QAD.replace(" ", " \x00")) == _LIVE
    assert control_succeeded("(OK" + end) is True


def _touched(text: str, place: int) -> set[int]:
    """Return the fields of `text` that a damage at `place` may change."""
    spans = [(each.start(), each.end()) for each in re.finditer(r"[^ (]+", text)]
    return {n for n, (start, end) in enumerate(spans) if start - 1 <= place <= end}


def _damaged(text: str) -> Iterator[tuple[int, str]]:
    """Yield each damage of one character of `text`, with its place."""
    for place, letter in enumerate(text):
        yield place, text[:place] + text[place + 1 :]
        yield place, text[:place] + letter + text[place:]
        for other in "01.- x\x00/(":
            yield place, text[:place] + other + text[place + 1 :]


@pytest.mark.parametrize(
    ("text", "decode", "names"),
    [
        (" ".join(_QAD.split()), decode_live, [*LIVE_UNITS]),
        (_RTD.strip(), decode_ratings, [*RATED_UNITS]),
    ],
)
def test_one_odd_character_costs_no_other_field(
    text: str, decode: Callable[[str], dict[str, Reading]], names: list[str]
) -> None:
    """A character that is lost, doubled or another costs its own field, or fails several; no field
    ever has the value of another.
    """
    right = decode(text)
    for place, odd in _damaged(text):
        read = outcome(lambda: decode(odd), BadMessage)  # noqa: B023 - called at once
        if isinstance(read, Exception):
            continue
        own = {names[n] if n < len(names) else "status" for n in _touched(text, place)}
        if "status" in own:
            own |= set(STATUS_NAMES)
        if own & _NAMES:  # a blank more or less divides the names in another way
            own |= _NAMES
        for name, reading in read.items():
            assert reading == right[name] or reading.quality is _FAILED or name in own, odd


@pytest.mark.parametrize("value", ["", " ", "220.1", ")", "[", "((", "OK!", "(", "（", "(FAILURE"])
def test_a_value_without_fields_is_refused(value: str) -> None:
    """What holds no field that can be read is refused by each reader, and quoted."""
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


@pytest.mark.parametrize("word", ["", "0" * 15, "0" * 17, "x" * 16, " " * 16])
def test_another_status_word_is_refused(word: str) -> None:
    """A status word is 16 of 0 and 1."""
    with pytest.raises(BadMessage):
        decode_status(word)


@pytest.mark.parametrize("stuck", ["{}?", "b{}", "{}\\r", "{}\\x00", "[{}]"])
def test_what_is_stuck_to_the_status_word_costs_nothing(stuck: str) -> None:
    """The word is known by its 16 bits; with another digit beside them it may be shifted."""
    live, word = _QAD.rsplit(" ", 1)
    assert read_live(f"{live} {stuck.format(word)}") == read_live(_QAD)
    assert read_live(f"{live} 1{word}").readings["state"].quality is _FAILED


@pytest.mark.parametrize("odd", ["2", "x", "٠", "-"])
def test_an_odd_bit_costs_what_it_says(odd: str) -> None:
    """A character that is no bit fails the one point of its bit; the next flag still counts."""
    says = {15: "ups_type", 11: "self_test", 10: "self_test", 8: "overload", 7: "mains_abnormal"}
    says |= {6: "battery_low", 5: "shutting_down", 4: "buzzer_muted"}
    says |= dict.fromkeys(range(4), "state")
    word = "1000100111110100"
    for bit in range(16):
        place = 15 - bit
        read = decode_status(word[:place] + odd + word[place + 1 :])
        expected = decode_status(word)
        if bit in says:
            expected[says[bit]] = Reading(None, "", _FAILED)
        assert read == expected


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
    st.lists(_names, min_size=1, max_size=3).map(" ".join),
    _names,
    _names,
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


@pytest.mark.parametrize("value", ["(", "(NO", "(OKAY", "(OK FAILED", "OKOK", "(NAK", "(1.0"])
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
    """Whatever stands in the 22 fields, each is a number or none, and the status word is read."""
    value = "(" + " ".join([*tokens, f"{word:016b}"])
    live = decode_live(value)
    for name, unit in LIVE_UNITS.items():
        assert live[name].unit == unit
        assert isinstance(live[name].value, float) or live[name].quality in {_ABSENT, _FAILED}
    if not any("0" * 16 in token for token in tokens):
        assert decode_status(f"{word:016b}").items() <= live.items()
