"""The parts of a gantry: what of the settings each is made of, and how it is made.

The one place that knows every room.
"""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from secrets import token_bytes
from typing import Any, cast

from twisted.application.service import IService, Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IProtocolFactory
from zope.interface import implementer

from twisted_gantry import __version__
from twisted_gantry.config.settings import DeviceEntry, Settings
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.interfaces import (
    UNTAPPED,
    DeviceContext,
    ICallbackHost,
    IPlatform,
    ITap,
    IUplink,
)
from twisted_gantry.core.interlocks.watches import Interlocks
from twisted_gantry.core.recorder import Recorder
from twisted_gantry.core.site import Site
from twisted_gantry.manhole.service import manhole_service
from twisted_gantry.net.http.server import Limits, bounded_site, with_backlog
from twisted_gantry.net.listener import Listener
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.recording.service import Recording
from twisted_gantry.store.history.sqlite import SqliteHistory, Upkeep
from twisted_gantry.uplinks.etc.uplink import etc_uplink
from twisted_gantry.uplinks.fogslink.uplink import fogslink_uplink
from twisted_gantry.web.api.stream import Stream
from twisted_gantry.web.callbacks import CallbackHost
from twisted_gantry.web.monitor.endpoint import Monitor
from twisted_gantry.web.reactor_lag import ReactorLag
from twisted_gantry.web.remotecontrol.endpoint import RemoteControl, may_report_to
from twisted_gantry.web.root import web_resource

CALLBACKS = "callbacks at "
"""How the names of the parts begin that listen for callbacks."""
# Half of them may be readers of the event stream.
WEB_LIMITS = Limits(connections=256)
HISTORY_ALARM = "history.failed"
RECORD_ALARM = "record.failed"
Unmake = Callable[[], None]


def nothing() -> None:
    """Unmake what leaves nothing behind."""


@dataclass(frozen=True)
class Plan:
    """A part as the settings want it: what it is made of, and how."""

    name: str
    made_of: tuple[Any, ...]
    make: Callable[[], tuple[IService, Unmake]]


@implementer(ICallbackHost)
class _Registrations:
    """The callbacks of one device, so that they can end with it."""

    def __init__(self, host: CallbackHost, tap: ITap) -> None:
        self._host, self._tap = host, tap
        self._ends: list[Callable[[], None]] = []

    def register(self, url: str, receiver: Callable[[bytes], bool]) -> Callable[[], None]:
        end = self._host.register(url, self._tap.receiver(url, receiver))
        self._ends.append(end)
        return end

    def end(self) -> None:
        """Listen for none of them any more."""
        for end in self._ends:
            end()


class _Recording(Service):
    """Keeps the history, and tidies it up."""

    def __init__(self, recorder: Recorder, upkeep: Upkeep) -> None:
        self._recorder, self._upkeep = recorder, upkeep

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._recorder.start()
        self._upkeep.start()

    def stopService(self) -> Deferred[Any]:
        super().stopService()  # type: ignore[no-untyped-call]
        self._upkeep.stop()
        return self._recorder.stop()


class _Running(Service):
    """Something with a start and a stop, as a service."""

    def __init__(self, what: Interlocks) -> None:
        self._what = what

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._what.start()

    def stopService(self) -> None:
        super().stopService()  # type: ignore[no-untyped-call]
        self._what.stop()


