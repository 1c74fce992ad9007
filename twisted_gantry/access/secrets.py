"""The role that a secret gives: plain secrets at once, hashed ones in a thread.

A guess at a hash costs 0.2 s of a core and 16 MiB. Guesses are checked one at a time, and the
addresses take turns, so that an address with many guesses does not delay the others.
"""

import hmac
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping, Sequence
from enum import StrEnum
from hashlib import sha256
from secrets import token_bytes
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

from twisted_gantry.access.passwords import Hashed, is_hash, read_hash
from twisted_gantry.core.secret import Secret

_log = Logger()

InThread = Callable[..., Deferred[Any]]

REMEMBERED = 256  # wrong guesses that are remembered, so that a repeated one is not hashed again
MAX_SECRET = 1024  # bytes; a longer secret is wrong without a hash


class Role(StrEnum):
    """An operator may do everything, a viewer only read."""

    OPERATOR = "operator"
    VIEWER = "viewer"


Wanted = tuple[Role, Secret]


def wrong_secret(secret: Secret) -> str:
    """Return what is wrong with a configured secret, empty if nothing is."""
    text = secret.reveal()
    try:
        if is_hash(text):
            read_hash(text)
    except ValueError as error:
        return str(error)
    return "" if text else "an empty password or token protects nothing"


class _Door:
    """The secrets of one scheme; the first that fits gives the role."""

    def __init__(self, wanted: Sequence[Wanted]) -> None:
        for _, secret in wanted:
            if wrong := wrong_secret(secret):
                raise ValueError(wrong)
        texts = [(role, secret.reveal()) for role, secret in wanted]
        self.plain = [(role, Secret(text)) for role, text in texts if not is_hash(text)]
        self.hashed = [(role, read_hash(text)) for role, text in texts if is_hash(text)]

    def known(self, given: bytes) -> Role | None:
        fits = (r for r, s in self.plain if hmac.compare_digest(s.reveal().encode(), given))
        return next(fits, None)


_Guess = tuple[str, bytes, bytes, Deferred[Role | None]]  # scheme, secret, its digest, answer


def _try(hashed: Sequence[tuple[Role, Hashed]], given: bytes) -> Role | None:
    """Return the role that a hashed secret gives. Runs in a thread."""
    return next((role for role, each in hashed if each.fits(given)), None)


class Secrets:
    """All secrets by their HTTP scheme: `basic`, `bearer`. `in_thread(f, …)` runs a blocking
    function. Raises ValueError for an empty secret and for a broken hash.
    """

    def __init__(self, wanted: Mapping[str, Sequence[Wanted]], in_thread: InThread) -> None:
        self._doors = {scheme: _Door(each) for scheme, each in wanted.items() if each}
        self._in_thread = in_thread
        # Guesses are remembered by their digest with this key.
        self._key = token_bytes(32)
        self._right: dict[bytes, Role] = {}  # at most as many as there are secrets
        self._wrong: OrderedDict[bytes, None] = OrderedDict()
        self._waiting: OrderedDict[str, deque[_Guess]] = OrderedDict()
        self._busy = False

    @property
    def schemes(self) -> frozenset[str]:
        return frozenset(self._doors)

    def role_of(self, scheme: str, given: bytes, address: str) -> Deferred[Role | None]:
        """Return the role of who gives `given`, None if it is wrong; `address` is the peer's."""
        door = self._doors.get(scheme)
        if door is None or len(given) > MAX_SECRET:
            return succeed(None)
        role = door.known(given)
        if role is not None or not door.hashed:
            return succeed(role)
        digest = hmac.digest(self._key, scheme.encode() + b" " + given, sha256)
        if digest in self._right or digest in self._wrong:
            return succeed(self._right.get(digest))
        answer: Deferred[Role | None] = Deferred()
        self._waiting.setdefault(address, deque()).append((scheme, given, digest, answer))
        self._next()
        return answer

    def _next(self) -> None:
        while self._waiting and not self._busy:
            address, guesses = self._waiting.popitem(last=False)
            scheme, given, digest, answer = guesses.popleft()
            if guesses:
                self._waiting[address] = guesses  # at the end of the queue
            if answer.called:
                continue  # the client has gone
            if digest in self._right or digest in self._wrong:
                answer.callback(self._right.get(digest))
                continue
            self._busy = True
            trying = self._in_thread(_try, self._doors[scheme].hashed, given)
            trying.addCallback(self._tried, digest)
            trying.addErrback(lambda failure: _log.failure("a password cannot be checked", failure))
            trying.addCallback(self._answered, answer)

    def _tried(self, role: Role | None, digest: bytes) -> Role | None:
        if role is not None:
            self._right[digest] = role
        else:
            self._wrong[digest] = None
            while len(self._wrong) > REMEMBERED:
                self._wrong.popitem(last=False)
        return role

    def _answered(self, role: Role | None, answer: Deferred[Role | None]) -> None:
        self._busy = False
        if not answer.called:
            answer.callback(role)
        self._next()
