"""The writer: what is acknowledged is stored, once, whatever goes wrong."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from tests.centre import postgres
from tests.centre.store.rig import Rig, no_fold
from tests.centre.store.samples import report
from tests.support import fired
from twisted_gantry.centre.interfaces import NotStored, QueueFull, Session
from twisted_gantry.centre.model import Verdict
from twisted_gantry.centre.store import days, ledger
from twisted_gantry.centre.store.rejected import harmless
from twisted_gantry.centre.store.reports import Filing
from twisted_gantry.centre.store.states import Fresh
from twisted_gantry.centre.store.store import Limits, ReportStore
from twisted_gantry.testing.clock import START


async def test_reports_that_wait_are_committed_together(rig: Rig) -> None:
    """What waits while the writer is busy becomes one transaction; its counts are exact."""
    store = rig.open()
    await rig.hold(store)
    waiting = [store.put(report(f"G{n % 40}", START + n // 40)) for n in range(400)]
    assert store.waiting == 401
    store.refused("1004")
    before = store.transaction_seconds.count
    rig.go.set()
    assert await gatherResults(waiting) == [Verdict.STORED] * 400
    assert store.transaction_seconds.count <= before + 2
    counts = await store.read(ledger.totals)
    assert counts == {"stored": 400, "refused-1004": 1}
    assert store.trouble is None


async def test_a_backlog_leaves_room_for_fresh_reports(rig: Rig) -> None:
    """A backlog fills half of the room, then its reports are refused at once; fresh ones are not,
    and go first.
    """
    store = rig.open(Limits(room=10))
    await rig.hold(store)
    order: list[str] = []
    for n in range(5):
        old = store.put(report("G1", START + n, received=START + 9000))
        old.addCallback(lambda _: order.append("old"))
    [refused] = fired(store.put(report("G1", START + 5, received=START + 9000)))
    assert refused.check(QueueFull)
    for n in range(5):
        store.put(report("G2", START + n)).addCallback(lambda _: order.append("fresh"))
    [refused] = fired(store.put(report("G2", START + 5)))
    assert refused.check(QueueFull)
    rig.go.set()
    await store.close()
    assert order == ["fresh"] * 5 + ["old"] * 5


async def test_a_rejected_report_lets_the_others_through(
    rig: Rig, logged_failures: list[Failure]
) -> None:
    """A report that the database rejects is found; it is stored without what is wrong in it."""
    store = rig.open()
    await rig.hold(store)
    wrong = report("G7", method="base\ud800", raised="mains-abnormal")
    group = [store.put(report(f"G{n}")) for n in range(20)]
    group[7:7] = [store.put(wrong)]
    rig.go.set()
    assert await gatherResults(group) == [Verdict.STORED] * 21
    counts = await store.read(ledger.totals)
    assert counts == {"stored": 21, "rejected": 1}
    assert await store.put(wrong) == Verdict.DUPLICATE
    assert logged_failures
    logged_failures.clear()


async def test_a_report_that_cannot_be_folded_is_kept_as_bytes(
    rig: Rig, logged_failures: list[Failure]
) -> None:
    """A report on which the program itself fails is acknowledged: its bytes are kept, and counted
    as rejected. The reports beside it are stored.
    """

    def fold(session: Session, fresh: Sequence[Fresh]) -> list[Verdict]:
        if any(each.report.gantry == "G3" for each in fresh):
            raise LookupError("a mistake")
        return no_fold(session, fresh)

    store = rig.open(filing=Filing("front-1", fold=fold))
    await rig.hold(store)
    group = [store.put(report(f"G{n}", body=b"\0\xff")) for n in range(8)]
    rig.go.set()
    assert await gatherResults(group) == [Verdict.STORED] * 8
    kept = await store.read(lambda session: session.rows("SELECT gantry, body, why FROM rejected"))
    assert kept == [(b"G3", b"\0\xff", "LookupError: a mistake")]
    assert await store.put(report("G3", body=b"\0\xff")) == Verdict.DUPLICATE
    assert await store.read(ledger.totals) == {"stored": 8, "rejected": 1, "duplicate": 1}
    logged_failures.clear()


async def test_a_day_that_was_dropped_is_made_anew(rig: Rig) -> None:
    """A report of a day that another process dropped is stored as any other."""
    store = rig.open()
    day = days.day_of(START)
    assert await store.put(report("G1")) is Verdict.STORED
    await store.write(lambda session: days.drop(session, day))
    assert await store.put(report("G2")) is Verdict.STORED
    sql = f"SELECT gantry, (SELECT count(*) FROM rejected) FROM {days.table_of(day)}"
    assert await store.read(lambda session: session.rows(sql)) == [("G2", 0)]
    assert await store.read(ledger.totals) == {"stored": 2}


async def test_what_waits_too_long_is_given_up(rig: Rig) -> None:
    """A database that stands still answers nobody: callers get NotStored after the deadline, and
    the trouble says so. When it goes on, reports are stored again.
    """
    store = rig.open(Limits(deadline=0.05))
    await rig.hold(store)
    given_up: list[Deferred[Any]] = [*(store.put(report(f"G{n}")) for n in range(3)), rig.held]
    for waiting in given_up:
        with pytest.raises(NotStored):
            await waiting
    assert store.trouble == "the database does not answer in time"
    [refused] = fired(store.put(report("G9")))
    assert refused.check(NotStored)
    rig.go.set()
    stored: list[Verdict] = []
    while not stored or store.trouble:  # a slow computer may miss the deadline once more
        await store.put(report("G9")).addCallbacks(stored.append, lambda f: f.trap(NotStored))
    assert Verdict.LATE not in stored


async def test_a_full_disk_refuses_reports_but_not_changes(rig: Rig) -> None:
    """At 90 % reports are refused with a reason; retention and people's changes still work."""
    store = rig.open(Limits(usage=lambda session: 0.93))
    await store.put(report()).addErrback(lambda f: f.trap(NotStored))
    await store.write(lambda session: session.now())
    assert store.trouble == "the disk of the database is 93 % full"
    with pytest.raises(NotStored, match="93 %"):
        await store.put(report("G2"))