class Parts:
    """Plans the parts of `site`, from settings.

    `now` returns Unix seconds; `in_thread(f, …)` runs a blocking function; `addresses` are the IP
    addresses of this machine, `folder` is that of its data.
    """

    def __init__(
        self,
        site: Site,
        history: SqliteHistory,
        reactor: Any,
        now: Callable[[], float],
        random: Random,
        in_thread: Callable[..., Deferred[Any]],
        addresses: Collection[str],
        folder: Path,
    ) -> None:
        self.site, self._history = site, history
        self._reactor, self._now, self._random = reactor, now, random
        self._in_thread, self._addresses, self._folder = in_thread, addresses, folder
        self._lag = ReactorLag(reactor)
        self._callbacks = CallbackHost()
        self._callback_site = self._callbacks.site(reactor)
        self._record: Recording | None = None
        self._counts: dict[str, Counter[str]] = {"callbacks": self._callbacks.counts}

    def plans(self, settings: Settings) -> list[Plan]:
        """Return the parts that settings want, in the order in which they start."""
        gantry = settings.gantry
        plans = [
            Plan("history", (settings.history,), partial(self._recording, settings)),
            Plan("reactor lag", (), lambda: (self._lag, nothing)),
            Plan("web", (gantry, settings.web), partial(self._web, settings)),
        ]
        if settings.record.folder:  # before the devices: it stops behind them
            record = (settings.record,)
            plans.append(Plan("record", record, partial(self._recording_of_devices, settings)))
        for entry in settings.devices:
            made_of = (gantry, entry.kind.kind, entry.settings, settings.record)
            plans.append(Plan(f"device {entry.name}", made_of, partial(self._device, entry)))
        if settings.etc is not None:
            etc = (gantry, settings.etc, settings.cabinets, settings.remotecontrol)
            plans.append(Plan("uplink etc", etc, partial(self._etc, settings)))
        if settings.fogslink is not None:
            fogslink = (gantry, settings.fogslink)
            plans.append(Plan("uplink fogslink", fogslink, partial(self._fogslink, settings)))
        if settings.monitor is not None:
            monitor = (gantry, settings.monitor)
            plans.append(Plan("monitor", monitor, partial(self._monitor, settings)))
        if settings.remotecontrol is not None:
            remote = (gantry, settings.remotecontrol, settings.etc, settings.cabinets)
            plans.append(Plan("remotecontrol", remote, partial(self._remote_control, settings)))
        if settings.manhole.listen:
            manhole = (gantry, settings.manhole)
            plans.append(Plan("manhole", manhole, partial(self._manhole, settings)))
        locks = (gantry, settings.interlocks)
        plans.append(Plan("interlocks", locks, partial(self._interlocks, settings)))
        return plans

    def callback_plans(self) -> list[Plan]:
        return [
            Plan(f"{CALLBACKS}{place}", (), partial(self._callback, place))
            for place in self._callbacks.endpoints(self._addresses)
        ]

    def _web(self, settings: Settings) -> tuple[IService, Unmake]:
        counts = self._counts["web"] = Counter()
        web = settings.web
        stream = Stream(self.site, self._reactor, self._now)
        resource = web_resource(
            self.site,
            history=self._history,
            now=self._now,
            version=__version__,
            password=web.password,
            token=web.token,
            http_counts=self._counts,
            health=list,
            reactor_lag=self._lag.seconds,
            viewer_password=web.viewer_password,
            viewer_token=web.viewer_token,
            stream=stream,
            clock=self._reactor,
            in_thread=self._in_thread,
        )
        group = ServiceGroup()  # a stream that is open ends with its listener
        group.add(stream)
        group.add(self._listener("web", web.listen, resource, WEB_LIMITS, counts))
        return group, nothing

    def _recording(self, settings: Settings) -> tuple[IService, Unmake]:
        site, interval = self.site, settings.history.interval

        def failing(reason: str | None) -> None:
            if reason is None:
                site.alarms.clear(HISTORY_ALARM)
                return
            en, zh = f"the history cannot be kept: {reason}", f"历史数据无法保存:{reason}"
            site.alarms.set(HISTORY_ALARM, Severity.WARNING, en, zh)

        recorder = Recorder(site.points, self._history, self._reactor, self._now, failing, interval)
        upkeep = Upkeep(self._history.step, self._reactor)
        return cast("IService", _Recording(recorder, upkeep)), nothing

    def _recording_of_devices(self, settings: Settings) -> tuple[IService, Unmake]:
        alarms = self.site.alarms

        def failing(reason: str | None) -> None:
            if reason is None:
                alarms.clear(RECORD_ALARM)
                return
            en, zh = f"devices cannot be recorded: {reason}", f"设备报文无法录制:{reason}"
            alarms.set(RECORD_ALARM, Severity.WARNING, en, zh)

        self._record = Recording(
            settings.record,
            self._folder,
            __version__,
            self._reactor,
            self._now,
            self._in_thread,
            token_bytes(32),
            failing,
        )

        def unmake() -> None:
            self._record = None
            alarms.clear(RECORD_ALARM)

        return cast("IService", self._record), unmake

    def _device(self, entry: DeviceEntry) -> tuple[IService, Unmake]:
        site, name = self.site, entry.name
        tap: ITap = UNTAPPED
        if self._record is not None:
            kind = entry.kind.kind
            tap = self._record.tap(name, kind, entry.settings, site.gantry_id) or UNTAPPED
        registrations = _Registrations(self._callbacks, tap)
        context = DeviceContext(
            self._reactor,
            site.points,
            self._now,
            self._random,
            self._in_thread,
            site.store,
            registrations,
            site.gantry_id,
            tap,
        )
        device = entry.kind.build(name, entry.settings, context)
        site.alarms.watch(name, device.rules, device.status)
        site.devices[name] = device

        def unmake() -> None:
            del site.devices[name]
            site.alarms.unwatch(name)
            registrations.end()
            declared = [point.name.partition(".")[2] for point in site.points.under(f"{name}.")]
            site.points.retract(name, declared)

        return device, unmake

    def _etc(self, settings: Settings) -> tuple[IService, Unmake]:
        assert settings.etc is not None
        allowed = may_report_to(settings.remotecontrol, settings.etc.url)
        return self._uplink(etc_uplink(settings.etc, *self._for_uplinks(), allowed))

    def _fogslink(self, settings: Settings) -> tuple[IService, Unmake]:
        assert settings.fogslink is not None
        return self._uplink(fogslink_uplink(settings.fogslink, *self._for_uplinks()))

    def _for_uplinks(self) -> tuple[Site, Any, Callable[[], float], Callable[[], float]]:
        return self.site, self._reactor, self._now, self._random.random

    def _uplink(self, uplink: IUplink) -> tuple[IService, Unmake]:
        site, name = self.site, uplink.status.name
        site.uplinks[name] = uplink

        def unmake() -> None:
            del site.uplinks[name]
            for alarm in site.alarms.active(name):
                site.alarms.clear(alarm.name)

        return uplink, unmake

    def _monitor(self, settings: Settings) -> tuple[IService, Unmake]:
        assert settings.monitor is not None
        monitor = Monitor(settings.monitor, self.site, self._reactor, self._now)
        return self._served("monitor", settings.monitor.listen, monitor)

    def _remote_control(self, settings: Settings) -> tuple[IService, Unmake]:
        remote = settings.remotecontrol
        assert remote is not None
        assert remote.auth is not None  # the configuration sees to it
        platforms = [each for each in self.site.uplinks.values() if IPlatform.providedBy(each)]
        control = RemoteControl(
            remote,
            self.site,
            platforms[0] if platforms else None,
            auth=remote.auth,
            clock=self._reactor,
            now=self._now,
            in_thread=self._in_thread,
            home=settings.etc.url if settings.etc is not None else "",
        )
        return self._served("remotecontrol", remote.listen, control)

    def _manhole(self, settings: Settings) -> tuple[IService, Unmake]:
        service = manhole_service(
            settings.manhole, self.site, self._folder, self._reactor, self._now
        )
        return service, nothing

    def _interlocks(self, settings: Settings) -> tuple[IService, Unmake]:
        site = self.site
        interlocks = Interlocks(
            settings.interlocks, site.points, site.door, site.alarms, site.store, self._reactor
        )

        def unmake() -> None:
            for alarm in site.alarms.active("interlock"):
                site.alarms.clear(alarm.name)

        return cast("IService", _Running(interlocks)), unmake

    def _callback(self, place: str) -> tuple[IService, Unmake]:
        return self._listen("callbacks", place, self._callback_site), nothing

    # -- what listens

    def _served(
        self, name: str, place: str, served: Monitor | RemoteControl
    ) -> tuple[IService, Unmake]:
        self._counts[name] = served.counts
        listener = self._listener(name, place, served.resource(), served.limits, served.counts)

        def unmake() -> None:
            del self._counts[name]

        return listener, unmake

    def _listener(
        self, name: str, place: str, resource: Any, limits: Limits, counts: Counter[str]
    ) -> IService:
        factory = bounded_site(resource, self._reactor, limits, counts)
        return self._listen(name, with_backlog(place, limits.connections), factory)

    def _listen(self, name: str, place: str, factory: IProtocolFactory) -> IService:
        endpoint = serverFromString(self._reactor, place)
        made: Any = factory  # what bounded_site returns: it knows its connections
        listener = Listener(self._reactor, place, endpoint, factory, lambda: list(made.protocols))
        listener.setName(f"{name} {place}")  # type: ignore[no-untyped-call]
        return cast("IService", listener)
