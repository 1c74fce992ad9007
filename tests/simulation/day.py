"""A day of a site: quiet hours, then events one after the other; what the gantry made of each.

An alarm in the quiet hours is a false alarm. In an event the gantry must raise what it raises when
every peer speaks as its document has it, report it to the platform, and clear it afterwards.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from twisted.internet.defer import ensureDeferred
from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import provider

from tests.simulation.site import SimulatedSite
from tests.support import fired
from twisted_gantry.core.alarms import Alarm
from twisted_gantry.core.status import State
from twisted_gantry.ctl.scenario.judge import value_at
from twisted_gantry.wire.reading import Quality

SETTLING_S = 120.0  # after the start, before quiet counts
LASTS_S, RESTS_S = 240.0, 240.0  # an event, and the time after it


@dataclass(frozen=True)
class Event:
    """A change of the world, its end, and at least these alarms; `reports` are paths and values.

    `prepare` is set a minute before, `repair` is a command after the end.
    """

    name: str
    begin: Mapping[str, Any]
    end: Mapping[str, Any]
    alarms: frozenset[str]
    reports: Mapping[str, str] = field(default_factory=dict)
    prepare: Mapping[str, Any] = field(default_factory=dict)
    repair: tuple[tuple[str, str], ...] = ()


EVENTS = (
    Event(
        "mains failure",
        {"mains.voltage": 0},
        {"mains.voltage": 220},
        frozenset({f"{name}.mains-abnormal" for name in ("ups1", "ups2", "cab1", "cfos")}),
        {"elec[0].status": "0", "elec[1].status": "0", "ups[0].runningState": "3"},
    ),
    Event(
        "phase L2 lost",
        {"mains.voltage_s": 0},
        {"mains.voltage_s": 220},
        frozenset({"ups1.mains-abnormal", "ups1.phase-l2-lost", "cfos.mains-abnormal"}),
        {"elec[0].status": "0"},
    ),
    Event(
        "over-voltage",
        {"mains.voltage": 262},
        {"mains.voltage": 220},
        frozenset({"ups1.input-over-voltage", "ups2.input-over-voltage"}),
        {"elec[0].warningMsg": "输入过压"},
    ),
    Event(
        "overload",
        {"ups1.load_w": 8400},
        {"ups1.load_w": 2000},
        frozenset({"ups1.overload"}),
        {"ups[0].status": "0"},
    ),
    Event(
        "worn-out battery",
        {"mains.voltage": 0},
        {"mains.voltage": 220, "ups1.battery_health": 100, "ups1.battery_charge": 98},
        frozenset({"ups1.mains-abnormal", "ups1.battery-low"}),
        {"ups[0].status": "0"},
        prepare={"ups1.battery_health": 30, "ups1.battery_charge": 22},
    ),
    Event(
        "smoke",
        {"cab1.smoke": True},
        {"cab1.smoke": False},
        frozenset({"cab1.smoke"}),
        {"smokeSensor.isWarning": "1"},
    ),
    Event(
        "water",
        {"cab1.water": True},
        {"cab1.water": False},
        frozenset({"cab1.water"}),
        {"waterloggingSensor.isWarning": "1"},
    ),
    Event(
        "door forced",
        {"cab1.force_front_door": True},
        {"cab1.front_door": "closed", "cab1.armed": False},
        frozenset({"cab1.front-door-illegal", "cab1.front-door-open"}),
        {"doors.frontDoorOpenIllegally": "1", "doors.frontDoorClosed": "0"},
        prepare={"cab1.armed": True},
    ),
    Event(
        "air conditioner fails",
        {"cab1.air1_fault": "compressor"},
        {"cab1.air1_fault": "none"},
        frozenset({"cab1.air-conditioner-fault"}),
        {"airConditioners[0].status": "0"},
    ),
    Event(
        "lightning",
        {"cab1.lightning_count_1": 7, "cab1.surge1_fault": True},
        {"cab1.surge1_fault": False},
        frozenset({"cab1.lightning", "cab1.thunder-spd-fault"}),
        {"thunderSpd[0].lightningCount": "7", "thunderSpd[0].status": "0"},
    ),
    Event(
        "battery store trips",
        {"bms1.insulation_fault": True},
        {"bms1.insulation_fault": False},
        frozenset({"bms1.alarm", "bms1.contactor-open"}),
        repair=(("bms1", "reset-fault"), ("bms1", "close-contactor")),
    ),
    Event(
        "a charging point fails",
        {"cfos.E1.fault": "broken"},
        {"cfos.E1.fault": "none"},
        frozenset({"cfos.error"}),
    ),
)


@dataclass
class Happened:
    """The course of one event: alarms raised in its time and left after it, reports that lack."""

    raised: set[str] = field(default_factory=set)
    left: set[str] = field(default_factory=set)
    unreported: set[str] = field(default_factory=set)
    repair_failed: set[str] = field(default_factory=set)


@dataclass
class Day:
    """What a gantry made of a day.

    `quiet` are the alarms of the quiet hours, `offline` what was not online at their end, `unread`
    the points without a good value then. `again` counts reports that the platform took twice.
    """

    quiet: set[str] = field(default_factory=set)
    offline: set[str] = field(default_factory=set)
    unread: set[str] = field(default_factory=set)
    events: dict[str, Happened] = field(default_factory=dict)
    again: int = 0
    refused: set[str] = field(default_factory=set)
    queued: dict[str, int] = field(default_factory=dict)
    packs: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)


class _Watch:
    """Collects the alarms that are raised."""

    def __init__(self, site: SimulatedSite) -> None:
        self._raised: set[str] = set()
        site.alarms.subscribe(self._changed)

    def _changed(self, alarm: Alarm) -> None:
        if alarm.active:
            self._raised.add(alarm.name)

    def take(self) -> set[str]:
        taken, self._raised = self._raised, set()
        return taken


def live(dialects: Mapping[str, Any], quiet_s: float, poll: float = 10.0) -> Day:
    """Let a site live through quiet seconds and all events; `dialects` are names by endpoint."""
    logged: list[str] = []

    @provider(ILogObserver)
    def observe(event: Any) -> None:
        if "log_failure" in event:
            logged.append(str(event["log_failure"].getTraceback()))

    site = SimulatedSite(dialects, poll)
    globalLogPublisher.addObserver(observe)
    try:
        with site.reactor.installed():
            day = _lived(site, quiet_s, poll)
            logged += [str(each) for each in site.stop()]
    finally:
        globalLogPublisher.removeObserver(observe)
    day.failures = logged
    return day


def _unread(site: SimulatedSite) -> set[str]:
    points = site.tree.site.points.under("")
    return {point.name for point in points if point.quality is not Quality.GOOD}


def _lived(site: SimulatedSite, quiet_s: float, poll: float) -> Day:
    day, watch = Day(), _Watch(site)
    site.start()
    site.run(SETTLING_S)
    day.quiet |= {alarm.name for alarm in site.alarms.active()}
    watch.take()
    site.run(quiet_s)
    day.quiet |= watch.take()
    known = site.tree.site
    peers: list[Any] = [*known.devices.values(), *known.uplinks.values()]
    day.offline = {each.name for each in peers if each.status.state is not State.ONLINE}
    # Twice, since some dialects spoil a value now and then.
    day.unread = _unread(site)
    site.run(2.5 * poll)
    day.unread &= _unread(site)
    before = {alarm.name for alarm in site.alarms.active()}
    for event in EVENTS:
        day.events[event.name] = _happened(site, event, watch, before)
    site.run(600.0)
    platform = site.twin.platform
    day.refused = {each["reason"] for each in platform.requests() if each["reason"]}
    ledgers = {name: fired(ensureDeferred(known.store.ledger(name))) for name in known.uplinks}
    day.queued = {name: ledger.queued + ledger.set_aside for name, [ledger] in ledgers.items()}
    taken = platform.counts["cabinetStatusUpdate"] + platform.counts["computerStatusUpdate"]
    day.again = taken - ledgers["etc"][0].delivered
    day.packs = dict(site.twin.cloud.counts)
    return day


def _happened(site: SimulatedSite, event: Event, watch: _Watch, before: set[str]) -> Happened:
    happened, world = Happened(), site.twin.world
    if event.prepare:
        world.change(event.prepare)
        site.run(60.0)
    watch.take()
    since = site.reactor.now()
    world.change(event.begin)
    site.run(LASTS_S)
    told = _told(site, since)
    happened.unreported = {
        path
        for path, value in event.reports.items()
        if not any(_says(body, path, value) for body in told)
    }
    world.change(event.end)
    for target, command in event.repair:
        result = site.command(target, command)
        if getattr(result, "result", None) != "done":
            happened.repair_failed.add(command)
    site.run(RESTS_S)
    happened.raised = watch.take()
    happened.left = {alarm.name for alarm in site.alarms.active()} - before
    return happened


def _told(site: SimulatedSite, since: float) -> list[Any]:
    """Return the cabinet reports that the platform took since then, Unix seconds."""
    requests = site.twin.platform.requests("cabinetStatusUpdate", 200)
    new = [r for r in requests if datetime.fromisoformat(r["at"]).timestamp() >= since]
    return [r["body"] for r in new if value_at(r, "answer.code") == "1000"]


def _says(body: Any, path: str, value: str) -> bool:
    found = value_at(body, f"cabinetStatus.{path}")
    return isinstance(found, str) and value in found.split(",")
