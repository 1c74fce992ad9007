"""Who may command the gantry, and how often: the checks that come before a body is looked at.

Decisions: `docs/protocols/etc-gantry.md`, "Envelope" and "Commands are dangerous".
"""

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.net.addresses import Network, group_of, parsed
from twisted_gantry.wire.etc.envelope import EtcCode, EtcRefused

BURST = 100.0
"""Requests that an address may send at once, when it was silent before."""
FAILURES_WITHIN = 60.0
"""Seconds in which wrong codes are counted, and for which further ones are then put off."""
# Addresses that are remembered; of more, the one that was silent longest is forgotten.
MAX_ADDRESSES = 4096


@dataclass
class _Peer:
    """One address: the requests that it may still send, and when its codes were wrong."""

    tokens: float
    at: float
    wrong: deque[float] = field(default_factory=deque)
    blocked_until: float = 0.0


class Guard:
    """Lets requests pass by their address.

    `rate` is requests a second of one address, 0 for any number; `auth_failures` wrong codes in
    60 s, 0 for any number; `allowed` the networks that may come in, none for all.
    """

    def __init__(
        self, clock: IReactorTime, *, rate: float, auth_failures: int, allowed: Sequence[Network]
    ) -> None:
        self._clock, self._rate, self._failures = clock, rate, auth_failures
        self._allowed = tuple(allowed)
        self._peers: OrderedDict[str, _Peer] = OrderedDict()

    def admit(self, host: str) -> None:
        """Let one request of `host` pass. Raises EtcRefused: 1005, 1001."""
        peer = self._peer(host)
        if self._rate:
            if peer.tokens < 1:
                raise EtcRefused(EtcCode.TOO_FREQUENT, f"more than {self._rate:g} requests/s")
            peer.tokens -= 1
        address = parsed(host)
        if self._allowed and not (address and any(address in each for each in self._allowed)):
            raise EtcRefused(EtcCode.NOT_ALLOWED, "not among allowed_clients")

    def wrong_code(self, host: str, refused: EtcRefused) -> EtcRefused:
        """Note a wrong code of `host`; returns `refused`, or 1005 if it guessed too often.

        Nobody whose code is right comes here, however many were wrong before.
        """
        peer, now = self._peer(host), self._clock.seconds()
        if not self._failures:
            return refused
        if now < peer.blocked_until:
            return EtcRefused(EtcCode.TOO_FREQUENT, "too many wrong codes")
        while peer.wrong and peer.wrong[0] <= now - FAILURES_WITHIN:
            peer.wrong.popleft()
        peer.wrong.append(now)
        if len(peer.wrong) >= self._failures:
            peer.wrong.clear()
            peer.blocked_until = now + FAILURES_WITHIN
        return refused

    def _peer(self, host: str) -> _Peer:
        """Return what is known of an address, its tokens filled up to this moment."""
        group, now = group_of(host), self._clock.seconds()
        peer = self._peers.setdefault(group, _Peer(BURST, now))
        self._peers.move_to_end(group)
        if len(self._peers) > MAX_ADDRESSES:
            self._peers.popitem(last=False)
        peer.tokens = min(BURST, peer.tokens + (now - peer.at) * self._rate)
        peer.at = now
        return peer
