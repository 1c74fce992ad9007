"""`IStore` over SQLite."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from sqlite3 import Connection
from typing import IO, Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from zope.interface import implementer

from twisted_gantry.core.interfaces import CannotBackUp, IStore
from twisted_gantry.core.moments import Moment
from twisted_gantry.core.stored import AuditEntry, Cap, Ledger, Report, StoredCard
from twisted_gantry.net.histogram import Histogram
from twisted_gantry.store import audit, outbox, settings
from twisted_gantry.store.backup import Backups
from twisted_gantry.store.database import Found, Unusable
from twisted_gantry.store.history import schema as history_schema
from twisted_gantry.store.schema import FILE, ended_unclean, lock, open_database
from twisted_gantry.store.writer import ThreadWriter, Writer


@implementer(IStore)
class SqliteStore:
    """The store of one gantry. `moment` returns the present moment."""

    def __init__(
        self,
        writer: Writer,
        moment: Callable[[], Moment],
        found: Sequence[Found] = (),
        lock_file: IO[str] | None = None,
        backups: Backups | None = None,
    ) -> None:
        self.found = tuple(found)
        self._writer, self._moment, self._lock = writer, moment, lock_file
        self._backups = backups
        self.transaction_seconds: Histogram | None = getattr(writer, "transaction_seconds", None)

    def moment(self) -> Moment:
        return self._moment()

    def add_report(
        self,
        uplink: str,
        kind: str,
        subject: str,
        body: bytes,
        urgent: bool,
        cap: Cap,
        setting: tuple[str, Any] | None = None,
    ) -> Deferred[tuple[int, Sequence[int]]]:
        made = self.moment()
        kept = None if setting is None else (setting[0], settings.encoded(setting[1]))

        def job(db: Connection) -> tuple[int, Sequence[int]]:
            if kept is not None:
                settings.put(db, *kept)
            return outbox.add(db, uplink, kind, subject, body, made, urgent, cap)

        return self._writer.run(job)

    def next_report(self, uplink: str, fresh: float) -> Deferred[Report | None]:
        now = self.moment()
        return self._writer.run(lambda db: outbox.following(db, uplink, now, fresh))

    def next_reports(self, uplink: str, limit: int, size: int) -> Deferred[Sequence[Report]]:
        return self._writer.run(lambda db: outbox.queued(db, uplink, limit, size))

    def delivered(self, reports: Sequence[int]) -> Deferred[None]:
        return self._writer.run(lambda db: outbox.delivered(db, reports))

    def tried(self, report: int, reason: str, body: bytes | None = None) -> Deferred[None]:
        return self._writer.run(lambda db: outbox.tried(db, report, reason, body))

    def set_aside(self, report: int, reason: str, answer: bytes = b"") -> Deferred[None]:
        return self._writer.run(lambda db: outbox.set_aside(db, report, reason, answer))

    def retry_reports(self, uplink: str, reports: Sequence[int] | None) -> Deferred[int]:
        return self._writer.run(lambda db: outbox.retry(db, uplink, reports))

    def drop_reports(self, uplink: str, reports: Sequence[int] | None) -> Deferred[int]:
        return self._writer.run(lambda db: outbox.drop(db, uplink, reports))

    def enforce(self, uplink: str, cap: Cap) -> Deferred[Sequence[int]]:
        now = self.moment()
        return self._writer.run(lambda db: outbox.enforce(db, uplink, cap, now))

    def reports(
        self, uplink: str | None, state: str | None, limit: int
    ) -> Deferred[Sequence[Report]]:
        return self._writer.run(lambda db: outbox.reports(db, uplink, state, limit))

    def report(self, report: int) -> Deferred[Report | None]:
        return self._writer.run(lambda db: outbox.one(db, report))

    def ledger(self, uplink: str) -> Deferred[Ledger]:
        return self._writer.run(lambda db: outbox.ledger(db, uplink))

    def begin_command(self, entry: AuditEntry) -> Deferred[AuditEntry | None]:
        return self._writer.run(lambda db: audit.begin(db, entry))

    def end_command(self, entry: AuditEntry) -> Deferred[None]:
        return self._writer.run(lambda db: audit.end(db, entry))

    def audit(self, limit: int) -> Deferred[Sequence[AuditEntry]]:
        return self._writer.run(lambda db: audit.newest(db, limit))

    def put_setting(self, name: str, value: Any) -> Deferred[None]:
        text = None if value is None else settings.encoded(value)
        return self._writer.run(lambda db: settings.put(db, name, text))

    def settings(self) -> Deferred[Mapping[str, Any]]:
        return self._writer.run(settings.read)

    def replace_cards(self, version: str, cards: Sequence[StoredCard]) -> Deferred[None]:
        return self._writer.run(lambda db: settings.replace_cards(db, version, cards))

    def cards(self) -> Deferred[tuple[str, Sequence[StoredCard]]]:
        return self._writer.run(settings.cards)

    def backup(self, history: bool) -> Deferred[IO[bytes]]:
        if self._backups is None:
            return fail(CannotBackUp("no-file", "the store is in no file"))
        return self._backups.copy(history_schema.FILE if history else FILE)

    def close(self) -> Deferred[None]:
        if self._backups is not None:
            self._backups.stop()
        closed = self._writer.close()

        def let_go(_: None) -> None:
            if self._lock is not None:
                self._lock.truncate(0)  # ended in order
                self._lock.close()

        return closed.addCallback(let_go)


def open_store(
    folder: Path, reactor: IReactorFromThreads, moment: Callable[[], Moment]
) -> SqliteStore:
    """Open the store in `folder`, and take the folder for this process. Raises `schema.Unusable`,
    whose text is for the operator.
    """
    last = ended_unclean(folder)
    lock_file = lock(folder)
    try:
        db, found = open_database(folder, lambda: moment().wall)
        try:
            interrupted = audit.end_interrupted(db)
        except sqlite3.Error as error:
            db.close()
            raise Unusable(f"{folder / FILE} cannot be written: {error}") from None
    except BaseException:
        lock_file.close()
        raise
    if last:
        [(waiting,)] = db.execute("SELECT count(*) FROM outbox WHERE state = 'queued'").fetchall()
        found.append(
            Found(
                f"process {last} did not end in order (killed, or a power cut); its data is "
                f"whole, {waiting} reports waited to be sent",
                f"进程{last}异常结束（被终止或断电）；数据完整，当时有{waiting}条上报待发送",
            )
        )
    if interrupted:
        found.append(
            Found(
                f"{interrupted} commands had no outcome when the program last ended",
                f"程序上次结束时有{interrupted}条命令没有结果",
            )
        )
    writer, backups = ThreadWriter(db, reactor), Backups(folder, reactor)
    return SqliteStore(writer, moment, found, lock_file, backups)
