"""Hashed secrets: tried in a thread, one at a time, each address in its turn, remembered."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

import pytest
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from tests.support import fired, in_no_thread
from twisted_gantry.access import passwords
from twisted_gantry.access import secrets as module
from twisted_gantry.access.guesses import TooManyGuesses
from twisted_gantry.access.line import MOST_HELD
from twisted_gantry.access.people import OPERATOR, VIEWER, Person, Role
from twisted_gantry.access.secrets import (
    MAX_SECRET,
    REMEMBERED,
    Secrets,
    Wanted,
    wrong_secret,
)
from twisted_gantry.wire.secret import Secret

SALT = b"0123456789abcdef"
CAROL, DAVE = Person("carol", Role.ADMIN), Person("dave", Role.VIEWER)


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "N", 16)
    monkeypatch.setattr(passwords, "P", 1)
    monkeypatch.setattr(module, "_NOBODY", (None, replace(passwords.DUMMY, n=16, p=1)))


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
    pairs = [Wanted(OPERATOR, hashed("all")), Wanted(VIEWER, hashed("read"))]
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
    for number in range(4):
        fired(secrets.person_of("basic", b"%d" % number, "guesser"))
    right = fired(secrets.person_of("basic", b"all", "person"))
    threads.finish()
    threads.finish()
    threads.finish()
    assert right == [OPERATOR]
    assert threads.tried[:4] == [b"0", b"1", b"all", b"2"]


def test_who_did_not_guess_goes_first(threads: Threads) -> None:
    """However many addresses guess at a hash, a person waits for the one that is tried alone."""
    secrets = Secrets({"basic": [Wanted(OPERATOR, hashed("all"))]}, threads, Clock())
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
    secrets = Secrets({"bearer": [Wanted(VIEWER, Secret("t0ken"))]}, threads)
    assert "t0ken" not in repr(vars(secrets))
    assert fired(secrets.person_of("bearer", b"t0ken", "a")) == [VIEWER]


def test_parallel_guessers_keep_nobody_out() -> None:
    """Eight guess without a pause at an address that has proved nothing: the right person there
    comes in by an account of their own within seconds, and by the common password as well.
    """
    clock = Clock()
    users = [Wanted(OPERATOR, Secret("all")), Wanted(CAROL, Secret("hers"), "carol")]
    secrets = Secrets({"basic": users}, in_no_thread, clock)
    guesses = count()

    def guess(_: object = None) -> None:
        wrong = secrets.person_of("basic", b"%d" % next(guesses), "site", "x")
        wrong.addCallback(lambda _: clock.callLater(0.01, guess))

    for _ in range(8):
        guess()
    clock.pump([0.1] * 300)
    for account, given, patience in (("carol", b"hers", 1.0), ("x", b"all", 4.5)):
        right = fired(secrets.person_of("basic", given, "site", account))
        clock.pump([0.1] * round(10 * patience))
        assert [each.name for each in right] == [CAROL.name if account == "carol" else "operator"]
        assert fired(secrets.person_of("basic", given, "site", account)) == right
    assert next(guesses) <= 8 + 4.2 * clock.seconds()


def test_a_full_line_gives_way_to_others(threads: Threads) -> None:
    """The account that waits most often loses its last place; it hears for how long to wait."""
    secrets = Secrets({"basic": [Wanted(OPERATOR, hashed("all"))]}, threads, Clock())
    waiting = [
        fired(secrets.person_of("basic", b"%d" % n, "a", "guesser")) for n in range(1 + MOST_HELD)
    ]
    [failure] = fired(secrets.person_of("basic", b"one more", "a", "guesser"))
    assert failure.check(TooManyGuesses)
    assert failure.value.seconds == 2.0
    right = fired(secrets.person_of("basic", b"all", "a", "person"))
    [failure] = waiting.pop()
    assert failure.check(TooManyGuesses)
    assert (waiting, right) == ([[]] * MOST_HELD, [])


def test_a_secret_that_is_right_waits_no_more() -> None:
    """A page asks six times at once: with the first answer the others have theirs."""
    clock = Clock()
    secrets = Secrets({"basic": [Wanted(OPERATOR, Secret("all"))]}, in_no_thread, clock)
    for number in range(8):
        fired(secrets.person_of("basic", b"%d" % number, "a"))
        clock.advance(2.0)
    page = [fired(secrets.person_of("basic", b"all", "a")) for _ in range(6)]
    clock.advance(2.0)
    assert page == [[OPERATOR]] * 6


def test_accounts() -> None:
    """The password of an account goes with its name alone, the common one with any."""
    secrets = Secrets(
        {
            "basic": [
                Wanted(OPERATOR, Secret("all")),
                Wanted(CAROL, hashed("hers"), "carol"),
                Wanted(DAVE, Secret("his"), "dave"),
            ],
            "bearer": [
                Wanted(CAROL, Secret(passwords.hash_token("t0ken"))),
                Wanted(DAVE, hashed("slow")),
            ],
        },
        in_no_thread,
    )
    for scheme, account, given, person in [
        ("basic", "carol", b"hers", CAROL),
        ("basic", "dave", b"his", DAVE),
        ("basic", "carol", b"his", None),
        ("basic", "dave", b"hers", None),
        ("basic", "", b"hers", None),
        ("basic", "carol", b"all", OPERATOR),
        ("basic", "nobody", b"all", OPERATOR),
        ("bearer", "", b"t0ken", CAROL),
        ("bearer", "", b"slow", DAVE),
        ("bearer", "", b"hers", None),
    ]:
        for _ in range(2):
            assert fired(secrets.person_of(scheme, given, "a", account)) == [person]


def test_nothing_tells_whether_an_account_exists() -> None:
    """A wrong password costs as many hashes for each name, and so as much time."""
    tried: list[int] = []

    def in_thread(function: Callable[..., Any], hashes: Any, given: bytes) -> Deferred[Any]:
        tried.append(len(hashes))
        return in_no_thread(function, hashes, given)

    users = [
        Wanted(VIEWER, hashed("look")),
        Wanted(CAROL, hashed("hers"), "carol"),
        Wanted(DAVE, Secret("his"), "dave"),
    ]
    secrets = Secrets({"basic": users}, in_thread)
    for account in ("carol", "dave", "nobody", ""):
        assert fired(secrets.person_of("basic", b"wrong", "a", account)) == [None]
    assert tried == [2, 2, 2, 2]
    waits = []
    for account in ("carol", "nobody"):
        clock = Clock()
        secrets = Secrets({"basic": users}, in_no_thread, clock)
        for number in range(5):
            ended = fired(secrets.person_of("basic", b"%d" % number, "a", account))
            while not ended:
                clock.advance(0.1)
        waits.append(clock.seconds())
    assert waits[0] == waits[1]


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
    secrets = Secrets({"basic": [Wanted(OPERATOR, hashed("all"))]}, in_no_thread)
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

    secrets = Secrets({"basic": [Wanted(OPERATOR, hashed("all"))]}, in_thread)
    assert fired(secrets.person_of("basic", b"all", "a")) == [None]
    assert fired(secrets.person_of("basic", b"all", "a")) == [OPERATOR]
    assert [each.type for each in logged_failures] == [MemoryError]
    logged_failures.clear()


def test_plain_beside_hashed(threads: Threads) -> None:
    """A plain secret is known at once, beside a hashed one of the other person."""
    pairs = [Wanted(OPERATOR, hashed("all")), Wanted(VIEWER, Secret("read"))]
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
        Secrets({"basic": [Wanted(OPERATOR, Secret("scrypt$hidden"))]}, in_no_thread)
