"""The person whom a secret names: plain secrets at once, hashed ones in a thread.

A guess at a hash costs 0.2 s of a core and 16 MiB. Guesses are checked one at a time. Addresses
that did not guess go first, then the addresses take turns. An address that guesses waits before its
next secret is looked at, so that no secret can be found by trying.
"""

import hmac
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from twisted_gantry.access.guesses import MOST_S, Guesses, TooManyGuesses
from twisted_gantry.access.passwords import Hashed, is_hash, read_hash
from twisted_gantry.access.people import Person
from twisted_gantry.core.secret import Secret

_log = Logger()

InThread = Callable[..., Deferred[Any]]

REMEMBERED = 256  # wrong guesses that are remembered, so that a repeated one is not hashed again
MOST_HELD = 4  # different secrets of one address that wait for their turn
MAX_SECRET = 1024  # bytes; a longer secret is wrong without a hash


Wanted = tuple[Person, Secret]


def wrong_secret(secret: Secret) -> str:
    """Return what is wrong with a configured secret, empty if nothing is."""
    text = secret.reveal()
    try:
        if is_hash(text):
            read_hash(text)
    except ValueError as error:
        return str(error)
    return "" if text else "an empty password or token protects nothing"


_Guess = tuple[str, bytes, bytes, Deferred[Person | None]]  # scheme, secret, its digest, answer
_Hashes = Sequence[tuple[Person, Hashed]]


def _try(hashed: _Hashes, given: bytes) -> Person | None:
    """Return the person whom a hashed secret names. Runs in a thread."""
    return next((person for person, each in hashed if each.fits(given)), None)


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
        self._hashed: dict[str, list[tuple[Person, Hashed]]] = {}
        self._right: dict[bytes, Person] = {}  # at most as many as there are secrets
        for scheme, pairs in wanted.items():
            for person, secret in pairs:
                self._add(scheme, person, secret)
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._proved: OrderedDict[tuple[str, bytes], None] = OrderedDict()
        self._held: dict[str, Counter[bytes]] = {}
        self._waiting: OrderedDict[str, deque[_Guess]] = OrderedDict()
        self._busy = False

    def _add(self, scheme: str, person: Person, secret: Secret) -> None:
        if wrong := wrong_secret(secret):
            raise ValueError(wrong)
        hashed, text = self._hashed.setdefault(scheme, []), secret.reveal()
        if is_hash(text):
            hashed.append((person, read_hash(text)))
        else:
            self._right.setdefault(self._digest(scheme, text.encode()), person)

    def _digest(self, scheme: str, given: bytes) -> bytes:
        return hmac.digest(self._key, scheme.encode() + b" " + given, sha256)

    @property
    def schemes(self) -> frozenset[str]:
        return frozenset(self._hashed)

    def person_of(
        self, scheme: str, given: bytes, address: str, account: str = ""
    ) -> Deferred[Person | None]:
        """Return the person who gives `given`, None if it is wrong; `address` is the peer's. A
        secret from an address that has proved itself with it is known at once. Another waits for
        the delay of the address. Fails with TooManyGuesses when `MOST_HELD` others wait already.
        """
        digest = self._digest(scheme, given)
        if (address, digest) in self._proved:
            return succeed(self._right[digest])
        return ensureDeferred(self._judge(scheme, given, digest, address, account))

    async def _judge(
        self, scheme: str, given: bytes, digest: bytes, address: str, account: str
    ) -> Person | None:
        wait = 0.0 if self._guesses is None else self._guesses.wait(account, address)
        held = self._held.setdefault(address, Counter())
        if digest not in held and len(held) >= MOST_HELD:
            raise TooManyGuesses(max(wait, MOST_S))
        held[digest] += 1
        try:
            if wait and self._clock is not None:
                await deferLater(self._clock, wait)
            person = await self._look_up(scheme, given, digest, address)
        finally:
            held[digest] -= 1
            if not held[digest]:
                del held[digest]
            if not held:
                self._held.pop(address, None)
        if person is not None:
            self._proved[address, digest] = None
            if len(self._proved) > REMEMBERED:
                self._proved.popitem(last=False)
        elif self._guesses is not None:
            self._guesses.wrong(account, address)
        return person

    def _look_up(
        self, scheme: str, given: bytes, digest: bytes, address: str
    ) -> Deferred[Person | None]:
        if digest in self._right or digest in self._wrong:
            return succeed(self._right.get(digest))
        if not self._hashed.get(scheme) or len(given) > MAX_SECRET:
            return succeed(None)
        answer: Deferred[Person | None] = Deferred()
        self._waiting.setdefault(address, deque()).append((scheme, given, digest, answer))
        self._next()
        return answer

    def _next(self) -> None:
        while self._waiting and not self._busy:
            address = next((each for each in self._waiting if self._is_new(each)), None)
            address = next(iter(self._waiting)) if address is None else address
            guesses = self._waiting.pop(address)
            scheme, given, digest, answer = guesses.popleft()
            if guesses:
                self._waiting[address] = guesses  # at the end of the queue
            if answer.called:
                continue  # the client has gone
            if digest in self._right or digest in self._wrong:
                answer.callback(self._right.get(digest))
                continue
            self._busy = True
            trying = self._in_thread(_try, self._hashed[scheme], given)
            trying.addCallback(self._tried, digest)
            trying.addErrback(lambda failure: _log.failure("a password cannot be checked", failure))
            trying.addCallback(self._answered, answer)

    def _is_new(self, address: str) -> bool:
        """Tell whether an address has given no wrong secret lately: it goes first."""
        return self._guesses is not None and not self._guesses.has_failed(address)

    def _tried(self, person: Person | None, digest: bytes) -> Person | None:
        if person is not None:
            self._right[digest] = person
        else:
            self._wrong[digest] = None
            while len(self._wrong) > REMEMBERED:
                self._wrong.popitem(last=False)
        return person

    def _answered(self, person: Person | None, answer: Deferred[Person | None]) -> None:
        self._busy = False
        if not answer.called:
            answer.callback(person)
        self._next()
