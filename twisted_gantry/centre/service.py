"""The service that twistd runs: opens the store, starts the parts of its role, and ends them."""

import gc
import os
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

from twisted.application.service import IService
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from twisted_gantry.centre import demo
from twisted_gantry.centre.fronts.cloud import CloudFront
from twisted_gantry.centre.fronts.monitor import MonitorFront
from twisted_gantry.centre.listening import Place
from twisted_gantry.centre.registry import Registry
from twisted_gantry.centre.settings import Role, Settings
from twisted_gantry.centre.store.engine import Engine, Unusable
from twisted_gantry.centre.store.opening import engine_of, open_store
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.centre.store.sealing import Sealing, WrongKey, read_key
from twisted_gantry.centre.store.store import ReportStore
from twisted_gantry.logs import LEVELS, MASKS, SPEECH
from twisted_gantry.net.endpoints import port_of
from twisted_gantry.net.listener import CannotListen
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.net.slots import Allowed
from twisted_gantry.net.systemd import notifier_of

_log = Logger()
KEY = "centre.key"
"""The file of the sealing key in the data folder."""


class CannotStart(Exception):
    """The centre cannot start, for a reason that an operator can correct."""


class Centre(ServiceGroup):
    """One process of the centre, in its `role`. The parts end before the store: reports that wait
    are committed, and what cannot be is answered 1008.
    """

    def __init__(
        self,
        settings: Settings,
        role: Role,
        folder: Path,
        reactor: Any,
        *,
        demo: bool,
        daemon: bool,
        read: Callable[[], Settings],
    ) -> None:
        super().__init__()
        self._settings, self._role, self._folder, self._reactor = settings, role, folder, reactor
        self._demo, self._daemon, self._read = demo, daemon, read
        self._notifier = notifier_of(os.environ)
        self._store: ReportStore | None = None
        self.counts: dict[str, Counter[str]] = {}
        """What the servers count, by their names."""
        self.name_of_process = f"{socket.gethostname()}-{uuid4().hex[:8]}"

    def startService(self) -> None:
        """Start everything; an error that an operator can correct ends the program with a line."""
        super().startService()
        try:
            self._start()
        except (Unusable, WrongKey, CannotListen, CannotListenError, OSError) as error:
            if self._daemon:  # twistd's parent process hears of an exception, but not of an exit
                raise CannotStart(f"gantry-centre: {error}") from None
            sys.exit(f"gantry-centre: {error}")

    def stopService(self) -> Deferred[Any]:
        self._notifier.stopping()
        return ensureDeferred(self._stop())

    async def _stop(self) -> None:
        await super().stopService()
        if self._store is not None:
            await self._store.close()

    def _start(self) -> None:
        settings = self._settings
        LEVELS.set(settings.log.levels)
        SPEECH.set(settings.log.language)
        MASKS.set(settings.secrets())
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        sealing = read_key(Path(settings.store.key) if settings.store.key else self._folder / KEY)
        engine = engine_of(settings.store.url, self._folder)
        filing = Filing(self.name_of_process, settings.store.retention_days)
        room, size = settings.store.queue, settings.store.max_size
        store = self._store = open_store(engine, filing, self._reactor, room, size)
        self._prepare(engine, sealing)
        if self._role in ("all", "front"):
            self._start_fronts(store, sealing)
        if self._demo:
            self._start_demo()
        self._reactor.callWhenRunning(self._ready)

    def _start_fronts(self, store: ReportStore, sealing: Sealing) -> None:
        settings, reactor = self._settings, self._reactor
        registry = Registry(store, sealing, reactor)
        shared = not settings.store.is_sqlite
        monitor = MonitorFront(
            reactor,
            settings.monitor,
            store,
            registry,
            time.time,
            tls=settings.server_tls.get("monitor"),
            shared=shared,
        )
        tls = settings.server_tls.get("cloud")
        counts = self.counts["cloud-tls"] = Counter()
        place = Place(reactor, "cloud", settings.cloud.listen, counts, tls=tls, shared=shared)
        cloud = CloudFront(
            reactor,
            settings.cloud.listen,
            place,
            store,
            registry,
            self.name_of_process,
            time.time,
            allowed=Allowed(settings.cloud.allowed_clients),
        )
        self.counts |= {"monitor": monitor.counts, "cloud": cloud.counts}
        for part in (registry, monitor, cloud):
            self.add(cast("IService", part))

    def _prepare(self, engine: Engine, sealing: Sealing) -> None:
        """Hold the key against the database, and fill the registry of the demonstration. This
        blocks. Raises WrongKey.
        """
        connection = engine.connect()
        try:
            connection.transaction(sealing.prove)
            if self._demo:
                connection.transaction(lambda session: demo.register(session, sealing))
        finally:
            connection.close()

    def _start_demo(self) -> None:
        url = f"http://127.0.0.1:{port_of(self._settings.monitor.listen)}/monitor.do"
        cloud = f"tcp:127.0.0.1:{port_of(self._settings.cloud.listen)}"
        self.add(demo.build_demo(url, cloud, demo.COMMANDS, self._reactor, time.time))

    def _ready(self) -> None:
        gc.collect()
        gc.freeze()
        self._notifier.ready()
