"""The person whom a secret names: plain secrets at once, hashed ones in a thread.

A guess at a scrypt hash costs 0.2 s of a core and 16 MiB. Guesses are checked one at a time.
Addresses that did not guess go first, then the addresses take turns. An address that guesses waits
before its next secret is looked at (`access/line.py`), so that no secret can be found by trying.

Nothing tells whether an account exists: an unknown name waits as a known one does, and costs the
check of as many hashes.
"""

import hmac
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from twisted_gantry.access.guesses import Guesses
from twisted_gantry.access.line import Line
from twisted_gantry.access.passwords import DUMMY, Hashed, TokenHash, is_hash, read_hash
from twisted_gantry.access.people import Person
from twisted_gantry.net.threads import InThread
from twisted_gantry.wire.secret import Secret

_log = Logger()

REMEMBERED = 256  # wrong guesses that are remembered, so that a repeated one is not hashed again
MAX_SECRET = 1024  # bytes; a longer secret is wrong without a hash
ANYBODY = ""
"""The account of a secret that goes with any name."""


@dataclass(frozen=True)
class Wanted:
    """A configured secret and the person whom it names; it goes with the name `account` alone."""

    person: Person
    secret: Secret
    account: str = ANYBODY


def wrong_secret(secret: Secret) -> str:
    """Return what is wrong with a configured secret, empty if nothing is."""
    text = secret.reveal()
    try:
        if is_hash(text):
            read_hash(text)
    except ValueError as error:
        return str(error)
    return "" if text else "an empty password or token protects nothing"


_Hashes = Sequence[tuple[Person | None, Hashed]]
_NOBODY: tuple[None, Hashed] = (None, DUMMY)
"""What is checked for a name without a hash of its own."""


def _try(hashed: _Hashes, given: bytes) -> Person | None:
    """Return the person whom a hashed secret names. Runs in a thread."""
    return next((person for person, each in hashed if each.fits(given)), None)


class _Scheme:
    """The secrets of one HTTP scheme."""

    def __init__(self) -> None:
        self.any_name: list[tuple[Person, Hashed]] = []
        self.by_name: dict[str, list[tuple[Person, Hashed]]] = {}
        self.tokens: list[tuple[Person, TokenHash]] = []

    def hashes(self, account: str) -> _Hashes:
        """Return what is checked for an account: as much for one that does not exist."""
        most = max(map(len, self.by_name.values()), default=0)
        own: list[tuple[Person | None, Hashed]] = [*self.by_name.get(account, ())]
        return [*own, *[_NOBODY] * (most - len(own)), *self.any_name]


@dataclass(eq=False)
class _Guess:
    scheme: str
    account: str
    secret: bytes
    digest: bytes
    answer: Deferred[Person | None]


