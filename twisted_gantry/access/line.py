"""Where the secrets of one address wait to be looked at: accounts take turns, none is kept out.

One secret is looked at after the other. Somebody who guesses in parallel makes the line longer, and
keeps nobody at the same address out: another account has its turn among the first, and the same
account its turn in the order of arrival. A line that is full gives a place to a newcomer by sending
away the last comer of the account that waits with most.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.access.guesses import MOST_S, TooManyGuesses
from twisted_gantry.net.timers import Timer

MOST_HELD = 32  # secrets of one address that wait for their turn


@dataclass(eq=False)
class Waiter:
    """A secret that waits, by its digest; it may be looked at from the time `ready` on."""

    account: str
    digest: bytes
    ready: float
    turn: Deferred[None]


class Line:
    """The line of one address. `pause()` returns the seconds until the address may have a turn."""

    def __init__(self, clock: IReactorTime, pause: Callable[[], float]) -> None:
        self._clock, self._pause = clock, pause
        self._waiting: OrderedDict[str, list[Waiter]] = OrderedDict()  # next account first
        self._timer = Timer(clock, self.serve)
        self._served: Waiter | None = None

    @property
    def is_empty(self) -> bool:
        return not self._waiting and self._served is None

    def enter(self, account: str, digest: bytes, delay: float) -> Waiter:
        """Wait for `delay` seconds, then for a turn. Raises TooManyGuesses for a newcomer whose
        account already waits with most.
        """
        if sum(map(len, self._waiting.values())) >= MOST_HELD:
            self._make_room(account)
        waiter = Waiter(account, digest, self._clock.seconds() + delay, Deferred())
        self._waiting.setdefault(account, []).append(waiter)
        self.serve()
        return waiter

    def _make_room(self, account: str) -> None:
        most = max(self._waiting, key=lambda each: len(self._waiting[each]))
        if len(self._waiting[most]) <= len(self._waiting.get(account, ())):
            raise TooManyGuesses(MOST_S)
        last = self._waiting[most][-1]
        self.leave(last)
        last.turn.errback(TooManyGuesses(MOST_S))

    def leave(self, waiter: Waiter) -> None:
        """End a turn, or go away before it."""
        if waiter is self._served:
            self._served = None
            self.serve()
            return
        waiters = self._waiting.get(waiter.account, [])
        if waiter in waiters:
            waiters.remove(waiter)
            if not waiters:
                del self._waiting[waiter.account]
            self.serve()

    def release(self, digest: bytes) -> None:
        """Let all go that wait with a secret which has proved right."""
        for waiters in list(self._waiting.values()):
            for waiter in [each for each in waiters if each.digest == digest]:
                self.leave(waiter)
                waiter.turn.callback(None)

    def serve(self) -> None:
        """Give the next turn, now or when one is due."""
        self._timer.cancel()
        if self._served is not None or not self._waiting:
            return
        now = self._clock.seconds()
        due = now + self._pause()
        first = min((waiters[0] for waiters in self._waiting.values()), key=lambda each: each.ready)
        due = max(due, first.ready)
        if due > now:
            self._timer.start(due - now)
            return
        account = next(a for a, waiters in self._waiting.items() if waiters[0].ready <= now)
        waiters = self._waiting.pop(account)
        self._served = waiters.pop(0)
        if waiters:
            self._waiting[account] = waiters  # behind the other accounts
        self._served.turn.callback(None)
