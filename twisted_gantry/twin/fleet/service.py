"""A fleet: many gantries in one process, to load a platform and a cloud under test."""

import gc
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.endpoints import clientFromString
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint
from twisted.logger import Logger

from twisted_gantry.net.http.client import BoundedClient, persistent_pool, treq_client
from twisted_gantry.net.open_files import open_files
from twisted_gantry.net.service import NamedService
from twisted_gantry.twin.fleet.cabinets import Cabinets
from twisted_gantry.twin.fleet.cloud import Sessions
from twisted_gantry.twin.fleet.readings import Gantry, SharedWorld, gantries, shared_worlds
from twisted_gantry.twin.fleet.settings import FleetSettings
from twisted_gantry.twin.fleet.uploads import ROUND, Uploads
from twisted_gantry.twin.fleet.wheel import Wheel
from twisted_gantry.wire.etc.envelope import Method

_log = Logger()

# What a process opens beside its connections: the log, the reactor's own, the control API.
SPARE_FILES = 100
TELL_S = 10.0
STEP_S = 1.0


class Fleet(NamedService):
    """The gantries of a fleet. `now` gives Unix seconds; `close` lets idle connections go. `settle`
    is called once, when every session is up: all long-lived objects exist then. Every ten seconds a
    line in the log shows the counts.
    """

    def __init__(
        self,
        settings: FleetSettings,
        clock: IReactorTime,
        now: Callable[[], float],
        client: BoundedClient,
        endpoint: IStreamClientEndpoint | None,
        *,
        close: Callable[[], Deferred[Any]],
        settle: Callable[[], None],
    ) -> None:
        super().__init__("fleet")
        # Not for secrets: phases and noise, which a seed must be able to repeat.
        random = Random(settings.seed)  # noqa: S311
        self.settings = settings
        self.wheel = Wheel(clock)
        self.worlds: list[SharedWorld] = shared_worlds(random, now, settings.worlds)
        self.gantries = list(gantries(settings, self.worlds, random))
        self._by_id = {each.gantry_id: each for each in self.gantries}
        self.uploads: Uploads | None = None
        self.sessions: Sessions | None = None
        self.cabinets: Cabinets | None = None
        if settings.platform:
            methods = (Method.COMPUTER_STATUS,) if settings.remotecontrol else ROUND
            self.uploads = Uploads(
                self.gantries, self.wheel, now, client, random, settings, methods
            )
        if settings.remotecontrol:
            self.cabinets = Cabinets(
                self.gantries, self.wheel, clock, now, client, random, settings
            )
        if endpoint is not None:
            self.sessions = Sessions(
                self.gantries, self.wheel, clock, now, endpoint, random, settings
            )
        self._close, self._settle = close, settle
        self._settled = False
        self._began = clock.seconds()

    def startService(self) -> None:
        super().startService()
        self._began = self.wheel.seconds()
        self.wheel.start()
        self.wheel.every(STEP_S, self._step, STEP_S)
        self.wheel.every(TELL_S, self._tell, TELL_S)
        if self.uploads is not None:
            self.uploads.start()
        if self.sessions is not None:
            self.sessions.start()
        if self.cabinets is not None:
            self.cabinets.startService()

    def stopService(self) -> Deferred[None]:
        """End; fires when every connection is closed."""
        super().stopService()
        self.wheel.stop()
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        if self.uploads is not None:
            self.uploads.stop()
        if self.cabinets is not None:
            await self.cabinets.stopService()
        if self.sessions is not None:
            await self.sessions.stop()
        await self._close()
        # The ends of the sessions may have set timers.
        self.wheel.stop()

    def shown(self) -> dict[str, Any]:
        """Return all counts, for JSON; null in place of a platform or a cloud that is not given."""
        return {
            "gantries": len(self.gantries),
            "seconds": round(self.wheel.seconds() - self._began, 1),
            "etc": None if self.uploads is None else self.uploads.shown(),
            "fogslink": None if self.sessions is None else self.sessions.shown(),
            "cabinets": None if self.cabinets is None else self.cabinets.shown(),
        }

    def gantry(self, gantry_id: str) -> Gantry:
        """Return a gantry of this fleet. Raises KeyError."""
        return self._by_id[gantry_id]

    def _step(self) -> None:
        for world in self.worlds:
            world.step(STEP_S)
        if not self._settled and (self.sessions is None or self.sessions.up == len(self.gantries)):
            self._settled = True
            self._settle()

    def _tell(self) -> None:
        parts = []
        uploads, sessions = self.uploads, self.sessions
        if uploads is not None:
            parts.append(f"uploads {uploads.tally.told()}")
        if sessions is not None:
            again = sessions.counts["reconnections"]
            parts.append(f"{sessions.up} of {len(self.gantries)} sessions up, {again} again")
            parts.append(f"packs {sessions.packs.told()}")
            parts.append(f"heartbeats {sessions.heartbeats.told()}")
        _log.info("fleet: {how}", how="; ".join(parts))


def build_fleet(settings: FleetSettings, reactor: Any, now: Callable[[], float]) -> Fleet:
    """Wire a fleet; it begins once it is started. `reactor` gives sockets and monotonic time, `now`
    Unix seconds. Raises ValueError for a `cloud` that is no endpoint.
    """
    pool = persistent_pool(reactor, per_host=settings.connections)
    client = BoundedClient(treq_client(reactor, pool), reactor)
    endpoint = None
    if settings.cloud:
        try:
            endpoint = clientFromString(reactor, settings.cloud)
        except (ValueError, TypeError, KeyError) as error:
            raise ValueError(f"{settings.cloud!r} is no client endpoint: {error}") from None
    return Fleet(
        settings,
        reactor,
        now,
        client,
        endpoint,
        close=pool.closeCachedConnections,
        settle=_spare_the_collector,
    )


def _spare_the_collector() -> None:
    """Keep the sessions out of garbage collection. A collection looked at all of them, half a
    second for 5,000, which showed as latency of the platform. A collection before the freeze would
    be one more such pause.
    """
    gc.freeze()


def raise_open_files(settings: FleetSettings) -> None:
    """Let this process open as many files as the fleet needs, up to the hard limit of the system.
    Raises ValueError, which says what to do, where that is too low.
    """
    needed = settings.connections + SPARE_FILES + (settings.gantries if settings.cloud else 0)
    most = open_files(needed)
    if most < needed:
        raise ValueError(
            f"{settings.gantries} gantries need {needed} open files, and {most} is the hard limit "
            "of this process: raise it (ulimit -Hn, LimitNOFILE= of a systemd unit)"
        )
