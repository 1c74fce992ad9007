"""The twin as one service: the world, its faces, and the control API."""

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory

from twisted_gantry.net.http.client import BoundedClient, persistent_pool, treq_client
from twisted_gantry.net.http.server import with_backlog
from twisted_gantry.net.listener import CannotListen, Closable, Listener
from twisted_gantry.net.open_files import open_files
from twisted_gantry.net.service import NamedService, ServiceGroup
from twisted_gantry.net.timers import GuardedLoop
from twisted_gantry.twin.control import Control
from twisted_gantry.twin.dialects.registry import Voices
from twisted_gantry.twin.faces.bms import Ems
from twisted_gantry.twin.faces.cabinet.face import MONITOR_URL, CabinetTwin
from twisted_gantry.twin.faces.cfos.face import ADMIN_PASSWORD, PowerBrain
from twisted_gantry.twin.faces.etc.entry import DEFAULT_RATE
from twisted_gantry.twin.faces.etc.platform import REMOTE_URL, Platform
from twisted_gantry.twin.faces.fogslink.cloud import MAX_SESSIONS, Cloud, CloudFactory
from twisted_gantry.twin.faces.modbus import ModbusFactory
from twisted_gantry.twin.faces.relay import RelayFactory, RelayWork
from twisted_gantry.twin.faces.tcp import SessionFactory
from twisted_gantry.twin.faces.upscard.card import Card, UpsCardFactory
from twisted_gantry.twin.faces.upscard.http import ups_http_face
from twisted_gantry.twin.faults import settings as face
from twisted_gantry.twin.notifications import DEMO_SECRET, NotificationReceiver
from twisted_gantry.twin.scenarios.runner import FASTEST, Runner
from twisted_gantry.twin.scenarios.script import load_scenario
from twisted_gantry.twin.world.model import World
from twisted_gantry.twin.world_file import CabinetSettings, RelaySettings
from twisted_gantry.wire import modbus
from twisted_gantry.wire.etc.envelope import TEST_AUTH
from twisted_gantry.wire.upscard.messages import MAX_PASSWORD

_log = Logger()

CONTROL = "control"
# Sessions at the cloud with `any_gantry`, and open files of all other faces.
MOST_GANTRIES, OTHER_FILES = 20_000, 2000
STEP_S = 0.1
# A stalled process makes up for at most this: at the highest speed it would stall again.
LONGEST_ELAPSED_S = 1.0
# Bytes of an answer to the platform or the cabinet: a picture, or a white list.
LONGEST_ANSWER = 32 * 1024 * 1024


class TwinSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a twin; the defaults are the demo's ports, ids and credentials.

    The endpoints have the names of the faces. `speed` is in simulated seconds a second; the world
    steps each `step` seconds. Equal seeds
    give equal noise and faults. `world` changes the world before the start, `dialects` how its
    endpoints speak; `cabinets` and `relays` come beside the first cabinet. The cabinet uploads to
    `monitor_url`, and the platform commands `remote_url`. `scenario` names one to run from the
    start. With `any_gantry` platform and cloud know every gantry and device, under the same
    credentials, at any rate. `modbus` listens where its library is. Raises ValueError for
    a value out of range.
    """

    ups_tcp: str = "tcp:2390:interface=127.0.0.1"
    ups_http: str = "tcp:2380:interface=127.0.0.1"
    cfos: str = "tcp:4700:interface=127.0.0.1"
    ems: str = "tcp:4800:interface=127.0.0.1"
    cabinet: str = "tcp:3700:interface=127.0.0.1"
    etc: str = "tcp:8088:interface=127.0.0.1"
    fogslink: str = "tcp:63321:interface=127.0.0.1"
    modbus: str = "tcp:4750:interface=127.0.0.1"
    control: str = "tcp:8081:interface=127.0.0.1"
    world: dict[str, Any] = {}
    dialects: dict[str, Any] = {}
    cabinets: tuple[CabinetSettings, ...] = ()
    relays: tuple[RelaySettings, ...] = ()
    speed: float = 1.0
    step: Annotated[float, msgspec.Meta(ge=0.01, le=LONGEST_ELAPSED_S)] = STEP_S
    scenario: str = ""
    seed: int | None = None
    ups_password: str | None = None
    gantry_id: str = "G000211001002110010"
    any_gantry: bool = False
    auth: str = TEST_AUTH
    monitor_url: str = MONITOR_URL
    remote_url: str = REMOTE_URL
    cfos_password: str = ADMIN_PASSWORD
    device_uid: str = "bms-0001"
    eq_sn: str = "12345678"
    api_key: str = "1234567890123456"
    notify_secret: str = DEMO_SECRET

    def __repr__(self) -> str:
        """Show the ports, never the passwords."""
        return f"TwinSettings({self.ups_tcp!r}, {self.etc!r}, {self.control!r})"

    def __post_init__(self) -> None:
        if not 0 < self.speed <= FASTEST:
            raise ValueError(f"speed must be above 0 and at most {FASTEST:g}")
        if self.ups_password is not None and not 0 < len(self.ups_password) <= MAX_PASSWORD:
            raise ValueError(f"ups_password must have 1 to {MAX_PASSWORD} characters")


_FACES = ("ups_tcp", "ups_http", "cfos", "ems", "cabinet", "etc", "fogslink", "modbus")
# For tests: no request goes to a port where a gantry may listen.
ON_FREE_PORTS: Mapping[str, Any] = {
    **dict.fromkeys((*_FACES, "control"), "tcp:0:interface=127.0.0.1"),
    "monitor_url": "http://127.0.0.1:1/monitor.do",
    "remote_url": "http://127.0.0.1:1/remotecontrol.do",
}


class Stepper(NamedService):
    """Lets the world's time pass, `speed` times as fast as the clock's."""

    def __init__(
        self,
        world: World | Runner,
        clock: IReactorTime,
        speed: Callable[[], float],
        step: float = STEP_S,
    ) -> None:
        super().__init__("Stepper")
        self._world, self._clock, self._speed, self._step_s = world, clock, speed, step
        self._last = 0.0
        self._loop = GuardedLoop(clock, self._step, "a step of the world")

    def startService(self) -> None:
        super().startService()
        self._last = self._clock.seconds()
        self._loop.start(self._step_s, now=False)

    def stopService(self) -> None:
        super().stopService()
        self._loop.stop()

    def _step(self) -> None:
        now = self._clock.seconds()
        elapsed, self._last = now - self._last, now
        self._world.step(min(max(elapsed, 0.0), LONGEST_ELAPSED_S) * self._speed())


class Twin(ServiceGroup):
    """The whole twin; `listeners` have the names of the faces, and `control`."""

    def __init__(
        self,
        world: World,
        faults: face.Faults,
        cards: Mapping[str, Card],
        platform: Platform,
        cloud: Cloud,
        voices: Voices,
        receiver: NotificationReceiver,
        close: Callable[[], Deferred[Any]],
    ) -> None:
        super().__init__()
        self.world, self.faults, self.cards = world, faults, cards
        self.platform, self.cloud, self.voices = platform, cloud, voices
        self.receiver = receiver
        self.listeners: dict[str, Listener] = {}
        self._close = close

    def port(self, name: str) -> int:
        """Return the TCP port of a listener that is up. Raises RuntimeError if it is not."""
        return self.listeners[name].port

    def privilegedStartService(self) -> None:
        self._start(super().privilegedStartService)

    def startService(self) -> None:
        self._start(super().startService)

    def stopService(self) -> Deferred[Any]:
        """Stop all services; the Deferred fires when no connection is open."""
        return super().stopService().addCallback(lambda _: self._close())

    def _start(self, start: Callable[[], object]) -> None:
        """Start all or none: after a failure nothing listens."""
        try:
            start()
        except CannotListen:
            self.stopService().addErrback(lambda f: _log.failure("stopping failed", failure=f))
            raise


def build_twin(settings: TwinSettings, reactor: Any, now: Callable[[], float]) -> Twin:
    """Wire a twin; it listens once it is started.

    `reactor` has sockets and monotonic time, `now` returns Unix seconds. Raises ValueError for an
    invalid endpoint, WorldError for `world`, UnknownDialect or UnknownEndpoint for `dialects`, and
    UnknownScenario or CannotStart for a scenario.
    """
    # For noise and faults, which a seed makes repeatable; not for secrets.
    seeds = random.Random(settings.seed)  # noqa: S311
    more_cabinets = [each.name for each in settings.cabinets]
    world = World(random.Random(seeds.random()), more_cabinets)  # noqa: S311
    world.change(settings.world)
    faults = face.Faults(reactor.seconds, random.Random(seeds.random()))  # noqa: S311
    pool = persistent_pool(reactor)
    client = BoundedClient(treq_client(reactor, pool), reactor, limit=LONGEST_ANSWER)
    password = settings.ups_password or ""
    cards = {name: Card(ups, password=password) for name, ups in world.ups.items()}
    ups_tcp = UpsCardFactory(cards["ups1"], faults, reactor)
    ups_http = ups_http_face(cards["ups2"], faults, reactor)
    brain = PowerBrain(world.charging, faults, reactor, now, admin_password=settings.cfos_password)
    ems = Ems({settings.device_uid: world.storage["bms1"]}, faults, reactor)
    gantry: dict[str, Any] = {"gantry_id": settings.gantry_id, "auth": settings.auth}
    ids = {each.name: each.id for each in settings.cabinets}
    cabinets = {
        name: CabinetTwin(
            cabinet,
            *(faults, reactor, now, client),
            **gantry,
            cabinet_id=ids.get(name, "1"),
            monitor_url=settings.monitor_url,
        )
        for name, cabinet in world.cabinets.items()
    }
    platform = Platform(
        faults,
        reactor,
        now,
        **gantry,
        any_gantry=settings.any_gantry,
        client=client,
        remote_url=settings.remote_url,
        rate=0.0 if settings.any_gantry else DEFAULT_RATE,
    )
    runner = Runner(world, faults, platform, now, settings.speed)
    most = MAX_SESSIONS
    if settings.any_gantry:
        most = max(open_files(MOST_GANTRIES + OTHER_FILES) - OTHER_FILES, most)
    cloud = Cloud(
        faults,
        reactor,
        now,
        {settings.eq_sn: settings.api_key},
        any_key=settings.api_key if settings.any_gantry else "",
        most=most,
    )
    fogslink = with_backlog(settings.fogslink, cloud.most)
    faces: list[tuple[str, str, IProtocolFactory, Counter[str]]] = [
        (face.UPS_TCP, settings.ups_tcp, ups_tcp, ups_tcp.counts),
        (face.UPS_HTTP, settings.ups_http, ups_http.site(), ups_http.counts),
        (face.CFOS, settings.cfos, brain.site(), brain.counts),
        (face.EMS, settings.ems, ems.site(), ems.counts),
        (face.CABINET, settings.cabinet, cabinets["cab1"].site(), cabinets["cab1"].counts),
        (face.ETC, settings.etc, platform.site(), platform.counts),
        (face.FOGSLINK, fogslink, CloudFactory(cloud), cloud.counts),
    ]
    if modbus.installed():
        gateway = ModbusFactory(world, faults, reactor)
        faces.append((face.MODBUS, settings.modbus, gateway, gateway.counts))
    for each in settings.cabinets:
        more = cabinets[each.name]
        faces.append((each.name, each.endpoint, more.site(), more.counts))
    for number, relay in enumerate(settings.relays, 1):
        made = relay_face(relay, world)
        faces.append((f"relay{number}", relay.endpoint(number), made, made.counts))
    voices = Voices(
        {name: card.voice for name, card in cards.items()}
        | {name: each.voice for name, each in cabinets.items()}
        | {"cfos": brain.voice, "bms1": ems.voice, "etc": platform.voice, "fogslink": cloud.voice}
    )
    voices.speak(settings.dialects)
    counts = {name: counts for name, *_, counts in faces}
    receiver = NotificationReceiver(settings.notify_secret, now)
    control = Control(world, faults, platform, cloud, counts, runner, voices, receiver)
    faces.append((CONTROL, settings.control, control.site(reactor), control.counts))
    twin = Twin(
        world, faults, cards, platform, cloud, voices, receiver, pool.closeCachedConnections
    )
    services: list[Any] = [ups_http, Stepper(runner, reactor, lambda: runner.speed, settings.step)]
    for service in services:
        service.setName(type(service).__name__)  # the listener has the name of the face
        twin.add(service)
    for name, cabinet in cabinets.items():
        cabinet.setName(f"CabinetTwin {name}")  # type: ignore[no-untyped-call]
        twin.add(cabinet)
    for name, place, factory, _ in faces:
        listener = twin.listeners[name] = listener_of(name, place, factory, reactor)
        listener.setServiceParent(twin)  # type: ignore[no-untyped-call]
    if settings.scenario:
        runner.start(load_scenario(settings.scenario))
    return twin


def relay_face(relay: RelaySettings, world: World) -> RelayFactory:
    """Return a relay that switches a variable of the world."""
    on, off, confirm = (bytes.fromhex(each) for each in (relay.on, relay.off, relay.confirm))
    switch: Callable[[bool], None] = lambda on: world.change({relay.switches: on})  # noqa: E731
    return RelayFactory(RelayWork(on, off, confirm, switch))


def listener_of(name: str, place: str, factory: IProtocolFactory, reactor: Any) -> Listener:
    """Return a service that listens on the endpoint `place`. Raises ValueError."""
    try:
        endpoint = serverFromString(reactor, place)
    except (ValueError, TypeError, OSError) as error:
        raise ValueError(f"{name}: {place!r} is no endpoint: {error}") from None
    listener = Listener(reactor, place, endpoint, factory, lambda: _open(factory))
    listener.setName(name)  # type: ignore[no-untyped-call]
    return listener


def _open(factory: IProtocolFactory) -> Iterable[Closable]:
    if isinstance(factory, SessionFactory):
        return list(factory.sessions)
    assert isinstance(factory, WrappingFactory)  # what bounded_site returns
    return list(factory.protocols)
