"""`IHistory` over SQLite, in a file and a thread of its own."""

from collections.abc import Callable, Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorFromThreads, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.core.history import Row, Sample, Series
from twisted_gantry.core.interfaces import IHistory
from twisted_gantry.net.timers import Repeated
from twisted_gantry.store.database import Found
from twisted_gantry.store.history import rollup, words
from twisted_gantry.store.history.names import NOTED, note
from twisted_gantry.store.history.query import Query, fitting_step, values
from twisted_gantry.store.history.schema import MAX_POINTS, open_database, suspect
from twisted_gantry.store.writer import ThreadWriter, Writer

_T = TypeVar("_T")
_log = Logger()

# The file should not grow beyond this; then the oldest goes, samples first.
MOST_BYTES = 2 * 10**9

# Seconds between two steps of the roll-up, while there is work and when there is none.
BUSY_PAUSE, IDLE_PAUSE = 0.1, 60.0

_ADD_SAMPLE = "INSERT INTO sample (point, at, value) SELECT id, ?, ? FROM point WHERE name = ?"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


@implementer(IHistory)
class SqliteHistory:
    """The history of one gantry's points. `now` returns Unix seconds. A sample holds for `hold`
    seconds unless another comes. `failed` is told what the database fails with.
    """

    def __init__(
        self,
        writer: Writer,
        now: Callable[[], float],
        hold: float,
        found: Sequence[Found] = (),
        failed: Callable[[BaseException], None] = lambda _: None,
    ) -> None:
        self.found = tuple(found)
        self._writer, self._now, self._hold, self._failed = writer, now, _ms(hold), failed
        self._full = False
        self._noted: dict[str, int] = {}

    def add(self, samples: Sequence[Sample]) -> Deferred[None]:
        now = max((_ms(sample.at) for sample in samples), default=0)
        names = dict.fromkeys(sample.point for sample in samples)
        stale = [name for name in names if not 0 <= now - self._noted.get(name, -1) < NOTED]

        def job(db: Connection) -> int:
            refused = note(db, stale, now) if stale else 0
            db.executemany(_ADD_SAMPLE, self._rows(db, samples))
            return refused

        def done(refused: int) -> None:
            self._noted.update(dict.fromkeys(stale, now))
            if len(self._noted) > 2 * MAX_POINTS:
                self._noted.clear()
            self._note_full(refused)

        return self._run(job).addCallback(done)

    def _rows(
        self, db: Connection, samples: Sequence[Sample]
    ) -> list[tuple[int, float | None, str]]:
        """Return the rows of samples; texts become the numbers that stand for them."""
        rows: list[tuple[int, float | None, str]] = []
        codes: dict[tuple[str, str], float | None] = {}
        for point, at, value in samples:
            if isinstance(value, str):
                code = codes.get((point, value))
                if code is None:
                    code = codes[point, value] = words.code_of(db, point, value)
                rows.append((_ms(at), code, point))
            else:
                rows.append((_ms(at), value, point))
        return rows

    def query(self, point: str, since: float, until: float, step: float | None) -> Deferred[Series]:
        first, last, now, hold = _ms(since), _ms(until), _ms(self._now()), self._hold
        wide = fitting_step(first, last, None if step is None else max(1, _ms(step)))

        def job(db: Connection) -> Series:
            found = Query(db, first, last, wide, hold, now).run(point)
            rows = [
                (number * wide / 1000, low, mean, high)
                for number, low, mean, high, _ in found.rows()
            ]
            numbers = [row for row in rows if not words.is_text(row[2])]
            if len(numbers) == len(rows):
                return Series(wide / 1000, rows)
            codes = [(at, code) for at, _, code, _ in rows if words.is_text(code)]
            texts = words.texts_of(db, (code for _, code in codes))
            return Series(wide / 1000, numbers, [(at, texts[code]) for at, code in codes])

        return self._run(job)

    def fitting_step(self, since: float, until: float) -> float:
        return fitting_step(_ms(since), _ms(until), None) / 1000

    def rows(
        self, points: Sequence[str], since: float, until: float, step: float
    ) -> Deferred[Sequence[Row]]:
        first, last, now, hold = _ms(since), _ms(until), _ms(self._now()), self._hold
        wide = max(1, _ms(step))

        def job(db: Connection) -> Sequence[Row]:
            query = Query(db, first, last, wide, hold, now)
            query.gather()
            cells: dict[int, list[float | str | None]] = {}
            for place, point in enumerate(points):
                for number, value in values(db, query.run(point)):
                    row = cells.get(number)
                    if row is None:
                        row = cells[number] = [None] * len(points)
                    row[place] = value
            return [(number * wide / 1000, cells[number]) for number in sorted(cells)]

        return self._run(job)

    def step(self) -> Deferred[bool]:
        now, hold = _ms(self._now()), self._hold
        return self._run(lambda db: rollup.step(db, now, hold, MOST_BYTES))

    def close(self) -> Deferred[None]:
        return self._writer.close()

    def _run(self, job: Callable[[Connection], _T]) -> Deferred[_T]:
        def failed(failure: Failure) -> Failure:
            assert failure.value is not None
            self._failed(failure.value)
            return failure

        return self._writer.run(job).addErrback(failed)

    def _note_full(self, refused: int) -> None:
        if refused and not self._full:
            _log.warn("{n} points find no room in the history: not recorded", n=refused)
            self._noted.clear()
        self._full = refused > 0


class Upkeep:
    def __init__(self, step: Callable[[], Deferred[bool]], clock: IReactorTime) -> None:
        self._step = step
        self._steps = Repeated(clock, self._work, "the roll-up of the history")
        self._failing = False

    def start(self) -> None:
        self._steps.start(BUSY_PAUSE)

    def stop(self) -> None:
        self._steps.stop()

    async def _work(self) -> float:
        try:
            more = await self._step()
        except CancelledError:
            raise
        except Exception as error:
            if not self._failing:
                _log.warn("the roll-up fails: {reason}", reason=str(error))
            self._failing = True
            return IDLE_PAUSE
        self._failing = False
        return BUSY_PAUSE if more else IDLE_PAUSE


def open_history(
    folder: Path, reactor: IReactorFromThreads, now: Callable[[], float], hold: float
) -> SqliteHistory:
    """Open the history in `folder`, which the store has locked for this process. Raises
    `schema.Unusable`, whose text is for the operator.
    """
    db, found = open_database(folder, now)
    writer = ThreadWriter(db, reactor)
    return SqliteHistory(writer, now, hold, found, lambda error: suspect(folder, error))
