"""Alarms: their history, and what people do about them; each such change is in the audit."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import msgspec
from twisted.internet.defer import Deferred
from twisted.web.server import Request

from twisted_gantry.access.gate import person_of
from twisted_gantry.core.alarms import Alarm, CannotChange, Mute, most_urgent_first
from twisted_gantry.core.lasting import lasting
from twisted_gantry.core.site import Site
from twisted_gantry.core.stored import AuditEntry
from twisted_gantry.logs import MASKS
from twisted_gantry.net.http.arguments import LATEST, flag_of, limit_of, moment_of, read_body
from twisted_gantry.net.http.json import HttpError, argument, refuse_foreign_origin
from twisted_gantry.net.times import TimeText
from twisted_gantry.web.api import views
from twisted_gantry.web.api.audited import audited, who_asks
from twisted_gantry.wire import local_api as shapes

_T = TypeVar("_T")
_Body = TypeVar("_Body", bound=msgspec.Struct)

_STATUS = {"no-such-alarm": 404, "no-maintenance": 404, "not-active": 409, "never-muted": 409}


class AlarmActions:
    """The alarms of one site. `now` returns Unix seconds. A change that was begun goes on when its
    client disconnects.
    """

    def __init__(self, site: Site, now: Callable[[], float], time: TimeText) -> None:
        self._site, self._now, self._time = site, now, time

    async def read(self, request: Request) -> shapes.AlarmList:
        """Return alarms that were raised from `since` to `until`. Raises HttpError (400)."""
        active = flag_of(request, "active")
        limit = limit_of(request, shapes.DEFAULT_ALARMS, shapes.MAX_LIMIT)
        since = moment_of(request, "since", self._now(), 0.0)
        until = moment_of(request, "until", self._now(), LATEST)
        alarms = self._site.alarms
        if active:
            within = (each for each in alarms.active() if since <= each.raised_at <= until)
            found = most_urgent_first(within)[:limit]
        else:
            found = await alarms.history(since, until, limit)
        fold, ledger = self._site.fold(), alarms.ledger
        counts = shapes.AlarmCounts(ledger.raised, ledger.cleared, ledger.active)
        return shapes.AlarmList([views.alarm(a, self._time, fold) for a in found], counts)

    # -- what people do; each raises HttpError: 400, 404, 409

    async def acknowledge(self, request: Request) -> shapes.AlarmView:
        body, by = _asked(request, shapes.AckBody), person_of(request).name
        note = MASKS.masked(body.note)
        change = partial(self._site.alarms.acknowledge, body.alarm, by, note)
        return self._shown(await self._do(request, body.alarm, "alarm-ack", change, note=note))

    async def unacknowledge(self, request: Request) -> shapes.AlarmView:
        body = _asked(request, shapes.UnackBody)
        change = partial(self._site.alarms.unacknowledge, body.alarm)
        return self._shown(await self._do(request, body.alarm, "alarm-unack", change))

    async def shelve(self, request: Request) -> shapes.AlarmView:
        body, by = _asked(request, shapes.ShelveBody), person_of(request).name
        note, told = MASKS.masked(body.note), {"for": body.seconds}
        change = partial(self._site.alarms.shelve, body.alarm, body.seconds, by, note)
        done = await self._do(request, body.alarm, "alarm-shelve", change, note=note, **told)
        return self._shown(done)

    async def unshelve(self, request: Request) -> shapes.AlarmView:
        body = _asked(request, shapes.UnackBody)
        change = partial(self._site.alarms.unshelve, body.alarm)
        return self._shown(await self._do(request, body.alarm, "alarm-unshelve", change))

    def maintenance(self) -> shapes.MaintenanceList:
        return shapes.MaintenanceList([self._mute(each) for each in self._site.alarms.maintenance])

    async def maintain(self, request: Request) -> shapes.MaintenanceView:
        body, by = _asked(request, shapes.MaintainBody), person_of(request).name
        site, note, told = self._site, MASKS.masked(body.note), {"for": body.seconds}
        known = [*site.devices, *site.uplinks, *site.bridges]
        if body.device not in known:
            text = f"there is no such device; there are: {', '.join(known)}"
            raise HttpError(404, "no-such-device", text)
        change = partial(site.alarms.maintain, body.device, body.seconds, by, note)
        done = await self._do(request, body.device, "maintenance", change, note=note, **told)
        return self._mute(done)

    async def end_maintenance(self, request: Request) -> shapes.MaintenanceView:
        refuse_foreign_origin(request)
        device = argument(request, "device")
        if not device:
            raise HttpError(400, "bad-argument", "device is the name of a device")
        change = partial(self._site.alarms.end_maintenance, device)
        return self._mute(await self._do(request, device, "maintenance-end", change))

    def _do(
        self, request: Request, target: str, command: str, change: Callable[[], _T], **told: Any
    ) -> Deferred[_T]:
        """Make a change, with an entry in the audit of who asked, and what else is `told`."""
        args = {name: value for name, value in told.items() if value != ""}
        number, now = self._site.door.new_id(), self._now()
        entry = AuditEntry(number, now, who_asks(request), target, command, args)

        async def done() -> _T:
            try:
                async with audited(self._site.store, entry):
                    return change()
            except CannotChange as error:
                raise HttpError(_STATUS[error.code], error.code, str(error)) from None

        return lasting(done())

    def _shown(self, alarm: Alarm) -> shapes.AlarmView:
        return views.alarm(alarm, self._time, self._site.fold())

    def _mute(self, mute: Mute) -> shapes.MaintenanceView:
        times = self._time(mute.since), self._time(mute.until)
        return shapes.MaintenanceView(mute.subject, *times, mute.by, mute.note or None)


def _asked(request: Request, kind: type[_Body]) -> _Body:
    refuse_foreign_origin(request)
    return read_body(request, kind)
