"""The twin in this process, a real gantry in another, and what tests ask of both."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import pytest_twisted
from twisted.internet.defer import ensureDeferred
from twisted.internet.task import deferLater

from tests.daemon.process import Client, Daemon, free_port, until
from twisted_gantry.twin.service import ON_FREE_PORTS, Twin, TwinSettings, build_twin


class Rig:
    """A twin that runs, a folder, and the gantry once it is started; `settings` are the twin's.

    What is written to `config` is what the gantry reads; `web` is where it is to listen. `all` has
    the rigs that are not closed.
    """

    all: ClassVar[list["Rig"]] = []

    def __init__(self, folder: Path, reactor: Any, **settings: Any) -> None:
        self.all.append(self)
        self.folder, self.reactor = folder, reactor
        given = TwinSettings(**{**ON_FREE_PORTS, **settings})
        self.twin: Twin = build_twin(given, reactor, time.time)
        self.twin.startService()
        self.web = free_port()
        self.config, self.data = folder / "site.toml", folder / "data"
        self.client = Client(reactor)
        self.daemon: Daemon | None = None

    def start(self, *more: str) -> Daemon:
        self.daemon = Daemon(
            self.folder, "gantry", "--config", str(self.config), "--data", str(self.data), *more
        )
        return self.daemon

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.web}{path}"

    async def site(self) -> Any:
        """Return `/api/v1/site`; None while there is no answer."""
        assert self.daemon is not None
        assert self.daemon.process.poll() is None, self.daemon.text
        site = await self.client.get(self.url("/api/v1/site"))
        assert site is None or "devices" in site, f"{self.url('/api/v1/site')} answers {site}"
        return site

    async def ledger(self) -> Any:
        """Return the ledger of the first uplink; None while there is no answer."""
        site = await self.site()
        return site["uplinks"][0]["ledger"] if site else None

    async def online(self, *names: str, seconds: float = 20.0) -> None:
        """Wait until these are online; without any, until all devices and uplinks are."""

        async def are() -> bool:
            site = await self.site()
            if not site:
                return False
            there = {each["name"]: each["state"] for each in [*site["devices"], *site["uplinks"]]}
            return all(there.get(name) == "online" for name in names or there)

        await until(self.reactor, f"{names or 'all'} to be online", are, seconds)

    async def close(self) -> None:
        self.all.remove(self)
        if self.daemon is not None and self.daemon.process.poll() is None:
            self.daemon.kill()
        await self.client.close()
        await self.twin.stopService()
        await deferLater(self.reactor, 0.05)


_R = TypeVar("_R", bound=Rig)


@contextmanager
def opened(make: Callable[[Path, Any], _R], folder: Path) -> Iterator[_R]:
    """Make a rig in a folder, on the reactor of the tests, and close it at the end."""
    from twisted.internet import reactor

    try:
        yield make(folder, reactor)
    finally:  # also of one that was only half made
        for rig in tuple(Rig.all):
            pytest_twisted.blockon(ensureDeferred(rig.close()))
