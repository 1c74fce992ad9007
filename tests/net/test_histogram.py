"""Durations in buckets: cumulative counts, percentiles, and histograms of a window merged."""

from math import ceil, inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twisted_gantry.net.histogram import BOUNDS, Histogram, geometric_bounds


def filled(durations: list[float], bounds: tuple[float, ...] = BOUNDS) -> Histogram:
    """Return a histogram of `durations`."""
    histogram = Histogram(bounds)
    for each in durations:
        histogram.observe(each)
    return histogram


def test_buckets() -> None:
    """A duration counts up to the bound that it does not exceed; the last has all."""
    histogram = filled([0.05, 0.1, 0.5, 60.0], (0.1, 1.0))
    assert histogram.buckets() == [(0.1, 2), (1.0, 3), (inf, 4)]
    assert (histogram.count, histogram.longest) == (4, 60.0)
    assert histogram.sum == pytest.approx(60.65)


def test_time_does_not_go_back() -> None:
    """A negative duration counts as 0."""
    histogram = filled([-3.0])
    assert (histogram.sum, histogram.buckets()[0]) == (0.0, (BOUNDS[0], 1))


@given(st.lists(st.floats(0, 100)))
def test_each_bucket_has_what_is_within(durations: list[float]) -> None:
    """What a bucket tells is how many durations did not exceed its bound."""
    histogram = filled(durations)
    for bound, count in histogram.buckets():
        assert count == sum(each <= bound for each in durations)
    assert histogram.sum == pytest.approx(sum(durations))


@given(st.lists(st.floats(1e-4, 60), min_size=1, max_size=100), st.floats(0.01, 1))
def test_percentiles_are_too_high_by_the_growth_at_most(took: list[float], share: float) -> None:
    """A percentile is the nearest rank of what was observed, or up to a bucket above."""
    found = filled(took, geometric_bounds(1e-4, 1.05, 280)).percentile(share)
    exact = sorted(took)[ceil(share * len(took)) - 1]
    assert found is not None
    assert exact <= found <= exact * 1.05 * (1 + 1e-9)


def test_percentiles_at_the_edges() -> None:
    """Without a duration there is no percentile; past the last bound the longest is shown."""
    assert Histogram().percentile(0.5) is None
    assert filled([3600.0]).percentile(0.99) == 3600.0


@given(st.lists(st.floats(0, 100)), st.lists(st.floats(0, 100)))
def test_merged_is_as_observed_together(first: list[float], second: list[float]) -> None:
    """Histograms of parts of a window, merged, are that of the window."""
    merged, both = Histogram().merge([filled(first), filled(second)]), filled(first + second)
    assert (merged.buckets(), merged.longest) == (both.buckets(), both.longest)
    assert merged.sum == pytest.approx(both.sum)


def test_different_bounds_cannot_be_merged() -> None:
    """Counts of other buckets would be wrong."""
    with pytest.raises(ValueError, match="different bounds"):
        Histogram().merge([Histogram((1.0,))])


@pytest.mark.parametrize("bounds", [(2.0, 1.0), (1.0, 1.0), (1.0, inf)])
def test_wrong_bounds(bounds: tuple[float, ...]) -> None:
    """Bounds that do not rise would hide durations."""
    with pytest.raises(ValueError, match="rise"):
        Histogram(bounds)
