"""The parts of a gantry: which settings each is made of, and how.

This module knows every room.
"""

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from secrets import token_bytes
from typing import Any, Protocol, cast

from twisted.application.service import IService
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred

from twisted_gantry import __version__
from twisted_gantry.config.settings import DeviceEntry, Settings
from twisted_gantry.core.alarms import Severity
from twisted_gantry.core.deliveries import Deliveries
from twisted_gantry.core.diagnosis import Diagnoses
from twisted_gantry.core.interfaces import UNTAPPED, DeviceContext, IPlatform, ITap, IUplink
from twisted_gantry.core.interlocks.watches import Interlocks
from twisted_gantry.core.own_rules import SOURCE, OwnRule, OwnRules
from twisted_gantry.core.recorder import Recorder
from twisted_gantry.core.site import BridgeContext, Site
from twisted_gantry.daemon.bridges import made_bridge
from twisted_gantry.daemon.called import Notifications
from twisted_gantry.daemon.certificates import Certificates, own_certificates
from twisted_gantry.daemon.listeners import Listeners, Served
from twisted_gantry.daemon.passing import PassingAlarm
from twisted_gantry.daemon.threads import InThreads
from twisted_gantry.devices.computers.uploaded import UploadedComputers
from twisted_gantry.manhole.service import manhole_service
from twisted_gantry.net.http.server import WORK, Limits
from twisted_gantry.net.reactor_lag import ReactorLag
from twisted_gantry.net.service import NamedService, ServiceGroup
from twisted_gantry.recording.service import Recording
from twisted_gantry.store.history.sqlite import SqliteHistory, Upkeep
from twisted_gantry.store.rebuild import DataFile
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.watch import StoreWatch
from twisted_gantry.uplinks.etc.uplink import EtcSettings, etc_uplink
from twisted_gantry.uplinks.fogslink.uplink import FogslinkSettings, fogslink_uplink
from twisted_gantry.web.api.stream import Stream
from twisted_gantry.web.monitor.endpoint import Monitor
from twisted_gantry.web.remotecontrol.endpoint import Commander, RemoteControl, server_policy
from twisted_gantry.web.root import web_resource
from twisted_gantry.wire.secret import Secret

CALLBACKS = "callbacks at "  # beginning of the names of the parts that listen for callbacks
# Half of the connections may be readers of the event stream. Of an address, half of those without a
# proof may wait for their secrets to be looked at (`access.line.MOST_HELD`).
WEB_LIMITS = Limits(connections=256, per_address=64, reserved=128, work=WORK)
HISTORY_ALARM = "history.failed"
RECORD_ALARM = "record.failed"
CROWDED = (
    "gantry.crowded",
    "a listener is crowded, connections were closed",
    "监听端口连接过多，已关闭部分连接",
)
FOREIGN_CALLBACK = (
    "gantry.foreign-callback",
    "results of UPS cards that no card sent, or from another address (callback_from), were ignored",
    "已忽略并非来自 UPS 管理卡的结果，或来源地址不符（callback_from）",
)
Unmake = Callable[[], None]
Made = tuple[IService, Unmake]


def _uplink(name: str) -> str:
    """Return the name of the part that is an uplink."""
    return f"uplink {name}"


def nothing() -> None:
    """Unmake a part that leaves nothing behind."""


@dataclass(frozen=True)
class Plan:
    """A part as the settings want it: the settings that it is made of, and how it is made."""

    name: str
    made_of: tuple[Any, ...]
    make: Callable[[], Made]


class _Runs(Protocol):
    def start(self) -> object: ...
    def stop(self) -> object: ...


class _Started(NamedService):
    def __init__(self, name: str, *things: _Runs) -> None:
        super().__init__(name)
        self._things = things

    def startService(self) -> None:
        super().startService()
        for each in self._things:
            each.start()

    def stopService(self) -> Deferred[Any]:
        super().stopService()
        return gatherResults([maybeDeferred(each.stop) for each in reversed(self._things)])


