"""The registers of cFos: the document's table answer for answer, and what is refused."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import checked, json_with, outcome
from twisted_gantry.wire.cfos.modbus import (
    MAX_COUNT,
    Read,
    Write,
    answer_read,
    decode_read,
    parse_read,
    parse_write,
    plan_write,
)
from twisted_gantry.wire.cfos.registers import (
    BAD_SIZE,
    BAD_VALUE,
    DEVICES,
    EVSE,
    METER,
    READ_ONLY,
    WITHOUT_WEAR,
    RegisterError,
    image,
    pack,
    registers_of,
    unpack,
)
from twisted_gantry.wire.errors import WireError

# The answer to `device=meter2&read=all`, letter by letter.
READ_ALL = (
    '{"8000d":-821755904,"8002":1,"8003":257,"8004":16777216,"8006":256,"8007":0,'
    '"8008s":"fcf5-c46d-310c","8016s":"cFos Power Brain","8040":41,"8041":1,"8042d":1000,'
    '"8044":1,"8045":230,"8046":230,"8047":230,"8050q":0,"8054d":0,"8056":0,"8057":0,"8058q":0,'
    '"8062d":-1,"8064d":0,"8066d":0,"8068d":0,"8070":0,"8071":0,"8120d":0}'
)
SAMPLE: dict[int, int | str] = {
    int(key.rstrip("dqs")): value for key, value in json.loads(READ_ALL).items()
}
WORDS = image(METER, SAMPLE)


def ask(read: str, count: str | None = None) -> Any:
    """Return what the document's meter answers."""
    return answer_read(parse_read(read, count), METER, WORDS)


def test_the_documents_reads() -> None:
    """Each read that the document shows is answered as it is there."""
    assert ask("8002") == 1
    assert ask("8062d") == -1
    assert ask("8016s") == "cFos Power Brain"
    assert ask("8002", "10") == [1, 257, 256, 0, 256, 0, 26211, 26165, 11619, 13366]


def test_the_documents_read_of_all() -> None:
    """`read=all` prints the document's keys in their order, 8004 without its `d`."""
    assert json.dumps(ask("all"), separators=(",", ":")) == READ_ALL


def test_the_documents_writes() -> None:
    """Each write that the document shows is done, or refused with its words."""
    assert plan_write(parse_write("8044", "7"), EVSE) == {8044: 7}
    assert plan_write(parse_write("8050q", '1"'), EVSE) == {8050: 1}
    with pytest.raises(RegisterError, match=f"^{BAD_SIZE}$"):
        plan_write(parse_write("8044d", '1"'), EVSE)
    several = parse_write("8044", None, "[7,230,230,230 ]")
    assert plan_write(several, EVSE) == {8044: 7, 8045: 230, 8046: 230, 8047: 230}


def test_the_documents_first_example_is_outside_the_map() -> None:
    """35154, which the document reads, is no register of the map: it is named in the answer."""
    with pytest.raises(RegisterError, match="35154"):
        ask("35154")


def test_8004_and_its_lower_half() -> None:
    """8004 read whole has 8005 in it, and each can be read alone."""
    assert ask("8004d") == 16777216
    assert (ask("8004"), ask("8005")) == (256, 0)


@pytest.mark.parametrize("device", DEVICES)
def test_registers_do_not_overlap(device: str) -> None:
    """Of what `read=all` prints no two registers share a word, and every word has its register."""
    printed = [each for each in DEVICES[device].values() if each.printed]
    words = [address for each in printed for address in each.addresses]
    assert len(words) == len(set(words))
    assert set(image(DEVICES[device], {})) == set(words)
    assert all(each.width == {"d": 2, "q": 4}.get(each.suffix, each.width) for each in printed)


def test_which_device_has_what() -> None:
    """Meters and EVSE have their own registers, and share those of every device."""
    assert {8041, 8042, 8070, 8071}.issubset(METER)
    assert {8080, 8092, 8093, 8096, 8113}.issubset(EVSE)
    assert not {8041, 8042, 8070, 8071}.intersection(EVSE)
    assert not {8080, 8092, 8093, 8096, 8113}.intersection(METER)
    assert {8000, 8040, 8120, 8044, 8047, 8050}.issubset(set(METER) & set(EVSE))
    assert (METER[8058].access.value, EVSE[8058].access.value) == ("rw", "r")
    with pytest.raises(RegisterError, match="meter3"):
        registers_of("meter3")


