"""How often a peer may ask, and how often it may give a wrong code."""

from collections import OrderedDict, deque

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.net.addresses import group_of
from twisted_gantry.net.budget import Budget

BURST = 100.0  # requests that a peer may send at once after a pause
FAILURES_WITHIN = 60.0
"""Seconds in which wrong codes are counted, and for which further ones are then refused."""
MAX_PEERS = 4096  # peers that are remembered; the one that was silent longest is forgotten first


class Throttled(Exception):
    """The peer comes too often, or guessed too often; the text says which."""


class _Peer:
    """`wrong` holds the times of wrong codes."""

    def __init__(self, clock: IReactorTime, rate: float) -> None:
        self.requests = Budget(clock, rate, BURST)
        self.wrong: deque[float] = deque()
        self.blocked_until = 0.0


class Throttle:
    """Counts the requests and the wrong codes of each IPv4 address or IPv6 /64.

    `rate` is requests a second, `failures` wrong codes in 60 s; 0 sets no bound. Requests with the
    right code have a rate of their own: a peer that guesses takes nothing from one behind the same
    address that knows the code.
    """

    def __init__(self, clock: IReactorTime, *, rate: float = 0.0, failures: int = 0) -> None:
        self._clock, self._rate, self._failures = clock, rate, failures
        self._right: OrderedDict[str, _Peer] = OrderedDict()
        self._wrong: OrderedDict[str, _Peer] = OrderedDict()

    def admit(self, host: str) -> None:
        """Count a request with the right code. Raises Throttled when the rate is used up."""
        self._rated(self._peer(self._right, host))

    def failed(self, host: str) -> None:
        """Count a request with a wrong code. Raises Throttled when there were too many."""
        peer, now = self._peer(self._wrong, host), self._clock.seconds()
        self._rated(peer)
        if not self._failures:
            return
        if now < peer.blocked_until:
            raise Throttled("too many wrong codes")
        while peer.wrong and peer.wrong[0] <= now - FAILURES_WITHIN:
            peer.wrong.popleft()
        peer.wrong.append(now)
        if len(peer.wrong) >= self._failures:
            peer.wrong.clear()
            peer.blocked_until = now + FAILURES_WITHIN

    def _rated(self, peer: _Peer) -> None:
        if self._rate and not peer.requests.spend():
            raise Throttled(f"more than {self._rate:g} requests/s")

    def _peer(self, peers: OrderedDict[str, _Peer], host: str) -> _Peer:
        group = group_of(host)
        peer = peers.get(group)
        if peer is None:
            peer = peers[group] = _Peer(self._clock, self._rate)
            if len(peers) > MAX_PEERS:
                peers.popitem(last=False)
        peers.move_to_end(group)
        return peer