class _Judged(NamedService):
    def __init__(self, rule: OwnRule, rules: OwnRules) -> None:
        super().__init__(f"rule {rule.name}")
        self._rule, self._rules, self._end = rule, rules, nothing

    def startService(self) -> None:
        super().startService()
        self._end = self._rules.add(self._rule)

    def stopService(self) -> None:
        super().stopService()
        self._end()


class Parts:
    """Plans the parts of `site` from settings; its other arguments are those of `GantryTree`."""

    def __init__(
        self,
        site: Site,
        store: SqliteStore,
        history: SqliteHistory,
        reactor: Any,
        now: Callable[[], float],
        random: Random,
        threads: InThreads,
        addresses: Collection[str],
        folder: Path,
    ) -> None:
        self.site, self._store, self._history = site, store, history
        self._reactor, self._now, self._random = reactor, now, random
        self._threads, self._folder = threads, folder
        self._lag = ReactorLag(reactor)
        self._crowded = PassingAlarm(site.alarms, reactor, *CROWDED)
        self._foreign = PassingAlarm(site.alarms, reactor, *FOREIGN_CALLBACK)
        self._listeners = Listeners(reactor, addresses, self._crowded, self._foreign)
        self._certificates = Certificates(site.points, site.alarms, reactor, now)
        self._record: Recording | None = None
        self._own_rules = OwnRules(site.points, site.alarms)
        seen = self._certificates.seen
        self._called = Notifications(site, reactor, now, random.random, seen)

    def plans(self, settings: Settings) -> list[Plan]:
        """Return the parts that `settings` want, in the order of their start."""
        gantry, remote = settings.gantry, settings.remotecontrol
        plans: list[Plan] = []

        def plan(name: str, make: Callable[[Settings], Made], *made_of: Any) -> None:
            plans.append(Plan(name, made_of, partial(make, settings)))

        plan("store", self._watch_over_store)
        plan("history", self._recording, settings.history)
        plan("reactor lag", lambda _: (self._lag, nothing))
        plan("certificates", self._own_certificates, own_certificates(settings))
        plan("web", self._web, gantry, settings.web, settings.server_tls.get("web"))
        if settings.record.folder:  # before the devices: recording stops after them
            plan("record", self._recording_of_devices, settings.record)
        for entry in settings.devices:
            made_of = (gantry, entry.kind.kind, entry.settings, entry.adjusts, settings.record)
            plans.append(Plan(f"device {entry.name}", made_of, partial(self._device, entry)))
        for etc in settings.etc:
            of_etc = (gantry, etc, settings.cabinets, remote)
            plans.append(Plan(_uplink(etc.name), of_etc, partial(self._etc, settings, etc)))
        for fogslink in settings.fogslink:
            made = partial(self._fogslink, fogslink)
            plans.append(Plan(_uplink(fogslink.name), (gantry, fogslink), made))
        for name, table in settings.bridges.tables().items():
            plan(f"bridge {name}", partial(self._bridge, name, table), gantry, table)
        if settings.monitor is not None:
            tls = settings.server_tls.get("monitor")
            plan("monitor", self._monitor, gantry, settings.monitor, tls)
        if remote is not None:
            of_remote = (remote, settings.etc, settings.server_tls.get("remotecontrol"))
            plan("remotecontrol", self._remote, gantry, *of_remote, settings.cabinets)
        if settings.manhole.listen:
            plan("manhole", self._manhole, gantry, settings.manhole)
        plan("interlocks", self._interlocks, gantry, settings.interlocks)
        plans.extend(
            Plan(f"rule {rule.name}", (rule,), partial(self._own_rule, rule))
            for rule in settings.own_rules
        )
        names = tuple(each.name for each in settings.notify)
        plan("notify", lambda _: (self._called.left_off(names), nothing), names)
        for target in settings.notify:
            make = partial(self._called.make, gantry, target)
            plans.append(Plan(f"notify {target.name}", (gantry, target), make))
        return plans

    def stop(self) -> None:
        """Cancel the timers of the planner; the parts have stopped."""
        self._crowded.stop()
        self._foreign.stop()
        self._called.stop()

    def callback_plans(self) -> list[Plan]:
        return [
            Plan(f"{CALLBACKS}{place}", (), partial(self._callback, place))
            for place in self._listeners.callback_places()
        ]

    def _web(self, settings: Settings) -> Made:
        web, tls = settings.web, settings.server_tls.get("web")
        stream = Stream(self.site, self._reactor)
        diagnoses = Diagnoses(self._reactor, self._now)
        resource = web_resource(
            self.site,
            history=self._history,
            now=self._now,
            version=__version__,
            password=web.password,
            token=web.token,
            http_counts=self._listeners.counts,
            health=list,
            reactor_lag=self._lag.seconds,
            viewer_password=web.viewer_password,
            viewer_token=web.viewer_token,
            users=[each.user for each in web.user],
            stream=stream,
            clock=self._reactor,
            diagnoses=diagnoses,
            in_thread=self._threads.files,
            hashing=self._threads.passwords,
        )
        group = ServiceGroup()  # an open event stream ends with its listener
        group.add(stream)
        group.add(diagnoses)
        group.add(self._listeners.http("web", web.listen, resource, WEB_LIMITS, Counter(), tls=tls))
        return group, nothing

    def _watch_over_store(self, _: Settings) -> Made:
        file = DataFile(self._folder, self._now)
        watch = StoreWatch(self._store, file, self._reactor, self._threads.store)
        return cast("IService", _Started("store", watch)), nothing

    def _recording(self, settings: Settings) -> Made:
        failing = self._alarm(HISTORY_ALARM, "the history cannot be kept", "历史数据无法保存")
        points, interval = self.site.points, settings.history.interval
        recorder = Recorder(points, self._history, self._reactor, self._now, failing, interval)
        upkeep = Upkeep(self._history.step, self._reactor)
        deliveries = Deliveries(self.site, self._history, self._reactor, self._now)
        return cast("IService", _Started("history", recorder, deliveries, upkeep)), nothing

    def _own_certificates(self, settings: Settings) -> Made:
        self._certificates.own = own_certificates(settings)
        return cast("IService", _Started("certificates", self._certificates)), nothing

    def _alarm(self, name: str, en: str, zh: str) -> Callable[[str | None], None]:
        alarms = self.site.alarms

        def failing(reason: str | None) -> None:
            if reason is None:
                alarms.clear(name)
            else:
                alarms.set(name, Severity.WARNING, f"{en}: {reason}", f"{zh}：{reason}")

        return failing

    def _recording_of_devices(self, settings: Settings) -> Made:
        failing = self._alarm(RECORD_ALARM, "devices cannot be recorded", "设备报文无法录制")
        record, means = settings.record, (self._reactor, self._now, self._threads.files)
        self._record = Recording(
            record, self._folder, __version__, *means, token_bytes(32), failing
        )

        def unmake() -> None:
            self._record = None
            failing(None)

        return cast("IService", self._record), unmake

    def _device(self, entry: DeviceEntry) -> Made:
        site, name = self.site, entry.name
        tap: ITap = UNTAPPED
        if self._record is not None:
            kind = entry.kind.kind
            tap = self._record.tap(name, kind, entry.settings, site.gantry_id) or UNTAPPED
        registrations = self._listeners.registrations(tap)
        means = (self._reactor, site.points, self._now, self._random, self._threads.devices)
        context = DeviceContext(
            *means, site.store, registrations, site.gantry_id, tap, self._certificates.seen
        )
        site.points.adjust(name, entry.adjusts)
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

    def _etc(self, settings: Settings, etc: EtcSettings) -> Made:
        policy = server_policy(settings.remotecontrol, etc.url)
        more = (policy.allows, self._certificates.seen)
        return self._uplink(etc_uplink(etc, *self._for_uplinks(), *more))

    def _fogslink(self, fogslink: FogslinkSettings) -> Made:
        return self._uplink(
            fogslink_uplink(fogslink, *self._for_uplinks(), self._certificates.seen)
        )

    def _for_uplinks(self) -> tuple[Site, Any, Callable[[], float], Callable[[], float]]:
        return self.site, self._reactor, self._now, self._random.random

    def _uplink(self, uplink: IUplink) -> Made:
        site, name = self.site, uplink.status.name
        site.uplinks[name] = uplink

        def unmake() -> None:
            del site.uplinks[name]
            site.alarms.release(name)

        return uplink, unmake

    def _bridge(self, name: str, table: Any, _: Settings) -> Made:
        means = (self._reactor, self._now, self._random, self._threads.bridges)
        context = BridgeContext(self.site, *means, self._certificates.seen)
        return made_bridge(name, table, context)

    def _monitor(self, settings: Settings) -> Made:
        assert settings.monitor is not None
        means = (self.site, self._reactor, self._now)
        computers = UploadedComputers(*means, settings.monitor.computers)
        monitor = Monitor(settings.monitor, *means, computers.take)
        served, unserve = self._served("monitor", settings.monitor.listen, monitor, settings)
        group = ServiceGroup()
        group.add(computers)
        group.add(served)

        def unmake() -> None:
            computers.end()
            unserve()

        return group, unmake

    def _remote(self, settings: Settings) -> Made:
        remote = settings.remotecontrol
        assert remote is not None
        assert remote.auth is not None  # checked by the configuration
        control = RemoteControl(
            remote,
            self.site,
            self._commanders(remote.auth, settings.etc),
            clock=self._reactor,
            now=self._now,
            in_thread=self._threads.files,
        )
        return self._served("remotecontrol", remote.listen, control, settings)

    def _commanders(self, auth: Secret, etc: Sequence[EtcSettings]) -> list[Commander]:
        """Return the platforms that may command; `auth` is the code of the first."""
        able = [each for each in etc if each.commands]
        if not able:
            return [Commander(auth)]
        codes = [auth, *(each.auth for each in able[1:])]
        uplinks = [self.site.uplinks.get(each.name) for each in able]
        return [
            Commander(code, IPlatform(uplink, None), each.name, each.url)
            for code, uplink, each in zip(codes, uplinks, able, strict=True)
        ]

    def _manhole(self, settings: Settings) -> Made:
        counts = self._listeners.counts["manhole"] = Counter()
        made = manhole_service(
            settings.manhole,
            self.site,
            self._folder,
            self._reactor,
            self._now,
            counts,
            self._crowded.at("manhole"),
        )

        def unmake() -> None:
            del self._listeners.counts["manhole"]

        return made, unmake

    def _interlocks(self, settings: Settings) -> Made:
        site = self.site
        interlocks = Interlocks(
            settings.interlocks, site.points, site.door, site.alarms, site.store, self._reactor
        )
        site.interlocks = interlocks

        def unmake() -> None:
            if site.interlocks is interlocks:
                site.interlocks = None
            for alarm in site.alarms.active("interlock"):
                site.alarms.clear(alarm.name)

        return cast("IService", _Started("interlocks", interlocks)), unmake

    def _own_rule(self, rule: OwnRule) -> Made:
        service = cast("IService", _Judged(rule, self._own_rules))
        name = f"{SOURCE}.{rule.name}"
        return service, lambda: self.site.alarms.release(SOURCE, name)

    def _callback(self, place: str) -> Made:
        return self._listeners.callback(place), nothing

    def _served(self, name: str, place: str, served: Served, settings: Settings) -> Made:
        def unmake() -> None:
            del self._listeners.counts[name]

        tls = settings.server_tls.get(name)
        return self._listeners.served(name, place, served, tls), unmake
