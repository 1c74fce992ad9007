"""The writer: jobs in order, many in one commit, a failure alone, all finished at the end."""

import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Event, current_thread, main_thread

import pytest
from twisted.internet.defer import Deferred

from tests.store.material import PATIENCE, Calls, failure_of, result_of
from twisted_gantry.store.schema import open_database
from twisted_gantry.store.writer import MAX_GROUP, Closed, InlineWriter, ThreadWriter, Writer


class Desk:
    """A writer with its thread, which can be held up; `statements` is what the database did."""

    def __init__(self, folder: Path) -> None:
        self.db, _ = open_database(folder, lambda: 0.0)
        self.db.execute("CREATE TABLE t (a INTEGER UNIQUE)")
        self.statements: list[str] = []
        self.db.set_trace_callback(self.statements.append)
        self.calls = Calls()
        self.writer = ThreadWriter(self.db, self.calls)

    def hold(self) -> Callable[[], None]:
        """Keep the thread busy until the function that is returned is called."""
        busy, go_on = Event(), Event()

        def job(_: sqlite3.Connection) -> None:
            busy.set()
            assert go_on.wait(PATIENCE)

        self.writer.run(job)
        assert busy.wait(PATIENCE)
        self.statements.clear()
        return go_on.set

    def insert(self, number: int) -> Deferred[int]:
        def job(db: sqlite3.Connection) -> int:
            db.execute("INSERT INTO t VALUES (?)", (number,))
            return number

        return self.writer.run(job)

    def kept(self) -> list[int]:
        rows = self.writer.run(lambda db: db.execute("SELECT a FROM t ORDER BY rowid").fetchall())
        self.calls.run(rows)
        return [number for (number,) in result_of(rows)]

    def count(self, statement: str) -> int:
        """Return how often the database was told `statement`."""
        return sum(each.startswith(statement) for each in self.statements)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    """Return a writer; it is closed at the end."""
    desk = Desk(tmp_path)
    with desk.calls.closing(desk.writer):
        yield desk


# -- the thread


def test_a_result_comes_through_the_reactor(desk: Desk) -> None:
    """A job runs in the writer's thread; its Deferred fires in that of the reactor."""
    threads = []
    asked = desk.writer.run(lambda db: current_thread())
    asked.addCallback(lambda thread: threads.extend([thread, current_thread()]))
    desk.calls.run(asked)
    worker, caller = threads
    assert worker.name == "gantry-store"
    assert not worker.daemon
    assert caller is main_thread()


def test_what_waits_is_committed_at_once(desk: Desk) -> None:
    """Fifty writes that wait are one transaction, each with its own result, in order."""
    go_on = desk.hold()
    fired: list[int] = []
    waiting = [desk.insert(number).addCallback(fired.append) for number in range(50)]
    go_on()
    desk.calls.run(*waiting)
    assert fired == list(range(50))
    # The one that held up the thread committed alone.
    assert (desk.count("BEGIN"), desk.count("COMMIT")) == (1, 2)
    assert desk.kept() == list(range(50))


def test_a_group_is_bounded(desk: Desk) -> None:
    """No transaction takes more jobs than the bound, lest the first wait for the last."""
    go_on = desk.hold()
    waiting = [desk.insert(number) for number in range(MAX_GROUP * 2 + 1)]
    go_on()
    desk.calls.run(*waiting)
    assert desk.count("BEGIN") == 3


def test_one_failing_job_fails_alone(desk: Desk) -> None:
    """Of jobs that wait together the one that fails leaves nothing; the others are committed."""
    go_on = desk.hold()
    first, second, twice, last = (desk.insert(number) for number in (1, 2, 2, 3))

    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO t VALUES (77)")
        raise ValueError("in the middle")

    broken = desk.writer.run(half)
    after = desk.insert(4)
    go_on()
    desk.calls.run(first, second, twice, last, broken, after)
    assert isinstance(failure_of(twice), sqlite3.IntegrityError)
    assert str(failure_of(broken)) == "in the middle"
    assert [result_of(each) for each in (first, second, last, after)] == [1, 2, 3, 4]
    assert desk.kept() == [1, 2, 3, 4]


