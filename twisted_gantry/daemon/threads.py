"""The classes of threads of a gantry, each for one kind of blocking work.

The store and the history have a thread each of their own (`store/writer.py`). The watchdog has
none: the reactor and the pollers feed it.
"""

from typing import Any, NamedTuple

from twisted_gantry.net.names import MOST_LOOKUPS
from twisted_gantry.net.threads import InThread, ThreadClass


class InThreads(NamedTuple):
    """How each kind of blocking work is run: `f, *args` to a Deferred of the result."""

    devices: InThread  # what drivers measure
    files: InThread  # pictures, recordings, copies
    passwords: InThread  # hashes: one at a time, half a second each
    store: InThread  # the look at the disk, which may hang
    bridges: InThread  # connections that a library of a bridge makes


class ThreadClasses:
    """Makes the classes on `reactor`. `names` is for the resolver; `run` has the others."""

    def __init__(self, reactor: Any) -> None:
        self.names = ThreadClass(reactor, "gantry-names", MOST_LOOKUPS)
        devices = ThreadClass(reactor, "gantry-devices", 4)
        files = ThreadClass(reactor, "gantry-files", 4)
        passwords = ThreadClass(reactor, "gantry-passwords", 1)
        store = ThreadClass(reactor, "gantry-disk", 1)
        bridges = ThreadClass(reactor, "gantry-bridges", 2)
        self._all = (self.names, devices, files, passwords, store, bridges)
        self.run = InThreads(*(each.run for each in self._all[1:]))

    def close(self) -> None:
        for each in self._all:
            each.close()
