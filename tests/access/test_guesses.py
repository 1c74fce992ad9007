"""The delay after wrong secrets, by account and address."""

import pytest
from twisted.internet.task import Clock

from twisted_gantry.access import guesses as module
from twisted_gantry.access.guesses import Guesses


def test_it_grows_to_two_seconds() -> None:
    """It doubles from a tenth of a second; the pause counts from the last wrong secret."""
    clock = Clock()
    guesses = Guesses(clock)
    waits = []
    for _ in range(8):
        waits.append(round(guesses.wait("", "a"), 3))
        guesses.wrong("", "a")
    assert waits == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]
    clock.advance(1.5)
    assert guesses.wait("", "a") == pytest.approx(0.5)
    clock.advance(1.5)
    assert guesses.wait("", "a") == 0
    clock.advance(60)
    guesses.wrong("", "a")
    assert guesses.wait("", "a") == pytest.approx(0.1)


def test_each_account_and_address_has_its_own() -> None:
    """Another address does not wait, another account there for a quarter of a second at most."""
    clock = Clock()
    guesses = Guesses(clock)
    for _ in range(8):
        guesses.wrong("admin", "a")
    assert (guesses.wait("admin", "a"), guesses.wait("other", "a")) == (2.0, 0.25)
    assert (guesses.wait("admin", "b"), guesses.pause("b")) == (0, 0)
    assert (guesses.has_failed("a"), guesses.has_failed("b")) == (True, False)
    clock.advance(0.25)
    assert (guesses.wait("admin", "a"), guesses.wait("other", "a")) == (1.75, 0)


def test_another_name_for_each_guess_gains_little() -> None:
    """Whoever gives another account each time has four guesses a second, as the first few show."""
    clock = Clock()
    guesses = Guesses(clock)
    waits = []
    for number in range(6):
        waits.append(round(guesses.wait(f"{number}", "a"), 3))
        guesses.wrong(f"{number}", "a")
    assert waits == [0.0, 0.1, 0.2, 0.25, 0.25, 0.25]


def test_it_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of very many addresses the one that was silent longest is forgotten."""
    monkeypatch.setattr(module, "MAX_PEERS", 2)
    guesses = Guesses(Clock())
    for address in ("a", "b", "c"):
        guesses.wrong("", address)
    assert [guesses.wait("", each) > 0 for each in ("a", "b", "c")] == [False, True, True]
