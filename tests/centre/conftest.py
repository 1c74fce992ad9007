"""The store of the centre for tests, in both engines."""

from collections.abc import Iterator

import pytest

from tests.centre import postgres
from tests.centre.scratch import Scratch
from twisted_gantry.centre.store.postgresql import PostgresEngine
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.testing.centre_store import InlineStore, open_memory
from twisted_gantry.testing.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def filing() -> Filing:
    """How reports are filed; a test that does not care for alarms may fold otherwise."""
    return Filing("front-1")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(
    request: pytest.FixtureRequest, clock: ManualClock, filing: Filing
) -> Iterator[InlineStore]:
    """An empty store without threads, once in SQLite and once in PostgreSQL. The clock of SQLite is
    `clock`; PostgreSQL has its own.
    """
    if request.param == "sqlite":
        opened = open_memory(clock.now, filing)
        yield opened
        opened.close()
        return
    url = postgres.new_database()
    opened = InlineStore(PostgresEngine(url), filing)
    yield opened
    opened.close()
    postgres.drop_database(url)


@pytest.fixture
def memory(clock: ManualClock, filing: Filing) -> Iterator[InlineStore]:
    """An empty store in memory: the fast path, for tests in which the engine does not matter."""
    opened = open_memory(clock.now, filing)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def one_database() -> Iterator[InlineStore]:
    """A store in PostgreSQL for all tests that leave nothing behind."""
    url = postgres.new_database()
    opened = InlineStore(PostgresEngine(url), Filing("front-1"))
    yield opened
    opened.close()
    postgres.drop_database(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def scratch(request: pytest.FixtureRequest) -> Scratch:
    """Runs a job in each engine, and takes it back."""
    name = "memory" if request.param == "sqlite" else "one_database"
    return Scratch(request.getfixturevalue(name))