@pytest.mark.parametrize(
    ("read", "count"),
    [
        ("", None),
        ("8002x", None),
        ("-1", None),
        ("8002dd", None),
        ("800200", None),
        ("8002", "0"),
        ("8002", "126"),
        ("8002", "9999999999"),
        ("8002", "x"),
        ("8002", "-1"),
        ("ALL", None),
        ("٨٠٠٢", None),
    ],
)
def test_reads_that_are_none(read: str, count: str | None) -> None:
    """What is no address or no count is refused."""
    with pytest.raises(RegisterError):
        parse_read(read, count)


@pytest.mark.parametrize(
    ("write", "value", "values"),
    [
        ("8044", None, None),
        ("8044", "1", "[1]"),
        ("8044", "", None),
        ("8044", "1.5", None),
        ("8044", "9" * 5000, None),
        ("8044", None, "[]"),
        ("8044", None, "[1,"),
        ("8044", None, '["1"]'),
        ("8044", None, "[true]"),
        ("8044", None, f"[{','.join(['1'] * (MAX_COUNT + 1))}]"),
        ("8044", None, "[" * 10_000),
        ("8016s", "x", None),
        ("x", "1", None),
    ],
)
def test_writes_that_are_none(write: str, value: str | None, values: str | None) -> None:
    """What is no write is refused, and nothing else is raised."""
    with pytest.raises(RegisterError):
        parse_write(write, value, values)


@pytest.mark.parametrize(
    ("write", "answer"),
    [
        (Write(8062, (1,), "d"), READ_ONLY),
        (Write(8050, (1,)), BAD_SIZE),
        (Write(8051, (1,)), BAD_SIZE),
        (Write(8050, (1,), "d"), BAD_SIZE),
        (Write(8045, (1,), "q"), BAD_SIZE),
        (Write(8044, (65536,)), BAD_VALUE),
        (Write(8044, (-32769,)), BAD_VALUE),
        (Write(8050, (1 << 64,), "q"), BAD_VALUE),
        (Write(8044, (7, 230, 230, 230, 1), several=True), "unknown modbus register 8048"),
        (Write(9000, (1,)), "unknown modbus register 9000"),
    ],
)
def test_writes_that_cannot_be_done(write: Write, answer: str) -> None:
    """A write of the wrong size, to what cannot be written or is not there, changes nothing."""
    with pytest.raises(RegisterError) as caught:
        plan_write(write, METER)
    assert str(caught.value) == answer


def test_a_wide_register_takes_all_its_words() -> None:
    """Words without a suffix write a wide register when all of them are there."""
    assert plan_write(Write(8050, (0, 0, 1, 2), several=True), METER) == {8050: 65538}
    assert plan_write(Write(8042, (-1,), "d"), METER) == {8042: -1}
    assert plan_write(Write(8044, (-1,)), METER) == {8044: 65535}


def test_what_wears_the_flash() -> None:
    """Six registers of the EVSE can be written for ever; all else wears, a mixed write too."""
    assert {at for at in EVSE if not Write(at, (1,)).wears} == WITHOUT_WEAR
    assert {8086, 8087, 8088, 8091, 8093, 8094} == WITHOUT_WEAR
    assert not Write(8086, (1, 0, 0), several=True).wears
    assert Write(8088, (0, 0), several=True).wears


@checked
@given(st.sampled_from([1, 2, 4]), st.data())
def test_numbers_come_back(width: int, data: st.DataObject) -> None:
    """What is packed is unpacked as it was: wide numbers are signed, single words are not."""
    bits = 16 * width
    low, high = (0, (1 << 16) - 1) if width == 1 else (-(1 << bits - 1), (1 << bits - 1) - 1)
    number = data.draw(st.integers(low, high))
    words = pack(number, width)
    assert len(words) == width
    assert all(0 <= word < 65536 for word in words)
    assert unpack(words, "") == number


@checked
@given(st.text(st.characters(min_codepoint=1, max_codepoint=127), max_size=40))
def test_texts_come_back(text: str) -> None:
    """A text of ASCII comes back, cut to what its registers hold."""
    assert unpack(pack(text, 16), "s") == text[:32].rstrip("\0")


