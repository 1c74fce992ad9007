"""Traps on the edges of alarms, by net-snmp's `snmptrap`: versions, users and keys are its own.

The alarms are followed by the event stream. After a gap the alarms that are active now are compared
with those that were: no edge is lost, and none is told twice.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from time import monotonic

import msgspec

from twisted_gantry.ctl.client import ApiError
from twisted_gantry.ctl.snmp import gantry_mib, ups_mib
from twisted_gantry.ctl.snmp.snapshot import Snapshot
from twisted_gantry.ctl.snmp.tree import Oid, SnmpType, SnmpValue, index_of, show_oid, text
from twisted_gantry.wire.local_api import AlarmView

SILENCE_S = 45.0
"""Seconds without a sign of life after which the stream is opened anew; a comment comes in 15."""
AGAIN_S = 3.0  # seconds until the stream is opened anew
LOST_S = 15.0  # seconds without the gantry after which that is told
REPEAT_S = 60.0  # seconds between two upsTrapOnBattery, as RFC 1628 has it

_LETTERS = {
    SnmpType.INTEGER: "i",
    SnmpType.GAUGE: "u",
    SnmpType.TICKS: "t",
    SnmpType.OID: "o",
    SnmpType.TEXT: "s",
}
_UPS_TRAPS: Oid = (*ups_mib.UPS_MIB, 2)
ON_BATTERY, ADDED, REMOVED = ((*_UPS_TRAPS, number) for number in (1, 3, 4))

Objects = Mapping[Oid, SnmpValue]
Send = Callable[[Oid, Objects], None]
"""Sends a notification with its objects, in their order."""
Events = Callable[[], Iterator[tuple[str, bytes]]]


def arguments(trap: Oid, objects: Objects) -> list[str]:
    """Return the last arguments of `snmptrap`: no sysUpTime of ours, the trap, its objects."""
    given = ["", show_oid(trap)]
    for oid, value in objects.items():
        given += [show_oid(oid), _LETTERS[value.type], value.text]
    return given


class Follower:
    """Tells the edges of alarms. `look` and `events` raise ApiError; `now` is Unix seconds."""

    def __init__(
        self,
        look: Callable[[], Snapshot],
        events: Events,
        send: Send,
        now: Callable[[], float],
        seconds: Callable[[], float] = monotonic,
    ) -> None:
        self._look, self._events, self._send = look, events, send
        self._now, self._seconds = now, seconds
        self._active: dict[str, AlarmView] = {}
        self._snapshot: Snapshot | None = None
        self._good_at = seconds()
        self._lost = False
        self._told_battery: dict[str, float] = {}

    def run(self, pause: Callable[[float], object]) -> None:
        """Follow for good. `pause` waits so many seconds, and ends the run by an exception."""
        while True:
            try:
                self.follow()
            except ApiError:
                if not self._lost and self._seconds() - self._good_at >= LOST_S:
                    self._lost = True
                    self._send(gantry_mib.LOST, {})
            pause(AGAIN_S)

    def follow(self) -> None:
        """Follow until the stream ends. Raises ApiError."""
        gathered: dict[str, AlarmView] | None = None
        for event, data in self._events():
            self._good_at = self._seconds()
            if event == "snapshot":
                gathered = {}
            elif event == "alarm":
                alarm = msgspec.json.decode(data, type=AlarmView)
                if gathered is None:
                    self._change(alarm)
                elif alarm.cleared_at is None:
                    gathered[alarm.alarm] = alarm
            elif event == "live" and gathered is not None:
                self._snapshot = self._look()
                self._compare(gathered)
                gathered = None
            if gathered is None:
                self._repeat()

    def _compare(self, active: Mapping[str, AlarmView]) -> None:
        if self._lost:
            self._lost = False
            self._send(gantry_mib.BACK, {})
        for name, known in list(self._active.items()):
            if name not in active or active[name].raised_at != known.raised_at:
                self._change(msgspec.structs.replace(known, cleared_at=known.raised_at or "-"))
        for alarm in active.values():
            self._change(alarm)

    def _change(self, alarm: AlarmView) -> None:
        """Take an alarm as it is now; what is no edge, such as a new text, is not told."""
        known = alarm.alarm in self._active
        raised = alarm.cleared_at is None
        ups, before = alarm.source or alarm.alarm.partition(".")[0], list(self._active.values())
        if raised:
            self._active[alarm.alarm] = alarm
        else:
            self._active.pop(alarm.alarm, None)
        if raised is known:
            return
        own = self._own(alarm)
        self._send(gantry_mib.RAISED if raised else gantry_mib.CLEARED, own)
        if self._snapshot is not None and ups in self._snapshot.upses:
            self._tell_ups(ups, before, own)

    def _own(self, alarm: AlarmView) -> Objects:
        """Return the objects of our notifications: the name, then the other columns."""
        index, column = index_of(alarm.alarm), gantry_mib.ALARM_COLUMN
        *values, name = enumerate(gantry_mib.alarm_values(alarm), 2)
        return {(*column, n, *index): value for n, value in (name, *values)}

    def _tell_ups(self, ups: str, before: Sequence[AlarmView], own: Objects) -> None:
        """Tell what changed among the well-known alarms of a UPS; our name stands behind."""
        was = ups_mib.well_known(before, ups)
        has = ups_mib.well_known(self._active.values(), ups)
        name = dict(list(own.items())[:1])
        for number in was.keys() - has.keys():
            self._send(REMOVED, {**_row(number, was[number]), **name})
        for number in has.keys() - was.keys():
            if number == ups_mib.ON_BATTERY:
                self._tell_on_battery(ups)
            else:
                self._send(ADDED, {**_row(number, has[number]), **name})

    def _repeat(self) -> None:
        """Tell again of each UPS on battery, and forget those that are not any more."""
        for ups, told in list(self._told_battery.items()):
            if ups_mib.ON_BATTERY not in ups_mib.well_known(self._active.values(), ups):
                del self._told_battery[ups]
            elif self._seconds() - told >= REPEAT_S:
                self._tell_on_battery(ups)

    def _tell_on_battery(self, ups: str) -> None:
        self._told_battery[ups] = self._seconds()
        self._snapshot = snapshot = self._look()
        objects = dict(ups_mib.ups_objects(snapshot, ups, self._now(), 0.0))
        wanted = (ups_mib.MINUTES_LEFT, ups_mib.SECONDS_ON_BATTERY, ups_mib.LOW_MINUTES)
        told = {(*ups_mib.UPS_MIB, *arcs): objects[arcs] for arcs in wanted if arcs in objects}
        self._send(ON_BATTERY, {**told, (*ups_mib.UPS_MIB, 1, 1, 5, 0): text(ups)})


def _row(number: int, alarm: AlarmView) -> Objects:
    row = ups_mib.alarm_id(number, alarm.raised_at)
    base = ups_mib.UPS_MIB
    return {
        (*base, *ups_mib.ALARM_ID, row): SnmpValue(SnmpType.INTEGER, str(row)),
        (*base, *ups_mib.ALARM_DESCR, row): SnmpValue(
            SnmpType.OID, show_oid(ups_mib.alarm_oid(number))
        ),
    }
