"""What a reading can be: bounds, adjustments, and the steps of a counter."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wire.material import checked
from twisted_gantry.core import bounds
from twisted_gantry.core.bounds import (
    CONFIRM,
    CONFIRM_ZERO,
    ENERGY,
    Adjust,
    Bounds,
    Check,
    CounterCheck,
)

MARKS = (-1.0, 255.0, 655.3, 65535.0, 2.0**31 - 1, 2.0**32 - 1, float("nan"), float("inf"))
ALL = {
    name: value
    for name, value in vars(bounds).items()
    if name.isupper() and isinstance(value, Bounds)
}
# The marks that are inside: there they are numbers like all others.
INSIDE = {
    "VOLTS": {255.0},
    "AMPERES": {255.0},
    "FLOW": {-1.0, 255.0},
    "CELSIUS": {-1.0},
    "SECONDS": {255.0, 655.3},
    "WATTS": {-1.0, 255.0, 655.3, 65535.0},
    "COUNT": {255.0, 655.3, 65535.0},
    "ENERGY": {255.0, 655.3, 65535.0},
}


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_counts_only_outside_the_bounds(name: str, mark: float) -> None:
    """What devices send for no value is none outside the bounds, and a number inside."""
    taken = Check(ALL[name], None, lambda: 0.0).take(mark)
    assert taken == (mark if mark in INSIDE.get(name, set()) else None)


@pytest.mark.parametrize("name", ALL)
def test_the_bounds_themselves_are_inside(name: str) -> None:
    """The lowest and the highest value are good; a first counter of 0 is not believed at once."""
    limits = ALL[name]
    check = Check(limits, None, lambda: 0.0)
    assert check.take(limits.high) == limits.high
    if limits.rise is None:
        assert check.take(limits.low) == limits.low
        assert check.take(limits.low - 0.001) is None
    assert check.take(limits.high * 1.001) is None
    assert f"outside {limits.low:g} to {limits.high:g}" in check.why_not


def test_an_adjustment_comes_before_the_bounds() -> None:
    """Value x scale + offset, then the bounds; those of the setting replace the usual ones."""
    assert Check(bounds.VOLTS, Adjust(scale=0.1), lambda: 0.0).take(2201) == 220.1
    assert Check(bounds.VOLTS, Adjust(offset=-600), lambda: 0.0).take(20) is None
    assert Check(bounds.VOLTS, Adjust(high=1000), lambda: 0.0).take(800) == 800
    assert Check(bounds.VOLTS, Adjust(low=100), lambda: 0.0).take(50) is None
    assert Check(bounds.VOLTS, Adjust(low=100), lambda: 0.0).take(601) is None
    assert Check(None, Adjust(low=100), lambda: 0.0).take(1e9) == 1e9
    assert Check(None, Adjust(2.0, 1.0), lambda: 0.0).take(3) == 7


def test_an_adjusted_counter_is_still_a_counter() -> None:
    """A counter in kWh becomes Wh before its steps are judged."""
    check = Check(ENERGY, Adjust(scale=1000), lambda: 0.0)
    assert [check.take(kwh) for kwh in (5, 5.5, 99, 5.6)] == [5000, 5500, None, 5600]


# -- counters


class Meter:
    """A counter of energy that is read every `period` seconds."""

    def __init__(self, period: float = 5.0) -> None:
        self.now, self.period = 0.0, period
        self._check = Check(ENERGY, None, lambda: self.now)

    def read(self, *values: float) -> list[bool]:
        """Return which of some readings are good."""
        good = []
        for value in values:
            self.now += self.period
            good.append(self._check.take(value) is not None)
        return good


@pytest.mark.parametrize(
    ("values", "good"),
    [
        # What people saw: a moment of nonsense, which does not end what was known.
        ((1000005, 1000010, 4294967295, 1000020), (1, 1, 0, 1)),
        # Nonsense from the first reading on.
        ((4294967295, 4294967295, 4294967295, 4294967295, 1000020), (0, 0, 0, 0, 1)),
        # A total below zero, however often and however steady.
        ((100, 100, 100, -872424875, *range(-872424874, -872424850)), (1, 1, 1, *[0] * 25)),
        ((-5, -4, -3, -2), (0, 0, 0, 0)),
        # Inside the bounds, and no connection carries it.
        ((1000, 2000000, 1010), (1, 0, 1)),
        ((1000, 65535, 1010), (1, 0, 1)),
        # A meter was replaced by an older or a younger one.
        ((1000, 900000, 900010, 900020, 900030), (1, 0, 0, 1, 1)),
        ((900000, 20, 25, 30, 35), (1, 0, 0, 1, 1)),
        # Two sources in turn, and a saw: neither is confirmed.
        ((1000, 5, 1001, 5, 1002, 5, 1003), (1, 0, 1, 0, 1, 0, 1)),
        ((1000, 900000, 5, 900000, 5, 1010), (1, 0, 0, 0, 0, 1)),
        # It grows beyond what can be each time.
        ((1000, 10**6, 10**7, 10**8, 10**9), (1, 0, 0, 0, 0)),
        # Whole kWh.
        ((1000, 1000, 2000, 2000, 3000), (1, 1, 1, 1, 1)),
        # A zero of a moment, and the zero of a new meter.
        ((0, 0, 100), (0, 0, 1)),
        ((100, 0, 0, 0, 101), (1, 0, 0, 0, 1)),
        ((100, 0, 0, 0, 1, 1, 1), (1, 0, 0, 0, 0, 0, 1)),
    ],
)
def test_the_steps_of_a_counter(values: Iterable[float], good: Iterable[int]) -> None:
    """A step that cannot be is no value until three readings agree, and what goes on is."""
    assert Meter().read(*values) == [bool(each) for each in good]


def test_a_counter_that_stays_at_zero() -> None:
    """A new meter says 0 for long: that is believed in the end."""
    assert Meter().read(*[0] * (CONFIRM_ZERO + 1)) == [False] * (CONFIRM_ZERO - 1) + [True, True]


@pytest.mark.parametrize("period", [0.1, 1, 5, 60, 3600, 86400])
def test_what_the_connection_carries_is_believed(period: float) -> None:
    """Whatever the time between two readings, 250 kW are believed; 5 MW are not, beside a kWh."""
    can, cannot = (1000 * kw * period / 3600 for kw in (250, 5000))
    assert Meter(period).read(10**6, 10**6 + can, 10**6 + 2 * can) == [True] * 3
    assert Meter(period).read(10**6, 10**6 + 1000 + cannot) == [True, False]


def test_a_meter_that_passes_on_a_quarter_of_an_hour() -> None:
    """A counter that stood for 15 min catches up at once; after a day it catches up no more."""
    meter = Meter()
    assert all(meter.read(10**6, *[10**6] * 180))
    assert meter.read(10**6 + 60_000) == [True]
    assert all(meter.read(*[10**6 + 60_000] * 17_280))
    assert meter.read(10**6 + 160_000) == [False]


@checked
@given(st.lists(st.integers(0, 5), max_size=40))
def test_no_counter_goes_back_by_one_reading(values: list[int]) -> None:
    """Whatever comes, a smaller value is believed only after enough that did not fall."""
    counter = CounterCheck(1.0, 10.0, lambda: 0.0)
    last, row, before = None, 0, None
    for value in values:
        row = row + 1 if before is not None and value >= before else 1
        before = value
        if counter.believes(value):
            assert last is None or value >= last or row >= CONFIRM
            last = value
    assert counter.last == last
