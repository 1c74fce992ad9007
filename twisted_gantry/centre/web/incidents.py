"""Incidents and alarms: what stands now, what stood, and what people do about them."""

from collections.abc import Callable, Collection, Sequence
from functools import partial

from twisted_gantry.centre.interfaces import IReportStore, Session
from twisted_gantry.centre.store import alarm_views, audit, care, mutes, troubles
from twisted_gantry.centre.store.alarm_views import Struck
from twisted_gantry.centre.store.alarms import GantryAlarm
from twisted_gantry.centre.store.care import CannotChange
from twisted_gantry.centre.store.pages import Key, Page
from twisted_gantry.centre.web.call import Call
from twisted_gantry.centre.web.scope import Scope
from twisted_gantry.centre.web.views import Views, place_of
from twisted_gantry.net.http.json import HttpError
from twisted_gantry.wire import centre_api as api
from twisted_gantry.wire.emergencies import is_emergency

_Change = Callable[[Session, list[GantryAlarm]], list[GantryAlarm]]


class Incidents:
    """Answers about incidents and alarms, and notes what people do about them."""

    def __init__(self, store: IReportStore, views: Views) -> None:
        self._store, self._views = store, views

    # -- reading

    async def incidents(self, call: Call) -> api.IncidentList:
        active, limit = call.flag("active"), call.limit()
        order = "active" if active else "all"
        road, section = call.text("road"), call.text("section")
        (since, until), after = call.times(), call.after(order)
        page: Page[Struck] = await self._store.read(
            lambda session: alarm_views.incident_views(
                session,
                active=active,
                road=road or None,
                section=section or None,
                since=since,
                until=until,
                after=after,
                limit=limit,
                roads=call.scope.roads,
            )
        )
        shown = [self._views.incident(each) for each in page.rows]
        return api.IncidentList(shown, call.cursor(page.after, order))

    async def incident(self, call: Call) -> api.IncidentView:
        which = _number(call.parts["id"])
        found = await self._store.read(
            lambda session: alarm_views.incident_view(session, which, call.scope.roads)
        )
        if found is None:
            raise _no_incident(call.parts["id"])
        return self._views.incident(found)

    async def alarms(self, call: Call) -> api.GantryAlarms:
        active, limit, after = call.flag("active"), call.limit(), call.after()
        gantry, road, section = call.text("gantry"), call.text("road"), call.text("section")
        (since, until), incident = call.times(), call.text("incident")
        which = _number(incident) if incident else None

        def job(session: Session) -> tuple[list[api.GantryAlarm], Key | None]:
            wanted = call.scope.gantry(session, gantry).id if gantry else None
            page = alarm_views.alarm_history(
                session,
                active=active,
                gantry=wanted,
                road=road or None,
                section=section or None,
                incident=which,
                since=since,
                until=until,
                after=after,
                limit=limit,
                roads=call.scope.roads,
            )
            return shown_alarms(self._views, session, page.rows), page.after

        shown, key = await self._store.read(job)
        return api.GantryAlarms(shown, call.cursor(key))

    # -- what people do

    async def acknowledge(self, call: Call) -> api.GantryAlarms:
        body = call.body(api.AcknowledgeBody)
        if not (body.gantry or body.incident):
            return await self._fault(call, body.alarm, call.who, {"note": body.note})
        change = partial(care.acknowledge, who=call.who, note=body.note)
        return await self._change(call, body, change, {"note": body.note})

    async def unacknowledge(self, call: Call) -> api.GantryAlarms:
        body = call.body(api.UnmuteBody)
        if not (body.gantry or body.incident):
            return await self._fault(call, body.alarm, None, {})
        return await self._change(call, body, care.unacknowledge, {})

    async def shelve(self, call: Call) -> api.GantryAlarms:
        body = call.body(api.ShelveAlarmBody)
        change = partial(care.shelve, seconds=body.seconds, who=call.who, note=body.note)
        return await self._change(call, body, change, {"for": body.seconds, "note": body.note})

    async def unshelve(self, call: Call) -> api.GantryAlarms:
        return await self._change(call, call.body(api.UnmuteBody), care.unshelve, {})

    async def _change(
        self, call: Call, body: api.UnmuteBody, change: _Change, details: dict[str, object]
    ) -> api.GantryAlarms:
        """Change the open alarms that a body names, as far as the person sees them. Raises
        HttpError: 404 without any, 409 for what is over or never muted.
        """
        which = _number(body.incident) if body.incident else None
        if not (body.gantry or body.incident):
            raise HttpError(409, "never-muted", "a fault of the centre is never shelved")

        def job(session: Session) -> list[api.GantryAlarm]:
            if which is None:
                gantry = call.scope.gantry(session, body.gantry)
                found, road = care.alarm(session, gantry.id, body.alarm), gantry.road
                target = f"{gantry.id} {body.alarm}"
            else:
                found = _within(session, call.scope, care.incident(session, which))
                target, road = f"incident {body.incident}", ""
                if not found:
                    raise _no_incident(body.incident)
            changed = change(session, found)
            audit.note(*(session, call.who, call.operation.id, target), road=road, details=details)
            return shown_alarms(self._views, session, changed)

        try:
            return api.GantryAlarms(await self._store.write(job))
        except CannotChange as error:
            raise _refused(error) from None

    async def _fault(
        self, call: Call, name: str, who: str | None, details: dict[str, object]
    ) -> api.GantryAlarms:
        """Acknowledge a fault of the centre that the database has; with None take that back."""
        call.scope.check_whole()

        def job(session: Session) -> list[api.GantryAlarm]:
            found = troubles.acknowledge(session, name.partition("@")[0], who)
            if not found:
                raise HttpError(404, "no-such-alarm", f"the centre has no fault {name[:40]!r}")
            audit.note(session, call.who, call.operation.id, name, details=details)
            return [self._views.fault(each) for each in found]

        return api.GantryAlarms(await self._store.write(job))

    # -- maintenance

    async def maintenance(self, call: Call) -> api.PlaceMaintenances:
        def job(session: Session) -> list[mutes.Mute]:
            return [e for e in mutes.maintenance(session) if _sees(session, call.scope, e.muted)]

        found = await self._store.read(job)
        return api.PlaceMaintenances([self._views.maintenance(each) for each in found])

    async def begin_maintenance(self, call: Call) -> api.PlaceMaintenance:
        body = call.body(api.MaintainPlaceBody)

        def job(session: Session) -> mutes.Mute:
            place = _place(session, call.scope, body)
            made = mutes.begin(session, place, body.seconds, call.who, body.note)
            details = {"for": body.seconds, "note": body.note}
            _note_place(session, call, place, details)
            return made

        return self._views.maintenance(await self._store.write(job))

    async def end_maintenance(self, call: Call) -> api.PlaceMaintenance:
        gantry, road, section = (call.text(name) for name in ("gantry", "road", "section"))
        try:
            body = api.PlaceBody(gantry, road, section)
        except ValueError as error:
            raise HttpError(400, "bad-request", str(error)) from None

        def job(session: Session) -> mutes.Mute:
            place = _place(session, call.scope, body)
            ended = care.end_maintenance(session, place)
            _note_place(session, call, place, {})
            return ended

        try:
            return self._views.maintenance(await self._store.write(job))
        except CannotChange as error:
            raise _refused(error) from None


