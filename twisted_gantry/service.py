"""Settings into one tree of services: the wiring, and the options of `twistd gantry`."""

import socket
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Collection
from functools import partial
from itertools import chain
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

import psutil
from twisted.application.strports import service as listening
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.usage import Options as BaseOptions
from twisted.python.usage import UsageError

from twisted_gantry import __version__
from twisted_gantry.config import load, load_file
from twisted_gantry.config_settings import Settings
from twisted_gantry.config_tables import ConfigError
from twisted_gantry.demo import DEMO
from twisted_gantry.net.clock import make_monotonic
from twisted_gantry.net.http_server import Limits, bounded_site, with_backlog
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.site.alarms import Alarms, Severity
from twisted_gantry.site.catalogue import Catalogue
from twisted_gantry.site.commands import CommandDoor
from twisted_gantry.site.interfaces import DeviceContext, IDevice, IPlatform, IStore, IUplink
from twisted_gantry.site.interlocks import Interlocks
from twisted_gantry.site.points import Points
from twisted_gantry.site.site import Site
from twisted_gantry.store.schema import Unusable
from twisted_gantry.store.store import open_store
from twisted_gantry.net.listener import CannotListen
from twisted_gantry.twin.twin import TwinSettings, build_twin
from twisted_gantry.uplinks.etc import etc_uplink
from twisted_gantry.uplinks.fogslink import fogslink_uplink
from twisted_gantry.web.callbacks import CallbackHost
from twisted_gantry.web.monitor import Monitor
from twisted_gantry.web.remotecontrol import RemoteControl, RemoteControlSettings
from twisted_gantry.web.web import web_resource

_log = Logger()


class GantryTree(ServiceGroup):
    """All services of one gantry. `site` is what they know."""

    site: Site
    interlocks: Interlocks

    def startService(self) -> None:
        """Start the services; the interlocks watch from the first reading on."""
        self.interlocks.start()
        super().startService()

    def stopService(self) -> Deferred[Any]:
        """Stop the services, then close the store: what they still write is kept."""
        self.interlocks.stop()
        stopped = super().stopService()
        self.site.alarms.stop()
        return stopped.addBoth(lambda _: self.site.store.close())


def gantry_tree(
    settings: Settings,
    *,
    store: IStore,
    reactor: Any,
    now: Callable[[], float],
    random: Random,
    in_thread: Callable[..., Deferred[Any]],
    addresses: Collection[str] = (),
) -> GantryTree:
    """Turn settings into the service tree, not started.

    `now` returns Unix seconds; `in_thread(f, …)` runs a blocking function; `addresses` are the IP
    addresses of this machine. The tree closes `store` when it stops.
    """
    points = Points(Catalogue(), now)
    alarms = Alarms(points, reactor, now)
    callbacks = CallbackHost()
    gantry_id = settings.gantry.id
    context = DeviceContext(reactor, points, now, random, in_thread, store, callbacks, gantry_id)
    devices: dict[str, IDevice] = {}
    uplinks: dict[str, IUplink] = {}
    site = Site(
        gantry_id=gantry_id,
        name=settings.gantry.name,
        timezone=settings.gantry.timezone,
        started_at=now(),
        points=points,
        alarms=alarms,
        door=CommandDoor(devices, store, reactor, now, lambda: uuid.uuid4().hex),
        store=store,
        devices=devices,
        uplinks=uplinks,
        cabinets=settings.cabinets,
    )
    tree = GantryTree()
    tree.site = site
    tree.interlocks = Interlocks(settings.interlocks, points, site.door, alarms, store, reactor)
    counts: dict[str, Counter[str]] = {"callbacks": callbacks.counts}
    tree.add(_web(settings, site, counts, reactor, now))
    for entry in settings.devices:
        device = entry.kind.build(entry.name, entry.settings, context)
        alarms.watch(entry.name, device.rules, device.status)
        devices[entry.name] = device
        tree.add(device)
    if settings.etc is not None:
        etc = etc_uplink(settings.etc, site, reactor, now, random.random)
        uplinks[etc.status.name] = etc
        tree.add(etc)
    if settings.fogslink is not None:
        fogslink = fogslink_uplink(settings.fogslink, site, reactor, now, random.random)
        uplinks[fogslink.status.name] = fogslink
        tree.add(fogslink)
    called_back = callbacks.site(reactor)
    for place in callbacks.endpoints(addresses):
        tree.add(listening(place, called_back, reactor))
    if settings.monitor is not None:
        monitor = Monitor(settings.monitor, site, reactor, now)
        counts["monitor"] = monitor.counts
        tree.add(_server(settings.monitor.listen, monitor, reactor))
    if settings.remotecontrol is not None:
        remote = _remote_control(settings.remotecontrol, site, reactor, now, in_thread)
        counts["remotecontrol"] = remote.counts
        tree.add(_server(settings.remotecontrol.listen, remote, reactor))
    for text in store.found:
        _log.warn("found at the start: {text}", text=text)
    if store.found:
        text = "; ".join(store.found)
        alarms.set("store.found", Severity.WARNING, text, f"启动时发现:{text}")
    return tree


