"""The service that twistd runs: opens the store, starts the tree, reloads at SIGHUP."""

import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from random import SystemRandom
from typing import Any

import psutil
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from twisted_gantry.config.settings import Settings
from twisted_gantry.core.moments import present
from twisted_gantry.core.recorder import HOLD_INTERVALS
from twisted_gantry.daemon.systemd import Watchdog, poller_patience
from twisted_gantry.daemon.threads import ThreadClasses
from twisted_gantry.daemon.tree import GantryTree
from twisted_gantry.logs import LEVELS, MASKS, SPEECH
from twisted_gantry.manhole.service import CannotOpen
from twisted_gantry.net.interpreter import settle
from twisted_gantry.net.listener import CannotListen
from twisted_gantry.net.names import Names
from twisted_gantry.net.service import ServiceGroup
from twisted_gantry.net.systemd import notifier_of, watchdog_period
from twisted_gantry.settings.tables import ConfigError
from twisted_gantry.store.database import Unusable
from twisted_gantry.store.history.sqlite import open_history
from twisted_gantry.store.opening import open_store
from twisted_gantry.twin.service import TwinSettings, build_twin

_log = Logger()


class CannotStart(Exception):
    """The gantry cannot start, for a reason that an operator can correct."""


class Gantry(ServiceGroup):
    """Opens the store and starts the tree after twistd has become a daemon: threads do not fork.

    `read` reads the configuration again for SIGHUP; it raises ConfigError.
    """

    def __init__(
        self,
        settings: Settings,
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
        self._threads = ThreadClasses(reactor)
        self._tree: GantryTree | None = None
        self._watchdog: Watchdog | None = None

    def startService(self) -> None:
        """Start everything; an error that an operator can correct ends the program with a line."""
        super().startService()
        self._reactor.installNameResolver(Names(self._reactor, self._threads.names.run))
        try:
            self._start()
        except (Unusable, CannotListen, CannotListenError, CannotOpen) as error:
            if self._daemon:  # twistd's parent process hears of an exception, but not of an exit
                raise CannotStart(f"gantry: {error}") from None
            sys.exit(f"gantry: {error}")

    def stopService(self) -> Deferred[Any]:
        self._notifier.stopping()
        stopped = super().stopService()
        return stopped.addBoth(self._let_threads_go)

    def _let_threads_go(self, result: Any) -> Any:
        self._threads.close()
        return result

    def _start(self) -> None:
        reactor = self._reactor
        if self._demo:
            self.add(build_twin(TwinSettings(), reactor, time.time))
        LEVELS.set(self._settings.log.levels)
        SPEECH.set(self._settings.log.language)
        MASKS.set(self._settings.secrets())
        hold = HOLD_INTERVALS * self._settings.history.interval
        with ExitStack() as opened:  # their threads would keep a process alive that cannot start
            store = open_store(self._folder, reactor, present)
            opened.callback(store.close)
            history = open_history(self._folder, reactor, time.time, hold)
            opened.callback(history.close)
            tree = self._tree = GantryTree(
                self._settings,
                store=store,
                history=history,
                reactor=reactor,
                now=time.time,
                random=SystemRandom(),
                threads=self._threads.run,
                addresses=_addresses(),
                folder=self._folder,
            )
            self.add(tree)
            opened.pop_all()
        self._watch(self._settings)
        reactor.callWhenRunning(self._ready)

    def _ready(self) -> None:
        settle()
        self._notifier.ready()
        if threading.current_thread() is threading.main_thread():
            call = self._reactor.callFromThread
            signal.signal(signal.SIGHUP, lambda *_: call(self.reload))

    def _watch(self, settings: Settings) -> None:
        period = watchdog_period(os.environ, os.getpid())
        if period is None or self._tree is None:
            return
        if self._watchdog is not None:
            self._watchdog.disownServiceParent()  # type: ignore[no-untyped-call]
        given = {entry.name: poller_patience(entry.settings) for entry in settings.devices}
        patience = {name: seconds for name, seconds in given.items() if seconds is not None}
        self._watchdog = Watchdog(self._notifier, self._reactor, self._tree.site, period, patience)
        self.add(self._watchdog)

    def reload(self) -> Deferred[None]:
        """Reload the configuration; a wrong one changes nothing. Fires when the change is made."""
        return ensureDeferred(self._reload())

    async def _reload(self) -> None:
        tree = self._tree
        if tree is None or not self.running:
            return
        self._notifier.reloading()
        try:
            settings = self._read()
            LEVELS.set(settings.log.levels)
            SPEECH.set(settings.log.language)
            MASKS.set([*self._settings.secrets(), *settings.secrets()])
            await tree.reload(settings)
            self._watch(settings)
        except ConfigError as error:
            tree.refused(str(error))
        except Exception:
            _log.failure("the configuration could not be changed")
        finally:
            self._notifier.ready()


def _addresses() -> list[str]:
    families = (socket.AF_INET, socket.AF_INET6)
    found = chain.from_iterable(psutil.net_if_addrs().values())
    return [each.address for each in found if each.family in families]
