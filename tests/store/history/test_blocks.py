"""Blocks: packing loses nothing, and damage is an error."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.store.history.blocks import (
    WHOLE,
    Entry,
    pack_entries,
    pack_samples,
    unpack_entries,
    unpack_samples,
)

BEGIN = 494_235 * 3_600_000
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.integers(0, 3_599_999), unique=True, max_size=200).map(sorted), st.data())
def test_samples_come_back(offsets: list[int], data: st.DataObject) -> None:
    """Every moment and every bit of every value comes back, gaps too."""
    times = [BEGIN + offset for offset in offsets]
    values = [data.draw(st.one_of(_NUMBERS, st.just(math.nan))) for _ in times]
    found = unpack_samples(pack_samples((times, values), BEGIN), BEGIN)
    assert list(found[0]) == times
    assert [repr(value) for value in found[1]] == [repr(value) for value in values]


@given(
    st.lists(
        st.builds(Entry, st.integers(0, 95), st.integers(1, WHOLE), _NUMBERS, _NUMBERS, _NUMBERS),
        min_size=1,
        max_size=96,
    )
)
def test_entries_come_back(entries: list[Entry]) -> None:
    """Every field of every entry comes back."""
    assert list(unpack_entries(pack_entries(entries))) == entries


def test_a_steady_reading_is_small() -> None:
    """An hour of a value that is read each 10 s and does not change takes next to nothing."""
    times = range(BEGIN, BEGIN + 3_600_000, 10_000)
    assert len(pack_samples((times, [230.1] * 360), BEGIN)) < 100


@pytest.mark.parametrize("cut", [0, 1, 10, -1])
def test_damage_is_an_error(cut: int) -> None:
    """A block that lacks bytes, or has others, is not taken for one."""
    body = pack_samples(([BEGIN + 1, BEGIN + 2], [1.0, 2.0]), BEGIN)
    with pytest.raises(ValueError, match="damaged"):
        unpack_samples(body[:cut], BEGIN)
    broken = bytearray(body)
    broken[-1] ^= 1
    with pytest.raises(ValueError, match="damaged"):
        unpack_samples(bytes(broken), BEGIN)


def test_another_kind_of_block_is_an_error() -> None:
    """An entry is not taken for samples."""
    body = pack_entries([Entry(0, WHOLE, 1.0, 1.0, 1.0)])
    with pytest.raises(ValueError, match="length"):
        unpack_samples(body, BEGIN)
