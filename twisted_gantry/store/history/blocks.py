"""Blocks: the history of one point over one slot, packed into bytes.

A row for each sample takes some 40 bytes, and a year of 200 points would not fit into 2 GB.
Compressed columns of samples take a quarter of that or less, and are read as fast. All times are
whole milliseconds; a gap is a NaN.
"""

import struct
import zlib
from collections.abc import Iterable, Sequence
from itertools import accumulate, chain, pairwise
from typing import NamedTuple

Samples = tuple[Sequence[int], Sequence[float]]  # times in ms, ascending, and a value for each

NO_SAMPLES: Samples = ((), ())

WHOLE = 60_000  # the share of an entry whose value is known all the time

_SAMPLE, _ENTRY = struct.calcsize("<Id"), struct.calcsize("<HHddd")


class Entry(NamedTuple):
    """The values of a point in one minute, or in one quarter of an hour. `number` counts from the
    beginning of the slot; `share` is the part of the time with a known value, 1 to 60,000 (WHOLE).
    """

    number: int
    share: int
    min: float
    mean: float
    max: float


def pack_samples(samples: Samples, begin: int) -> bytes:
    """Pack samples of a slot that begins at `begin` (ms) and lasts an hour."""
    times, values = samples
    # Times as differences: a regular reading then has nearly the same number each time.
    steps = (after - before for before, after in pairwise(chain((begin,), times)))
    return zlib.compress(struct.pack(f"<{len(times)}I{len(times)}d", *steps, *values))


def unpack_samples(body: bytes, begin: int) -> Samples:
    """Reverse `pack_samples`. Raises ValueError for what is damaged."""
    data = _decompress(body, _SAMPLE)
    count = len(data) // _SAMPLE
    steps = struct.unpack_from(f"<{count}I", data)
    times = tuple(accumulate(steps, initial=begin))[1:]
    return times, struct.unpack_from(f"<{count}d", data, count * 4)


def pack_entries(entries: Iterable[Entry]) -> bytes:
    """Pack entries, at least one."""
    columns = list(zip(*entries, strict=True))
    count = len(columns[0])
    layout = f"<{count}H{count}H{count}d{count}d{count}d"
    return zlib.compress(struct.pack(layout, *chain.from_iterable(columns)))


def unpack_entries(body: bytes) -> Iterable[tuple[int, int, float, float, float]]:
    """Reverse `pack_entries`; the fields are those of an Entry. Raises ValueError."""
    data = _decompress(body, _ENTRY)
    count = len(data) // _ENTRY
    counts = struct.unpack_from(f"<{2 * count}H", data)
    values = struct.unpack_from(f"<{3 * count}d", data, count * 4)
    return zip(
        counts[:count],
        counts[count:],
        values[:count],
        values[count : 2 * count],
        values[2 * count :],
        strict=True,
    )


def _decompress(body: bytes, width: int) -> bytes:
    try:
        data = zlib.decompress(body)
    except zlib.error as error:
        raise ValueError(f"a block is damaged: {error}") from None
    if len(data) % width:
        raise ValueError("a block is damaged: its length is odd")
    return data
