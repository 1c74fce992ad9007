"""What the store returns, as types of the API."""

from collections.abc import Mapping
from typing import Any

from twisted_gantry.access.people import User
from twisted_gantry.centre.conditions import condition
from twisted_gantry.centre.model import GantryState
from twisted_gantry.centre.store import mutes, registry
from twisted_gantry.centre.store.alarm_views import Struck
from twisted_gantry.centre.store.alarms import GantryAlarm
from twisted_gantry.centre.store.audit import AuditEntry
from twisted_gantry.centre.store.mutes import Mute, MuteKind
from twisted_gantry.centre.store.troubles import Trouble
from twisted_gantry.centre.store.views import Standing
from twisted_gantry.net.times import TimeText
from twisted_gantry.wire import centre_api as api


class Views:
    """Makes answers; `time` writes times in the time zone of the centre."""

    def __init__(self, time: TimeText) -> None:
        self.time = time

    def gantry(self, standing: Standing) -> api.GantryView:
        gantry = standing.gantry
        minutes = standing.battery_minutes
        return api.GantryView(
            **{name: getattr(gantry, name) for name in _FIELDS},
            state=standing.state.value,
            since=self.time(standing.since),
            last_report=self.time(standing.last_report),
            battery_minutes=None if minutes is None else round(minutes, 1),
            mains_off=standing.mains_off,
            alarms=list(standing.alarms),
            has_auth=standing.has_auth,
            has_api_key=standing.has_api_key,
        )

    def incident(self, struck: Struck) -> api.IncidentView:
        incident, minutes = struck.incident, struck.battery_minutes
        about = condition(incident.cause)
        return api.IncidentView(
            id=str(incident.id),
            cause=incident.cause,
            severity=incident.severity,
            road=incident.road,
            section=incident.section,
            since=self.time(incident.since),
            gantries=incident.gantries,
            alarms=list(struck.alarms),
            gantry=incident.gantry,
            until=self.time(incident.ended),
            message=about.en,
            message_zh=about.zh,
            battery_minutes=None if minutes is None else round(minutes, 1),
            acked_by=struck.acked_by or None,
            muted=struck.muted,
        )

    def alarm(
        self, alarm: GantryAlarm, place: tuple[str, str], maintained: bool, now: float
    ) -> api.GantryAlarm:
        """Return an alarm of a gantry at `place`, its road and section."""
        about = condition(alarm.name)
        is_open = alarm.ended is None
        shelved = is_open and alarm.shelved_until is not None and alarm.shelved_until > now
        state = "raised"
        if not is_open:
            state = "cleared"
        elif shelved:
            state = "shelved"
        elif maintained:
            state = "maintenance"
        elif alarm.acked_at is not None:
            state = "acknowledged"
        return api.GantryAlarm(
            id=str(alarm.id),
            gantry=alarm.gantry,
            alarm=alarm.name,
            severity=alarm.severity,
            message=about.en,
            message_zh=about.zh,
            raised_at=self.time(alarm.began),
            cleared_at=self.time(alarm.ended),
            late=alarm.late,
            state=state,
            incident=None if alarm.incident is None else str(alarm.incident),
            road=place[0],
            section=place[1],
            acked_by=alarm.acked_by or None,
            acked_at=self.time(alarm.acked_at),
            note=alarm.note or None,
            shelved_until=self.time(alarm.shelved_until) if shelved else None,
            muted=state in ("shelved", "maintenance"),
        )

    def maintenance(self, mute: Mute) -> api.PlaceMaintenance:
        kind, muted = mute.muted.kind, mute.muted
        at_gantry = kind is MuteKind.GANTRY
        return api.PlaceMaintenance(
            gantry=muted.place if at_gantry else "",
            road="" if at_gantry else muted.place,
            section=muted.subject,
            since=self.time(mute.since),
            until=self.time(mute.until),
            by=mute.who,
            note=mute.note or None,
        )

    def trouble(self, trouble: Trouble) -> api.CentreTrouble:
        return api.CentreTrouble(
            trouble.name,
            trouble.severity,
            trouble.en,
            trouble.zh,
            self.time(trouble.since),
            trouble.process,
            trouble.acked_by if trouble.acked_at is not None else None,
        )

    def fault(self, trouble: Trouble) -> api.GantryAlarm:
        """Return a fault of the centre as an alarm without a gantry."""
        acked = trouble.acked_at is not None
        return api.GantryAlarm(
            id=f"own-{trouble.id}",
            gantry="",
            alarm=trouble.name,
            severity=trouble.severity,
            message=trouble.en,
            message_zh=trouble.zh,
            raised_at=self.time(trouble.since),
            state="acknowledged" if acked else "raised",
            acked_by=trouble.acked_by if acked else None,
            acked_at=self.time(trouble.acked_at),
        )

    def audit(self, entry: AuditEntry) -> api.CentreAuditEntry:
        return api.CentreAuditEntry(
            str(entry.id),
            self.time(entry.at),
            entry.who,
            entry.action,
            entry.target,
            entry.details,
        )


_FIELDS = tuple(each for each in registry.NAMES if each not in ("auth", "api_key"))


def counts(states: Mapping[GantryState, int], pending: int) -> api.GantryCounts:
    found: dict[str, Any] = {each.value: states.get(each, 0) for each in GantryState}
    return api.GantryCounts(total=sum(found.values()), **found, pending=pending)


def user(user: User) -> api.CentreUser:
    person = user.person
    roads = None if person.roads is None else sorted(person.roads)
    return api.CentreUser(
        person.name, person.role.value, roads, user.password is not None, user.token is not None
    )


def place_of(body: api.PlaceBody) -> mutes.Muted:
    return mutes.place(gantry=body.gantry, road=body.road, section=body.section)
