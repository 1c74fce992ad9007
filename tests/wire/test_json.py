"""Lenient JSON: what is taken, what is refused, and that nothing else happens."""

import json
import math
import traceback
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import (
    NASTY,
    SECRET,
    checked,
    document,
    json_with,
    likely_bytes,
    outcome,
    texts,
)
from twisted_gantry.wire.errors import BadMessage, CannotEncode, NotJson, WireError
from twisted_gantry.wire.json import (
    DEFAULT,
    _strict,
    as_text,
    convert,
    dumps,
    loads,
    loads_text,
    salvage,
)

# Plain JSON: finite numbers, keys without outer white space.
_plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**63), max_value=2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(texts.map(str.strip), inner, max_size=4)
    ),
    max_leaves=12,
)


class Sample(msgspec.Struct):
    a: int
    b: str = ""


@pytest.mark.parametrize(
    ("data", "means"),
    [
        (b'{"a":1}', {"a": 1}),
        (b'{"a":1,}', {"a": 1}),
        (b"[1,2,]", [1, 2]),
        (b"{a:1}", {"a": 1}),
        (b"{'a':'b'}", {"a": "b"}),
        (b'{" a ":{"b\\t":[{" c":1}]}}', {"a": {"b": [{"c": 1}]}}),
        (b"{' a ':{' b':[{c:1,},],},}", {"a": {"b": [{"c": 1}]}}),
        (b'{"a":" b "}', {"a": " b "}),
        (b"{a:1, // why\n}", {"a": 1}),
        (b'\xef\xbb\xbf{"a":1}', {"a": 1}),
        (b" \r\n{}\n", {}),
        (b'"\\ud83d\\ude00"', "😀"),
        (b"123456789012345678901234567890", 123456789012345678901234567890),
        (b"{a:-1.5e1,b:.5,c:5.,d:+1,}", {"a": -15, "b": 0.5, "c": 5.0, "d": 1}),
        (b'{a:\'it\\\'s "b" \\"c\\"\'}', {"a": 'it\'s "b" "c"'}),
        (b"{a:/* b, c */1/**/}", {"a": 1}),
        (b'{"a":1,"a":1}', {"a": 1}),
    ],
)
def test_takes_what_the_documents_print(data: bytes, means: object) -> None:
    """JSON, loose spelling, a BOM, space around keys are taken; values stay as they are."""
    assert loads(data) == means


@pytest.mark.parametrize(
    "data", [b'{"a":1,"a":2}', b'{"a":1," a ":2}', b'{a:1,"a ":2,}', b'{"a"\t :1,"a":"x"}']
)
def test_a_key_twice_with_different_values_is_refused(data: bytes) -> None:
    """No command is taken from a message that says two things; equal keys lose their space."""
    with pytest.raises(NotJson, match="a: twice"):
        loads(data)
    assert salvage(data).value == {"a": None}


@pytest.mark.parametrize("twice", ['"1","a":1', '1.0,"a":"01"', '"true","a":true', '1,"a":true'])
def test_a_key_twice_with_one_value_is_taken(twice: str) -> None:
    """A value that comes in two spellings is one value."""
    data = f'{{"a":{twice}}}'.encode()
    assert salvage(data).value["a"] in (1, "01", True)
    assert salvage(data).repairs == ()


@pytest.mark.parametrize(
    "name",
    [
        "nothing",
        "white space",
        "a NUL",
        "a NUL behind",
        "a BOM",
        "GBK",
        "UTF-16",
        "a lone surrogate",
        "a lone surrogate in single quotes",
        "a NUL in a string",
        "a lone surrogate as a key",
        "a raw surrogate",
        "NaN",
        "Infinity",
        "a float past all",
        "a far exponent",
        "a huge integer",
        "an integer of 4301 digits",
        "10,000 open braces",
        "10,000 nested braces",
        "10,000 nested objects",
        "100,000 open brackets",
        "34 nested lists",
        "a word",
        "a comment without end",
        "curly quotes",
        "an escape at the end",
        "1 MiB of random bytes",
    ],
)
def test_refuses_what_is_no_json(name: str) -> None:
    """What is no JSON, not UTF-8, not finite or nested too deeply is NotJson."""
    with pytest.raises(NotJson):
        loads(NASTY[name])


