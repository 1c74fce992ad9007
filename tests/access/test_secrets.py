"""Hashed secrets: tried in a thread, one at a time, each address in its turn, remembered."""

from collections.abc import Callable
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.support import fired, in_no_thread
from twisted_gantry.access import passwords
from twisted_gantry.access.guesses import TooManyGuesses
from twisted_gantry.access.people import OPERATOR, VIEWER
from twisted_gantry.access.secrets import (
    MAX_SECRET,
    MOST_HELD,
    REMEMBERED,
    Secrets,
    wrong_secret,
)
from twisted_gantry.core.secret import Secret

SALT = b"0123456789abcdef"


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "N", 16)
    monkeypatch.setattr(passwords, "P", 1)


def hashed(password: str) -> Secret:
    """Return the hash of a password, as the configuration has it."""
    return Secret(passwords.hash_password(password, SALT))


class Threads:
    """Runs a blocking function when it is told to, and remembers who was tried."""

    def __init__(self) -> None:
        self.tried: list[bytes] = []
        self._waiting: list[Callable[[], None]] = []

    def __call__(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.tried.append(args[-1])
        self._waiting.append(lambda: done.callback(function(*args)))
        return done

    def finish(self) -> None:
        """End what runs; there is never more than one."""
        [run] = self._waiting
        self._waiting = []
        run()


@pytest.fixture
def threads() -> Threads:
    return Threads()


@pytest.fixture
def secrets(threads: Threads) -> Secrets:
    """Return a hashed password of an operator, and one of a viewer."""
    pairs = [(OPERATOR, hashed("all")), (VIEWER, hashed("read"))]
    return Secrets({"basic": pairs, "bearer": []}, threads)


def test_roles(threads: Threads, secrets: Secrets) -> None:
    """Each password has its person; another scheme has none."""
    results = [fired(secrets.person_of("basic", each, "a")) for each in (b"all", b"read", b"x")]
    for _ in range(3):
        threads.finish()
    assert results == [[OPERATOR], [VIEWER], [None]]
    assert fired(secrets.person_of("bearer", b"all", "a")) == [None]
    assert fired(secrets.person_of("digest", b"all", "a")) == [None]
    assert secrets.schemes == {"basic"}


def test_remembered(threads: Threads, secrets: Secrets) -> None:
    """What was tried once, right or wrong, is answered at once."""
    for given, person in ((b"all", OPERATOR), (b"x", None)):
        fired(secrets.person_of("basic", given, "a"))
        threads.finish()
        assert fired(secrets.person_of("basic", given, "b")) == [person]
    assert threads.tried == [b"all", b"x"]


def test_together(threads: Threads, secrets: Secrets) -> None:
    """A page that asks five times at once costs one try."""
    results = [fired(secrets.person_of("basic", b"all", "a")) for _ in range(5)]
    threads.finish()
    assert results == [[OPERATOR]] * 5
    assert threads.tried == [b"all"]


def test_in_turn(threads: Threads, secrets: Secrets) -> None:
    """Who guesses a lot does not keep another address waiting for all of it."""
    for number in range(MOST_HELD):
        fired(secrets.person_of("basic", b"%d" % number, "guesser"))
    right = fired(secrets.person_of("basic", b"all", "person"))
    threads.finish()
    threads.finish()
    threads.finish()
    assert right == [OPERATOR]
    assert threads.tried[:4] == [b"0", b"1", b"all", b"2"]


def test_who_did_not_guess_goes_first(threads: Threads) -> None:
    """However many addresses guess at a hash, a person waits for the one that is tried alone."""
    secrets = Secrets({"basic": [(OPERATOR, hashed("all"))]}, threads, Clock())
    for number in range(5):
        fired(secrets.person_of("basic", b"wrong", f"guesser {number}"))
        if number == 0:
            threads.finish()
    for number in range(5):
        fired(secrets.person_of("basic", b"guess %d" % number, f"guesser {number}"))
    assert threads.tried == [b"wrong"]  # the others wait for their delay
    guessing = [fired(secrets.person_of("basic", b"new %d" % n, f"new {n}")) for n in range(3)]
    right = fired(secrets.person_of("basic", b"all", "person"))
    while not right:
        threads.finish()
    assert len(threads.tried) <= 1 + len(guessing) + 1
    assert fired(secrets.person_of("basic", b"all", "elsewhere")) == [OPERATOR]


def test_plain_ones_are_not_kept(threads: Threads) -> None:
    """Of a plain secret there is only a digest with a key of this process."""
    secrets = Secrets({"bearer": [(VIEWER, Secret("t0ken"))]}, threads)
    assert "t0ken" not in repr(vars(secrets))
    assert fired(secrets.person_of("bearer", b"t0ken", "a")) == [VIEWER]


def test_many_secrets_at_once(threads: Threads, secrets: Secrets) -> None:
    """An address has four different secrets in the queue; a fifth fails at once."""
    for number in range(MOST_HELD):
        fired(secrets.person_of("basic", b"%d" % number, "guesser"))
    [failure] = fired(secrets.person_of("basic", b"all", "guesser"))
    assert failure.check(TooManyGuesses)
    assert failure.value.seconds == 2.0
    same = fired(secrets.person_of("basic", b"0", "guesser"))
    right = fired(secrets.person_of("basic", b"all", "person"))
    for _ in range(MOST_HELD + 1):
        threads.finish()
    assert (same, right) == ([None], [OPERATOR])
    assert threads.tried.count(b"0") == 1


def test_gone(threads: Threads, secrets: Secrets) -> None:
    """A guess of somebody who left is not tried, and one that runs ends quietly."""
    running = secrets.person_of("basic", b"all", "a")
    waiting = secrets.person_of("basic", b"x", "a")
    results = [fired(running), fired(waiting)]
    running.cancel()
    waiting.cancel()
    threads.finish()
    assert threads.tried == [b"all"]
    assert [type(each[0]) for each in results] == [Failure, Failure]
    assert fired(secrets.person_of("basic", b"all", "a")) == [OPERATOR]


def test_bounded(secrets: Secrets) -> None:
    """Wrong guesses are forgotten, right ones not; and no secret is kept as such."""
    secrets = Secrets({"basic": [(OPERATOR, hashed("all"))]}, in_no_thread)
    fired(secrets.person_of("basic", b"all", "a"))
    for number in range(REMEMBERED + 50):
        fired(secrets.person_of("basic", b"guess %d" % number, "a"))
    assert (len(secrets._wrong), len(secrets._right)) == (REMEMBERED, 1)
    shown = repr(vars(secrets))
    assert "guess 300" not in shown
    assert "b'all'" not in shown
    assert "scrypt$" not in shown


def test_too_long(threads: Threads, secrets: Secrets) -> None:
    """What is longer than any password is not tried."""
    assert fired(secrets.person_of("basic", b"x" * (MAX_SECRET + 1), "a")) == [None]
    assert threads.tried == []


def test_a_thread_that_fails(logged_failures: list[Failure]) -> None:
    """When it cannot be tried nobody comes in, and the next is tried all the same."""
    answers = [fail(MemoryError("no memory"))]

    def in_thread(function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return answers.pop() if answers else in_no_thread(function, *args)

    secrets = Secrets({"basic": [(OPERATOR, hashed("all"))]}, in_thread)
    assert fired(secrets.person_of("basic", b"all", "a")) == [None]
    assert fired(secrets.person_of("basic", b"all", "a")) == [OPERATOR]
    assert [each.type for each in logged_failures] == [MemoryError]
    logged_failures.clear()


def test_plain_beside_hashed(threads: Threads) -> None:
    """A plain secret is known at once, beside a hashed one of the other person."""
    pairs = [(OPERATOR, hashed("all")), (VIEWER, Secret("read"))]
    secrets = Secrets({"bearer": pairs}, threads)
    assert fired(secrets.person_of("bearer", b"read", "a")) == [VIEWER]
    assert threads.tried == []


def test_wrong_secrets() -> None:
    """What is wrong with a configured secret is said without showing it."""
    assert wrong_secret(Secret("anything $ at all")) == ""
    assert wrong_secret(hashed("x")) == ""
    assert "empty" in wrong_secret(Secret(""))
    wrong = wrong_secret(Secret("scrypt$hidden"))
    assert wrong
    assert "hidden" not in wrong
    with pytest.raises(ValueError, match="scrypt"):
        Secrets({"basic": [(OPERATOR, Secret("scrypt$hidden"))]}, in_no_thread)
