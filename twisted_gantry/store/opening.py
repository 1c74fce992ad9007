"""The start of the store: opened, compared with what the last run knew, and made anew when needed.

A start that cannot open the file, because the disk is full, read-only or denied, goes on without:
reports are sent from memory, and the file is opened as soon as that is possible.
"""

import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from sqlite3 import Connection

from twisted.internet.interfaces import IReactorFromThreads

from twisted_gantry.core.alarm import AlarmsAtStart
from twisted_gantry.core.interfaces import StoreFailed
from twisted_gantry.core.moments import Moment
from twisted_gantry.store import alarms, audit, settings
from twisted_gantry.store.backup import Backups
from twisted_gantry.store.counter import LEDGER, Counted, Counter, counted
from twisted_gantry.store.database import Found
from twisted_gantry.store.outbox import keep_last_number, last_number
from twisted_gantry.store.schema import FILE, CannotOpen, ended_unclean, lock, open_database
from twisted_gantry.store.sqlite import SqliteStore
from twisted_gantry.store.writer import ThreadWriter


def open_store(
    folder: Path, reactor: IReactorFromThreads, moment: Callable[[], Moment]
) -> SqliteStore:
    """Open the store in `folder`, and take the folder for this process. Raises `schema.Unusable`,
    whose text is for the operator.
    """

    def now() -> float:
        return moment().wall

    last, used = ended_unclean(folder), (folder / FILE).exists() or (folder / FILE).is_symlink()
    lock_file = lock(folder)
    counter = Counter(folder)
    before = counter.read()
    trouble: StoreFailed | None = None
    db: Connection | None = None
    try:
        try:
            db, found = _opened(folder, now, before, last, used)
        except CannotOpen as error:
            if not used and before is None:
                raise  # not a disk that fails, but a folder that was never used
            found, trouble = [], StoreFailed(str(error), "数据库无法打开")
    except BaseException:
        lock_file.close()
        raise
    newest, known = (0, {}) if db is None else (last_number(db), settings.read(db))
    raised = alarms.without_the_disk(folder / FILE) if db is None else AlarmsAtStart()
    newest = max(newest, 0 if before is None else before.last)
    if db is not None:
        with suppress(sqlite3.Error):  # a disk that fails is noticed at the first change
            raised = alarms.at_start(db)
            keep_last_number(db, newest)  # of a database that is older than the counter
            # The identity must not be in the log alone, which may be lost.
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            alarms.trim(db, now())
    if db is None and not newest:
        newest = int(now() * 1000)  # above any number that the file may have
    writer = ThreadWriter(db, reactor, committed=counter.committed)
    backups = Backups(folder, reactor)
    store = SqliteStore(writer, moment, found, lock_file, backups, newest, known, raised)
    if db is not None:
        counter.committed(db)
    if trouble is not None:
        store.fails(trouble)
    return store


def _opened(
    folder: Path, now: Callable[[], float], before: Counted | None, last: str, used: bool
) -> tuple[Connection, list[Found]]:
    path = folder / FILE
    empty = used and path.stat().st_size == 0
    db, found = open_database(folder, now)
    try:
        interrupted = audit.end_interrupted(db)
        present = counted(db)
    except sqlite3.Error as error:
        db.close()
        raise CannotOpen(f"{path} cannot be written: {error}") from None
    whole = not found and used and not empty
    if not found and before is not None:
        missing = _missing(before, present, used=used, empty=empty)
        whole = whole and not missing
        found += missing
    elif before is not None:
        found += _not_copied(before, present)
    if last:
        found.append(_unclean(db, last, whole=whole and before is not None))
    if interrupted:
        found.append(
            Found(
                f"{interrupted} commands had no outcome when the program last ended",
                f"程序上次结束时有{interrupted}条命令没有结果",
            )
        )
    return db, found


def _unclean(db: Connection, process: str, *, whole: bool) -> Found:
    [(waiting,)] = db.execute("SELECT count(*) FROM outbox WHERE state = 'queued'").fetchall()
    en, zh = ("its data is whole, ", "数据完整，") if whole else ("", "")
    return Found(
        f"process {process} did not end in order (killed, or a power cut); {en}{waiting} reports "
        "waited to be sent",
        f"进程{process}异常结束（被终止或断电）；{zh}当时有{waiting}条上报待发送",
    )


def _not_copied(before: Counted, now: Counted) -> list[Found]:
    """Return how many reports a corrupt file had that could not be copied from it."""
    lost = before.queued - now.queued
    if lost <= 0:
        return []
    return [
        Found(f"{lost} reports that waited to be sent are missing", f"{lost}条待发送的上报已丢失")
    ]


def _missing(before: Counted, now: Counted, *, used: bool, empty: bool) -> list[Found]:
    """Return what is known to be missing of what the counter tells."""
    waited = f"{before.queued} reports that waited to be sent are missing"
    zh = f"{before.queued}条待发送的上报已丢失"

    def other(was: str, zh_was: str) -> list[Found]:
        return [Found(f"{FILE} {was}: {waited}", f"{FILE}{zh_was}；{zh}")]

    if empty:
        return other("was emptied, and made anew", "被清空，已新建")
    if not used:
        return other("was deleted, and made anew", "被删除，已新建")
    if now.identity != before.identity:
        return other("is another one than before", "被换成另一个文件")
    older = {
        uplink: [max(0, was - is_) for was, is_ in zip(counts, _of(now, uplink), strict=True)]
        for uplink, counts in before.ledgers.items()
    }
    created = sum(each[LEDGER.index("created")] for each in older.values())
    left = sum(each[LEDGER.index("delivered")] for each in older.values())
    if not created and not left:
        return []
    return [
        Found(
            f"{FILE} is older than when it was last used (a restored copy, or its write-ahead log "
            f"was lost): {created} newer reports are missing, and {left} that were delivered may "
            "be sent again",
            f"{FILE}比上次使用时旧（恢复的副本，或预写日志丢失）：缺少{created}条较新的上报，"
            f"{left}条已送达的上报可能重发",
        )
    ]


def _of(now: Counted, uplink: str) -> tuple[int, ...]:
    return now.ledgers.get(uplink, (0,) * len(LEDGER))
