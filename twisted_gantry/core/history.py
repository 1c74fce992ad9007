"""The seam to where the history of points is kept."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface


class Sample(NamedTuple):
    """What a point, by its full name, was from `at` (Unix seconds) on.

    `value` None is a gap: from then on nobody knows. A sample holds until the next of its point,
    but not for longer than the history was told (`hold`).
    """

    point: str
    at: float
    value: float | None


Bucket = tuple[float, float, float, float]
"""What a point was from a time on, for the step of its series: (Unix seconds, min, mean, max).

`mean` is weighted by time. A bucket in which nothing is known does not exist.
"""


@dataclass(frozen=True, slots=True)
class Series:
    """Buckets, oldest first, whose times are multiples of `step` seconds."""

    step: float
    buckets: Sequence[Bucket]


class IHistory(Interface):
    """What the points were. A Deferred fails when the disk does."""

    found = Attribute("What the start found, a sequence of texts with `en` and `zh`.")

    def add(samples: Sequence[Sample]) -> Deferred[None]:  # noqa: N805
        """Keep samples; they may come late, and a later one of the same moment wins.

        It fires when they are kept; a power cut may still take what came in the last second.
        """

    def query(
        point: str,  # noqa: N805
        since: float,
        until: float,
        step: float | None,
    ) -> Deferred[Series]:
        """Return what `point` was from `since` to `until`, both Unix seconds, in buckets.

        There are at most 2,000: without a `step` (seconds), and instead of one that would make
        more, the series has the least round one that does not. An unknown point has no buckets.
        """

    def close() -> Deferred[None]:
        """Finish what was begun, and close."""
