"""A province made up from a seed: 3,000 gantries along 30 roads, in the shapes of the API."""

import random
from datetime import UTC, datetime, timedelta, timezone

import msgspec

from twisted_gantry.wire import centre_api as api
from twisted_gantry.wire import centre_orders as orders

ROADS, PER_ROAD, SECTIONS = 30, 100, 5
STRUCK_ROAD, STRUCK_SECTION = "G2", "G2-2"
"""Where the mains failed along a whole section."""
_ZONE = timezone(timedelta(hours=8))
_TEXTS = {
    "mains-abnormal": ("critical", "mains abnormal", "市电异常"),
    "on-battery": ("warning", "UPS on battery", "UPS电池放电"),
    "smoke": ("critical", "smoke", "烟雾报警"),
    "temperature-high": ("warning", "temperature high", "温度过高"),
    "door-open": ("warning", "door open", "柜门打开"),
    "silent": ("warning", "no reports", "无上报"),
}


def at(seconds: float) -> str:
    """Return a time as the API writes it."""
    moment = datetime.fromtimestamp(seconds, UTC).astimezone(_ZONE)
    return moment.isoformat(timespec="milliseconds")


class Province:
    """Gantries, their alarms and incidents at Unix time `now`; `gantries` may change."""

    def __init__(self, now: float, seed: int = 18) -> None:
        self._random = random.Random(seed)
        self.now = now
        self.gantries: dict[str, api.GantryView] = {}
        self.alarms: dict[str, api.GantryAlarm] = {}
        self.incidents: dict[str, api.IncidentView] = {}
        self.maintenance: list[api.PlaceMaintenance] = []
        self.orders: dict[str, orders.OrderView] = {}
        self.audit: list[api.CentreAuditEntry] = []
        self.raised = 57
        self.troubles: list[api.CentreTrouble] = []
        for road in range(ROADS):
            for place in range(PER_ROAD):
                self._add(road, place)

    def _add(self, road: int, place: int) -> None:
        name = f"G{road + 1}" if road < 20 else f"S{road + 1}"
        number = f"G{100000 + road:06d}{place:012d}"
        section = f"{name}-{place * SECTIONS // PER_ROAD + 1}"
        metres = 10_000 + place * 1900 + self._random.randrange(900)
        stake = f"K{metres // 1000}+{metres % 1000:03d}"
        found = api.GantryView(
            id=number,
            name=f"{name} {stake} 门架",
            road=name,
            section=section,
            stake=stake,
            direction=("上行", "下行")[place % 2],
            position="主线",
            remote_control=f"http://192.0.2.{place}:3699/remotecontrol.do",
            eq_sn=f"EQ{road:02d}{place:03d}",
            state="well",
            since=at(self.now - self._random.randrange(86_400)),
            last_report=at(self.now - self._random.randrange(290)),
            has_auth=True,
        )
        self.gantries[number] = found
        dice = self._random.random()
        if name == STRUCK_ROAD and section == STRUCK_SECTION:
            self._dark(found, 900 + self._random.randrange(60), f"mains-{STRUCK_SECTION}")
        elif dice < 0.004:
            self._dark(found, self._random.randrange(7000), number)
        elif dice < 0.006:
            self._hurt(found, "critical", "smoke", number)
        elif dice < 0.02:
            self._hurt(found, "warning", "temperature-high", number)
        elif dice < 0.03:
            silent = at(self.now - 600 - self._random.randrange(90_000))
            self._set(found, state="silent", since=silent, last_report=silent)
        elif dice < 0.035:
            self._set(found, state="maintenance")
            self.maintenance.append(
                api.PlaceMaintenance(number, since=at(self.now - 600), until=at(self.now + 3000))
            )
        elif dice < 0.04:
            self._set(found, state="never", since=None, last_report=None)
        elif dice < 0.042:
            self._set(
                found, state="never", since=None, last_report=None, pending=True, has_auth=False
            )

    def _set(self, gantry: api.GantryView, **changes: object) -> api.GantryView:
        changed = msgspec.structs.replace(self.gantries[gantry.id], **changes)
        self.gantries[gantry.id] = changed
        return changed

    def _dark(self, gantry: api.GantryView, seconds: float, incident: str) -> None:
        left = round(240 - seconds / 60 - self._random.random() * 90, 1)
        self._hurt(gantry, "critical", "mains-abnormal", incident, seconds)
        self._set(gantry, mains_off=True, battery_minutes=max(1.0, left))
        self._alarm(gantry, "on-battery", incident, seconds - 3)

    def _alarm(self, gantry: api.GantryView, condition: str, incident: str, ago: float) -> None:
        severity, en, zh = _TEXTS[condition]
        name = f"cabinet-1.{condition}"
        alarm = api.GantryAlarm(
            id=str(len(self.alarms) + 1),
            gantry=gantry.id,
            alarm=name,
            severity=severity,
            message=en,
            message_zh=zh,
            raised_at=at(self.now - ago),
            incident=incident,
            road=gantry.road,
            section=gantry.section,
        )
        self.alarms[alarm.id] = alarm
        self._set(gantry, alarms=[*self.gantries[gantry.id].alarms, name])

    def _hurt(
        self,
        gantry: api.GantryView,
        state: str,
        condition: str,
        incident: str,
        ago: float = 400,
    ) -> None:
        self._set(gantry, state=state, since=at(self.now - ago))
        self._alarm(gantry, condition, incident, ago)
        severity, en, zh = _TEXTS[condition]
        old = self.incidents.get(incident)
        self.incidents[incident] = api.IncidentView(
            id=incident,
            cause=condition,
            severity=severity,
            message=en,
            message_zh=zh,
            road=gantry.road,
            section=gantry.section,
            since=at(self.now - ago),
            gantries=1 + (old.gantries if old else 0),
            alarms=["cabinet-1.mains-abnormal", "cabinet-1.on-battery"]
            if condition == "mains-abnormal"
            else [f"cabinet-1.{condition}"],
            gantry=None if incident.startswith("mains-") else gantry.id,
            battery_minutes=34.5 if condition == "mains-abnormal" else None,
        )

    def overview(self) -> api.Overview:
        """Count."""
        states = dict.fromkeys(api.GANTRY_STATES, 0)
        approved = [each for each in self.gantries.values() if not each.pending]
        for each in approved:
            states[each.state] += 1
        return api.Overview(
            gantries=api.GantryCounts(
                total=len(approved), pending=len(self.gantries) - len(approved), **states
            ),
            incidents=len([e for e in self.incidents.values() if e.until is None]),
            ledger=api.LedgerTotals(1_204_551, 1_203_007, 1_402, 12_019, 142),
            alarms=len([e for e in self.alarms.values() if e.cleared_at is None]),
            alarm_rate=self.raised,
            troubles=self.troubles,
            name="示范省中心 Demo",
            version="0.3.0",
            as_of=at(self.now),
        )

    def flicker(self) -> api.GantryView:
        """Change one gantry, as a report does."""
        gantry = self._random.choice(list(self.gantries.values()))
        if gantry.state not in ("well", "warning"):
            return self._set(gantry, last_report=at(self.now))
        state = "warning" if gantry.state == "well" else "well"
        alarms = ["cabinet-1.temperature-high"] if state == "warning" else []
        return self._set(gantry, state=state, alarms=alarms, since=at(self.now))
