"""The twin as one service: the world, its faces, and the control API."""

import random
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IProtocolFactory, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.protocols.policies import WrappingFactory

from twisted_gantry.twin.control import Control
from twisted_gantry.twin.etc import Platform
from twisted_gantry.twin.faults import ETC, UPS_TCP, Faults
from twisted_gantry.twin.listener import CannotListen, Closable, Listener
from twisted_gantry.twin.upscard import Card, UpsCardFactory
from twisted_gantry.twin.world.world import World
from twisted_gantry.wire.etc import TEST_AUTH
from twisted_gantry.wire.upscard import MAX_PASSWORD

_log = Logger()

CONTROL = "control"
STEP_S = 0.1
FASTEST = 3600.0
# Time that a stalled process has lost is not made up for beyond this: at the highest speed it would
# stall again.
LONGEST_ELAPSED_S = 1.0


class TwinSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a twin is set up; without any it has the demo's ports, ids and credentials.

    `speed` is simulated seconds a second. Equal seeds give equal noise and faults. `world` changes
    the world before it starts. Raises ValueError for what is out of range.
    """

    ups_tcp: str = "tcp:2390:interface=127.0.0.1"
    etc: str = "tcp:8088:interface=127.0.0.1"
    control: str = "tcp:8081:interface=127.0.0.1"
    world: dict[str, Any] = {}
    speed: float = 1.0
    seed: int | None = None
    ups_password: str | None = None
    gantry_id: str = "G000211001002110010"
    auth: str = TEST_AUTH

    def __repr__(self) -> str:
        """Show the ports, never the passwords."""
        return f"TwinSettings({self.ups_tcp!r}, {self.etc!r}, {self.control!r})"

    def __post_init__(self) -> None:
        if not 0 < self.speed <= FASTEST:
            raise ValueError(f"speed must be above 0 and at most {FASTEST:g}")
        if self.ups_password is not None and not 0 < len(self.ups_password) <= MAX_PASSWORD:
            raise ValueError(f"ups_password must have 1 to {MAX_PASSWORD} characters")


class Stepper(Service):
    """Lets the world's time pass with the clock's, `speed` times as fast."""

    def __init__(self, world: World, clock: IReactorTime, speed: float) -> None:
        self._world, self._clock, self._speed = world, clock, speed
        self._last = 0.0
        self._loop = LoopingCall(self._step)
        self._loop.clock = clock

    def startService(self) -> None:
        super().startService()  # type: ignore[no-untyped-call]
        self._last = self._clock.seconds()
        self._loop.start(STEP_S, now=False).addErrback(
            lambda failure: _log.failure("the world stands still", failure=failure)
        )

    def stopService(self) -> None:
        super().stopService()  # type: ignore[no-untyped-call]
        if self._loop.running:
            self._loop.stop()

    def _step(self) -> None:
        now = self._clock.seconds()
        elapsed, self._last = now - self._last, now
        try:
            self._world.step(min(max(elapsed, 0.0), LONGEST_ELAPSED_S) * self._speed)
        except Exception:
            _log.failure("a step of the world failed")  # a loop that raises never runs again


class Twin(MultiService):
    """The whole twin. `listeners` are named as the faces: `ups-tcp`, `etc`; and `control`."""

    def __init__(
        self, world: World, faults: Faults, ups_card: UpsCardFactory, platform: Platform
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.world, self.faults = world, faults
        self.ups_card, self.platform = ups_card, platform
        self.listeners: dict[str, Listener] = {}

    def add_listener(self, name: str, listener: Listener) -> None:
        """Make `listener` one of the services, under the name of its face."""
        listener.setName(name)  # type: ignore[no-untyped-call]
        listener.setServiceParent(self)  # type: ignore[no-untyped-call]
        self.listeners[name] = listener

    def port(self, name: str) -> int:
        """Return the TCP port of a listener that is up. Raises RuntimeError if it is not."""
        return self.listeners[name].port

    def privilegedStartService(self) -> None:
        self._start(super().privilegedStartService)

    def startService(self) -> None:
        self._start(super().startService)

    def stopService(self) -> Deferred[Any]:
        """Stop all of it; fires when nothing listens and no session is open."""
        stopped: Deferred[Any] = super().stopService()  # type: ignore[no-untyped-call]
        return stopped

    def _start(self, start: Callable[[], object]) -> None:
        """Start all, or none: after a failure nothing listens on."""
        try:
            start()
        except CannotListen:
            self.stopService().addErrback(
                lambda failure: _log.failure("stopping failed", failure=failure)
            )
            raise


def build_twin(settings: TwinSettings, reactor: Any, now: Callable[[], float]) -> Twin:
    """Wire a twin; it listens once it is started.

    `reactor` gives sockets and monotonic time, `now` Unix seconds. Raises ValueError for an
    endpoint that is none, and WorldError for a world that cannot be.
    """
    # Not for secrets: noise and faults, which a seed must be able to repeat.
    seeds = random.Random(settings.seed)  # noqa: S311
    world = World(random.Random(seeds.random()))  # noqa: S311
    world.change(settings.world)
    faults = Faults(reactor.seconds, random.Random(seeds.random()))  # noqa: S311
    card = Card(world.ups["ups1"], password=settings.ups_password or "")
    ups_card = UpsCardFactory(card, faults, reactor)
    platform = Platform(faults, reactor, now, gantry_id=settings.gantry_id, auth=settings.auth)
    control = Control(world, faults, platform, {UPS_TCP: ups_card.counts, ETC: platform.counts})
    twin = Twin(world, faults, ups_card, platform)
    sites = {ETC: platform.site(), CONTROL: control.site(reactor)}

    def add(name: str, place: str, factory: IProtocolFactory) -> None:
        try:
            endpoint = serverFromString(reactor, place)
        except (ValueError, TypeError, OSError) as error:
            raise ValueError(f"{name}: {place!r} is no endpoint: {error}") from None
        listener = Listener(reactor, place, endpoint, factory, lambda: _open(factory))
        twin.add_listener(name, listener)

    add(UPS_TCP, settings.ups_tcp, ups_card)
    add(ETC, settings.etc, sites[ETC])
    add(CONTROL, settings.control, sites[CONTROL])
    Stepper(world, reactor, settings.speed).setServiceParent(twin)  # type: ignore[no-untyped-call]
    return twin


def _open(factory: IProtocolFactory) -> Iterable[Closable]:
    """Return the open connections of a face."""
    if isinstance(factory, UpsCardFactory):
        return list(factory.sessions)
    assert isinstance(factory, WrappingFactory)  # what bounded_site returns
    return list(factory.protocols)
