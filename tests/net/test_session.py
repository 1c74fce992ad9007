"""The back-off of a session that is kept up."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from twisted_gantry.net.session import Backoff


def always(spread: float) -> Backoff:
    """Return the back-off of a UPS card, with this spread throughout."""
    return Backoff(1.0, 60.0, lambda: spread)


def test_delays_double_up_to_the_most() -> None:
    """Delays double from the first to the most, and stay there."""
    backoff = always(1.0)
    assert [backoff.next() for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]


def test_delays_are_spread_from_a_half_to_the_whole() -> None:
    """The jitter takes up to half of a delay away, and adds nothing."""
    least, middle = always(0.0), always(0.5)
    assert [least.next() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert [middle.next() for _ in range(8)] == [0.75, 1.5, 3, 6, 12, 24, 45, 45]


def test_each_delay_is_spread_anew() -> None:
    """The jitter is drawn for each delay: gantries that fell together do not rise together."""
    spreads = iter([0.0, 0.9, 0.5])
    backoff = Backoff(10.0, 10.0, lambda: next(spreads))
    assert [backoff.next() for _ in range(3)] == pytest.approx([5.0, 9.5, 7.5])


def test_only_reset_begins_anew() -> None:
    """After a reset the delays begin at the first one again."""
    backoff = always(1.0)
    assert [backoff.next() for _ in range(5)][-1] == 16
    backoff.reset()
    assert [backoff.next() for _ in range(3)] == [1, 2, 4]


@given(
    st.floats(0.001, 100),
    st.floats(1, 1000),
    st.integers(1, 3000),
    st.floats(0, 1, exclude_max=True),
)
@settings(derandomize=True)
def test_delays_stay_within_their_bounds(
    first: float, factor: float, attempts: int, spread: float
) -> None:
    """However often it fails, a delay is at least half the first and at most the most."""
    backoff = Backoff(first, first * factor, lambda: spread)
    delays = [backoff.next() for _ in range(attempts)]
    assert all(first / 2 <= delay <= first * factor for delay in delays)
    assert delays == sorted(delays)
