"""How often a peer may ask, and how often it may give a wrong secret."""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.net.addresses import group_of

BURST = 100.0  # requests that a peer may send at once after a pause
FAILURES_WITHIN = 60.0
"""Seconds in which wrong secrets are counted, and for which further ones are then refused."""
MAX_PEERS = 4096  # peers that are remembered; the one that was silent longest is forgotten first


class Throttled(Exception):
    """The peer comes too often, or guessed too often; the text says which."""


@dataclass
class _Peer:
    """`tokens` are the requests left at the time `at`; `wrong` holds the times of wrong secrets."""

    tokens: float
    at: float
    wrong: deque[float] = field(default_factory=deque)
    blocked_until: float = 0.0


class Throttle:
    """Counts the requests and the wrong secrets of each IPv4 address or IPv6 /64.

    `rate` is requests a second, `failures` wrong secrets in 60 s; 0 sets no bound.
    """

    def __init__(self, clock: IReactorTime, *, rate: float = 0.0, failures: int = 0) -> None:
        self._clock, self._rate, self._failures = clock, rate, failures
        self._peers: OrderedDict[str, _Peer] = OrderedDict()

    def admit(self, host: str) -> None:
        """Count a request of `host`. Raises Throttled when its rate is used up."""
        peer = self._peer(host)
        if self._rate:
            if peer.tokens < 1:
                raise Throttled(f"more than {self._rate:g} requests/s")
            peer.tokens -= 1

    def failed(self, host: str) -> None:
        """Count a wrong secret of `host`. Raises Throttled when there were too many.

        A right secret is never counted here, so that a peer that knows it is never shut out.
        """
        peer, now = self._peer(host), self._clock.seconds()
        if not self._failures:
            return
        if now < peer.blocked_until:
            raise Throttled("too many wrong secrets")
        while peer.wrong and peer.wrong[0] <= now - FAILURES_WITHIN:
            peer.wrong.popleft()
        peer.wrong.append(now)
        if len(peer.wrong) >= self._failures:
            peer.wrong.clear()
            peer.blocked_until = now + FAILURES_WITHIN

    def _peer(self, host: str) -> _Peer:
        """Return what is known of a peer, its tokens filled up to this moment."""
        group, now = group_of(host), self._clock.seconds()
        peer = self._peers.setdefault(group, _Peer(BURST, now))
        self._peers.move_to_end(group)
        if len(self._peers) > MAX_PEERS:
            self._peers.popitem(last=False)
        peer.tokens = min(BURST, peer.tokens + (now - peer.at) * self._rate)
        peer.at = now
        return peer
