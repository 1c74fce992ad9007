"""How long accounts and addresses wait after wrong secrets: longer each time, within bounds."""

from collections import OrderedDict

from twisted.internet.interfaces import IReactorTime

FIRST_S, MOST_S = 0.1, 2.0  # seconds after the first wrong secret of an account, and after many
PAUSE_S = 0.25
"""Seconds after a wrong secret, at most, until the address is served again for any account: else
another name for each guess would make the delay of an account worth nothing.
"""
FORGOTTEN_S = 60.0  # seconds after the last wrong secret after which the first one comes again
MAX_PEERS = 4096  # pairs that are remembered; the one silent longest is forgotten first


class TooManyGuesses(Exception):
    """As many secrets of the address wait as may; another may be tried after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many wrong passwords or tokens")
        self.seconds = seconds


class _Counts:
    """The number of wrong secrets in a row, and the time of the last one, by the key."""

    def __init__(self, clock: IReactorTime, most: float) -> None:
        self._clock, self._most = clock, most
        self._wrong: OrderedDict[object, tuple[int, float]] = OrderedDict()

    def add(self, key: object) -> None:
        self._wrong[key] = (self.count(key) + 1, self._clock.seconds())
        self._wrong.move_to_end(key)
        if len(self._wrong) > MAX_PEERS:
            self._wrong.popitem(last=False)

    def count(self, key: object) -> int:
        count, last = self._wrong.get(key, (0, 0.0))
        return count if self._clock.seconds() - last < FORGOTTEN_S else 0

    def wait(self, key: object) -> float:
        count = self.count(key)
        if not count:
            return 0.0
        until = self._wrong[key][1] + min(self._most, FIRST_S * 2.0 ** min(count - 1, 16))
        return max(0.0, until - self._clock.seconds())


class Guesses:
    """Counts the wrong secrets of each account and address. A right one changes nothing: a person
    who logs in does not help another who guesses behind the same address.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._accounts, self._addresses = _Counts(clock, MOST_S), _Counts(clock, PAUSE_S)

    def wrong(self, account: str, address: str) -> None:
        self._accounts.add((account, address))
        self._addresses.add(address)

    def wait(self, account: str, address: str) -> float:
        """Return the seconds until the next secret may be tried, 0 for at once."""
        return max(self._accounts.wait((account, address)), self.pause(address))

    def pause(self, address: str) -> float:
        """Return the seconds until the address is served again, whatever the account."""
        return self._addresses.wait(address)

    def has_failed(self, address: str) -> bool:
        """Tell whether an address has given a wrong secret lately, for any account."""
        return self._addresses.count(address) > 0
