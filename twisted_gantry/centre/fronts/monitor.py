"""The front for `monitor.do`: any number of them behind a proxy, or on one port."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from twisted_gantry.centre.fronts.refused import RefusedRequests
from twisted_gantry.centre.fronts.troubles import (
    CROWDED,
    REGISTRY,
    Crowding,
    registry_trouble,
)
from twisted_gantry.centre.fronts.uploads import Uploads
from twisted_gantry.centre.interfaces import IReportStore
from twisted_gantry.centre.listening import Place
from twisted_gantry.centre.registry import Registry
from twisted_gantry.centre.settings import MonitorSettings
from twisted_gantry.centre.store.troubles import Found
from twisted_gantry.net.http.lean.factory import LeanFactory
from twisted_gantry.net.http.server import WORK, Limits
from twisted_gantry.net.listener import Listener
from twisted_gantry.net.open_files import open_files
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.net.slots import EVERYBODY, Allowed, Slots
from twisted_gantry.net.tls_server import ServerTls
from twisted_gantry.wire.etc.envelope import MAX_BODY

LIMITS = Limits(
    body=MAX_BODY,
    bodies=64 * 1024 * 1024,
    deadline=30.0,
    idle=330.0,  # a gantry uploads each 300 s, and keeps its connection
    connections=8192,
    per_address=1024,
    reserved=4096,
    work=WORK,
)
REMEMBERED = 65_536  # addresses of gantries: a province has thousands
OPEN_FILES = 32_768
"""Files and sockets that the process may have; a front has a socket for each gantry."""


class MonitorFront(ServiceGroup):
    """Listens for gantries. `clock` is the reactor, `now` returns Unix seconds. With `shared` other
    processes may listen at the same port. `tls` is that of an `ssl:` endpoint.

    `counts` has what `Uploads`, `LeanFactory`, `Slots` and `ServerTls` count. The stop answers what
    is in flight; it must come before that of the store.
    """

    def __init__(
        self,
        reactor: Any,
        settings: MonitorSettings,
        store: IReportStore,
        registry: Registry,
        now: Callable[[], float],
        *,
        tls: ServerTls | None = None,
        shared: bool = False,
        limits: Limits = LIMITS,
    ) -> None:
        super().__init__()
        self.setName("monitor.do")  # type: ignore[no-untyped-call]
        self._registry = registry
        self._refusals = refusals = RefusedRequests(store, reactor, now)
        self.uploads = Uploads(settings, store, registry, refusals, reactor, now)
        self.counts: Counter[str] = self.uploads.counts
        self._crowding = Crowding("monitor.do", reactor)
        allowed = Allowed(settings.allowed_clients)
        strangers = self._slots(reactor, limits, allowed, limits.per_address)
        proxies = self._slots(reactor, limits, EVERYBODY, 0)

        def slots(host: str) -> Slots:
            return proxies if self.uploads.is_proxy(host) else strangers

        self.factory = LeanFactory(self.uploads, limits, reactor, self.counts, slots, now)
        place = Place(reactor, "monitor.do", settings.listen, self.counts, tls=tls, shared=shared)
        self._listener = Listener(
            reactor,
            settings.listen,
            place,
            self.factory,
            lambda: list(self.factory.connections),
            self.drain,
        )
        self._listener.setName(f"monitor.do {settings.listen}")  # type: ignore[no-untyped-call]
        self.add(refusals)
        self.add(self._listener)

    def _slots(self, reactor: Any, limits: Limits, allowed: Allowed, per_address: int) -> Slots:
        return Slots(
            reactor,
            connections=limits.connections,
            per_address=per_address,
            reserved=limits.reserved,
            work=limits.work,
            counts=self.counts,
            allowed=allowed,
            crowded=self._crowding.came,
            remembered=REMEMBERED,
        )

    @property
    def checks(self) -> dict[str, Callable[[], Found | None]]:
        """What may be wrong here, by the names of the faults."""
        look = partial(registry_trouble, self._registry)
        return {CROWDED: self._crowding.look, REGISTRY: look}

    def startService(self) -> None:
        open_files(OPEN_FILES)
        super().startService()

    @property
    def port(self) -> int:
        """The number of the TCP port. Raises RuntimeError while the front does not listen."""
        return self._listener.port

    def drain(self) -> Deferred[None]:
        """Answer what is in flight, and take nothing more; the refusals are noted after that."""
        return self.factory.drain().addCallback(lambda _: self._refusals.flush())
