"""The service that twistd runs: opens the store, starts the parts of its role, and ends them."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from twisted_gantry.centre import demo
from twisted_gantry.centre.parts import Parts
from twisted_gantry.centre.settings import Role, Settings
from twisted_gantry.centre.store import registry
from twisted_gantry.centre.store.engine import Connection, Unusable
from twisted_gantry.centre.store.opening import engine_of, open_store
from twisted_gantry.centre.store.registry import Changes
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.centre.store.sealing import Sealing, WrongKey, read_key
from twisted_gantry.centre.store.store import ReportStore
from twisted_gantry.centre.workers.pulse import Identity
from twisted_gantry.logs import LEVELS, MASKS, SPEECH
from twisted_gantry.net import interpreter
from twisted_gantry.net.endpoints import port_of
from twisted_gantry.net.listener import CannotListen
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.net.systemd import notifier_of, watchdog_period
from twisted_gantry.net.timers import GuardedLoop
from twisted_gantry.settings.tables import ConfigError

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
        self._settings, self._folder, self._reactor = settings, folder, reactor
        self._demo, self._daemon, self._read = demo, daemon, read
        self._notifier = notifier_of(os.environ)
        self._store: ReportStore | None = None
        self._known: Changes | None = None
        self._heart = GuardedLoop(reactor, self._notifier.alive, "the watchdog")
        place = f"{socket.gethostname()}:{folder}:{settings.monitor.listen}:{role}"
        self._identity = Identity(f"{socket.gethostname()}-{uuid4().hex[:8]}", place, role)

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
        self._heart.stop()
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
        filing = Filing(self._identity.name, settings.store.retention_days)
        room, size = settings.store.queue, settings.store.max_size
        prepare = partial(self._prepare, sealing)
        store = self._store = open_store(engine, filing, self._reactor, room, size, prepare)
        known, now = self._known, time.time
        parts = Parts(settings, self._identity, store, sealing, self._reactor, now, known)
        self.add(parts.pulse())
        if self._identity.serves:
            self.add(parts.fronts())
        if self._identity.works:
            self.add(parts.workers())
        # Fronts of one machine have one configuration: only an endpoint of its own is theirs.
        if self._identity.works or settings.web_given:
            self.add(parts.web())
        if self._demo:
            self._start_demo()
        self._reactor.callWhenRunning(self._ready)

    def _prepare(self, sealing: Sealing, connection: Connection) -> None:
        """Hold the key against the database, fill the registry of the demonstration, and read the
        registry for the fronts: from their first request on they know it. Raises Unusable.
        """
        try:
            connection.transaction(sealing.prove)
        except WrongKey as error:
            raise Unusable(str(error)) from None
        if self._demo:
            connection.transaction(lambda session: demo.register(session, sealing))
        if self._identity.serves:
            self._known = connection.transaction(
                lambda session: registry.changes(session, registry.NO_VERSION, sealing)
            )

    def _start_demo(self) -> None:
        url = f"http://127.0.0.1:{port_of(self._settings.monitor.listen)}/monitor.do"
        cloud = f"tcp:127.0.0.1:{port_of(self._settings.cloud.listen)}"
        self.add(demo.build_demo(url, cloud, demo.COMMANDS, self._reactor, time.time))

    def _ready(self) -> None:
        interpreter.settle()
        self._notifier.ready()
        period = watchdog_period(os.environ, os.getpid())
        if period is not None:
            self._heart.start(period)
        if threading.current_thread() is threading.main_thread():
            call = self._reactor.callFromThread
            signal.signal(signal.SIGHUP, lambda *_: call(self.reload))

    def reload(self) -> None:
        """Take the log settings of the configuration; all else needs a restart."""
        try:
            log = self._read().log
        except ConfigError as error:
            _log.error("the configuration is wrong: {error}", error=str(error))
            return
        LEVELS.set(log.levels)
        SPEECH.set(log.language)
        _log.info("the settings of the log are read again; all other settings need a restart")
