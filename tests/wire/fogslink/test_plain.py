"""Data in its plain spelling is read as all other lines are, only faster."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.wire.errors import WireError
from twisted_gantry.wire.fogslink.messages import (
    Item,
    Pack,
    PackAnswer,
    Single,
    SingleAnswer,
    encode,
    read_requests,
)
from twisted_gantry.wire.fogslink.plain import read_data, taken

texts = st.text(st.characters(codec="utf-8"), max_size=8)
numbers = st.sampled_from(["0", "1", "7", "07", " 1", "1.0", "true", "\x00", "\\", '"'])
states = st.one_of(numbers, texts)
items = st.builds(lambda c, s, v: Item(e_chan=c, e_chan_sta=s, e_val=v), texts, states, texts)
bare_items = st.builds(lambda c, s: Item(e_chan=c, e_chan_sta=s), texts, states)
packs = st.builds(
    lambda eq_sn, pack_id, size, given: Pack(
        eq_sn=eq_sn, pack_id=pack_id, total_size=size, eq_data=tuple(given)
    ),
    st.one_of(numbers, texts),
    st.one_of(numbers, texts),
    st.integers(0, 3),
    st.lists(st.one_of(items, bare_items), max_size=3),
)
singles = st.builds(
    lambda eq_sn, c, s, v: Single(eq_sn=eq_sn, e_chan=c, e_chan_sta=s, e_val=v),
    *(texts, texts, states, texts),
)


@given(st.one_of(packs, singles))
def test_what_is_encoded_is_read_by_both_ways(message: Pack | Single) -> None:
    """Each message in its plain spelling is the same one by the fast and by the tolerant way."""
    line = encode(message)[:-1]
    assert read_data(line) == message
    [slow] = read_requests(line)
    assert not isinstance(slow, WireError)
    assert slow.message == message


@given(st.one_of(packs, singles), st.data())
def test_a_line_that_was_changed_is_read_by_both_ways_or_not_at_all(
    message: Pack | Single, data: st.DataObject
) -> None:
    """A byte more, less or another: where the fast way gives a message, the other one gives it,
    too, and no second one.
    """
    line = bytearray(encode(message)[:-1])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(line)))
        line[at : at + data.draw(st.integers(0, 2))] = data.draw(
            st.sampled_from([b"", b'"', b"0", b" ", b"{", b"}", b",", b"\\", b":", b"1", b"\xff"])
        )
    fast = read_data(bytes(line))
    if fast is not None:
        [slow] = read_requests(bytes(line))
        assert not isinstance(slow, WireError)
        assert slow.message == fast


@pytest.mark.parametrize(
    "line",
    [
        b'{"req201":{"eqSN":"1","eChan":"P0-C1","eChanSta":"1","eVal":"2"},"req100":{"eqSN":"1"}}',
        b'{"req201":{"eqSN":"1","eChan":"P0-C1","eChanSta":"1","eVal":"2","eVal":"3"}}',
        b'{"req201":{"eqSN":"1","eChan":"P0-C1","eChanSta":"1","eVal":2}}',
        b'{"req201": {"eqSN":"1","eChan":"P0-C1","eChanSta":"1"}}',
        b'{"req201":{"eqSN":"1","eChan":"P0-C1"}}',
        b'{"req200":{"eqSN":"1","packID":"1","totalSize":0,"eqData":[]},"req201":{"eqSN":"1","eChan":"P0-C1","eChanSta":"1"}}',
        b"[" * 10_000,
        b"",
    ],
)
def test_any_other_spelling_is_left_to_the_tolerant_way(line: bytes) -> None:
    """A second message, a key twice, a number for a text, a blank, a missing state."""
    assert read_data(line) is None


@given(texts, texts)
def test_the_answer_is_that_of_the_encoder(eq_sn: str, which: str) -> None:
    """Byte for byte, for a pack and for a single value."""
    pack = Pack(eq_sn="1", pack_id=which, total_size=0, eq_data=())
    single = Single(eq_sn="1", e_chan=which)
    assert taken(pack, eq_sn) == encode(PackAnswer(eq_sn=eq_sn, pack_id=which, code="8"))
    assert taken(single, eq_sn) == encode(SingleAnswer(eq_sn=eq_sn, e_chan=which, code="8"))
