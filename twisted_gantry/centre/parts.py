"""The parts of a process of the centre, made of its settings: fronts, workers, web."""

from collections import Counter
from collections.abc import Callable
from functools import partial
from random import SystemRandom
from typing import Any, cast
from uuid import uuid4
from zoneinfo import ZoneInfo

from twisted.application.service import IService
from twisted.internet.defer import Deferred

from twisted_gantry import __version__
from twisted_gantry.centre.control.cards import CardLists
from twisted_gantry.centre.control.channels import Channels, channels_of
from twisted_gantry.centre.control.desk import CommandDesk
from twisted_gantry.centre.control.pictures import Pictures
from twisted_gantry.centre.fronts.cloud import CloudFront
from twisted_gantry.centre.fronts.monitor import MonitorFront
from twisted_gantry.centre.listening import Place
from twisted_gantry.centre.own_troubles import STORE, OwnTroubles
from twisted_gantry.centre.registry import KNOWN_S, Registry
from twisted_gantry.centre.settings import Settings
from twisted_gantry.centre.store import retention
from twisted_gantry.centre.store.registry import Changes
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.centre.store.store import ReportStore
from twisted_gantry.centre.store.troubles import Trouble
from twisted_gantry.centre.web.page.resource import page_of_centre
from twisted_gantry.centre.web.root import BODY, CentreParts, Entrance, centre_web
from twisted_gantry.centre.workers.caller import Office, send_test
from twisted_gantry.centre.workers.duties import Duties
from twisted_gantry.centre.workers.gantry_work import GantryWork
from twisted_gantry.centre.workers.pulse import Check, Identity, Pulse
from twisted_gantry.net.http.server import Limits, bounded_site
from twisted_gantry.net.listener import Listener
from twisted_gantry.net.service import NamedService, ServiceGroup
from twisted_gantry.net.slots import Allowed
from twisted_gantry.net.threads import ThreadClass
from twisted_gantry.net.tls import ClientTls

WEB_LIMITS = Limits(body=BODY, bodies=4 * BODY, deadline=60.0, connections=256, per_address=64)


class _Pool(NamedService):
    """Closes the connections to gantries at the end."""

    def __init__(self, pool: Any) -> None:
        super().__init__("connections to gantries")
        self._pool = pool

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        closed: Deferred[Any] = self._pool.closeCachedConnections()
        return closed


class _Threads(NamedService):
    """Threads for passwords and for files; they end with the parts that use them."""

    def __init__(self, reactor: Any) -> None:
        super().__init__("threads")
        self.passwords = ThreadClass(reactor, "centre-passwords", 1)
        self.files = ThreadClass(reactor, "centre-files", 4)

    def stopService(self) -> Deferred[Any] | None:
        self.passwords.close()
        self.files.close()
        return super().stopService()