def _server(place: str, served: Monitor | RemoteControl, reactor: Any) -> Any:
    factory = bounded_site(served.resource(), reactor, served.limits, served.counts)
    return listening(with_backlog(place, served.limits), factory, reactor)


def _remote_control(
    settings: RemoteControlSettings,
    site: Site,
    reactor: Any,
    now: Callable[[], float],
    in_thread: Callable[..., Deferred[Any]],
) -> RemoteControl:
    platforms = [each for each in site.uplinks.values() if IPlatform.providedBy(each)]
    assert settings.auth is not None  # the configuration sees to it
    return RemoteControl(
        settings,
        site,
        platforms[0] if platforms else None,
        auth=settings.auth,
        clock=reactor,
        now=now,
        in_thread=in_thread,
    )


def _web(
    settings: Settings,
    site: Site,
    counts: dict[str, Counter[str]],
    reactor: Any,
    now: Callable[[], float],
) -> Any:
    counts["web"] = Counter()
    web = settings.web
    resource = web_resource(
        site,
        now=now,
        version=__version__,
        password=web.password,
        token=web.token,
        http_counts=counts,
        health=list,
    )
    return listening(web.listen, bounded_site(resource, reactor, Limits(), counts["web"]), reactor)


class Gantry(ServiceGroup):
    """Opens the store and starts the tree once twistd has become a daemon: threads do not fork."""

    def __init__(
        self, settings: Settings, folder: Path, reactor: Any, *, demo: bool, daemon: bool
    ) -> None:
        super().__init__()
        self._settings, self._folder, self._reactor = settings, folder, reactor
        self._demo, self._daemon = demo, daemon

    def startService(self) -> None:
        """Start everything. What an operator can mend ends the program with one line."""
        super().startService()
        try:
            self._start()
        except (Unusable, CannotListen, CannotListenError) as error:
            if self._daemon:  # the parent of a daemon hears of an exception, of an exit it does not
                raise CannotStart(f"gantry: {error}") from None
            sys.exit(f"gantry: {error}")

    def _start(self) -> None:
        reactor = self._reactor
        if self._demo:
            self.add(build_twin(TwinSettings(), reactor, time.time))
        store = open_store(self._folder, reactor, time.time)
        try:
            self.add(
                gantry_tree(
                    self._settings,
                    store=store,
                    reactor=reactor,
                    now=time.time,
                    random=SystemRandom(),
                    in_thread=partial(deferToThreadPool, reactor, reactor.getThreadPool()),
                    addresses=_addresses(),
                )
            )
        except BaseException:
            store.close()  # its thread would keep a program alive that does nothing
            raise


def _addresses() -> list[str]:
    """Return the IP addresses of this machine."""
    families = (socket.AF_INET, socket.AF_INET6)
    found = chain.from_iterable(psutil.net_if_addrs().values())
    return [each.address for each in found if each.family in families]


class CannotStart(Exception):
    """What an operator can mend keeps the gantry from starting."""


class Options(BaseOptions):
    """`twistd gantry`: a gantry from a configuration file, or a demonstration."""

    longdesc = (
        "The monitoring daemon of an ETC toll gantry: reads its devices, raises alarms, reports to "
        "the platform. Give --config FILE, or --demo for a simulated site on loopback."
    )
    optParameters = [  # noqa: RUF012 - twisted's way
        ["config", "c", None, "The configuration file (TOML)"],
        ["data", "d", "gantry-data", "The folder for what must outlive the process"],
        [
            "web",
            "w",
            None,
            "Where to serve the local API and page, an endpoint; wins over the file",
        ],
    ]
    optFlags = [  # noqa: RUF012
        ["demo", None, "A whole gantry against a simulated site, on loopback"],
        ["check", None, "Only validate: print what is wrong, exit 0 or 1"],
    ]

    settings: Settings

    def postOptions(self) -> None:
        """Read and check the configuration."""
        if bool(self["config"]) == bool(self["demo"]):
            raise UsageError("give one of --config FILE and --demo")
        try:
            settings = load(DEMO, "demo") if self["demo"] else load_file(Path(self["config"]))
            if self["web"]:
                settings = settings.listening_on(self["web"])
        except ConfigError as error:
            (sys.stdout if self["check"] else sys.stderr).write(f"{error}\n")
            sys.exit(1)
        if self["check"]:
            sys.stdout.write("the configuration is in order\n")
            sys.exit(0)
        self.settings = settings


def makeService(options: Options) -> Gantry:
    """Return the service for twistd."""
    from twisted.internet import reactor  # the one place, with twin.tap, that takes the global one

    make_monotonic(reactor)
    folder = Path(options["data"]).absolute()
    daemon = options.parent is not None and not options.parent["nodaemon"]
    demo = bool(options["demo"])
    return Gantry(options.settings, folder, reactor, demo=demo, daemon=daemon)
