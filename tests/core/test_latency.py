"""Durations: each counts in one bucket, and in every one above it."""

from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.core.latency import BOUNDS, Latency


def test_buckets() -> None:
    """A duration counts up to the bound that it does not exceed; the last has all."""
    latency = Latency((0.1, 1.0))
    for seconds in (0.05, 0.1, 0.5, 60.0):
        latency.observe(seconds)
    assert latency.buckets() == [(0.1, 2), (1.0, 3), (inf, 4)]
    assert latency.count == 4
    assert latency.sum == pytest.approx(60.65)


def test_time_does_not_go_back() -> None:
    """A negative duration is none at all."""
    latency = Latency()
    latency.observe(-3.0)
    assert (latency.sum, latency.buckets()[0]) == (0.0, (BOUNDS[0], 1))


@given(st.lists(st.floats(0, 100)))
def test_each_bucket_has_what_is_within(durations: list[float]) -> None:
    """What a bucket tells is how many durations did not exceed its bound."""
    latency = Latency()
    for each in durations:
        latency.observe(each)
    for bound, count in latency.buckets():
        assert count == sum(each <= bound for each in durations)
    assert latency.sum == pytest.approx(sum(durations))


@pytest.mark.parametrize("bounds", [(2.0, 1.0), (1.0, 1.0), (1.0, inf)])
def test_wrong_bounds(bounds: tuple[float, ...]) -> None:
    """Bounds that do not rise would hide durations."""
    with pytest.raises(ValueError, match="rise"):
        Latency(bounds)
