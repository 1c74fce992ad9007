"""`GET /api/v1/stream`: changes of the site, as server-sent events.

The events `point`, `alarm`, `device` and `uplink` carry types of the local API. A reader first
gets a snapshot: `snapshot` (`{"events": n}`: forget earlier events), n events, then `live` (`{}`).
Events have ids without gaps. In a snapshot only `live` has an id, so a reader that lost the
connection before it gets a new snapshot. A reader that sends an id which is still kept gets the
events after that id instead.

The answer is packed for a reader that takes gzip, each piece so that the reader has it at once.
Changes of a point are merged: only the newest value is sent, if value or quality differ.
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any
from zlib import crc32

import msgspec
from msgspec.structs import replace
from twisted.internet.defer import Deferred, ensureDeferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.server import Request

from twisted_gantry.core.alarms import Alarm
from twisted_gantry.core.interfaces import IBridge
from twisted_gantry.core.points import Batch, Point
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import Status
from twisted_gantry.core.stored import Ledger
from twisted_gantry.core.times import times_in
from twisted_gantry.net.http.gzip import Packer, takes_gzip
from twisted_gantry.net.http.json import HttpError, header
from twisted_gantry.net.service import NamedService
from twisted_gantry.net.timers import Timer
from twisted_gantry.web.api import views
from twisted_gantry.web.api.stream_reader import Reader, Ring, chunks_of
from twisted_gantry.wire.local_api import (
    AlarmView,
    Bridge,
    Device,
    PointView,
    SnapshotBegin,
    SnapshotEnd,
    Uplink,
)

_log = Logger()

MOST_READERS = 128
# Seconds for which changes are merged, and points sent at a time: at most 250 a second.
GATHER = 0.2
POINTS_AT_A_TIME = 50
# Seconds between two readings of the ledgers while there are readers; timeout of one reading.
LOOK = 1.0
LEDGERS_WITHIN = 2.0
COMMENT = 15.0  # seconds between comments: they keep a proxy from closing a quiet stream
STALLED = 30.0  # seconds without reading after which a reader is disconnected
LINGER = 30.0  # seconds for which changes are kept without readers, for a reader that reconnects
RETRY = 3000  # milliseconds that a reader is asked to wait before it reconnects

_ID = re.compile(r"([0-9a-f]{1,16})-([0-9]{1,15})\Z", re.ASCII)


def _same(a: Point | None, b: Point) -> bool:
    """Tell whether two states of a point have the same value and quality; 1 and true differ."""
    if a is None or a.quality != b.quality:
        return False
    return (type(a.value), a.value) == (type(b.value), b.value)


def _frame(event: str, content: msgspec.Struct, event_id: str = "") -> bytes:
    head = f"event: {event}\ndata: "
    if event_id:
        head = f"id: {event_id}\n{head}"
    return head.encode() + msgspec.json.encode(content) + b"\n\n"


class _Later(Timer):
    def start(self, delay: float) -> None:
        if not self.running:
            super().start(delay)


class Stream(NamedService):
    """The event stream of one site. It works only while it is a running service.

    `counts` has `opened`, `resumed`, `dropped` (a reader missed events and got a new snapshot),
    `stalled` (disconnected) and `full` (refused). A stop ends every answer. Raises
    ZoneInfoNotFoundError for an unknown timezone.
    """

    def __init__(self, site: Site, clock: IReactorTime) -> None:
        super().__init__("stream")
        self.counts: Counter[str] = Counter(
            dict.fromkeys(("opened", "resumed", "dropped", "stalled", "full"), 0)
        )
        self._site, self._clock = site, clock
        self._time = times_in(site.timezone)
        # Ids of an earlier process, or from before a reload, are not valid. The time of day would
        # repeat itself where the clock begins in 1970.
        moment = site.store.moment()
        boot = crc32(moment.boot.encode()) & 0xFFFF
        self._epoch = f"{boot:04x}{int(moment.mono * 1000):x}"
        self._ring = Ring()
        self._readers: set[Reader] = set()
        self._ledger_reader = views.Ledgers(site)
        self._ledgers: Mapping[str, Ledger | None] = {}
        # What was last sent: the state of points, the answers for devices and uplinks, and the
        # active alarms in `_raised`.
        self._points: dict[str, Point] = {}
        self._shapes: dict[tuple[str, str], Bridge | Device | Uplink] = {}
        self._changed: dict[str, None] = {}  # points, in the order in which they changed
        self._alarms: list[Alarm] = []  # that were raised or cleared, in order
        self._raised: dict[str, AlarmView] = {}
        self._snapshot: tuple[int, tuple[bytes, ...]] = (0, ())
        self._watched: dict[Status, Callable[[], None]] = {}
        self._unsubscribe: list[Callable[[], None]] = []
        self._ready = False  # the ledgers were read
        self._looking: Deferred[Any] | None = None
        self._commented = 0.0
        self._flush_later = _Later(clock, self._flush)
        self._look_later = _Later(clock, self._look)
        self._sleep_later = _Later(clock, self._sleep)

    @property
    def readers(self) -> int:
        return len(self._readers)

    def stopService(self) -> None:
        super().stopService()
        for reader in list(self._readers):
            reader.end()
        self._sleep()
        if self._looking is not None:
            self._looking.cancel()

    def read(self, request: Request) -> bytes | Deferred[bytes]:
        """Answer a request with the stream. Raises HttpError (503) for too many readers."""
        if not self.running or len(self._readers) >= MOST_READERS:
            self.counts["full"] += 1
            request.setHeader("Retry-After", "30")
            raise HttpError(503, "too-many-readers", f"at most {MOST_READERS} may read the stream")
        request.setHeader("Content-Type", "text/event-stream; charset=utf-8")
        # A proxy that packs or buffers would hold events back.
        request.setHeader("Cache-Control", "no-store, no-transform")
        request.setHeader("X-Accel-Buffering", "no")
        packer = Packer() if takes_gzip(request) else None
        if packer is not None:
            request.setHeader("Content-Encoding", "gzip")
        if request.method == b"HEAD":
            return b""
        self._wake()
        reader = Reader(
            request,
            self._ring,
            self._place_of(header(request, "last-event-id")),
            packer,
            snapshot=self._snapshot_pieces,
            seconds=self._clock.seconds,
            missed=lambda: self.counts.update(dropped=1),
            left=self._left,
        )
        self._readers.add(reader)
        self.counts["opened"] += 1
        reader.write(b"retry: %d\n\n" % RETRY)
        if self._ready:
            reader.pump()
        self._look_later.start(0.0)
        return reader.done

    def _place_of(self, last_id: str) -> int | None:
        """Return the number of the event after an id, None if that event is not kept."""
        found = _ID.match(last_id)
        if found is None or found[1] != self._epoch:
            return None
        place = int(found[2]) + 1
        if not self._ring.first <= place <= self._ring.next:
            return None
        self.counts["resumed"] += 1
        return place

    def _left(self, reader: Reader) -> None:
        self._readers.discard(reader)
        if not self._readers:
            self._look_later.cancel()
            if self.running:
                self._sleep_later.start(LINGER)

    # -- awake while there are readers

    def _wake(self) -> None:
        self._sleep_later.cancel()
        if self._unsubscribe:
            return
        site = self._site
        self._points = {point.name: point for point in site.points.under()}
        self._raised = self._folded()
        self._unsubscribe = [
            site.points.subscribe(self._points_changed),
            site.alarms.subscribe(self._alarm_changed),
            site.alarms.subscribe_changes(self._alarm_changed),
        ]

    def _sleep(self) -> None:
        """Stop watching; ids from before become invalid."""
        for later in (self._flush_later, self._look_later, self._sleep_later):
            later.cancel()
        for unsubscribe in (*self._unsubscribe, *self._watched.values()):
            unsubscribe()
        self._unsubscribe = []
        self._ready = False
        for known in (self._points, self._shapes, self._changed, self._alarms, self._watched):
            known.clear()
        self._raised = {}
        self._snapshot = (0, ())
        self._ring.forget()

    def _points_changed(self, device: str, batch: Batch) -> None:
        points = [change.new for change in batch]
        changed = [each.name for each in points if not _same(self._points.get(each.name), each)]
        if changed:
            self._changed.update(dict.fromkeys(changed))
            self._flush_later.start(GATHER)

    def _alarm_changed(self, alarm: Alarm) -> None:
        self._alarms.append(alarm)
        self._flush_later.start(GATHER)

    # -- polling of what does not notify

    def _look(self) -> None:
        if self._looking is not None:
            return  # a reading under way serves new readers as well
        reading = self._looking = ensureDeferred(self._ledger_reader.read())
        reading.addTimeout(LEDGERS_WITHIN, self._clock)
        reading.addCallback(self._looked)
        reading.addErrback(self._look_failed)

    def _look_failed(self, failure: Failure) -> None:
        _log.failure("the stream cannot tell what changed", failure)
        self._looking = None
        if self._readers:
            self._look_later.start(LOOK)

    def _looked(self, ledgers: Mapping[str, Ledger | None]) -> None:
        self._looking = None
        if not self._readers:
            return
        self._look_later.start(LOOK)
        self._ledgers = ledgers
        self._watch_statuses()
        self._notice()
        self._ready = True
        self._flush()
        now = self._clock.seconds()
        for reader in list(self._readers):
            if reader.paused_at is not None and now - reader.paused_at >= STALLED:
                self.counts["stalled"] += 1
                reader.end()
        if now - self._commented >= COMMENT:
            self._commented = now
            for reader in list(self._readers):
                reader.write(b":\n\n")

    def _watch_statuses(self) -> None:
        """Subscribe to new devices and uplinks: a reload replaces some."""
        site = self._site
        statuses = {each.status for each in site.devices.values()}
        statuses |= {each.status for each in site.uplinks.values()}
        statuses |= {each.status for each in site.bridges.values()}
        for status in self._watched.keys() - statuses:
            self._watched.pop(status)()
        for status in statuses - self._watched.keys():
            self._watched[status] = status.subscribe(lambda _: self._flush_later.start(GATHER))

    def _notice(self) -> None:
        """Find declared points, and points, devices and uplinks that were removed.

        No event says that something was removed: readers get a new snapshot.
        """
        site = self._site
        points = {point.name: point for point in site.points.under()}
        changed = [name for name, each in points.items() if not _same(self._points.get(name), each)]
        self._changed.update(dict.fromkeys(changed))
        parts = {
            "device": set(site.devices),
            "uplink": set(site.uplinks),
            "bridge": set(site.bridges),
        }
        gone = self._points.keys() - points
        others = [(kind, name) for kind, name in self._shapes if name not in parts[kind]]
        for name in gone:
            del self._points[name]
        for key in others:
            del self._shapes[key]
        if gone or others:
            self._ring.forget()

    # -- sending

    def _flush(self) -> None:
        self._flush_later.cancel()
        for kind, name, shape in self._parts():
            if self._shapes.get((kind, name)) != shape:
                self._shapes[kind, name] = shape
                self._add(kind, shape)
        self._flush_alarms()
        for name in list(self._changed)[:POINTS_AT_A_TIME]:
            del self._changed[name]
            point = self._site.points.get(name)
            if point is not None and not _same(self._points.get(name), point):
                self._points[name] = point
                self._add("point", self._point(point))
        if self._changed:
            self._flush_later.start(GATHER)
        if self._ready:
            for reader in list(self._readers):
                reader.pump()

    def _flush_alarms(self) -> None:
        """Send what was raised and cleared, then the alarms that are folded otherwise by that."""
        if not self._alarms:
            return
        sent, fold = self._raised, self._site.fold()
        for alarm in self._alarms:
            sent[alarm.name] = views.alarm(alarm, self._time, fold)
            self._add("alarm", sent[alarm.name])
        self._alarms.clear()
        self._raised = self._folded()
        for name, shown in self._raised.items():
            if sent.get(name) != shown:
                self._add("alarm", shown)

    def _folded(self) -> dict[str, AlarmView]:
        """Return the active alarms by name."""
        fold, active = self._site.fold(), self._site.alarms.active()
        return {each.name: views.alarm(each, self._time, fold) for each in active}

    def _parts(self) -> list[tuple[str, str, Bridge | Device | Uplink]]:
        site, time, ledgers = self._site, self._time, self._ledgers
        return [
            *(("device", n, views.device(n, d, time, site.graph)) for n, d in site.devices.items()),
            *(
                ("uplink", n, views.uplink(n, each, ledgers.get(n), time))
                for n, each in site.uplinks.items()
            ),
            *(("bridge", n, self._bridge(n, each)) for n, each in site.bridges.items()),
        ]

    def _bridge(self, name: str, bridge: IBridge) -> Bridge:
        """Return a bridge without its queues, which change all the time."""
        return replace(views.bridge(name, bridge, self._time), queues=[])

    def _point(self, point: Point) -> PointView:
        return views.point(point, self._site.points.catalogue[point.name], self._time)

    def _add(self, event: str, content: msgspec.Struct) -> None:
        self._ring.add(_frame(event, content, f"{self._epoch}-{self._ring.next}"))

    def _snapshot_pieces(self) -> tuple[bytes, ...]:
        """Return the state of the site in pieces, made once for readers that come together."""
        at, pieces = self._snapshot
        if at != self._ring.next:
            events = [_frame(kind, shape) for kind, _, shape in self._parts()]
            events += [_frame("alarm", each) for each in self._folded().values()]
            events += [_frame("point", self._point(each)) for each in self._site.points.under()]
            begin = _frame("snapshot", SnapshotBegin(len(events)))
            end = _frame("live", SnapshotEnd(), f"{self._epoch}-{self._ring.next - 1}")
            pieces = chunks_of([begin, *events, end])
            self._snapshot = (self._ring.next, pieces)
        return pieces
