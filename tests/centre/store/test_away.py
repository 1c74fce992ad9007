"""A database that cannot be reached: nobody waits for it without need, and it is tried again."""

from typing import Any

import psycopg
import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater

from tests.centre import postgres
from tests.centre.store.rig import Rig, no_fold
from tests.centre.store.samples import report
from tests.support import fired
from twisted_gantry.centre.interfaces import NotStored, Session
from twisted_gantry.centre.model import Verdict
from twisted_gantry.centre.store import ledger
from twisted_gantry.centre.store.engine import Connection, Engine, Fault, Unusable
from twisted_gantry.centre.store.opening import open_store
from twisted_gantry.centre.store.postgresql import PostgresEngine
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.centre.store.schema import migrate
from twisted_gantry.centre.store.store import Limits, ReportStore


class Distant:
    """A database that cannot be reached for the next `missing` tries."""

    def __init__(self, engine: Engine, missing: int) -> None:
        self.name, self.close = engine.name, engine.close
        self.missing = missing
        self._engine = engine

    def connect(self, *, read_only: bool = False) -> Connection:
        if self.missing:
            self.missing -= 1
            raise OSError("no route to the database")
        return self._engine.connect(read_only=read_only)

    def fault(self, error: Exception) -> Fault:
        return self._engine.fault(error)

    def unreachable(self, error: Exception) -> bool:
        return isinstance(error, OSError)


async def test_a_store_waits_for_a_database_that_is_away_at_the_start(rig: Rig) -> None:
    """Nobody waits meanwhile: reports and questions are NotStored at once. The store tells why, and
    prepares the database before it takes the first report.
    """
    prepared: list[str] = []

    def prepare(connection: Connection) -> None:
        [(found,)] = connection.transaction(lambda s: s.rows("SELECT count(*) FROM gantries"))
        prepared.append(f"{found} gantries")

    engine, filing = Distant(rig.engine(), 3), Filing("front-1", fold=no_fold)
    store = open_store(engine, filing, rig.reactor, prepare=prepare)
    rig.keep(store)
    [refused] = fired(store.put(report()))
    assert refused.check(NotStored)
    with pytest.raises(NotStored, match="cannot be reached"):
        await store.read(ledger.totals)
    verdicts: list[Verdict] = []
    told = set()
    while not verdicts:
        told.add(store.trouble)
        await store.put(report()).addCallbacks(verdicts.append, lambda f: f.trap(NotStored))
        await deferLater(rig.reactor, 0, lambda: None)
    assert verdicts == [Verdict.STORED]
    assert told - {None} == {"the database cannot be reached: no route to the database"}
    assert store.trouble is None
    assert prepared == ["0 gantries"]


async def test_a_database_that_may_not_be_used_is_told_and_tried_again(rig: Rig) -> None:
    """A wrong key, for example, is found late where the database was away at the start: nothing is
    stored with it.
    """

    def prepare(connection: Connection) -> None:
        raise Unusable("the key is another one")

    engine, filing = rig.engine(), Filing("front-1", fold=no_fold)
    with pytest.raises(Unusable, match="another one"):
        open_store(engine, filing, rig.reactor, prepare=prepare)
    store = open_store(Distant(engine, 1), filing, rig.reactor, prepare=prepare)
    rig.keep(store)
    while store.trouble is None or "key" not in store.trouble:
        await deferLater(rig.reactor, 0, lambda: None)
    [refused] = fired(store.put(report()))
    assert refused.check(NotStored)
    with pytest.raises(NotStored):
        await store.read(ledger.totals)


async def test_reports_that_wait_for_a_lost_database_are_refused(rig: Rig) -> None:
    """Reports that wait when the connection is lost are NotStored as soon as another one cannot be
    made, not after a deadline. A change waits: a restart of the database is short.
    """
    plain = rig.engine()
    migrate(first := plain.connect())
    engine = Distant(plain, 0)
    store = ReportStore(
        engine, Filing("front-1", fold=no_fold), rig.reactor, Limits(deadline=3600.0)
    )
    store.start(first)
    rig.keep(store)

    busy: Deferred[None] = Deferred()

    def lost(session: Session) -> None:
        rig.reactor.callFromThread(busy.callback, None)
        rig.go.wait(60)
        engine.missing = 2
        raise OSError("the connection is lost")

    losing = store.write(lost)
    await busy  # with the job: what comes now waits behind it
    reports = [store.put(report(f"G{n}")) for n in range(3)]
    change = store.write(lambda session: "changed")
    rig.go.set()
    with pytest.raises(NotStored):
        await losing
    answers: list[Any] = await gatherResults(
        [each.addErrback(lambda f: f.type) for each in reports]
    )
    assert answers == [NotStored] * 3
    assert await change == "changed"
    assert await store.put(report()) is Verdict.STORED


@pytest.mark.parametrize(
    ("words", "waits"),
    [
        ('connection to server at "10.0.0.1", port 5432 failed: Connection refused', True),
        ("connection timeout expired", True),
        ("failed to resolve host 'pg1': [Errno -2] Name or service not known", True),
        ("connection to server failed: FATAL:  the database system is starting up", True),
        ("connection to server failed: 致命错误:  数据库系统启动中", True),
        ("connection to server failed: FATAL:  sorry, too many clients already", True),
        ("connection to server failed: session is read-only", True),
        ("failed: server closed the connection unexpectedly", True),
        ('failed: FATAL:  password authentication failed for user "r"', False),
        ('failed: FATAL:  database "nowhere" does not exist', False),
        ('failed: 致命错误:  用户 "r" Password 认证失败', False),
        ("failed: fe_sendauth: no password supplied", False),
        ("failed: server does not support SSL, but SSL was required", False),
        (
            "failed: Connection refused\n- host: 'b': failed: FATAL:  role \"r\" does not exist",
            False,
        ),
    ],
)
def test_what_cannot_be_reached_is_told_from_what_is_wrong(words: str, waits: bool) -> None:
    """The centre waits for a server that is down, starts or is full, and not for another name."""
    engine = PostgresEngine("postgresql://r@10.0.0.1/centre")
    assert engine.unreachable(psycopg.OperationalError(words)) is waits


def test_a_real_server_tells_the_same(server: Rig) -> None:
    """A socket that nobody serves may be served later; a database that is not there is wrong."""
    for url, waits in (
        (server.url.replace("host=", "host=/nowhere"), True),
        (postgres.shared().url("nowhere"), False),
    ):
        engine = PostgresEngine(url)
        with pytest.raises(psycopg.OperationalError) as caught:
            engine.connect()
        assert engine.unreachable(caught.value) is waits
