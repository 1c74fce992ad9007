"""Makes the ETC reports and puts them into the outbox: when, and with which edges.

Source: the ETC document, sections 2.1 and 3.1; decisions: `docs/protocols/etc-gantry.md`,
"Delivery".
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from twisted.internet.interfaces import IReactorTime

from twisted_gantry.core.alarms import Alarm
from twisted_gantry.core.interfaces import Subject
from twisted_gantry.core.points import Batch
from twisted_gantry.core.site import Cabinet, Site
from twisted_gantry.net.timers import Timer
from twisted_gantry.uplinks.etc import rows as etc_rows
from twisted_gantry.uplinks.etc.latches import Edge, Latches
from twisted_gantry.uplinks.etc.native_rows import DOORS
from twisted_gantry.uplinks.outbox import Outbox
from twisted_gantry.wire.etc.envelope import Method, encode_request

GATHER = 1.0  # seconds: changes within one are gathered into one report

# What is reported at once of a door, beside its opening.
_MOVES = ("closed", "locked", "unlock_type", "open_illegally")


class Reporter:
    """The reports of one site, put into `outbox`. `now` returns Unix seconds."""

    def __init__(
        self, outbox: Outbox, site: Site, clock: IReactorTime, now: Callable[[], float]
    ) -> None:
        self._outbox, self._site, self._clock, self._now = outbox, site, clock, now
        self._latches = {cabinet.id: Latches() for cabinet in site.cabinets}
        self._windows: dict[str, Timer] = {}
        self._more: set[str] = set()
        self._unsubscribe: list[Callable[[], None]] = []
        outbox.on_left.append(self._left)
        outbox.on_stale.append(self._report_again)

    def start(self) -> None:
        self._unsubscribe = [
            self._site.alarms.subscribe(self._alarm_changed),
            self._site.points.subscribe(self._points_changed),
        ]

    def stop(self) -> None:
        for unsubscribe in self._unsubscribe:
            unsubscribe()
        self._unsubscribe = []
        for window in self._windows.values():
            window.cancel()
        self._windows.clear()
        self._more.clear()

    # -- when

    def report(self, subject: Subject) -> None:
        if subject is Subject.COMPUTERS:
            self._report_computers(urgent=False)
            return
        for cabinet in self._site.cabinets:
            self._report_cabinet(cabinet, urgent=False)

    def report_at_once(self, subject: Subject) -> None:
        """Report a subject ahead of the back-log, at most once a second."""
        if subject is Subject.COMPUTERS:
            self._report_at_once(_COMPUTERS)
            return
        for cabinet in self._site.cabinets:
            self._report_at_once(_subject(cabinet))

    def _report_again(self, subjects: Iterable[str]) -> None:
        """Report the present state: the last message delivered is always the newest."""
        wanted = set(subjects)
        if _COMPUTERS in wanted:
            self._report_computers(urgent=False)
        for cabinet in self._site.cabinets:
            if _subject(cabinet) in wanted:
                self._report_cabinet(cabinet, urgent=False)

    def _left(self, reports: Sequence[int], acknowledged: bool) -> None:
        for cabinet in self._site.cabinets:
            if self._latches[cabinet.id].left(reports, acknowledged) and self._unsubscribe:
                self._report_at_once(_subject(cabinet))

    def _alarm_changed(self, alarm: Alarm) -> None:
        for cabinet in self._site.cabinets:
            sources = [
                (group, source)
                for group, names in cabinet.sources.items()
                for source in names
                if source.partition(".")[0] == alarm.source
            ]
            if not sources:
                continue
            for group, source in sources:
                told = alarm.active and alarm.group == group
                if told and etc_rows.concerns(self._site, alarm, source):
                    rows = etc_rows.edge_rows(self._site, source, group)
                    edge = Edge(alarm.name, source, group, alarm, rows)
                    self._latches[cabinet.id].add(edge)
            self._report_at_once(_subject(cabinet))

    def _points_changed(self, device: str, batch: Batch) -> None:
        """Latch movements of doors; a first reading is no movement."""
        moved = {
            change.new.name
            for change in batch
            if ".doors." in change.new.name
            and change.old.at is not None
            and change.new.good is not None
            and change.old.value != change.new.value
        }
        if not moved:
            return
        for cabinet in self._site.cabinets:
            if device not in cabinet.sources.get("doors", ()):
                continue
            which = [
                door
                for door in DOORS
                if any(f"{device}.doors.{door}_door_{part}" in moved for part in _MOVES)
            ]
            rows = etc_rows.edge_rows(self._site, device, "doors")
            for door in which:
                name = f"{device}.doors.{door}"
                weight = self._weight(f"{name}_door_")
                self._latches[cabinet.id].add(Edge(name, device, "doors", None, rows, weight))
            if which:
                self._report_at_once(_subject(cabinet))

    def _weight(self, door: str) -> int:
        """Return the weight of a door's state: open illegally 3, open 2, unlocked 1, else 0."""
        points = {part: self._site.points.get(f"{door}{part}") for part in _MOVES}
        good = {part: point.good for part, point in points.items() if point is not None}
        if good.get("open_illegally"):
            return 3
        if good.get("closed") is False:
            return 2
        return 1 if good.get("locked") is False else 0

    def _report_at_once(self, subject: str) -> None:
        """Report now; changes within the next second are gathered into one more report. One reading
        may bring several changes in several calls: the report is made after them.
        """
        self._report_within(subject, 0)

    def _report_within(self, subject: str, seconds: float) -> None:
        self._more.add(subject)
        if subject not in self._windows:
            self._open_window(subject, seconds)

    def _open_window(self, subject: str, seconds: float) -> None:
        window = self._windows[subject] = Timer(self._clock, partial(self._gathered, subject))
        window.start(seconds)

    def _gathered(self, subject: str) -> None:
        del self._windows[subject]
        if subject not in self._more:
            return
        self._more.discard(subject)
        self._open_window(subject, GATHER)
        if subject == _COMPUTERS:
            self._report_computers(urgent=True)
        for cabinet in self._site.cabinets:
            if _subject(cabinet) == subject:
                self._report_cabinet(cabinet, urgent=True)

    # -- what

    def _report_computers(self, *, urgent: bool) -> None:
        rows = etc_rows.computers(self._site)
        if rows:
            self._keep(Method.COMPUTER_STATUS, _COMPUTERS, rows, urgent)

    def _report_cabinet(self, cabinet: Cabinet, *, urgent: bool) -> None:
        latches = self._latches[cabinet.id]
        report, carried, over = etc_rows.cabinet(
            self._site, cabinet, latches.waiting(urgent=urgent)
        )
        # What the report carries stays latched when it cannot be stored.
        kept = partial(latches.carried, carried)
        self._keep(Method.CABINET_STATUS, _subject(cabinet), report, urgent, kept)
        if over and self._unsubscribe:
            # The report shows a pulse that has ended: a later report says so.
            self._report_within(_subject(cabinet), GATHER)

    def _keep(
        self,
        method: Method,
        subject: str,
        fields: Any,
        urgent: bool,
        kept: Callable[[int], None] = lambda number: None,
    ) -> None:
        body = encode_request(self._site.gantry_id, method, self._now(), fields)
        self._outbox.keep(method.value, subject, body, urgent=urgent, kept=kept)


_COMPUTERS = "computers"


def _subject(cabinet: Cabinet) -> str:
    return f"cabinet {cabinet.id}"
