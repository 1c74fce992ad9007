"""`GET /api/v1/stream`: changes of the site, as server-sent events.

The events `point`, `alarm`, `device` and `uplink` carry types of the local API; what comes with
them, and in which order, is that of `net/http/event_stream.py`. Changes of a point are merged: only
the newest value is sent, if value or quality differ.
"""

from collections.abc import Callable, Iterator, Mapping
from zlib import crc32

from msgspec.structs import replace
from twisted.internet.interfaces import IReactorTime

from twisted_gantry.core.alarms import Alarm
from twisted_gantry.core.interfaces import IBridge
from twisted_gantry.core.points import Batch, Point
from twisted_gantry.core.site import Site
from twisted_gantry.core.status import Status
from twisted_gantry.core.stored import Ledger
from twisted_gantry.net.http.event_stream import Event, EventStream, Later
from twisted_gantry.net.times import times_in
from twisted_gantry.web.api import views
from twisted_gantry.wire.local_api import AlarmView, Bridge, Device, PointView, Uplink

# Seconds for which changes are merged, and points sent at a time: at most 250 a second.
GATHER = 0.2
POINTS_AT_A_TIME = 50


def _same(a: Point | None, b: Point) -> bool:
    """Tell whether two states of a point have the same value and quality; 1 and true differ."""
    if a is None or a.quality != b.quality:
        return False
    return (type(a.value), a.value) == (type(b.value), b.value)


class Stream(EventStream):
    """The event stream of one site. Raises ZoneInfoNotFoundError for an unknown timezone."""

    def __init__(self, site: Site, clock: IReactorTime) -> None:
        # Ids of an earlier process, or from before a reload, are not valid. The time of day would
        # repeat itself where the clock begins in 1970.
        moment = site.store.moment()
        boot = crc32(moment.boot.encode()) & 0xFFFF
        super().__init__("stream", clock, f"{boot:04x}{int(moment.mono * 1000):x}")
        self._site, self._time = site, times_in(site.timezone)
        self._ledger_reader = views.Ledgers(site)
        self._ledgers: Mapping[str, Ledger | None] = {}
        # What was last sent: the state of points, the answers for devices and uplinks, and the
        # active alarms in `_raised`.
        self._points: dict[str, Point] = {}
        self._shapes: dict[tuple[str, str], Bridge | Device | Uplink] = {}
        self._changed: dict[str, None] = {}  # points, in the order in which they changed
        self._alarms: list[Alarm] = []  # that were raised or cleared, in order
        self._raised: dict[str, AlarmView] = {}
        self._watched: dict[Status, Callable[[], None]] = {}
        self._unsubscribe: list[Callable[[], None]] = []
        self._flush_later = Later(clock, self._flush)

    # -- awake while there are readers

    def wake(self) -> None:
        site = self._site
        self._points = {point.name: point for point in site.points.under()}
        self._raised = self._folded()
        self._unsubscribe = [
            site.points.subscribe(self._points_changed),
            site.alarms.subscribe(self._alarm_changed),
            site.alarms.subscribe_changes(self._alarm_changed),
        ]

    def sleep(self) -> None:
        self._flush_later.cancel()
        for unsubscribe in (*self._unsubscribe, *self._watched.values()):
            unsubscribe()
        self._unsubscribe = []
        for known in (self._points, self._shapes, self._changed, self._alarms, self._watched):
            known.clear()
        self._raised = {}

    def _points_changed(self, device: str, batch: Batch) -> None:
        points = [change.new for change in batch]
        changed = [each.name for each in points if not _same(self._points.get(each.name), each)]
        if changed:
            self._changed.update(dict.fromkeys(changed))
            self._flush_later.start(GATHER)

    def _alarm_changed(self, alarm: Alarm) -> None:
        self._alarms.append(alarm)
        self._flush_later.start(GATHER)

    # -- what does not notify

    async def look(self) -> Mapping[str, Ledger | None]:
        return await self._ledger_reader.read()

    def looked(self, found: Mapping[str, Ledger | None]) -> None:
        self._ledgers = found
        self._watch_statuses()
        self._notice()
        self._flush()

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
            self.forget()

    # -- sending

    def _flush(self) -> None:
        self._flush_later.cancel()
        for kind, name, shape in self._parts():
            if self._shapes.get((kind, name)) != shape:
                self._shapes[kind, name] = shape
                self.tell(kind, shape)
        self._flush_alarms()
        for name in list(self._changed)[:POINTS_AT_A_TIME]:
            del self._changed[name]
            point = self._site.points.get(name)
            if point is not None and not _same(self._points.get(name), point):
                self._points[name] = point
                self.tell("point", self._point(point))
        if self._changed:
            self._flush_later.start(GATHER)
        self.pump()

    def _flush_alarms(self) -> None:
        """Send what was raised and cleared, then the alarms that are folded otherwise by that."""
        if not self._alarms:
            return
        sent, fold = self._raised, self._site.fold()
        for alarm in self._alarms:
            sent[alarm.name] = views.alarm(alarm, self._time, fold)
            self.tell("alarm", sent[alarm.name])
        self._alarms.clear()
        self._raised = self._folded()
        for name, shown in self._raised.items():
            if sent.get(name) != shown:
                self.tell("alarm", shown)

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

    def whole(self) -> Iterator[Event]:
        yield from ((kind, shape) for kind, _, shape in self._parts())
        yield from (("alarm", each) for each in self._folded().values())
        yield from (("point", self._point(each)) for each in self._site.points.under())