async def test_the_error_of_a_job_is_the_callers(rig: Rig) -> None:
    """A job that fails changes nothing and disturbs no report; a read cannot write."""
    store = rig.open()

    def job(session: Session) -> None:
        ledger.add(session, "x", START, {"stored": 1})
        raise LookupError("no such gantry")

    with pytest.raises(LookupError):
        await store.write(job)
    assert await store.read(ledger.totals) == {}
    with pytest.raises(NotStored):
        await store.read(lambda session: ledger.add(session, "x", START, {"stored": 1}))
    assert await store.put(report()) is Verdict.STORED


async def test_a_closed_store_takes_nothing(rig: Rig) -> None:
    """What waits at the close is committed; what comes later is NotStored."""
    store = rig.open()
    await rig.hold(store)
    last = store.put(report())
    closed = store.close()
    rig.go.set()
    await closed
    assert await last is Verdict.STORED
    for late in (store.put(report()), store.write(no_job), store.read(no_job)):
        [refused] = fired(late)
        assert refused.check(NotStored)


async def test_what_is_refused_at_the_end_is_counted(rig: Rig) -> None:
    """A refusal that comes while the last reports are written is in the ledger as well."""
    stores: list[ReportStore] = []

    def fold(session: Session, fresh: Sequence[Fresh]) -> list[Verdict]:
        stores[0].refused("1005")
        return no_fold(session, fresh)

    stores.append(rig.open(filing=Filing("front-1", fold=fold)))
    await rig.hold(stores[0])
    last, closed = stores[0].put(report()), stores[0].close()
    rig.go.set()
    await closed
    assert await last is Verdict.STORED
    assert await rig.open().read(ledger.totals) == {"stored": 1, "refused-1005": 1}


def no_job(session: Session) -> None:
    """Do nothing."""


async def test_a_standby_that_does_not_confirm_is_heard(server: Rig) -> None:
    """A commit whose wait for the standby is cancelled succeeds with a warning alone: the sender
    is told NotStored, and its retry is a duplicate once a standby confirms.
    """
    store, cluster = server.open(), postgres.shared()
    await store.put(report("G0"))
    cluster.run("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
    cluster.run("SELECT pg_reload_conf()")
    try:
        # No other client of this server, and no worker of its own, is waited for.
        cancel = (
            "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep' "
            f"AND application_name = 'gantry-centre' AND datname = '{server.database}'"
        )
        put = store.put(report("G1"))
        while not cluster.run(cancel):
            await deferLater(server.reactor, 0, lambda: None)
            if put.called:  # the server had not read its settings again
                put = store.put(report("G1"))
        with pytest.raises(NotStored, match="the standby did not confirm"):
            await put
        assert store.trouble is not None
    finally:
        cluster.run("ALTER SYSTEM RESET synchronous_standby_names")
        cluster.run("SELECT pg_reload_conf()")
    assert await store.put(report("G1")) is Verdict.DUPLICATE
    assert store.trouble is None


async def test_a_connection_that_is_lost_is_made_anew(server: Rig) -> None:
    """When the server ends a connection, its reports are NotStored or stored, never both lost and
    acknowledged; the next ones go over a new connection.
    """
    store = server.open()
    await store.put(report("G0"))
    await store.read(no_job)
    postgres.shared().run(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
        f"WHERE application_name = 'gantry-centre' AND datname = '{server.database}'"
    )
    with pytest.raises(NotStored):
        await store.put(report("G1"))
    assert await store.put(report("G1")) is Verdict.STORED
    assert (await store.read(ledger.totals))["stored"] == 2


async def test_two_fronts_share_a_database(server: Rig) -> None:
    """Two fronts that get the same reports at the same time store each once."""
    stores = [server.open(), server.open(filing=Filing("front-2", fold=no_fold))]
    reports = [report(f"G{n % 7}", START + n) for n in range(300)]
    puts = [store.put(each) for each in reports for store in stores]
    verdicts = await gatherResults(puts)
    assert sorted(verdicts) == [Verdict.DUPLICATE] * 300 + [Verdict.STORED] * 300
    counts = await stores[0].read(ledger.totals)
    assert counts == {"stored": 300, "duplicate": 300}


def test_a_report_is_made_harmless() -> None:
    """What no database takes goes; what it says stays."""
    [told] = report(raised="x").told
    told = replace(told, strikes=(5,), ended=frozenset({"a\0"}), battery_minutes=float("inf"))
    wrong = replace(report(method="a\0b", stamp=START), stamp=float("nan"), told=(told,))
    better = harmless(wrong)
    assert (better.method, better.stamp, better.body) == (
        "a\N{REPLACEMENT CHARACTER}b",
        None,
        b"{}",
    )
    ended = frozenset({"a\N{REPLACEMENT CHARACTER}"})
    assert better.told == (replace(told, ended=ended, battery_minutes=None),)
