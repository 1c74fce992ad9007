"""Look-ups of host names: in threads of their own, shared, remembered, never waited for long.

`getaddrinfo` blocks for as long as the system's resolver likes, half a minute for a dead name
server. Therefore each name has one thread at most, however many connections ask for the name, and
answers are remembered, also negative ones. A name that was known keeps its addresses while the
name server is silent.
"""

import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IReactorTime,
    IResolutionReceiver,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.net.timers import Timer

MOST_LOOKUPS = 32  # names that are looked up at the same time; a further one has no address
PATIENCE = 10.0  # seconds after which nobody waits for a look-up any more
GOOD_FOR, NONE_FOR = 60.0, 30.0
"""Seconds for which an answer is remembered: a positive one, and a negative one."""
REMEMBERED = 1000  # names

_FAMILIES = {
    frozenset({IPv4Address}): socket.AF_INET,
    frozenset({IPv6Address}): socket.AF_INET6,
}
_KINDS = {"TCP": socket.SOCK_STREAM, "UDP": socket.SOCK_DGRAM}

_Found = Sequence[tuple[Any, ...]]  # as `getaddrinfo` returns them
_Key = tuple[str, int, int]  # name, family, kind of socket


@implementer(IHostResolution)
class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        """Do nothing: a look-up cannot be stopped, and others may wait for it."""


@dataclass(eq=False)
class _Name:
    """What is known of a name: its addresses, until when that counts, and who waits for more."""

    late: Timer
    found: _Found = ()
    until: float = 0.0
    busy: bool = False
    waiting: list[Callable[[_Found], None]] = field(default_factory=list)


@implementer(IHostnameResolver)
class Names:
    """A resolver for a reactor. `in_thread(f, …)` runs a blocking function in a thread of a class
    that has no other work, of at least `MOST_LOOKUPS` threads. `look_up` is `socket.getaddrinfo`.
    """

    def __init__(
        self,
        clock: IReactorTime,
        in_thread: Callable[..., Deferred[Any]],
        look_up: Callable[..., _Found] = socket.getaddrinfo,
    ) -> None:
        self._clock, self._in_thread, self._look_up = clock, in_thread, look_up
        self._names: dict[_Key, _Name] = {}

    def resolveHostName(  # noqa: N802 - of Twisted
        self,
        resolutionReceiver: IResolutionReceiver,  # noqa: N803
        hostName: str,  # noqa: N803
        portNumber: int = 0,  # noqa: N803
        addressTypes: Sequence[type[IAddress]] | None = None,  # noqa: N803
        transportSemantics: str = "TCP",  # noqa: N803
    ) -> IHostResolution:
        """Tell the receiver the addresses of a name; an address in digits is its own."""
        resolution, receiver = _Resolution(hostName), resolutionReceiver

        transport: Any = transportSemantics

        def tell(found: _Found) -> None:
            for family, _, _, _, place in found:
                make = IPv6Address if family == socket.AF_INET6 else IPv4Address
                host, _, *rest = place
                receiver.addressResolved(make(transport, host, portNumber, *rest))
            receiver.resolutionComplete()

        receiver.resolutionBegan(resolution)
        types = frozenset(addressTypes or ())
        key = hostName, _FAMILIES.get(types, socket.AF_UNSPEC), _KINDS[transportSemantics]
        try:
            digits = self._look_up(*_asked(key), 0, socket.AI_NUMERICHOST)
        except (OSError, ValueError):
            self._ask(key, tell)
        else:
            tell(digits)
        return resolution

    def _ask(self, key: _Key, tell: Callable[[_Found], None]) -> None:
        name = self._names.pop(key, None) or _Name(Timer(self._clock, lambda: self._late(name)))
        self._names[key] = name  # the newest last
        if self._clock.seconds() < name.until:
            tell(name.found)
            return
        busy = sum(each.busy for each in self._names.values())
        if name.busy and not name.waiting:  # given up, and still under way
            self._remember(name, name.found, NONE_FOR)
            tell(name.found)
        elif name.busy:
            name.waiting.append(tell)
        elif busy >= MOST_LOOKUPS:
            tell(name.found)
        else:
            name.waiting.append(tell)
            name.busy = True
            name.late.start(PATIENCE)
            looked = self._in_thread(self._look_up, *_asked(key))
            looked.addBoth(self._looked_up, name)
        self._forget()

    def _looked_up(self, found: _Found | Failure, name: _Name) -> None:
        name.busy = False
        if isinstance(found, Failure) or not found:  # also for text that is no name
            self._answer(name, name.found, NONE_FOR)
        else:
            self._answer(name, found, GOOD_FOR)

    def _late(self, name: _Name) -> None:
        self._answer(name, name.found, NONE_FOR)

    def _answer(self, name: _Name, found: _Found, seconds: float) -> None:
        name.late.cancel()
        self._remember(name, found, seconds)
        waiting, name.waiting = name.waiting, []
        for tell in waiting:
            tell(found)

    def _remember(self, name: _Name, found: _Found, seconds: float) -> None:
        name.found, name.until = found, self._clock.seconds() + seconds

    def _forget(self) -> None:
        while len(self._names) > REMEMBERED:
            oldest = next((key for key, name in self._names.items() if not name.busy), None)
            if oldest is None:
                return
            del self._names[oldest]


def _asked(key: _Key) -> tuple[str, int, int, int]:
    """Return the arguments of `getaddrinfo` for a name, without a port: it may be any."""
    name, family, kind = key
    return name, 0, family, kind
