"""How long an address waits after wrong secrets: longer each time, two seconds at most."""

from collections import OrderedDict

from twisted.internet.interfaces import IReactorTime

FIRST_S, MOST_S = 0.1, 2.0  # seconds after the first wrong secret, and after many
FORGOTTEN_S = 60.0  # seconds after the last wrong secret after which the first one comes again
MAX_PEERS = 4096  # pairs that are remembered; the one silent longest is forgotten first

_Peer = tuple[str, str]  # account, address


class TooManyGuesses(Exception):
    """As many secrets of the address wait as may; another may be tried after `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__("too many wrong passwords or tokens")
        self.seconds = seconds


class Guesses:
    """Counts the wrong secrets of each account and address. A right one changes nothing: a person
    who logs in does not help another who guesses behind the same address.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._wrong: OrderedDict[_Peer, tuple[int, float]] = OrderedDict()
        self._last: OrderedDict[str, float] = OrderedDict()

    def wrong(self, account: str, address: str) -> None:
        peer, now = (account, address), self._clock.seconds()
        self._wrong[peer] = (self._count(peer) + 1, now)
        self._wrong.move_to_end(peer)
        self._last[address] = now
        self._last.move_to_end(address)
        for peers in (self._wrong, self._last):
            if len(peers) > MAX_PEERS:
                peers.popitem(last=False)

    def wait(self, account: str, address: str) -> float:
        """Return the seconds until the next secret may be tried, 0 for at once."""
        peer = account, address
        count = self._count(peer)
        if not count:
            return 0.0
        until = self._wrong[peer][1] + min(MOST_S, FIRST_S * 2.0 ** min(count - 1, 16))
        return max(0.0, until - self._clock.seconds())

    def has_failed(self, address: str) -> bool:
        """Tell whether an address has given a wrong secret lately, for any account."""
        last = self._last.get(address)
        return last is not None and self._clock.seconds() - last < FORGOTTEN_S

    def _count(self, peer: _Peer) -> int:
        count, last = self._wrong.get(peer, (0, 0.0))
        return count if self._clock.seconds() - last < FORGOTTEN_S else 0