@checked
@given(st.text(max_size=20), st.none() | st.text(max_size=20), st.none() | st.text(max_size=20))
def test_any_request_is_answered_or_refused(text: str, one: str | None, two: str | None) -> None:
    """Whatever a request holds, a RegisterError is the worst that comes of it."""
    read = outcome(lambda: parse_read(text, one), RegisterError)
    if isinstance(read, Read):
        outcome(lambda: answer_read(read, METER, WORDS), RegisterError)
    write = outcome(lambda: parse_write(text, one, two), RegisterError)
    if isinstance(write, Write):
        outcome(lambda: plan_write(write, METER), RegisterError)


@checked
@given(
    st.integers(7990, 8130), st.sampled_from(["", "d", "q", "s"]), st.none() | st.integers(1, 125)
)
def test_our_reads_are_understood(address: int, suffix: str, count: int | None) -> None:
    """What we ask is parsed as it was meant, and what is answered to it is taken."""
    read = Read(address, suffix, count)
    query = dict(read.query())
    assert parse_read(query["read"], query.get("count")) == read
    answer = outcome(lambda: answer_read(read, METER, WORDS), RegisterError)
    if not isinstance(answer, Exception):
        assert decode_read(read, json.loads(json.dumps(answer))) == answer


@checked
@given(
    st.integers(0, 65535), st.sampled_from(["", "d", "q"]), st.lists(st.integers(-9, 9), min_size=1)
)
def test_our_writes_are_understood(address: int, suffix: str, values: list[int]) -> None:
    """What we write is parsed as it was meant."""
    for write in (
        Write(address, tuple(values[:9]), suffix, several=True),
        Write(address, (values[0],), suffix),
    ):
        query = dict(write.query())
        assert parse_write(query["write"], query.get("value"), query.get("values")) == write


def test_read_all_is_asked_and_taken() -> None:
    """`all` goes there and back."""
    assert parse_read(dict(Read(None).query())["read"]) == Read(None)
    assert decode_read(Read(None), json.loads(READ_ALL)) == json.loads(READ_ALL)


@pytest.mark.parametrize(
    ("read", "answer"),
    [
        (Read(8044, "d"), BAD_SIZE),
        (Read(8044, "s"), BAD_SIZE),
        (Read(8044), "unknown device"),
        (Read(8016, "s"), 'unknown device "meter9"'),
        (Read(8002, "", 2), [1]),
        (Read(8002, "", 2), [1, True]),
        (Read(8002, "", 2), BAD_SIZE),
        (Read(8002), True),
        (Read(8002), None),
        (Read(8002), 1.5),
        (Read(None), [1]),
        (Read(None), {"8000d": {}}),
        (Read(8016, "s"), 7),
    ],
)
def test_answers_that_are_none(read: Read, answer: Any) -> None:
    """An error text, or anything that does not answer the read, is an error."""
    with pytest.raises(WireError):
        decode_read(read, answer)


@checked
@given(json_with("8000d", "8002"))
def test_any_answer_is_taken_or_refused(answer: Any) -> None:
    """Whatever is answered, a WireError is the worst that comes of it."""
    for read in (Read(None), Read(8002), Read(8002, "", 3), Read(8016, "s")):
        outcome(lambda read=read: decode_read(read, answer), WireError)  # type: ignore[misc]


@pytest.mark.parametrize(
    ("read", "answer"),
    [
        (Read(8002), 1 << 64),
        (Read(8002), -(1 << 63) - 1),
        (Read(8002), int("9" * 400)),
        (Read(8002, "", 1), [1 << 64]),
        (Read(8016, "s"), "x" * 65),
        (Read(None), {"8002": 1 << 64}),
        (Read(None), {"8016s": "x" * 65}),
        (Read(None), {"8002" * 3: 1}),
        (Read(None), {str(n): n for n in range(126)}),
    ],
)
def test_what_no_register_can_hold_is_no_answer(read: Read, answer: Any) -> None:
    """More than 64 bits, a text that fits none, a table that is none: it is kept nowhere."""
    with pytest.raises(WireError):
        decode_read(read, answer)
