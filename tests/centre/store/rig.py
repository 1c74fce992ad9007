"""A store with its threads, in either engine, for tests of the writer."""

from collections.abc import Sequence
from pathlib import Path
from threading import Event
from typing import Any
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred

from tests.centre import postgres
from twisted_gantry.centre.interfaces import Session
from twisted_gantry.centre.model import Verdict
from twisted_gantry.centre.store.engine import Engine
from twisted_gantry.centre.store.postgresql import PostgresEngine
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.centre.store.schema import migrate
from twisted_gantry.centre.store.sqlite import SqliteEngine
from twisted_gantry.centre.store.states import Fresh
from twisted_gantry.centre.store.store import Limits, ReportStore


def no_fold(session: Session, fresh: Sequence[Fresh]) -> list[Verdict]:
    """Change nothing."""
    return [Verdict.STORED] * len(fresh)


class Rig:
    """Makes stores on one database, and ends them. `hold` blocks the writer until `go`."""

    def __init__(self, engine: str, folder: Path) -> None:
        from twisted.internet import reactor

        self.reactor: Any = reactor
        self.url = postgres.new_database() if engine == "postgresql" else ""
        self.folder = folder
        self.go = Event()
        self._stores: list[ReportStore] = []

    @property
    def database(self) -> str:
        """The name of the database in PostgreSQL."""
        return urlsplit(self.url).path.strip("/")

    def engine(self) -> Engine:
        return PostgresEngine(self.url) if self.url else SqliteEngine(self.folder / "centre.sqlite")

    def open(self, limits: Limits | None = None, filing: Filing | None = None) -> ReportStore:
        engine = self.engine()
        connection = engine.connect()
        migrate(connection)
        filing = filing or Filing("front-1", fold=no_fold)
        store = ReportStore(engine, filing, self.reactor, limits or Limits())
        store.start(connection)
        self.keep(store)
        return store

    def keep(self, store: ReportStore) -> None:
        """Close a store with the test."""
        self._stores.append(store)

    def hold(self, store: ReportStore) -> Deferred[Any]:
        """Keep the writer busy, and return once it is; `go.set()` lets it go on."""
        begun: Deferred[None] = Deferred()

        def wait(session: Session) -> None:
            self.reactor.callFromThread(begun.callback, None)
            self.go.wait(60)

        self.held = store.write(wait)
        return begun

    async def close(self) -> None:
        self.go.set()
        for store in self._stores:
            await store.close()
        if self.url:
            postgres.drop_database(self.url)