@pytest.mark.parametrize("opening", ["[", '{"a":'])
@pytest.mark.parametrize("comma", ["", ","])
def test_the_depth_is_bounded(opening: str, comma: str) -> None:
    """A message may nest as deep as the limit and no deeper, in JSON and in loose spelling."""
    closing = comma + ("]" if opening == "[" else "}")

    def nested(depth: int) -> bytes:
        return (opening * depth + "1" + closing * depth).encode()

    assert loads(nested(DEFAULT.depth)) is not None
    with pytest.raises(NotJson):
        loads(nested(DEFAULT.depth + 1))


@pytest.mark.parametrize("name", NASTY)
def test_nasty_bytes_raise_notjson_alone(name: str) -> None:
    """Whatever the bytes, they are decoded or are NotJson; what was decoded becomes text."""
    decoded = outcome(lambda: loads(NASTY[name]), NotJson)
    if not isinstance(decoded, Exception):
        outcome(lambda: as_text(decoded), BadMessage)


@given(likely_bytes)
@checked
def test_any_bytes_raise_notjson_alone(data: bytes) -> None:
    """No bytes raise anything but NotJson."""
    decoded = outcome(lambda: loads(data), NotJson)
    assert isinstance(decoded, dict | list | str | int | float | None | NotJson)


@given(_plain)
@checked
def test_what_is_sent_is_read_back(message: Any) -> None:
    """What dumps writes, loads reads back as it was."""
    assert loads(dumps(message)) == message


@given(_plain)
@checked
def test_loose_spelling_reads_as_json(message: Any) -> None:
    """The same message means the same with a comment behind it, which strict JSON refuses."""
    assert loads(dumps(message) + b"// end") == loads(dumps(message))


@given(_plain)
@checked
def test_what_is_sent_is_canonical(message: Any) -> None:
    """What is sent is strict JSON in UTF-8, without white space between its tokens."""
    text = dumps(message).decode()
    assert json.loads(text) == message
    assert msgspec.json.encode(msgspec.json.decode(text)).decode() == text


@pytest.mark.parametrize(
    "message", ["\ud800", {"a": "b\udcff"}, {"\ud800": 1}, [2**70000], [[float]]]
)
def test_what_json_cannot_carry_is_our_mistake(message: object) -> None:
    """A lone surrogate, a number past all and a thing that is no message are CannotEncode."""
    with pytest.raises(CannotEncode):
        dumps(message)


def test_cannot_encode_does_not_hold_the_text() -> None:
    """The error of a text that cannot be sent shows none of it: it may be a password."""
    with pytest.raises(CannotEncode) as caught:
        dumps({"pass": SECRET + "\udcff"})
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + repr(caught.value.args)


@pytest.mark.parametrize(
    "message",
    [
        b'{"session":"1","pass":"%s","new_pass":"%s","cmd":"QAD"}',
        b"{session:'1',pass:'%s',new_pass:'%s',cmd:'QAD',}",
        b"{session:1,pass:%s,new_pass:%s}",
    ],
)
def test_errors_hold_no_password(message: bytes) -> None:
    """However a message is cut off or garbled, the error shows nothing of its values."""
    whole = message % (SECRET.encode(), SECRET.encode())
    refused = 0
    for place in range(len(whole)):
        for broken in (whole[:place], whole[:place] + b"\x01" + whole[place:], whole[place:]):
            error = outcome(lambda data=broken: loads(data), NotJson)  # type: ignore[misc]
            if isinstance(error, NotJson):
                refused += 1
                told = "".join(traceback.format_exception(error)) + repr(error.args)
                assert SECRET[:4] not in told
    assert refused > len(whole)


@given(_plain)
@checked
def test_numbers_become_text_at_every_depth(message: Any) -> None:
    """as_text leaves no number behind, and nothing else is changed by it."""

    def same(before: Any, after: Any) -> bool:
        if isinstance(before, dict):
            return before.keys() == after.keys() and all(same(before[k], after[k]) for k in before)
        if isinstance(before, list):
            return len(before) == len(after) and all(map(same, before, after))
        if isinstance(before, bool) or before is None or isinstance(before, str):
            return before is after
        return isinstance(after, str) and float(after) == float(before)

    assert same(message, as_text(message))


@given(_plain | likely_bytes)
@checked
def test_one_pass_gives_what_two_passes_give(message: Any) -> None:
    """loads_text returns what as_text makes of loads, and fails where one of the two fails."""
    data = message if isinstance(message, bytes) else dumps(message)
    in_one = outcome(lambda: loads_text(data), WireError)
    in_two = outcome(lambda: as_text(loads(data)), WireError)
    if isinstance(in_two, WireError):
        assert isinstance(in_one, type(in_two))
    else:
        assert in_one == in_two


