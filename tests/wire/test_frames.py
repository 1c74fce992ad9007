"""JSON objects out of a stream without terminators."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import NASTY, checked, cuts, document, likely_bytes
from twisted_gantry.wire.errors import FrameTooLong
from twisted_gantry.wire.frames import MAX_OBJECT, ObjectFramer, split, whole
from twisted_gantry.wire.json import dumps

_SAMPLES = [
    document("ups-command").strip(),
    document("ups-error").strip(),
    document("ups-result").strip(),
    b"{}",
    b'{"a":"}{","b":{"c":"\\"}\\\\"},"d":"\\\\"}',
    '{"msg":"成功（"}'.encode(),
]

# Objects whose strings hold what could mislead: braces, quotes, backslashes.
_objects = st.dictionaries(
    st.text('{}"\\a成', max_size=4),
    st.text('{}"\\a成\x00', max_size=8) | st.dictionaries(st.text("{}", max_size=2), st.none()),
    max_size=3,
).map(dumps)
_between = st.text(" \r\n\t\x00", max_size=3).map(str.encode)
_noise = st.binary(max_size=4).map(lambda raw: raw.replace(b"{", b"}"))
_BLANK = b" \t\r\n\x0b\x0c\x00"


def fed(framer: ObjectFramer, pieces: Iterable[bytes]) -> list[bytes]:
    return [frame for piece in pieces for frame in framer.feed(piece)]


@pytest.mark.parametrize("sample", _SAMPLES)
def test_split_at_every_byte(sample: bytes) -> None:
    """An object is the same one wherever the stream is cut, and when each byte comes alone."""
    for place in range(len(sample) + 1):
        assert fed(ObjectFramer(), [sample[:place], sample[place:]]) == [sample]
    framer = ObjectFramer()
    assert fed(framer, [bytes([byte]) for byte in sample]) == [sample]
    assert (framer.skipped, framer.inside) == (0, False)


@pytest.mark.parametrize("number", [1, 2, 3, 10, 1000])
def test_joined_in_every_number(number: int) -> None:
    """One read may bring any number of objects, with or without white space between them."""
    many = [_SAMPLES[place % len(_SAMPLES)] for place in range(number)]
    for between in (b"", b"\r\n", b"\x00", b" \n"):
        framer = ObjectFramer()
        assert fed(framer, [between.join(many)]) == many
        assert framer.skipped == 0


@given(st.lists(st.tuples(_between, _objects), max_size=6), st.lists(st.integers(0, 400)))
@checked
def test_split_and_joined_at_random(parts: list[tuple[bytes, bytes]], places: list[int]) -> None:
    """Whatever the reads, the same objects come out, and nothing is skipped."""
    stream = b"".join(between + frame for between, frame in parts)
    framer = ObjectFramer()
    assert fed(framer, cuts(stream, places)) == [frame for _, frame in parts]
    assert (framer.skipped, framer.inside) == (0, False)


@given(st.lists(st.tuples(_noise, _objects), max_size=6), st.lists(st.integers(0, 400)))
@checked
def test_other_bytes_between_objects_are_counted(
    parts: list[tuple[bytes, bytes]], places: list[int]
) -> None:
    """Bytes between objects that are no white space are skipped, and each is counted once."""
    stream = b"".join(noise + frame for noise, frame in parts)
    framer = ObjectFramer()
    assert fed(framer, cuts(stream, places)) == [frame for _, frame in parts]
    assert framer.skipped == sum(len(noise.translate(None, _BLANK)) for noise, _ in parts)


@given(likely_bytes, st.lists(st.integers(0, 200)))
@checked
def test_any_bytes_are_framed_alike(data: bytes, places: list[int]) -> None:
    """No bytes raise anything while they are within the bound, and no cut changes the outcome."""
    whole, parts = ObjectFramer(), ObjectFramer()
    assert fed(whole, [data]) == fed(parts, cuts(data, places))
    assert (whole.skipped, whole.inside) == (parts.skipped, parts.inside)
    assert whole.reset() == parts.reset()


@pytest.mark.parametrize("name", NASTY)
@pytest.mark.parametrize("size", [1 << 20, 4096, 997])
def test_nasty_bytes_are_framed_or_too_long(name: str, size: int) -> None:
    """Nasty bytes raise FrameTooLong alone, and after a reset the next object is read."""
    data, framer = NASTY[name], ObjectFramer()
    for start in range(0, len(data), size):
        try:
            for frame in framer.feed(data[start : start + size]):
                assert len(frame) <= MAX_OBJECT
        except FrameTooLong:
            framer.reset()
    framer.reset()
    assert fed(framer, [b'{"a":1}']) == [b'{"a":1}']


def test_a_mebibyte_of_noise_is_counted_and_not_kept() -> None:
    """Noise without an object is counted to the byte and takes no room."""
    noise = random.Random(2).randbytes(1 << 20).translate(None, b"{")
    framer = ObjectFramer()
    assert fed(framer, [noise]) == []
    assert framer.skipped == len(noise.translate(None, _BLANK))
    assert (framer.inside, framer.reset()) == (False, b"")


def test_ten_thousand_nested_braces_are_one_object() -> None:
    """Depth costs nothing here: 10,000 nested braces are one object, whatever is in it."""
    deep = b"{" * 10_000 + b"}" * 10_000
    framer = ObjectFramer()
    assert fed(framer, [deep, b"{}"]) == [deep, b"{}"]
    assert fed(framer, cuts(deep, list(range(0, 20_000, 100)))) == [deep]


@pytest.mark.parametrize("size", [1, 7, 100, 1000])
def test_the_bound_holds_however_it_is_reached(size: int) -> None:
    """An object of `limit` bytes passes, one more byte is FrameTooLong, in one read or in many."""
    fits = b'{"a":"' + b"x" * 92 + b'"}'
    over = b'{"a":"' + b"x" * 93 + b'"}'
    assert len(fits) == 100
    framer = ObjectFramer(100)
    assert fed(framer, [fits[at : at + size] for at in range(0, 100, size)]) == [fits]
    with pytest.raises(FrameTooLong):
        fed(framer, [over[at : at + size] for at in range(0, 101, size)])
    framer.reset()
    assert fed(framer, [fits]) == [fits]


def test_the_objects_before_one_too_long_are_not_lost() -> None:
    """What was complete before the bound was passed is handed on, even from the same read."""
    frames = ObjectFramer(20).feed(b'{"a":1}{"b":2}{"c":"' + b"x" * 30)
    assert [next(frames), next(frames)] == [b'{"a":1}', b'{"b":2}']
    with pytest.raises(FrameTooLong):
        next(frames)


def test_several_objects_in_one_read_may_pass_the_bound_together() -> None:
    """The bound is that of one object, not of one read."""
    objects = [b'{"a":"%d"}' % place for place in range(1000)]
    assert fed(ObjectFramer(20), [b"".join(objects)]) == objects


def test_an_unfinished_object_can_be_given_up() -> None:
    """`inside` tells of an unfinished object; `reset` drops it and says how much it held."""
    framer = ObjectFramer()
    assert fed(framer, [b'  {"a":"{\\']) == []
    assert (framer.inside, framer.reset(), framer.inside) == (True, b'{"a":"{\\', False)
    assert fed(framer, [b'"}', b'{"b":2}']) == [b'{"b":2}']
    assert framer.skipped == len(b'"}')


def test_a_reader_that_stops_early_loses_nothing() -> None:
    """What a reader did not take from one read comes with the next."""
    framer = ObjectFramer()
    assert next(framer.feed(b'{"a":1}{"b":2}{"c"')) == b'{"a":1}'
    assert fed(framer, [b":3}"]) == [b'{"b":2}', b'{"c":3}']


@pytest.mark.parametrize(
    ("line", "objects"),
    [
        (b'{"a":1}', [b'{"a":1}']),
        (b'{"a":1}{"b":"}{"}', [b'{"a":1}', b'{"b":"}{"}']),
        (b'\x00{"a":1} ,\x00\r{"b":{}}\x00\r', [b'{"a":1}', b'{"b":{}}']),
        (b'{"a":1}{"b":', [b'{"a":1}', b'{"b":']),
        (b"garbage", []),
        (b"", []),
    ],
)
def test_objects_in_one_line(line: bytes, objects: list[bytes]) -> None:
    """Objects are split by their structure; the last may be unfinished."""
    assert split(line) == objects


@pytest.mark.parametrize(
    ("data", "length"),
    [(b"", 0), (b"x", 0), (b'{"a":1', 0), (b'{"a":1}', 7), (b'{}{"a":1}\x00', 10), (b'{}{"a"', 2)],
)
def test_the_whole_part_of_an_unended_line(data: bytes, length: int) -> None:
    """It ends with the last object that is whole."""
    assert whole(data) == length