def test_a_failing_commit_fails_every_job(desk: Desk) -> None:
    """A commit that fails is told to all whose change was in it, and the thread goes on."""
    desk.db.executescript(
        "CREATE TABLE parent (a INTEGER PRIMARY KEY); PRAGMA foreign_keys = ON;"
        "CREATE TABLE child (a REFERENCES parent DEFERRABLE INITIALLY DEFERRED)"
    )
    go_on = desk.hold()
    orphans = [
        desk.writer.run(lambda db: db.execute("INSERT INTO child VALUES (1)").rowcount)
        for _ in range(2)
    ]
    good = desk.insert(5)
    go_on()
    desk.calls.run(*orphans, good)
    for orphan in orphans:
        assert isinstance(failure_of(orphan), sqlite3.IntegrityError)
    assert desk.kept() == [5]


def test_a_job_that_ends_the_transaction_is_survived(desk: Desk) -> None:
    """A statement after which SQLite has rolled back by itself fails its job and no other."""
    desk.db.execute(
        "CREATE TRIGGER no BEFORE INSERT ON t WHEN new.a = 13"
        " BEGIN SELECT RAISE(ROLLBACK, 'never 13'); END"
    )
    go_on = desk.hold()
    before, unlucky, after = (desk.insert(number) for number in (12, 13, 14))
    go_on()
    desk.calls.run(before, unlucky, after)
    assert str(failure_of(unlucky)) == "never 13"
    assert desk.kept() == [12, 14]


def test_closing_finishes_what_waits(desk: Desk, tmp_path: Path) -> None:
    """Close lets every job that was handed in finish first, then closes the file."""
    go_on = desk.hold()
    waiting = [desk.insert(number) for number in range(MAX_GROUP + 10)]
    closed = desk.writer.close()
    go_on()
    order: list[str] = []
    waiting[-1].addCallback(lambda _: order.append("last job"))
    closed.addCallback(lambda _: order.append("closed"))
    desk.calls.run(closed)
    assert order == ["last job", "closed"]
    with pytest.raises(sqlite3.ProgrammingError):
        desk.db.execute("SELECT 1")
    db, _ = open_database(tmp_path, lambda: 0.0)
    assert db.execute("SELECT count(*) FROM t").fetchone() == (MAX_GROUP + 10,)
    db.close()


def test_closing_twice_is_closing_once(desk: Desk) -> None:
    """Each call of close gets its own answer, before and after the end."""
    first, second = desk.writer.close(), desk.writer.close()
    desk.calls.run(first, second)
    assert desk.writer.close().called


def test_a_cancelled_wait_harms_nobody(desk: Desk) -> None:
    """Whoever stops waiting for a job does not stop the job, nor the answers of the others."""
    go_on = desk.hold()
    forgotten, other = desk.insert(1), desk.insert(2)
    forgotten.addErrback(lambda _: None)
    forgotten.cancel()
    go_on()
    desk.calls.run(other)
    assert result_of(other) == 2
    assert desk.kept() == [1, 2]


# -- both writers


def _thread(folder: Path) -> tuple[Writer, Callable[[Deferred[None]], None]]:
    calls = Calls()
    return ThreadWriter(open_database(folder, lambda: 0.0)[0], calls), calls.run


def _inline(folder: Path) -> tuple[Writer, Callable[[Deferred[None]], None]]:
    return InlineWriter(open_database(folder, lambda: 0.0)[0]), lambda deferred: None


@pytest.mark.parametrize("make", [_thread, _inline])
def test_after_close_nothing_is_taken(
    tmp_path: Path, make: Callable[[Path], tuple[Writer, Callable[[Deferred[None]], None]]]
) -> None:
    """A job that comes after close fails at once, with an error of its own, and is not run."""
    writer, run = make(tmp_path)
    closed = writer.close()
    late = writer.run(lambda db: pytest.fail("it was run"))
    assert isinstance(failure_of(late), Closed)
    run(closed)
    assert isinstance(failure_of(writer.run(lambda db: None)), Closed)


def test_the_writer_of_tests_does_each_job_in_a_transaction(tmp_path: Path) -> None:
    """The inline writer rolls back what fails and commits what does not, at once."""
    db, _ = open_database(tmp_path, lambda: 0.0)
    db.execute("CREATE TABLE t (a INTEGER)")
    writer = InlineWriter(db)

    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO t VALUES (1)")
        raise ValueError("in the middle")

    assert str(failure_of(writer.run(half))) == "in the middle"
    assert result_of(writer.run(lambda c: c.execute("INSERT INTO t VALUES (2)").rowcount)) == 1
    assert not db.in_transaction
    assert db.execute("SELECT a FROM t").fetchall() == [(2,)]
    result_of(writer.close())
    result_of(writer.close())
