"""`IStore` over SQLite, and over memory while the disk fails.

Each change goes to the writer of the disk. When that fails, and from then on, it goes to `Memory`,
until `StoreWatch` (`watch.py`) has brought all of that to the disk. Reads ask the disk, too, as
long as it answers.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from sqlite3 import Connection
from typing import IO, Any, TypeVar

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from twisted_gantry.core.alarm import Alarm, AlarmLedger, AlarmsAtStart
from twisted_gantry.core.commands.types import Outcome
from twisted_gantry.core.interfaces import CannotBackUp, IStore, StoreFailed, StoreHung
from twisted_gantry.core.moments import Moment
from twisted_gantry.core.stored import AuditEntry, Cap, Destination, Ledger, Report, StoredCard
from twisted_gantry.net.histogram import Histogram
from twisted_gantry.store import adoption, audit, outbox, settings
from twisted_gantry.store import alarms as alarm_jobs
from twisted_gantry.store.backup import Backups
from twisted_gantry.store.database import Found
from twisted_gantry.store.history import schema as history_schema
from twisted_gantry.store.memory import Memory
from twisted_gantry.store.schema import FILE
from twisted_gantry.store.trouble import is_damage, trouble_of
from twisted_gantry.store.writer import Writer

_T = TypeVar("_T")
_log = Logger()

REMEMBERED = 1000  # commands of this process that the replay guard knows without the disk
PROOF = "store.proof"


@implementer(IStore)
class SqliteStore:
    """The store of one gantry. `moment` returns the present moment. `last` is the number of the
    newest report that there ever was, None to ask `writer`, which must answer before the first
    report; `known` are the settings that the disk has, `alarms_at_start` the alarms.

    `counts` gains `reports` and `commands` that memory had to take in place of the disk.
    """

    def __init__(
        self,
        writer: Writer,
        moment: Callable[[], Moment],
        found: Sequence[Found] = (),
        lock_file: IO[str] | None = None,
        backups: Backups | None = None,
        last: int | None = None,
        known: Mapping[str, Any] | None = None,
        alarms_at_start: AlarmsAtStart | None = None,
    ) -> None:
        self.found: tuple[Found, ...] = tuple(found)
        self.alarms_at_start = alarms_at_start or AlarmsAtStart()
        self.failing: StoreFailed | None = None
        self.damaged = False  # the file is, and must be made anew
        self.counts: Counter[str] = Counter(reports=0, commands=0)
        self.writer, self.memory = writer, Memory()
        self._moment, self._lock, self._backups = moment, lock_file, backups
        self._last, self._settings = last or 0, dict(known or {})
        self._ledgers: dict[str, Ledger] = {}
        self._commands: OrderedDict[str, AuditEntry] = OrderedDict()
        self._subscribers: list[Callable[[], None]] = []
        self.transaction_seconds: Histogram | None = getattr(writer, "transaction_seconds", None)
        if last is None:
            writer.run(outbox.last_number).addCallbacks(self._count_from, lambda _: None)

    def _count_from(self, last: int) -> None:
        self._last = max(self._last, last)

    def moment(self) -> Moment:
        return self._moment()

    # -- whether the disk works

    def subscribe(self, changed: Callable[[], None]) -> Callable[[], None]:
        self._subscribers.append(changed)
        return lambda: self._subscribers.remove(changed)

    @property
    def hangs(self) -> bool:
        return isinstance(self.failing, StoreHung)

    def fails(self, trouble: StoreFailed) -> None:
        """Use memory from now on: the disk is in trouble."""
        before, self.failing = self.failing, trouble
        if isinstance(trouble, StoreHung):
            self.writer.give_up(trouble)
        if before is None:
            _log.error("the store fails: {why}; reports are sent from memory", why=trouble.en)
        if before is None or before.en != trouble.en:
            self._tell()

    def works(self) -> None:
        """Use the disk again, which has all that was in memory."""
        if self.failing is not None:
            self.failing = None
            _log.info("the store works again")
            self._tell()

    def finds(self, found: Found) -> None:
        """Tell the operator what became of the file under the running program."""
        self.found += (found,)
        self._tell()

    def _tell(self) -> None:
        for changed in tuple(self._subscribers):
            try:
                changed()
            except Exception:
                _log.failure("a subscriber failed on the state of the store")

    def prove(self) -> Deferred[None]:
        if self.failing is not None:
            return fail(self.failing)
        text = settings.encoded(self._moment().wall)
        proved = self.writer.run(lambda db: settings.put(db, PROOF, text))
        return proved.addErrback(self._raise_trouble)

    def _raise_trouble(self, failure: Failure) -> Any:
        trouble = self._note(failure)
        raise trouble or failure.value  # type: ignore[misc]

    def _note(self, failure: Failure) -> StoreFailed | None:
        """Return the trouble of the disk that a failure tells of, and note that the disk fails."""
        trouble = trouble_of(failure.value)
        if trouble is not None and self.failing is None:
            self.damaged = self.damaged or is_damage(failure.value)
            self.fails(trouble)
        return trouble

    def _change(
        self,
        job: Callable[[Connection], _T],
        instead: Callable[[], _T],
        late: Callable[[_T], object] | None = None,
    ) -> Deferred[_T]:
        """Do `job` on the disk, or `instead` if that fails."""
        if self.failing is not None:
            return succeed(instead())

        def failed(failure: Failure) -> Any:
            return failure if self._note(failure) is None else instead()

        return self.writer.run(job, late).addErrback(failed)

    def _read(self, job: Callable[[Connection], _T], otherwise: Callable[[], _T]) -> Deferred[_T]:
        """Do `job` on the disk, or `otherwise` if the disk does not answer."""
        if self.hangs:
            return succeed(otherwise())

        def failed(failure: Failure) -> Any:
            return failure if self._note(failure) is None else otherwise()

        return self.writer.run(job).addErrback(failed)

    # -- reports

    def add_report(
        self,
        uplink: str,
        kind: str,
        subject: str,
        body: bytes,
        urgent: int,
        cap: Cap,
        setting: tuple[str, Any] | None = None,
    ) -> Deferred[tuple[int, Sequence[int]]]:
        made = self._moment()
        number = self._last = self._last + 1
        kept = None if setting is None else (setting[0], settings.encoded(setting[1]))
        if setting is not None:
            self._settings[setting[0]] = setting[1]

        def job(db: Connection) -> tuple[int, Sequence[int]]:
            if kept is not None:
                settings.put(db, *kept)
            return outbox.add(db, uplink, kind, subject, body, made, urgent, cap, number)

        def instead() -> tuple[int, Sequence[int]]:
            self.counts["reports"] += 1
            if kept is not None:
                self.memory.settings[kept[0]] = kept[1]
            report = Report(number, uplink, kind, subject, body, made, urgent)
            return number, self.memory.add(number, report, cap)

        def late(_: object) -> None:
            self.memory.stored_late(number, uplink, len(body))

        return self._change(job, instead, late)

    def next_report(self, uplink: str, fresh: float) -> Deferred[Report | None]:
        now = self._moment()
        if self.failing is None:
            return self._read(
                lambda db: outbox.following(db, uplink, now, fresh),
                lambda: self._in_memory(uplink, fresh),
            )
        mine = self._in_memory(uplink, fresh)
        if mine is not None and (mine.stored or (mine.urgent and now.since(mine.made) < fresh)):
            return succeed(mine)
        but = self.memory.taken | self.memory.gone

        def took(report: Report | None) -> Report | None:
            if report is not None and self.failing is not None:
                self.memory.take(report)
            return self._in_memory(uplink, fresh) if self.failing is not None else report

        read = self._read(lambda db: outbox.following(db, uplink, now, fresh, but), lambda: None)
        return read.addCallback(took)

    def _in_memory(self, uplink: str, fresh: float) -> Report | None:
        report = outbox.following(self.memory.db, uplink, self._moment(), fresh)
        return None if report is None else self._marked(report)

    def _marked(self, report: Report) -> Report:
        return replace(report, stored=report.id in self.memory.taken)

    def next_reports(self, uplink: str, limit: int, size: int) -> Deferred[Sequence[Report]]:
        if self.failing is None:
            return self._read(
                lambda db: outbox.queued(db, uplink, limit, size),
                lambda: self._some_in_memory(uplink, limit, size),
            )
        but = self.memory.taken | self.memory.gone

        def took(reports: Sequence[Report]) -> Sequence[Report]:
            if self.failing is None:
                return reports
            for report in reports:
                self.memory.take(report)
            return self._some_in_memory(uplink, limit, size)

        nothing: Callable[[], list[Report]] = list
        read = self._read(lambda db: outbox.queued(db, uplink, limit, size, but), nothing)
        return read.addCallback(took)

    def _some_in_memory(self, uplink: str, limit: int, size: int) -> list[Report]:
        found = outbox.queued(self.memory.db, uplink, limit, size)
        return [self._marked(report) for report in found]

    def delivered(self, reports: Sequence[int]) -> Deferred[None]:
        def instead() -> None:
            mine = [number for number in reports if self.memory.holds(number)]
            outbox.delivered(self.memory.db, mine)
            others = [number for number in reports if number not in mine]
            if others:
                self.memory.leave(others, lambda db: outbox.delivered(db, others))

        return self._change(lambda db: outbox.delivered(db, reports), instead)

    def tried(self, report: int, reason: str, body: bytes | None = None) -> Deferred[None]:
        def job(db: Connection) -> None:
            outbox.tried(db, report, reason, body)

        def instead() -> None:
            if self.memory.holds(report):
                job(self.memory.db)
            else:
                self.memory.changes.append(job)

        return self._change(job, instead)

    def set_aside(self, report: int, reason: str, answer: bytes = b"") -> Deferred[None]:
        def job(db: Connection) -> None:
            outbox.set_aside(db, report, reason, answer)

        def instead() -> None:
            if self.memory.holds(report):
                job(self.memory.db)
            else:
                self.memory.leave([report], job)

        return self._change(job, instead)

    def retry_reports(self, uplink: str, reports: Sequence[int] | None) -> Deferred[int]:
        return self._asked(lambda db: outbox.retry(db, uplink, reports))

    def drop_reports(self, uplink: str, reports: Sequence[int] | None) -> Deferred[int]:
        return self._asked(lambda db: outbox.drop(db, uplink, reports))

    def _asked(self, job: Callable[[Connection], _T]) -> Deferred[_T]:
        """Do what a person asked for, on the disk or not at all."""
        if self.failing is not None:
            return fail(self.failing)
        return self.writer.run(job).addErrback(self._raise_trouble)

    def adopt_reports(self, uplinks: Sequence[Destination]) -> Deferred[Mapping[str, str]]:
        self._settings[adoption.SETTING] = adoption.remembered(uplinks)

        def adopted(moved: Mapping[str, str]) -> Mapping[str, str]:
            for old, new in moved.items():
                self._ledgers.pop(old, None)
                for name in [each for each in self._settings if each.startswith(f"{old}.")]:
                    value = self._settings.pop(name)
                    self._settings.setdefault(new + name.removeprefix(old), value)
            return moved

        return self._asked(lambda db: adoption.adopt(db, uplinks)).addCallback(adopted)

    def enforce(self, uplink: str, cap: Cap) -> Deferred[Sequence[int]]:
        now = self._moment()
        return self._change(
            lambda db: outbox.enforce(db, uplink, cap, now),
            lambda: outbox.enforce(self.memory.db, uplink, cap, now),
        )

    def reports(
        self, uplink: str | None, state: str | None, limit: int, after: int = 0
    ) -> Deferred[Sequence[Report]]:
        if self.failing is None:
            return self._asked(lambda db: outbox.reports(db, uplink, state, limit, after))

        def merged(stored: Sequence[Report]) -> Sequence[Report]:
            mine = [self._marked(each) for each in self.memory.reports(uplink, state, limit, after)]
            hidden = self.memory.taken | self.memory.gone
            both = [*mine, *(each for each in stored if each.id not in hidden)]
            return sorted(both, key=lambda each: each.id)[:limit]

        nothing: Callable[[], list[Report]] = list
        read = self._read(lambda db: outbox.reports(db, uplink, state, limit, after), nothing)
        return read.addCallback(merged)

    def report(self, report: int) -> Deferred[Report | None]:
        if self.failing is not None and self.memory.holds(report):
            found = outbox.one(self.memory.db, report)
            return succeed(None if found is None else self._marked(found))
        if self.failing is not None and self.hangs:
            return fail(self.failing)
        return self.writer.run(lambda db: outbox.one(db, report)).addErrback(self._raise_trouble)

    def ledger(self, uplink: str) -> Deferred[Ledger]:
        def known() -> Ledger:
            return self._ledgers.get(uplink) or Ledger(as_of=self._moment())

        def seen(found: Ledger) -> Ledger:
            if found.as_of is None:
                self._ledgers[uplink] = replace(found, as_of=self._moment())
            return found if self.failing is None else self._with_memory(found, uplink)

        return self._read(lambda db: outbox.ledger(db, uplink), known).addCallback(seen)

    def _with_memory(self, stored: Ledger, uplink: str) -> Ledger:
        mine, own = self.memory.differences(uplink)
        names = ("created", "delivered", "queued", "set_aside", "dropped", "size")
        sums = {name: getattr(stored, name) + getattr(mine, name) for name in names}
        oldest = [each for each in (stored.oldest, mine.oldest) if each is not None]
        # What the disk has is older than what memory took in its place.
        return replace(stored, **sums, oldest=next(iter(oldest), None), not_stored=own)

    # -- the audit

    def begin_command(self, entry: AuditEntry) -> Deferred[AuditEntry | None]:
        if self.failing is None:
            began = self.writer.run(lambda db: audit.begin(db, entry))
            return began.addCallbacks(
                self._begun, self._not_begun, callbackArgs=(entry,), errbackArgs=(entry,)
            )
        if self.hangs:
            return self._refuse(entry)
        found = self._read(lambda db: audit.find(db, entry.id), lambda: None)
        return found.addCallback(self._begin_in_memory, entry)

    def _begun(self, known: AuditEntry | None, entry: AuditEntry) -> AuditEntry | None:
        if known is None:
            self._remember(entry)
        return known

    def _not_begun(self, failure: Failure, entry: AuditEntry) -> Any:
        if self._note(failure) is None:
            return failure
        return self._refuse(entry) if self.hangs else self._begin_in_memory(None, entry)

    def _begin_in_memory(self, stored: AuditEntry | None, entry: AuditEntry) -> Any:
        if self.hangs:  # since it was asked
            return self._refuse(entry)
        known = self.memory.entries.get(entry.id) or self._commands.get(entry.id) or stored
        if known is not None:
            return known
        self.counts["commands"] += 1
        self.memory.keep_entry(entry)
        self._remember(entry)
        return None

    def _refuse(self, entry: AuditEntry) -> Deferred[Any]:
        """Fail, and have the disk know later that nothing was done."""
        assert self.failing is not None
        detail = f"not done: {self.failing.en}"
        known = self.memory.entries.get(entry.id) or self._commands.get(entry.id)
        if known is not None:
            return succeed(known)
        refused = replace(entry, result=Outcome.REFUSED.value, detail=detail)
        self.memory.keep_entry(refused)
        return fail(self.failing)

    def _remember(self, entry: AuditEntry) -> None:
        self._commands[entry.id] = entry
        if len(self._commands) > REMEMBERED:
            self._commands.popitem(last=False)

    def end_command(self, entry: AuditEntry) -> Deferred[None]:
        if entry.id in self._commands:
            self._commands[entry.id] = entry

        def instead() -> None:
            self.memory.keep_entry(entry)

        return self._change(lambda db: audit.end(db, entry), instead)

    def audit(self, limit: int) -> Deferred[Sequence[AuditEntry]]:
        if self.failing is None:
            return self._asked(lambda db: audit.newest(db, limit))

        def merged(stored: Sequence[AuditEntry]) -> Sequence[AuditEntry]:
            both = [entry for entry in stored if entry.id not in self.memory.entries]
            return [*reversed(self.memory.entries.values()), *both][:limit]

        known = list(reversed(self._commands.values()))
        read = self._read(lambda db: audit.newest(db, limit), lambda: known)
        return read.addCallback(merged)

    # -- alarms

    def keep_alarms(self, alarms: Sequence[Alarm]) -> Deferred[None]:
        return self._change(
            lambda db: alarm_jobs.keep(db, alarms), lambda: self.memory.keep_alarms(alarms)
        )

    def alarms(self, since: float, until: float, limit: int) -> Deferred[Sequence[Alarm]]:
        if self.failing is None:
            return self._asked(lambda db: alarm_jobs.raised_between(db, since, until, limit))

        def merged(stored: Sequence[Alarm]) -> Sequence[Alarm]:
            mine = self.memory.alarms
            newer = [each for each in mine.values() if since <= each.raised_at <= until]
            newer.sort(key=lambda each: -each.serial)
            return [*newer, *(each for each in stored if each.id not in mine)][:limit]

        nothing: Callable[[], list[Alarm]] = list
        read = self._read(lambda db: alarm_jobs.raised_between(db, since, until, limit), nothing)
        return read.addCallback(merged)

    def end_other_alarms(self, but: Sequence[str], at: float, why: str) -> Deferred[AlarmLedger]:
        return self._asked(lambda db: alarm_jobs.end_others(db, but, at, why))

    # -- settings and cards

    def put_setting(self, name: str, value: Any) -> Deferred[None]:
        text = None if value is None else settings.encoded(value)
        self._settings.pop(name, None)
        if value is not None:
            self._settings[name] = value

        def job(db: Connection) -> None:
            settings.put(db, name, text)

        def instead() -> None:
            self.memory.settings[name] = text

        return self._change(job, instead)

    def settings(self) -> Deferred[Mapping[str, Any]]:
        if self.failing is not None:
            return succeed(dict(self._settings))
        return self._read(settings.read, lambda: dict(self._settings))

    def replace_cards(self, version: str, cards: Sequence[StoredCard]) -> Deferred[None]:
        return self._asked(lambda db: settings.replace_cards(db, version, cards))

    def cards(self) -> Deferred[tuple[str, Sequence[StoredCard]]]:
        if self.failing is not None and self.hangs:
            return fail(self.failing)
        return self.writer.run(settings.cards).addErrback(self._raise_trouble)

    # -- the whole

    def backup(self, history: bool) -> Deferred[IO[bytes]]:
        if self._backups is None:
            return fail(CannotBackUp("no-file", "the store is in no file"))
        return self._backups.copy(history_schema.FILE if history else FILE)

    def close(self) -> Deferred[None]:
        if self._backups is not None:
            self._backups.stop()
        if not self.memory.is_empty:
            snapshot = self.memory.snapshot()
            self.writer.run(snapshot.write).addErrback(_lost, snapshot)
        closed = self.writer.close()

        def let_go(_: None) -> None:
            if self._lock is not None:
                with suppress(OSError):  # a disk that fails
                    self._lock.truncate(0)  # ended in order
                self._lock.close()

        return closed.addCallback(let_go)


def _lost(failure: Failure, snapshot: Any) -> None:
    _log.error(
        "{reports} reports and {entries} entries of the audit are lost, the disk did not take "
        "them: {why}",
        reports=len(snapshot.reports),
        entries=len(snapshot.entries),
        why=failure.getErrorMessage(),
    )
