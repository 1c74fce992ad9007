"""Makes the ETC reports and puts them into the outbox: when, and with which edges.

Source: the ETC document, sections 2.1 and 3.1; decisions: `docs/protocols/etc-gantry.md`,
"Delivery".
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from itertools import product
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.core.alarms import Alarm
from twisted_gantry.core.interfaces import NotKept, Subject
from twisted_gantry.core.points import Batch
from twisted_gantry.core.site import Cabinet, Site
from twisted_gantry.core.stored import Urgency
from twisted_gantry.net.timers import Timer
from twisted_gantry.uplinks.etc import rows as etc_rows
from twisted_gantry.uplinks.etc.doors import DoorStates, Move, Seen, present
from twisted_gantry.uplinks.etc.latches import Edge, Latches
from twisted_gantry.uplinks.outbox import Outbox
from twisted_gantry.wire.etc.envelope import Method, encode_request
from twisted_gantry.wire.etc.reports import Group

DOORS = "doors"  # the group
GATHER = 1.0  # seconds: changes within one are gathered into one report


class Reporter:
    """The reports of one site, put into `outbox`. `now` returns Unix seconds."""

    def __init__(
        self, outbox: Outbox, site: Site, clock: IReactorTime, now: Callable[[], float]
    ) -> None:
        self._outbox, self._site, self._clock, self._now = outbox, site, clock, now
        self._setting = f"{outbox.name}.doors"
        self._latches = {cabinet.id: Latches() for cabinet in site.cabinets}
        self._windows: dict[str, Timer] = {}
        self._more: set[str] = set()
        self._unsubscribe: list[Callable[[], None]] = []
        self._doors = DoorStates()
        # States that came before the stored ones were read; None afterwards.
        self._early: list[tuple[str, str, Seen, tuple[Group, ...]]] | None = []
        self._storing = 0
        self._storing_failed = False
        self._waiting_for_store: list[Deferred[None]] = []
        outbox.on_left.append(self._left)
        outbox.on_stale.append(self._report_again)

    def start(self) -> None:
        self._unsubscribe = [
            self._site.alarms.subscribe_edges(self._alarm_changed),
            self._site.points.subscribe(self._points_changed),
        ]

    async def load(self) -> None:
        """Read the stored states of the doors; states that came before are judged now. A store that
        cannot be read holds none.
        """
        stored = None
        try:
            stored = (await self._site.store.settings()).get(self._setting)
        finally:
            self._judge_early(stored)

    def _judge_early(self, stored: Any) -> None:
        self._doors.load(stored)
        early, self._early = self._early or [], None
        for device in self._site.devices:
            if self._has_doors(device):
                rows = etc_rows.edge_rows(self._site, device, DOORS)
                early += [(device, *seen, rows) for seen in present(self._site.points, device)]
        for each in early:
            self._door_seen(*each)
        if self._waiting_for_store:
            self._flush()
            if self._storing == 0:
                self._tell_waiting()

    def _has_doors(self, device: str) -> bool:
        return any(device in each.sources.get(DOORS, ()) for each in self._site.cabinets)

    def kept(self) -> Deferred[None]:
        """Make the reports of all edges so far; fires once they are on the disk. Fails with
        NotKept.
        """
        if self._storing_failed:
            for cabinet in self._site.cabinets:
                if self._latches[cabinet.id].waiting(urgent=True):
                    self._report_at_once(_subject(cabinet))
        self._flush()
        if self._storing == 0 and self._early is None:
            return fail(NotKept()) if self._storing_failed else succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiting_for_store.append(waiter)
        return waiter

    def _flush(self) -> None:
        for subject in tuple(self._more):
            self._windows[subject].cancel()
            self._gathered(subject)

    def stop(self) -> None:
        """End; the reports of the edges so far are handed to the store first."""
        if self._early is not None:
            self._judge_early(None)
        self._flush()
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
        if alarm.subject and not alarm.group:
            return  # of the site's own rules, and not to be reported
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
        failed = {
            change.new.name.removesuffix(_ABNORMAL)
            for change in batch
            if change.new.name.endswith(_ABNORMAL)
            and change.new.good is True
            and change.old.good is not True
        }
        if failed:
            self._mains_failed(device, failed)
        if not any(".doors." in change.new.name for change in batch):
            return
        if not self._has_doors(device):
            return
        rows = etc_rows.edge_rows(self._site, device, DOORS)
        for door, state in present(self._site.points, device):
            if self._early is None:
                self._door_seen(device, door, state, rows)
            else:
                self._early.append((device, door, state, rows))

    def _mains_failed(self, device: str, parts: Collection[str]) -> None:
        """Latch the alarm of a device for parts that join it while it is raised already."""
        raised = [a for a in self._site.alarms.holding(device) if a.about == device]
        for cabinet in self._site.cabinets:
            sources = [each for each in cabinet.sources.get("elec", ()) if each in parts]
            for alarm, source in product(raised, sources):
                if alarm.group == "elec" and source != device:
                    self._latches[cabinet.id].add(Edge(alarm.name, source, "elec", alarm))
                    self._report_at_once(_subject(cabinet))

    def _door_seen(self, device: str, door: str, state: Seen, rows: tuple[Group, ...]) -> None:
        move = self._doors.take(door, state)
        if move is Move.NONE:
            return
        for cabinet in self._site.cabinets:
            if device in cabinet.sources.get(DOORS, ()):
                if move is Move.OPENED:
                    self._latches[cabinet.id].add(Edge(door, device, DOORS, None, rows))
                self._report_at_once(_subject(cabinet))

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
            urgency = Urgency.URGENT if urgent else Urgency.NONE
            self._keep(Method.COMPUTER_STATUS, _COMPUTERS, rows, urgency)

    def _report_cabinet(self, cabinet: Cabinet, *, urgent: bool) -> None:
        """Store a report, and one more for each edge that no report before it can show. Alarms go
        first: openings wait for each other, alarms do not.
        """
        latches = self._latches[cabinet.id]
        tried: set[Edge] = set()
        made = ended = False
        for of_doors in (False, True):
            while True:
                waiting = latches.waiting(urgent=urgent)
                edges = [edge for edge in waiting if (edge.group == DOORS) is of_doors]
                if not edges and (made or not of_doors):
                    break
                report, carried, over = etc_rows.cabinet(self._site, cabinet, edges)
                if tried.issuperset(carried) and (made or not of_doors):
                    break
                made, ended = True, over
                latches.under_way(carried)
                self._keep_cabinet(cabinet, report, urgent, carried)
                tried.update(carried)
        if ended and self._unsubscribe:
            # The last report shows a pulse that has ended: a later report says so.
            self._report_within(_subject(cabinet), GATHER)

    def _keep_cabinet(
        self, cabinet: Cabinet, report: Any, urgent: bool, carried: Sequence[Edge]
    ) -> None:
        urgency = Urgency.URGENT if urgent else Urgency.NONE
        if any(edge.group == DOORS for edge in carried):
            urgency = Urgency.IN_ORDER
        latches = self._latches[cabinet.id]
        self._keep(Method.CABINET_STATUS, _subject(cabinet), report, urgency, latches, carried)

    def _keep(
        self,
        method: Method,
        subject: str,
        fields: Any,
        urgency: Urgency,
        latches: Latches | None = None,
        carried: Sequence[Edge] = (),
    ) -> None:
        body = encode_request(self._site.gantry_id, method, self._now(), fields)
        setting = (self._setting, self._doors.save()) if self._doors.unsaved else None
        self._storing += 1

        def kept(number: int) -> None:
            if latches is not None:
                latches.carried(carried, number)
            self._stored(failed=False)

        def not_kept() -> None:
            if latches is not None:
                latches.not_carried(carried)
            self._doors.unsaved = self._doors.unsaved or setting is not None
            self._stored(failed=True)

        self._outbox.keep(
            method.value,
            subject,
            body,
            urgent=urgency,
            setting=setting,
            kept=kept,
            not_kept=not_kept,
        )

    def _stored(self, *, failed: bool) -> None:
        self._storing -= 1
        self._storing_failed = failed
        if self._storing == 0 and self._early is None:
            self._tell_waiting()

    def _tell_waiting(self) -> None:
        waiting, self._waiting_for_store = self._waiting_for_store, []
        for waiter in waiting:
            if self._storing_failed:
                waiter.errback(NotKept())
            else:
                waiter.callback(None)


_COMPUTERS = "computers"
_ABNORMAL = ".mains_abnormal"


def _subject(cabinet: Cabinet) -> str:
    return f"cabinet {cabinet.id}"