@given(json_with("a", "b"))
@checked
def test_as_text_raises_badmessage_alone(message: Any) -> None:
    """Of decoded JSON, only a number of too many digits cannot become text."""
    result = outcome(lambda: as_text(message), BadMessage)
    assert isinstance(result, dict | list | str | bool | None | BadMessage)


@given(json_with("a", "b"))
@checked
def test_convert_raises_badmessage_alone(message: Any) -> None:
    """Whatever was decoded fits the message or is BadMessage."""
    result = outcome(lambda: convert(message, Sample), BadMessage)
    assert isinstance(result, Sample | BadMessage)


def test_convert_takes_numeric_text_and_names_the_place() -> None:
    """A number may come as text; what does not fit is named with its place."""
    assert convert({"a": "7", "b": "x", "more": 1}, Sample) == Sample(7, "x")
    with pytest.raises(BadMessage, match=r"\$\.a"):
        convert({"a": "seven"}, Sample)
    with pytest.raises(BadMessage, match="`a`"):
        convert({}, Sample)


def test_an_integer_of_thousands_of_digits_is_refused() -> None:
    """No command holds such a number; in a report the number alone is lost."""
    with pytest.raises(NotJson):
        loads(NASTY["a huge integer"])
    assert salvage(NASTY["a huge integer"]).value == {"session": None, "cmd": "QAD"}


def test_numbers_are_finite() -> None:
    """No spelling brings a number into the program that is not finite."""
    for spelling in (b"NaN", b"-NaN", b"Infinity", b"+Infinity", b"1e400", b"-1e400", b"1E+999"):
        for around in (b"%s", b"[%s,]", b'{"a":[%s]}'):
            result = outcome(lambda d=around % spelling: loads(d), NotJson)  # type: ignore[misc]
            assert isinstance(result, NotJson), (spelling, around)
    assert math.isfinite(loads(b"1e308"))


def test_the_printing_slip_of_section_1_6_is_no_json() -> None:
    """Curly quotes, as section 1.6 of the ETC document prints them, are not taken for JSON."""
    with pytest.raises(NotJson):
        loads(document("etc-1.6"))


class _Inner(msgspec.Struct):
    prio: int = 0
    power: float = 0.0


class _Outer(msgspec.Struct):
    on: bool = False
    name: str = ""
    parts: list[_Inner] = []


@pytest.mark.parametrize(
    ("given", "prio"), [("7", 7), ("7.0", 7), (7.0, 7), (" 7 ", 7), ("007", 7), ("+7", 7)]
)
def test_a_number_is_taken_in_any_spelling_where_one_is_due(given: Any, prio: int) -> None:
    """Anywhere in a message; what looks like a number and is a name stays as it is."""
    node = {"on": " 01 ", "name": "007", "parts": [{}, {"prio": given, "power": " 0.50 "}]}
    expected = _Outer(True, "007", [_Inner(), _Inner(prio, 0.5)])
    assert convert(node, _Outer) == expected
    assert node["parts"] == [{}, {"prio": given, "power": " 0.50 "}]


@pytest.mark.parametrize("bad", ["7.5", 7.5, "x", "", None, True, [], "1e400", "0x7"])
def test_what_is_no_number_is_refused(bad: Any) -> None:
    """With the place of it."""
    with pytest.raises(BadMessage, match=r"\$\.parts\[0\]\.prio"):
        convert({"parts": [{"prio": bad}]}, _Outer)


def test_many_odd_spellings_are_refused() -> None:
    """Each costs a pass over the message."""
    with pytest.raises(BadMessage, match="too many"):
        convert({"parts": [{"prio": " 1 "}] * 1000}, _Outer)


def test_a_number_with_a_great_exponent_is_read_by_float() -> None:
    """The strict decoder takes 10 µs for such a number, and 20,000 of them would hold the reactor:
    each is read by `float` instead, with the same value.
    """
    texts = ["1e-323", "1.7976931348623158e308", "-1.12345678901234567e-300", "1e-400", "1.5e3"]
    data = f"[{','.join(texts)}]".encode()
    assert loads(data) == [float(each) for each in texts]
    reader: Any = _strict
    assert reader.float_hook is float
    with pytest.raises(NotJson):
        loads(b"[1e999]")