def shown_alarms(
    views: Views, session: Session, alarms: Sequence[GantryAlarm]
) -> list[api.GantryAlarm]:
    """Return alarms with the places of their gantries; one that left the registry has none."""
    ids = list({each.gantry for each in alarms})
    rows = session.rows("SELECT id, road, section FROM gantries WHERE id {in}", ids)
    places = {row[0]: (row[1], row[2]) for row in rows}
    maintained: Collection[str] = mutes.maintained(session)
    now = session.now()
    return [
        views.alarm(
            each,
            places.get(each.gantry, ("", "")),
            maintained=each.gantry in maintained and not is_emergency(each.name),
            now=now,
        )
        for each in alarms
    ]


def _within(session: Session, scope: Scope, alarms: list[GantryAlarm]) -> list[GantryAlarm]:
    if scope.roads is None:
        return alarms
    rows = session.rows("SELECT id FROM gantries WHERE road {in}", sorted(scope.roads))
    mine = {row[0] for row in rows}
    return [each for each in alarms if each.gantry in mine]


def _place(session: Session, scope: Scope, body: api.PlaceBody) -> mutes.Muted:
    """Return the place that a body names. Raises HttpError (403, 404)."""
    if body.gantry:
        return mutes.place(gantry=scope.gantry(session, body.gantry).id)
    scope.check_road(body.road)
    return place_of(body)


def _sees(session: Session, scope: Scope, muted: mutes.Muted) -> bool:
    if scope.roads is None or muted.kind is not mutes.MuteKind.GANTRY:
        return scope.has(muted.place)
    rows = session.rows("SELECT road FROM gantries WHERE id = ?", muted.place)
    return bool(rows) and scope.has(rows[0][0])


def _note_place(
    session: Session, call: Call, place: mutes.Muted, details: dict[str, object]
) -> None:
    road = place.place
    if place.kind is mutes.MuteKind.GANTRY:
        road = call.scope.gantry(session, place.place).road
    target = " ".join(each for each in (place.place, place.subject) if each)
    audit.note(session, call.who, call.operation.id, target, road=road, details=details)


def _number(text: str) -> int:
    """Return the number of an incident. Raises HttpError (404)."""
    if text.isascii() and text.isdecimal() and len(text) <= 18:
        return int(text)
    raise _no_incident(text)


def _no_incident(text: str) -> HttpError:
    return HttpError(404, "no-such-incident", f"there is no incident {text[:40]!r}")


_NOT_FOUND = ("no-such-alarm", "no-such-incident", "no-maintenance")


def _refused(error: CannotChange) -> HttpError:
    return HttpError(404 if error.code in _NOT_FOUND else 409, error.code, str(error))
