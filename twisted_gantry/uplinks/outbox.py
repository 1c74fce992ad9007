"""The outbox of one uplink, between those who make its reports and the one who sends them."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from twisted_gantry.core.alarms import Alarms, Severity
from twisted_gantry.core.interfaces import IStore
from twisted_gantry.core.stored import Cap, Ledger, Report, Urgency

_log = Logger()


class Outbox:
    """The reports of the uplink `name` in the store, of which `cap` bounds the size and the age.

    Subscribers are called, in the order in which they were appended: `on_stored(urgent)` when a
    report can be sent; `on_left(reports, acknowledged)` with the numbers of reports that left the
    queue; `on_stale(subjects)` when the last delivered report of these subjects is not the newest.

    `counts` gains `dropped`: the reports that went for the cap.
    """

    def __init__(self, name: str, store: IStore, cap: Cap, alarms: Alarms) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()
        self.on_stored: list[Callable[[bool], object]] = []
        self.on_left: list[Callable[[Sequence[int], bool], object]] = []
        self.on_stale: list[Callable[[Iterable[str]], object]] = []
        self._store, self._cap, self._alarms = store, cap, alarms
        self.moment = store.moment
        self._aside = f"{name}.set-aside"

    # -- for those who make reports

    def keep(
        self,
        kind: str,
        subject: str,
        body: bytes,
        *,
        urgent: int = Urgency.NONE,
        setting: tuple[str, Any] | None = None,
        kept: Callable[[int], None] = lambda number: None,
        not_kept: Callable[[], None] = lambda: None,
    ) -> None:
        """Store a report, with `setting` (a name and its value) or not at all; in memory while the
        disk fails. `kept` is called with the number of the report before it can be sent, `not_kept`
        if the store is closed or the program has a fault.
        """

        def done(result: tuple[int, Sequence[int]]) -> None:
            number, dropped = result
            kept(number)
            self._dropped(dropped)
            for stored in self.on_stored:
                stored(bool(urgent))

        def failed(failure: Failure) -> None:
            not_kept()
            self._log_failure(failure)

        adding = self._store.add_report(self.name, kind, subject, body, urgent, self._cap, setting)
        adding.addCallbacks(done, failed).addErrback(self._log_failure)

    # -- for the one who sends them

    def next_report(self, fresh: float) -> Deferred[Report | None]:
        """Return what to send now: urgent reports under `fresh` seconds old, then the oldest."""
        return self._store.next_report(self.name, fresh)

    def age(self, report: Report) -> float:
        """Return for how many seconds at least a report has waited, whatever the clock did."""
        return self.moment().since(report.made)

    def made_at(self, report: Report) -> float:
        """Return when a report was made, in Unix seconds by the present clock."""
        return self.moment().wall_of(report.made)

    def next_reports(self, limit: int, size: int) -> Deferred[Sequence[Report]]:
        """Return the oldest queued reports: `limit`, or fewer above `size` bytes."""
        return self._store.next_reports(self.name, limit, size)

    def tried(self, report: Report, reason: str, body: bytes | None = None) -> Deferred[None]:
        """Note a try that failed, and a body that replaces the old one."""
        return self._store.tried(report.id, reason, body)

    def delivered(self, reports: Sequence[int]) -> Deferred[None]:
        """Remove up to 500 acknowledged reports."""
        return self._store.delivered(reports).addCallback(lambda _: self._left(reports, True))

    def set_aside(
        self, report: Report, reason: str, zh: str, answer: bytes = b""
    ) -> Deferred[None]:
        """Keep a refused report for a person, with the beginning of the `answer`; the alarm tells
        the reason, `zh` in Chinese.
        """

        def done(_: None) -> None:
            texts = f"reports are set aside; the last: {reason}", f"有上报被搁置；最近一次：{zh}"
            self._alarms.set(self._aside, Severity.WARNING, *texts)
            self._left([report.id], False)

        return self._store.set_aside(report.id, reason, answer).addCallback(done)

    def stale(self, subjects: Iterable[str]) -> None:
        for stale in self.on_stale:
            stale(subjects)

    # -- for the period

    def look_after(self) -> None:
        """Drop what is over the cap, and let the alarm follow the ledger: also after a restart."""
        enforced = self._store.enforce(self.name, self._cap)
        enforced.addCallback(self._dropped).addErrback(self._log_failure)
        self._store.ledger(self.name).addCallback(self._audit).addErrback(self._log_failure)

    def _audit(self, ledger: Ledger) -> None:
        if not ledger.set_aside:
            self._alarms.clear(self._aside)
        elif not self._is_raised(self.name, self._aside):
            n = ledger.set_aside
            texts = f"{n} reports are set aside", f"有{n}条上报被搁置"
            self._alarms.set(self._aside, Severity.WARNING, *texts)

    def _dropped(self, reports: Sequence[int]) -> None:
        if reports:
            self.counts["dropped"] += len(reports)
            _log.warn("{uplink}: the cap dropped {n} reports", uplink=self.name, n=len(reports))
            self._left(reports, False)

    def _left(self, reports: Sequence[int], acknowledged: bool) -> None:
        for left in self.on_left:
            left(reports, acknowledged)

    def _is_raised(self, source: str, name: str) -> bool:
        return any(alarm.name == name for alarm in self._alarms.holding(source))

    def _log_failure(self, failure: Failure) -> None:
        if not failure.check(CancelledError):  # cut off by the stop
            _log.failure("the outbox of {uplink} failed", uplink=self.name, failure=failure)
