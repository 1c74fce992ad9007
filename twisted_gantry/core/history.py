"""What the history of points is made of: samples in, buckets out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class Sample(NamedTuple):
    """The value of a point, by its full name, from `at` (Unix seconds) on.

    `value` None begins a gap: the value is unknown; a text is a state. A sample is valid until the
    next one of its point, but not longer than the `hold` of the history.
    """

    point: str
    at: float
    value: float | str | None


Bucket = tuple[float, float, float, float]
"""One step of a series: (Unix seconds of its begin, min, mean, max).

`mean` is weighted by time. A step in which nothing is known has no bucket.
"""


Row = tuple[float, Sequence[float | str | None]]
"""The Unix seconds of the begin of a step, and a value for each point: the mean of a number, the
text that held longest, whether a flag was ever set, None if nothing is known.
"""


@dataclass(frozen=True, slots=True)
class Series:
    """Buckets, oldest first, whose times are multiples of `step` seconds. `states` are the steps of
    a point that is a text: the begin of each, and the text that held longest in it.
    """

    step: float
    buckets: Sequence[Bucket]
    states: Sequence[tuple[float, str]] = ()
