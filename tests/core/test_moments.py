"""Moments: ages and corrected times, after steps of the clock and after restarts."""

import pytest

from twisted_gantry.core.moments import BUILT, Moment, present
from twisted_gantry.net.kernel_clock import boot_id, boot_seconds, synchronised

YEAR = 366 * 86_400.0


@pytest.mark.parametrize("step", [0.0, BUILT, -3600.0, 10 * YEAR])
@pytest.mark.parametrize("trusted", [True, False])
def test_within_a_boot_the_clock_counts_for_nothing(step: float, trusted: bool) -> None:
    """An age is the seconds since the boot, whatever the clock did in between."""
    earlier = Moment(BUILT, "a", 100.0, False)
    now = Moment(BUILT + 5.0 + step, "a", 105.0, trusted)
    assert now.since(earlier) == 5.0
    assert now.wall_of(earlier) == BUILT + step


def test_across_boots_a_trusted_clock_tells_the_age() -> None:
    """A clock that a time server had set both times knows how long the computer was off."""
    earlier = Moment(BUILT, "a", 100.0, True)
    assert Moment(BUILT + YEAR, "b", 10.0, True).since(earlier) == YEAR
    assert Moment(BUILT + YEAR, "b", 10.0, True).wall_of(earlier) == BUILT


@pytest.mark.parametrize(("before", "after"), [(True, False), (False, True), (False, False)])
def test_across_boots_any_other_clock_tells_nothing(before: bool, after: bool) -> None:
    """The age is then what this boot has seen of it: a wrong clock makes no report too old."""
    earlier = Moment(0.0, "a", 100.0, before)
    assert Moment(BUILT, "b", 10.0, after).since(earlier) == 10.0


def test_the_present_is_plausible_here_and_1970_is_not() -> None:
    """A clock before the program was made is wrong."""
    assert present().plausible
    assert not Moment(300.0, "a", 300.0, True).plausible


def test_the_kernel_tells_boot_and_time() -> None:
    """Moments of this computer are of one boot and go on."""
    first, second = present(), present()
    assert first.boot == second.boot == boot_id() != ""
    assert 0 < first.mono <= second.mono <= boot_seconds()
    assert synchronised() in {True, False, None}
    assert second.trusted == (synchronised() is True)