class Secrets:
    """All secrets by their HTTP scheme: `basic`, `bearer`. `in_thread(f, …)` runs a blocking
    function. Of a plain secret a keyed digest is kept. With a `clock`, addresses that guess wait.
    Raises ValueError for an empty secret and for a broken hash.
    """

    def __init__(
        self,
        wanted: Mapping[str, Sequence[Wanted]],
        in_thread: InThread,
        clock: IReactorTime | None = None,
    ) -> None:
        self._in_thread, self._clock = in_thread, clock
        self._guesses = None if clock is None else Guesses(clock)
        self._key = token_bytes(32)  # of the digests by which secrets are remembered
        self._schemes: dict[str, _Scheme] = {}
        self._plain: dict[bytes, Person] = {}
        for scheme, each in wanted.items():
            for one in each:
                self._add(scheme, one)
        self._right: OrderedDict[bytes, Person] = OrderedDict()
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._proved: OrderedDict[tuple[str, bytes], Person] = OrderedDict()
        self._lines: dict[str, Line] = {}
        self._waiting: OrderedDict[str, deque[_Guess]] = OrderedDict()
        self._busy = False

    def _add(self, scheme: str, wanted: Wanted) -> None:
        if wrong := wrong_secret(wanted.secret):
            raise ValueError(wrong)
        known, text = self._schemes.setdefault(scheme, _Scheme()), wanted.secret.reveal()
        if not is_hash(text):
            digest = self._digest(scheme, wanted.account, text.encode())
            self._plain.setdefault(digest, wanted.person)
            return
        hashed = read_hash(text)
        if isinstance(hashed, TokenHash):
            known.tokens.append((wanted.person, hashed))
        elif wanted.account == ANYBODY:
            known.any_name.append((wanted.person, hashed))
        else:
            known.by_name.setdefault(wanted.account, []).append((wanted.person, hashed))

    def _digest(self, scheme: str, account: str, given: bytes) -> bytes:
        name = account.encode("utf-8", "surrogatepass")
        said = b"%b %d %b %b" % (scheme.encode("utf-8", "surrogatepass"), len(name), name, given)
        return hmac.digest(self._key, said, sha256)

    @property
    def schemes(self) -> frozenset[str]:
        return frozenset(self._schemes)

    def person_of(
        self, scheme: str, given: bytes, address: str, account: str = ANYBODY
    ) -> Deferred[Person | None]:
        """Return the person who gives `given`, None if it is wrong; `address` is the peer's. A
        secret from an address that has proved itself with it is known at once. Another waits for
        its turn. Fails with TooManyGuesses when too many others of the address wait already.
        """
        digest = self._digest(scheme, account, given)
        if (address, digest) in self._proved:
            return succeed(self._proved[address, digest])
        guess = _Guess(scheme, account, given, digest, Deferred())
        return ensureDeferred(self._judge(guess, address))

    async def _judge(self, guess: _Guess, address: str) -> Person | None:
        if self._guesses is None or self._clock is None:
            return self._judged(await self._look_up(guess, address), guess, address)
        account, guesses = guess.account, self._guesses
        line = self._lines.get(address)
        if line is None:
            line = self._lines[address] = Line(self._clock, lambda: guesses.pause(address))
        waiter = line.enter(account, guess.digest, guesses.wait(account, address))
        try:
            await waiter.turn
            person = await self._look_up(guess, address)
            if person is None:
                guesses.wrong(account, address)
            else:
                line.release(guess.digest)
            return self._judged(person, guess, address)
        finally:
            line.leave(waiter)
            if line.is_empty:
                self._lines.pop(address, None)

    def _judged(self, person: Person | None, guess: _Guess, address: str) -> Person | None:
        if person is not None:
            self._proved[address, guess.digest] = person
            if len(self._proved) > REMEMBERED:
                self._proved.popitem(last=False)
        return person

    def _known(self, guess: _Guess) -> Person | None:
        """Return whom a secret names without a scrypt hash, all of them compared alike."""
        shared = self._digest(guess.scheme, ANYBODY, guess.secret)
        known = self._schemes.get(guess.scheme, _Scheme())
        found = [person for person, token in known.tokens if token.fits(guess.secret)]
        for digest in (shared, guess.digest):
            found += [each[digest] for each in (self._plain, self._right) if digest in each]
        return found[-1] if found else None

    def _look_up(self, guess: _Guess, address: str) -> Deferred[Person | None]:
        person = self._known(guess)
        if person is not None or guess.digest in self._wrong:
            return succeed(person)
        if not self._hashes(guess) or len(guess.secret) > MAX_SECRET:
            return succeed(None)
        self._waiting.setdefault(address, deque()).append(guess)
        self._next()
        return guess.answer

    def _hashes(self, guess: _Guess) -> _Hashes:
        return self._schemes.get(guess.scheme, _Scheme()).hashes(guess.account)

    def _next(self) -> None:
        while self._waiting and not self._busy:
            address = next((each for each in self._waiting if self._is_new(each)), None)
            address = next(iter(self._waiting)) if address is None else address
            guesses = self._waiting.pop(address)
            guess = guesses.popleft()
            if guesses:
                self._waiting[address] = guesses  # at the end of the queue
            if guess.answer.called:
                continue  # the client has gone
            person = self._known(guess)
            if person is not None or guess.digest in self._wrong:
                guess.answer.callback(person)
                continue
            self._busy = True
            trying = self._in_thread(_try, self._hashes(guess), guess.secret)
            trying.addCallback(self._tried, guess.digest)
            trying.addErrback(lambda failure: _log.failure("a password cannot be checked", failure))
            trying.addCallback(self._answered, guess.answer)

    def _is_new(self, address: str) -> bool:
        """Tell whether an address has given no wrong secret lately: it goes first."""
        return self._guesses is not None and not self._guesses.has_failed(address)

    def _tried(self, person: Person | None, digest: bytes) -> Person | None:
        kept: OrderedDict[bytes, Any] = self._wrong if person is None else self._right
        kept[digest] = person
        while len(kept) > REMEMBERED:
            kept.popitem(last=False)
        return person

    def _answered(self, person: Person | None, answer: Deferred[Person | None]) -> None:
        self._busy = False
        if not answer.called:
            answer.callback(person)
        self._next()
