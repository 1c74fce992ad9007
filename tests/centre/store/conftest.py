"""The store alone: what reports change beside their rows is another concern."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import pytest_twisted
from twisted.internet.defer import ensureDeferred

from tests.centre import postgres
from tests.centre.store.rig import Rig, no_fold
from twisted_gantry.centre.store.postgresql import PostgresEngine
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.testing.centre_store import InlineStore


@pytest.fixture
def filing() -> Filing:
    return Filing("front-1", fold=no_fold)


@pytest.fixture(params=["sqlite", "postgresql"])
def rig(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Rig]:
    """Stores with threads on an empty database of each engine."""
    made = Rig(request.param, tmp_path)
    yield made
    pytest_twisted.blockon(ensureDeferred(made.close()))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Rig]:
    """Stores with threads on an empty database of PostgreSQL."""
    made = Rig("postgresql", tmp_path)
    yield made
    pytest_twisted.blockon(ensureDeferred(made.close()))


@pytest.fixture
def served(filing: Filing) -> Iterator[InlineStore]:
    """An empty store without threads in PostgreSQL: for properties, which take no parameters."""
    url = postgres.new_database()
    opened = InlineStore(PostgresEngine(url), filing)
    yield opened
    opened.close()
    postgres.drop_database(url)