class Parts:
    """Makes the parts of one process. `now` returns Unix seconds; `known` is the registry as it was
    read before the start. `counts` has what servers count, by their names.
    """

    def __init__(
        self,
        settings: Settings,
        identity: Identity,
        store: ReportStore,
        sealing: Sealing,
        reactor: Any,
        now: Callable[[], float],
        known: Changes | None,
    ) -> None:
        self._known = known
        self._settings, self._identity, self._store = settings, identity, store
        self._sealing, self._reactor, self._now = sealing, reactor, now
        self.own = OwnTroubles(now)
        self._checks: list[tuple[str, Check]] = []  # of the fronts
        self.counts: dict[str, Counter[str]] = {}

    def pulse(self) -> IService:
        """Return the sign of life, by which other processes know this one."""
        own, reactor = self.own, self._reactor
        pulse: Any = Pulse(self._identity, self._store, reactor, self._now, own, self._checks)
        return cast("IService", pulse)

    def fronts(self) -> ServiceGroup:
        """Return `monitor.do` and the cloud, with the registry that both look into."""
        settings, reactor, store = self._settings, self._reactor, self._store
        registry = Registry(store, self._sealing, reactor, self._known)
        shared = not settings.store.is_sqlite
        monitor = MonitorFront(
            reactor,
            settings.monitor,
            store,
            registry,
            self._now,
            tls=settings.server_tls.get("monitor"),
            shared=shared,
        )
        self._checks += monitor.checks.items()
        tls_counts: Counter[str] = Counter()
        tls = settings.server_tls.get("cloud")
        place = settings.cloud.listen
        cloud = CloudFront(
            reactor,
            place,
            Place(reactor, "cloud", place, tls_counts, tls=tls, shared=shared),
            store,
            registry,
            self._identity.name,
            self._now,
            allowed=Allowed(settings.cloud.allowed_clients),
        )
        self.counts |= {"monitor": monitor.counts, "cloud": cloud.counts, "cloud-tls": tls_counts}
        return _group(registry, monitor, cloud)

    def workers(self) -> ServiceGroup:
        """Return the duties, and what sends commands and asks for pictures."""
        keep_days = self._settings.store.retention_days
        office = self._office()
        name, store, reactor = self._identity.name, self._store, self._reactor
        retain = partial(retention.step, keep_days=keep_days)
        duties = Duties(name, store, reactor, retain, self._settings.notify, office, self.own)
        pool, channels = self._channels()
        zone = ZoneInfo(self._settings.centre.timezone)
        work = GantryWork(name, store, self._sealing, channels, reactor, zone, self._now)
        return _group(pool, duties, work)

    def web(self) -> ServiceGroup:
        """Return the web endpoint: the page and the API."""
        settings, reactor, store = self._settings, self._reactor, self._store
        zone = ZoneInfo(settings.centre.timezone)
        threads = _Threads(reactor)
        pool, channels = self._channels()
        office = self._office()
        parts = CentreParts(
            store=store,
            sealing=self._sealing,
            desk=CommandDesk(store, _token),
            cards=CardLists(store, zone, self._now, threads.files.run),
            pictures=Pictures(store, self._sealing, channels, zone, self._now),
            clock=reactor,
            now=self._now,
            token=_token,
            in_thread=threads.files.run,
            reasons=self._reasons,
            own=self._own_faults,
            targets={each.name: partial(send_test, each, office) for each in settings.notify},
            histograms={"transaction": lambda: store.transaction_seconds},
            name=settings.centre.name,
            timezone=settings.centre.timezone,
            version=__version__,
            role=self._identity.role,
            known_after=KNOWN_S,
        )
        entrance = Entrance(
            **settings.web.secrets(),
            users=[each.user for each in settings.web.user],
            hashing=threads.passwords.run,
        )
        made = centre_web(parts, entrance, self.counts, page_of_centre())
        counts = self.counts.setdefault("web", Counter())
        site = bounded_site(made.resource, reactor, WEB_LIMITS, counts)
        tls = settings.server_tls.get("web")
        place = Place(reactor, "web", settings.web.listen, counts, tls=tls)
        listener = Listener(
            reactor, settings.web.listen, place, site, lambda: list(cast("Any", site).protocols)
        )
        listener.setName("web")  # type: ignore[no-untyped-call]
        return _group(threads, pool, made.streams, listener)

    def _office(self) -> Office:
        centre = self._settings.centre
        return Office(centre.name, centre.timezone, self._reactor, self._now, SystemRandom().random)

    def _channels(self) -> tuple[_Pool, Channels]:
        """Return the client of gantries, and what closes it."""
        pool, channels = channels_of(self._reactor, ClientTls(self._settings.tls))
        return _Pool(pool), channels

    def _reasons(self) -> tuple[list[str], list[str]]:
        return [each.en for each in self.own], []

    def _own_faults(self) -> list[Trouble]:
        """Return the fault of the store, of which a worker does not tell the database."""
        if not self._identity.works:
            return []
        known = self.own.get(STORE)
        if known is None:
            return []
        found, since = known
        texts = found.name, found.severity, found.en, found.zh
        return [Trouble(0, self._identity.name, *texts, since, None)]


def _token() -> str:
    return uuid4().hex


def _group(*parts: Any) -> ServiceGroup:
    group = ServiceGroup()
    for part in parts:
        group.add(part)
    return group
