"""A front for `monitor.do` in a process of its own, as the centre has it. Prints its port.

usage: centre_front.py none | sqlite FOLDER | postgresql URL [GANTRIES]
"""

import sys
import time
from pathlib import Path
from typing import Any

from cryptography.fernet import Fernet
from twisted.internet.defer import Deferred, succeed

from scripts.benchmarks.centre_load import AUTH, gantry_ids
from twisted_gantry.centre.fronts.monitor import MonitorFront
from twisted_gantry.centre.interfaces import IReportStore
from twisted_gantry.centre.model import Gantry, Received, Verdict
from twisted_gantry.centre.registry import Registry
from twisted_gantry.centre.settings import MonitorSettings
from twisted_gantry.centre.store import registry as stored
from twisted_gantry.centre.store.engine import Engine
from twisted_gantry.centre.store.opening import engine_of, open_store
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.centre.store.sealing import Sealing
from twisted_gantry.net import interpreter
from twisted_gantry.net.clock import make_monotonic
from twisted_gantry.net.lean_loop import make_lean
from twisted_gantry.testing.centre_store import InlineStore, MemoryEngine
from twisted_gantry.wire.secret import Secret


class Unstored(InlineStore):
    """Acknowledges a report at once, and keeps nothing of it."""

    def put(self, report: Received) -> Deferred[Verdict]:
        return succeed(Verdict.STORED)


def make_store(which: str, place: str, reactor: Any) -> IReportStore:
    if which == "none":
        made: Any = Unstored(MemoryEngine(time.time), Filing("bench"))
        return made  # type: ignore[no-any-return]
    url = Secret("sqlite" if which == "sqlite" else place)
    engine: Engine = engine_of(url, Path(place))
    return open_store(engine, Filing("bench"), reactor)


def serve(which: str, place: str, number: int) -> None:
    """Serve until SIGTERM."""
    from twisted.internet import reactor

    loop: Any = reactor
    make_monotonic(loop)
    make_lean(loop)
    store = make_store(which, place, loop)
    sealing = Sealing(Fernet.generate_key().decode())
    gantries = [Gantry(each, road="G2", auth=Secret(AUTH)) for each in gantry_ids(number)]
    registry = Registry(store, sealing, loop)
    settings = MonitorSettings(listen="tcp:0:interface=127.0.0.1")
    front = MonitorFront(loop, settings, store, registry, time.time)

    def begin() -> None:
        filling = store.write(lambda session: stored.put(session, gantries, sealing))
        filling.addCallback(lambda _: registry.refresh())
        filling.addCallback(lambda _: front.startService())
        filling.addCallback(lambda _: interpreter.settle())  # as the service does
        filling.addCallback(lambda _: print(front.port, flush=True))
        filling.addErrback(lambda failure: (failure.printTraceback(), loop.stop()))

    loop.callWhenRunning(begin)
    loop.addSystemEventTrigger("before", "shutdown", store.close)
    loop.run()


if __name__ == "__main__":
    serve(sys.argv[1], [*sys.argv, ""][2], int(sys.argv[3]) if len(sys.argv) > 3 else 200)
