"""What the gantry listens with: its HTTP endpoints, and the callbacks of UPS cards."""

from collections import Counter
from collections.abc import Callable, Collection
from typing import Any, Protocol, cast

from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IProtocolFactory
from zope.interface import implementer

from twisted_gantry.core.interfaces import ICallbackHost, ITap
from twisted_gantry.daemon.passing import PassingAlarm
from twisted_gantry.net.endpoints import for_the_group, without_tls
from twisted_gantry.net.http.seldom_log import SeldomLog
from twisted_gantry.net.http.server import Limits, bounded_site, with_backlog
from twisted_gantry.net.listener import Listener
from twisted_gantry.net.slots import EVERYBODY, Allowed
from twisted_gantry.net.tls_server import ServerTls
from twisted_gantry.web.callbacks import CallbackHost

MOST_WAITING = 256
"""Connections that wait to be accepted. A rightful one waits behind those of strangers."""


class Served(Protocol):
    """An HTTP endpoint of its own port."""

    limits: Limits
    counts: Counter[str]
    allowed: Allowed

    def resource(self) -> Any: ...


@implementer(ICallbackHost)
class Registrations:
    """The callbacks of one device, so that they end with it."""

    def __init__(self, host: CallbackHost, tap: ITap) -> None:
        self._host, self._tap = host, tap
        self._ends: list[Callable[[], None]] = []

    def register(
        self, url: str, receiver: Callable[[bytes], bool], is_source: Callable[[str], bool]
    ) -> Callable[[], None]:
        end = self._host.register(url, self._tap.receiver(url, receiver), is_source)
        self._ends.append(end)
        return end

    def end(self) -> None:
        for end in self._ends:
            end()


class Listeners:
    """Makes the services that listen; `counts` has what each of them counts, by its name.

    `addresses` are the IP addresses of this machine.
    """

    def __init__(
        self,
        reactor: Any,
        addresses: Collection[str],
        crowded: PassingAlarm,
        foreign: PassingAlarm,
    ) -> None:
        self._reactor, self._addresses, self._crowded = reactor, addresses, crowded
        self._callbacks = CallbackHost(reactor, foreign.at("callbacks"))
        self._callback_site = self._callbacks.site(crowded.at("callbacks"))
        self.counts: dict[str, Counter[str]] = {"callbacks": self._callbacks.counts}

    def registrations(self, tap: ITap) -> Registrations:
        return Registrations(self._callbacks, tap)

    def callback_places(self) -> list[str]:
        return self._callbacks.endpoints(self._addresses)

    def callback(self, place: str) -> IService:
        return self._listen("callbacks", place, self._callback_site)

    def served(
        self, name: str, place: str, served: Served, tls: ServerTls | None = None
    ) -> IService:
        limits, counts = served.limits, served.counts
        return self.http(name, place, served.resource(), limits, counts, served.allowed, tls)

    def http(
        self,
        name: str,
        place: str,
        resource: Any,
        limits: Limits,
        counts: Counter[str],
        allowed: Allowed = EVERYBODY,
        tls: ServerTls | None = None,
    ) -> IService:
        """Return the service that serves `resource` at the endpoint `place`, within `limits`. An
        `ssl:` endpoint is that of `tls`.
        """
        self.counts[name] = counts
        crowded = self._crowded.at(name)
        factory = bounded_site(
            resource, self._reactor, limits, counts, allowed=allowed, crowded=crowded
        )
        place = for_the_group(with_backlog(place, min(limits.connections, MOST_WAITING)))
        if tls is None:
            return self._listen(name, place, factory)
        log = SeldomLog(name, self._reactor)

        def refused(host: str, why: str) -> None:
            log.refused(0, host, why)

        outer = tls.factory(factory, counts, refused, self._reactor)
        return self._listen(name, without_tls(place)[0], factory, outer)

    def _listen(
        self,
        name: str,
        place: str,
        factory: IProtocolFactory,
        outer: IProtocolFactory | None = None,
    ) -> IService:
        endpoint = serverFromString(self._reactor, place)
        made: Any = factory  # made by bounded_site: it has its connections
        listener = Listener(
            self._reactor, place, endpoint, outer or factory, lambda: list(made.protocols)
        )
        listener.setName(f"{name} {place}")  # type: ignore[no-untyped-call]
        return cast("IService", listener)
