"""Where the results of a card over HTTP may come from: its own address, or where a router shows it.

Source: `docs/protocols/ups-card.md`, "Decisions".
"""

from collections.abc import Collection
from typing import Any

from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from zope.interface import implementer

from twisted_gantry.net.addresses import host_of, parsed
from twisted_gantry.net.slots import Allowed

REFRESH_S = 60.0  # seconds after which the name of a card is looked up again


@implementer(IResolutionReceiver)
class _Addresses:
    """Hands the addresses of a name to `sources`; none leaves those of the last time."""

    def __init__(self, sources: "Sources") -> None:
        self._sources, self._found = sources, list[str]()

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:  # noqa: N802, N803
        """Do nothing: the look-up is not cancelled."""

    def addressResolved(self, address: IAddress) -> None:  # noqa: N802
        self._found.append(host_of(address))

    def resolutionComplete(self) -> None:  # noqa: N802
        if self._found:
            self._sources.found(self._found)


class Sources:
    """The addresses of one card. `host` is that of its URL, `given` the setting `callback_from`,
    which counts instead if it is not empty. `reactor` looks up a name. Raises ValueError for a
    text of `given` that is no address and no network.
    """

    def __init__(self, host: str, given: Collection[str], reactor: Any) -> None:
        self._host, self._reactor = host, reactor
        self._given = Allowed(given) if given else None
        self._found = frozenset({_normal(host)})
        self._due = 0.0

    def __contains__(self, host: str) -> bool:
        if self._given is not None:
            return host in self._given
        return _normal(host) in self._found

    def refresh(self) -> None:
        """Look a name up, at most once a minute. The answer comes before any result of the card:
        the client that connects to the card waits for the same look-up.
        """
        now = self._reactor.seconds()
        if self._given is not None or parsed(self._host) is not None or now < self._due:
            return
        self._due = now + REFRESH_S
        self._reactor.nameResolver.resolveHostName(_Addresses(self), self._host)

    def found(self, addresses: Collection[str]) -> None:
        self._found = frozenset(map(_normal, addresses))


def _normal(host: str) -> str:
    address = parsed(host)
    return host if address is None else str(address)
